"""What every way out has in common: it sends one document once and tells the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.job import Document


@dataclass(frozen=True)
class Delivered:
    """The destination has taken the document. response: its answer as codes, free of patient data."""

    response: str


class Sender(Protocol):
    """One destination's way out. A sender is used by one thread and may keep its connection open between documents."""

    def send(self, document: Document) -> Delivered:
        """Returns only when the destination said yes. Raises TryAgain (the world) or Refused (this document)."""

    def close(self) -> None:
        """Puts the connection away; the next send opens another. Never raises."""


@dataclass(frozen=True)
class Later:
    """What the destination said of a document after it had taken it.

    name: the document's. answer: as codes. note: in words for a person, "" where nothing is wrong.
    """

    name: str
    answer: str
    note: str


@runtime_checkable
class AnswersLater(Protocol):
    """A sender whose peer may answer twice: that it has the message, and later what its application makes of it."""

    @property
    def is_listening(self) -> bool:
        """Whether a second answer is still waited for; close() would end that."""

    def later(self) -> list[Later]:
        """What was said since the last call. Returns at once and never raises."""
