"""The audit, and what it tells as it grows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.job import State
from gateway.web.api.models.base import Model


class AuditEntry(Model):
    """A row of the audit chain. detail: JSON without patient data."""

    seq: int
    at: datetime
    kind: str
    job_id: str
    actor: str
    detail: dict[str, Any]
    hash: str


class AuditList(Model):
    """A page of the audit, the newest first. next_cursor: goes back into ``before``."""

    items: list[AuditEntry]
    next_cursor: int | None


class AuditVerdict(Model):
    """What verifying the audit found."""

    ok: bool
    rows: int
    first_bad_seq: int | None
    head_hash: str
    jobs: dict[State, int]
    objects: int
    problems: list[str]
    unfinished: list[str]
    seconds: float


class ChangeEvent(Model):
    """The data of a server-sent event ``job`` or ``delivery``: something happened to this job."""

    seq: int
    kind: str
    job_id: str
    at: datetime
