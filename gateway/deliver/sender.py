"""What every way out has in common: it sends one document once and tells the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
