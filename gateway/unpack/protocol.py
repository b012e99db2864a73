"""What the sandbox and its child say to each other: a JSON line each way, then the pixels of a page.

Before all else the child says an empty line: it is loaded, and whatever ends it from here on, a page did.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from gateway.config import IdentitySection, LimitsSection
from pipeline.recording import Finding


class Message(BaseModel):
    """Frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(Message):
    """Open a document, and decode one of its pages unless page is 0. order: Order.to_dict, None to read it."""

    path: str
    order: dict[str, object] | None
    limits: LimitsSection
    identity: IdentitySection
    page: int = 0


class Opened(Message):
    """The answer where page was 0. order: Order.to_dict."""

    kind: Literal["opened"] = "opened"
    media_type: str
    page_count: int
    order: dict[str, object]


class Decoded(Message):
    """The answer with a page; rows * columns * 3 bytes follow, RGB, row by row."""

    kind: Literal["decoded"] = "decoded"
    rows: int
    columns: int
    dpi: tuple[float, float] | None
    findings: tuple[Finding, ...] = ()


class Fault(Message):
    """The document's fault (Refused), or the file's (OSError, errno in code)."""

    kind: Literal["refused", "os_error"]
    code: str
    why: str


class Answer(Message):
    """One of the three."""

    answer: Opened | Decoded | Fault
