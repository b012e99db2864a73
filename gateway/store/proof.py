"""Proves what happened: recomputes the audit chain, and holds every job, delivery and object against it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from gateway.job import State
from gateway.store.audit import GENESIS_HASH, Event, row_hash
from gateway.store.database import Database
from gateway.store.job_rows import AnyRow, pages_hash
from gateway.store.objects import Objects
from gateway.store.tables import DeliveryState, audit, audit_head, jobs, outbox, pages

UNFINISHED = (State.RECEIVED, State.DIGITIZED)  # a worker or a destination has still to do its part
UNFINISHED_MAX = 1000  # jobs told one by one
PROBLEMS_MAX = 1000  # told one by one; a database that is wholly wrong need not fill the memory too
FETCH_ROWS = 1000


@dataclass(frozen=True)
class AuditReport:
    """What verifying found.

    rows: of the audit, as far as they can be read. first_bad_seq: the first row that does not fit the chain, None
    where all do. head_hash: the last row's hash, which fixes all before it. jobs: how many stand in each state.
    objects: files hashed, 0 where that was left out. unfinished: ids of jobs that are still RECEIVED or DIGITIZED, the
    oldest first, at most UNFINISHED_MAX; no problem in themselves, but one that stays among them should be looked at.
    """

    ok: bool
    rows: int
    first_bad_seq: int | None
    head_hash: str
    jobs: Mapping[State, int]
    objects: int
    problems: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    @property
    def unfinished_counts(self) -> Mapping[State, int]:
        """How many jobs have not come to an end, by state; all of them, however many unfinished names."""
        return {state: self.jobs.get(state, 0) for state in UNFINISHED}


@dataclass
class _Told:
    """What the audit says of one job."""

    received: int = 0
    sha256: str = ""
    state: str = ""
    pages_sha256: str = ""  # of the last time it was settled


@dataclass
class _Ledger:
    """What has been read so far."""

    rows: int = 0
    first_bad_seq: int | None = None
    head_hash: str = GENESIS_HASH
    problems: list[str] = field(default_factory=list)
    told: dict[str, _Told] = field(default_factory=dict)
    queued: dict[int, tuple[str, ...]] = field(default_factory=dict)  # seq -> (job id, destination, name, SHA-256)
    delivered: dict[int, str] = field(default_factory=dict)  # delivery id -> SHA-256
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    objects: set[str] = field(default_factory=set)
    unfinished: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(text)

    def break_at(self, seq: int, text: str) -> None:
        self.first_bad_seq = seq if self.first_bad_seq is None else self.first_bad_seq
        self.problem(f"audit row {seq} {text}")


def verify(database: Database, objects: Objects, check_objects: bool = True) -> AuditReport:
    """Reads everything in one view of the database, then hashes the objects it names."""
    ledger = _Ledger()
    with database.read() as connection, _any_bytes(database, connection):
        for row in _stream(connection, select(audit).order_by(audit.c.seq)):
            _read_link(ledger, row)
        _check_head(ledger, connection)
        for row in _stream(connection, select(jobs).order_by(jobs.c.number)):
            _check_job(ledger, row, connection)
        for row in _stream(connection, select(outbox)):
            _check_delivery(ledger, row)
        for row in _stream(connection, select(pages.c.recording_sha256).where(pages.c.recording_sha256.is_not(None))):
            ledger.objects.add(row.recording_sha256)
    for job_id in ledger.told:
        ledger.problem(f"job {job_id} is in the audit but not among the jobs")
    if check_objects:
        _check_objects(ledger, objects)
    return AuditReport(
        ok=not ledger.problems,
        rows=ledger.rows,
        first_bad_seq=ledger.first_bad_seq,
        head_hash=ledger.head_hash,
        jobs=ledger.counts,
        objects=len(ledger.objects) if check_objects else 0,
        problems=tuple(ledger.problems),
        unfinished=tuple(ledger.unfinished),
    )


def _read_link(ledger: _Ledger, row: AnyRow) -> None:
    expected = ledger.rows + 1
    ledger.rows += 1
    if row.seq != expected:
        ledger.break_at(expected, f"is missing: row {row.seq} stands in its place")
        ledger.rows = row.seq
    if row.prev_hash != ledger.head_hash:
        ledger.break_at(row.seq, "does not follow the row before it")
    fields = (row.at, row.kind, row.job_id, row.actor, row.detail)
    if not all(isinstance(value, str) for value in fields):
        ledger.break_at(row.seq, "holds something else than text")
    elif row_hash(row.prev_hash, row.seq, *fields) != row.hash:
        ledger.break_at(row.seq, "was changed: its hash is another")
    else:
        _learn(ledger, row)
    ledger.head_hash = row.hash


def _learn(ledger: _Ledger, row: AnyRow) -> None:
    if not row.job_id:  # a sign-in, say: nothing about a page
        return
    detail: dict[str, Any] = json.loads(row.detail)
    told = ledger.told.setdefault(row.job_id, _Told())
    match row.kind:
        case Event.RECEIVED:
            told.received += 1
            told.sha256 = detail["sha256"]
        case Event.QUEUED:
            ledger.queued[row.seq] = (row.job_id, detail["destination"], detail["name"], detail["sha256"])
        case Event.DELIVERED:
            ledger.delivered[detail["delivery_id"]] = detail["sha256"]
    told.state = detail.get("state", told.state)
    told.pages_sha256 = detail.get("pages_sha256", told.pages_sha256)


def _check_head(ledger: _Ledger, connection: Connection) -> None:
    head = connection.execute(select(audit_head)).one_or_none()
    if head is None:
        ledger.problem("the audit's head is gone")
    elif (head.rows, head.hash) != (ledger.rows, ledger.head_hash):
        ledger.break_at(ledger.rows + 1, f"is missing: the head counts {head.rows} rows and ends in another hash")


def _check_job(ledger: _Ledger, row: AnyRow, connection: Connection) -> None:
    told = ledger.told.pop(row.job_id, _Told())
    if told.received != 1:
        ledger.problem(f"job {row.job_id} was received {told.received} times by the audit, not once")
    elif told.sha256 != row.sha256:
        ledger.problem(f"job {row.job_id} holds other bytes than the audit received")
    if told.state != row.state:
        ledger.problem(f"job {row.job_id} is {row.state}, the audit last saw it {told.state or 'nowhere'}")
    if told.pages_sha256 and pages_hash(connection, row.job_id) != told.pages_sha256:
        ledger.problem(f"job {row.job_id} has other pages than it was settled with")
    try:
        ledger.counts[State(row.state)] += 1
    except ValueError:
        ledger.problem(f"job {row.job_id} is in no known state")
    if row.state in UNFINISHED and len(ledger.unfinished) < UNFINISHED_MAX:
        ledger.unfinished.append(row.job_id)
    ledger.objects.add(row.sha256)


def _check_delivery(ledger: _Ledger, row: AnyRow) -> None:
    if ledger.queued.get(row.position) != (row.job_id, row.destination, row.name, row.sha256):
        ledger.problem(f"delivery {row.delivery_id} was not queued like this by the audit")
    if row.state == DeliveryState.DELIVERED and ledger.delivered.get(row.delivery_id) != row.sha256:
        ledger.problem(f"delivery {row.delivery_id} says delivered, the audit does not")
    ledger.objects.add(row.sha256)


def _check_objects(ledger: _Ledger, objects: Objects) -> None:
    for sha256 in sorted(ledger.objects):
        try:
            fault = objects.fault(sha256)
        except ValueError:
            fault = "is named by no SHA-256"
        if fault:
            ledger.problem(f"object {sha256} {fault}")


def _stream(connection: Connection, query: Any) -> Iterator[AnyRow]:
    return iter(connection.execute(query, execution_options={"yield_per": FETCH_ROWS}))


@contextmanager
def _any_bytes(database: Database, connection: Connection) -> Iterator[None]:
    """Lets SQLite hand out text that is no UTF-8 any more: a flipped byte is to be found, not to end the search."""
    raw: Any = connection.connection.dbapi_connection
    if not database.is_sqlite:
        yield
        return
    raw.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        yield
    finally:
        raw.text_factory = str
