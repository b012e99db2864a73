"""The audit as people read it: of one job, searched, or as it grows. And what the dashboard asks of the jobs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.errors import NotFound
from gateway.job import State
from gateway.store import counting
from gateway.store.database import Database
from gateway.store.job_rows import AnyRow, DeliveryRow, clean, delivery_row_from
from gateway.store.objects import Objects
from gateway.store.tables import IS_PARKED, audit, audit_head, jobs, moment_text, outbox

SCAN_ROWS = 200_000  # rows of the audit that one search looks at: it may go on from there
BUSY_MAX = 100


@dataclass(frozen=True)
class AuditQuery:
    """Which entries; "" and None ask for any. since: that moment and later; until: before that moment."""

    kind: str = ""
    actor: str = ""
    job_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class AuditEntry:
    """A row of the audit. at: RFC 3339 in UTC. detail: holds no patient data."""

    seq: int
    at: str
    kind: str
    job_id: str
    actor: str
    detail: dict[str, Any]
    hash: str


@dataclass(frozen=True)
class AuditPage:
    """Entries, the newest first. next_before: go on before this row, None at the end of the audit."""

    entries: tuple[AuditEntry, ...]
    next_before: int | None


@dataclass(frozen=True)
class Busy:
    """A worker and the job it has."""

    worker: str
    job_id: str
    until: datetime


@dataclass(frozen=True)
class Moments:
    """What the dashboard shows of the jobs, at one moment of the database's clock."""

    now: datetime
    states: dict[State, int]
    oldest_waiting_at: datetime | None
    busy: tuple[Busy, ...]
    hours: dict[datetime, dict[str, int]]
    confidence: tuple[int, ...]
    free_mb: float
    total_mb: float


class AuditQueries:
    """Questions of the window that no job's row answers."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database = database
        self._objects = objects

    def job_audit(self, job_id: str) -> tuple[AuditEntry, ...]:
        """All that happened to a job, the oldest first. Raises NotFound."""
        query = select(audit).where(audit.c.job_id == job_id).order_by(audit.c.seq)
        with self._database.read() as connection:
            found = tuple(_entry(row) for row in connection.execute(query))
        if not found:
            raise NotFound(f"there is no job {job_id!r}")
        return found

    def audit(self, wanted: AuditQuery, before: int | None, limit: int) -> AuditPage:
        """Entries before a row, the newest first; looks at SCAN_ROWS at most, and says where to go on."""
        with self._database.read() as connection:
            head = int(connection.execute(select(audit_head.c.rows)).scalar_one())
            top = head + 1 if before is None else min(before, head + 1)
            if wanted.until is not None:
                top = min(top, _first_at(connection, head, wanted.until))
            bottom = 1 if wanted.since is None else _first_at(connection, head, wanted.since)
            # by its index a job's few rows are found wherever they are; all else is looked for a stretch at a time
            low = bottom if wanted.job_id else max(bottom, top - SCAN_ROWS)
            query = select(audit).where(audit.c.seq >= low, audit.c.seq < top)
            for column, value in ((audit.c.kind, wanted.kind), (audit.c.actor, wanted.actor)):
                if value:
                    query = query.where(column == clean(value))
            if wanted.job_id:
                query = query.where(audit.c.job_id == clean(wanted.job_id))
            found = connection.execute(query.order_by(audit.c.seq.desc()).limit(limit)).all()
        entries = tuple(_entry(row) for row in found)
        if len(entries) == limit:
            low = entries[-1].seq
        return AuditPage(entries, low if low > bottom else None)

    def oldest_at(self, state: State) -> datetime | None:
        """Since when the job stands in a state that stands there longest; None where none does."""
        query = select(func.min(jobs.c.changed_at)).where(jobs.c.state == state)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def job_durations(self) -> tuple[tuple[float, ...], tuple[int, ...], float]:
        """Bounds in seconds, how many jobs fell between two of them and above the last, and the sum of all seconds."""
        with self._database.read() as connection:
            return counting.DURATION_BOUNDS_S, *counting.job_durations(connection)

    def last_seq(self) -> int:
        """The number of the newest entry, 0 in an empty audit."""
        with self._database.read() as connection:
            return int(connection.execute(select(audit_head.c.rows)).scalar_one())

    def audit_after(self, seq: int, limit: int) -> tuple[AuditEntry, ...]:
        """What happened after an entry, the oldest first."""
        query = select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit)
        with self._database.read() as connection:
            return tuple(_entry(row) for row in connection.execute(query))

    def parked(
        self, after: int, destination: str | None, limit: int, last: int | None = None
    ) -> tuple[DeliveryRow, ...]:
        """Documents that wait for a person, the oldest first, with a number above after, and up to last."""
        query = select(outbox).where(IS_PARKED, outbox.c.delivery_id > after)
        if destination is not None:
            query = query.where(outbox.c.destination == clean(destination))
        if last is not None:
            query = query.where(outbox.c.delivery_id <= last)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(outbox.c.delivery_id).limit(limit))
            return tuple(delivery_row_from(row) for row in rows)

    def moments(self, hours: int, days: int) -> Moments:
        """The figures of the dashboard: pages of the last hours, confidence of the last days."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            states = dict(counting.states(connection))
            waiting = select(jobs.c.received_at).where(jobs.c.state == State.RECEIVED).order_by(jobs.c.number).limit(1)
            oldest = connection.execute(waiting).scalar_one_or_none()
            busy = tuple(_busy(connection, now))
        by_hour = counting.pages_by_hour(self._database, now - timedelta(hours=hours))
        free_mb, total_mb = self._objects.space_mb()
        return Moments(
            now=now,
            states=states,
            oldest_waiting_at=oldest,
            busy=busy,
            hours={hour: dict(verdicts) for hour, verdicts in by_hour.items()},
            confidence=counting.confidence_bins(self._database, now, days),
            free_mb=free_mb,
            total_mb=total_mb,
        )


def _busy(connection: Connection, now: datetime) -> list[Busy]:
    query = (
        select(jobs.c.lease_worker, jobs.c.job_id, jobs.c.lease_until)
        .where(jobs.c.state == State.RECEIVED, jobs.c.lease_token.is_not(None), jobs.c.lease_until > now)
        .limit(BUSY_MAX)
    )
    return [Busy(row.lease_worker, row.job_id, row.lease_until) for row in connection.execute(query)]


def _first_at(connection: Connection, head: int, moment: datetime) -> int:
    """The first row at that moment or later, by bisection: rows are numbered in the order they were written."""
    text = moment_text(moment)
    low, high = int(connection.execute(select(audit_head.c.first_seq)).scalar_one()), head + 1
    while low < high:
        middle = (low + high) // 2
        at = connection.execute(select(audit.c.at).where(audit.c.seq == middle)).scalar_one_or_none()
        if at is not None and at < text:
            low = middle + 1
        else:
            high = middle
    return low


def _entry(row: AnyRow) -> AuditEntry:
    return AuditEntry(row.seq, row.at, row.kind, row.job_id, row.actor, _detail(row.detail), row.hash)


def _detail(text: str) -> dict[str, Any]:
    """What a row says. One that somebody spoiled is shown as it is: verify tells of it, and others can be read."""
    try:
        detail = json.loads(text)
    except ValueError:
        return {"malformed": text}
    return detail if isinstance(detail, dict) else {"malformed": text}
