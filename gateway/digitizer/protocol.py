"""What the process that reads a file is asked and answers: one JSON each way."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from gateway.config import IdentitySection, LimitsSection, PipelineSection
from gateway.job import Verdict


class Message(BaseModel):
    """Frozen, and strict about its keys; bytes travel as base64."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class Request(Message):
    """Read every page of this file; of a document with more than pages_max, none."""

    path: str
    pages_max: int
    limits: LimitsSection
    identity: IdentitySection
    pipeline: PipelineSection


class PageMessage(Message):
    """One page. recording_npz and summary as in gateway.job.PageResult; code and why where nothing was read."""

    number: int
    verdict: Verdict
    code: str = ""
    why: str = ""
    summary: str = "{}"
    recording_npz: bytes | None = None


class FileMessage(Message):
    """What the file holds. order: Order.to_dict, of what the file itself says."""

    order: dict[str, object]
    pages: tuple[PageMessage, ...]


class Fault(Message):
    """Why it could not be read: the document's doing, or the world's."""

    again: bool
    code: str
    why: str


class Answer(Message):
    """One of the two."""

    answer: FileMessage | Fault
