"""What the audit chain says, read from its first row to its last: each link checked, each job's story kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.job import State
from gateway.store.audit import CHANGES_A_JOB, GENESIS_HASH, Event, row_hash
from gateway.store.checkpoints import Checkpoint
from gateway.store.job_fields import FIELDS
from gateway.store.job_rows import AnyRow
from gateway.store.tables import DeliveryState, moment_from, moment_text

PROBLEMS_MAX = 1000  # told one by one; a database that is wholly wrong need not fill the memory too

# What a document's row must say after each of these; a row that was queued and met none of them is QUEUED.
STATE_AFTER: Mapping[str, DeliveryState] = {
    Event.DELIVERED: DeliveryState.DELIVERED,
    Event.ANSWERED_LATER: DeliveryState.DELIVERED,
    Event.POSTPONED: DeliveryState.QUEUED,
    Event.PARKED: DeliveryState.PARKED,
    Event.WITHDRAWN: DeliveryState.WITHDRAWN,
}


@dataclass
class JobStory:
    """What the audit says of one job."""

    received: int = 0
    sha256: str = ""
    state: str = ""
    pages_sha256: str = ""  # of the last time it was settled
    tombstone: bool = False  # an entry tells what is gone of it
    erased_seq: int = 0  # of the row that tells that its page is gone
    fields: dict[str, str] = field(default_factory=dict)  # of job_fields.FIELDS: SHA-256


@dataclass(frozen=True)
class Queued:
    """One row of the chain that queued a document. covered: of a version that covers what its destination says."""

    job_id: str
    destination: str
    kind: str
    name: str
    page: int
    sha256: str
    covered: bool


@dataclass
class DeliveryStory:
    """What the audit says of one document since the row that told of it first."""

    seq: int = 0  # of the last row that changed it
    state: str = ""
    sha256: str = ""  # as delivered
    answer_sha256: str = ""


@dataclass
class Ledger:
    """What has been read so far."""

    checkpoints: Mapping[int, Sequence[Checkpoint]] = field(default_factory=dict)  # by how many rows they saw
    rows: int = 0
    first_bad_seq: int | None = None
    head_hash: str = GENESIS_HASH
    pruned: tuple[int, str] = (0, GENESIS_HASH)  # where the rows that are kept begin: number and hash before the first
    allowed_pruning: tuple[int, str] = (0, GENESIS_HASH)  # by the last row that tells of one
    pruned_at: str = ""  # when that row was written
    first_kept_at: str = ""  # when the first row that is kept was written
    problems: list[str] = field(default_factory=list)
    jobs: dict[str, JobStory] = field(default_factory=dict)
    queued: dict[int, Queued] = field(default_factory=dict)  # by the row's number
    deliveries: dict[int, DeliveryStory] = field(default_factory=dict)  # by delivery id
    erased_jobs: dict[str, int] = field(default_factory=dict)  # of the jobs checked so far: the row that tells of it
    erased_documents: dict[int, int] = field(default_factory=dict)  # by delivery id: the row that tells of it
    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    objects: set[str] = field(default_factory=set)
    unfinished: list[str] = field(default_factory=list)
    uncovered: int = 0  # jobs of which no row covers whose ECG they are
    confirmed: int = 0  # checkpoints that the chain agrees with

    def problem(self, text: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(text)

    def break_at(self, seq: int, text: str) -> None:
        self.first_bad_seq = seq if self.first_bad_seq is None else self.first_bad_seq
        self.problem(f"audit row {seq} {text}")


def read_link(ledger: Ledger, row: AnyRow) -> None:
    """Holds one row against the one before, and learns from it."""
    texts = (row.at, row.kind, row.job_id, row.actor, row.detail, row.prev_hash, row.hash)
    if not isinstance(row.seq, int) or not all(isinstance(value, str) for value in texts):
        _take_malformed(ledger, row)
        return
    _begin_after_pruning(ledger, row)
    ledger.first_kept_at = ledger.first_kept_at or row.at
    expected = ledger.rows + 1
    if row.seq != expected:
        ledger.break_at(expected, f"is missing: row {row.seq} stands in its place")
    ledger.rows = row.seq
    if row.prev_hash != ledger.head_hash:
        ledger.break_at(row.seq, "does not follow the row before it")
    if row_hash(row.prev_hash, row.seq, *texts[:5]) != row.hash:
        ledger.break_at(row.seq, "was changed: its hash is another")
    elif not _learn(ledger, row):
        ledger.break_at(row.seq, f"is malformed: no gateway writes such an entry of kind {row.kind!r}")
    ledger.head_hash = row.hash
    compare_checkpoints(ledger)


def compare_checkpoints(ledger: Ledger) -> None:
    """Holds the row that was just read against the checkpoints that were signed there."""
    for checkpoint in ledger.checkpoints.get(ledger.rows, ()):
        if checkpoint.head_hash == ledger.head_hash:
            ledger.confirmed += 1
        else:
            ledger.break_at(ledger.rows, f"has another hash than {checkpoint.name} signed: the chain was recomputed")


def check_end(ledger: Ledger) -> None:
    """What only the last row shows: whether the first was taken away lawfully, and what checkpoints saw beyond."""
    if ledger.pruned[0] and ledger.pruned != ledger.allowed_pruning:
        ledger.break_at(1, f"is missing: no entry tells that the {ledger.pruned[0]} first rows were taken away")
    for size, checkpoints in sorted(ledger.checkpoints.items()):
        if size > ledger.rows:
            for checkpoint in checkpoints:
                ledger.break_at(
                    ledger.rows + 1,
                    f"is missing: {checkpoint.name} signed {size} rows; the tail was cut off, or an older copy of the "
                    "database put back",
                )


def _take_malformed(ledger: Ledger, row: AnyRow) -> None:
    ledger.rows += 1
    ledger.break_at(ledger.rows, "holds something else than text")
    ledger.head_hash = row.hash if isinstance(row.hash, str) else ""


def _begin_after_pruning(ledger: Ledger, row: AnyRow) -> None:
    if ledger.rows == 0 and row.seq > 1 and row.prev_hash != GENESIS_HASH:
        ledger.pruned = (row.seq - 1, row.prev_hash)
        ledger.rows, ledger.head_hash = ledger.pruned
        compare_checkpoints(ledger)


def _learn(ledger: Ledger, row: AnyRow) -> bool:
    """Keeps what a row says; False where it says nothing that a gateway writes."""
    try:
        detail = json.loads(row.detail)
        if not isinstance(detail, dict) or row.kind not in set(Event):
            return False
        if row.kind == Event.PRUNED:
            ledger.allowed_pruning = (detail["through"], detail["through_hash"])
            ledger.pruned_at = moment_text(moment_from(row.at))
        elif row.job_id:  # else a sign-in, say: nothing about a page
            _learn_of_job(ledger, row, detail)
    except (ValueError, KeyError, TypeError):
        return False
    return True


def _learn_of_job(ledger: Ledger, row: AnyRow, detail: Mapping[str, Any]) -> None:
    story = ledger.jobs.setdefault(row.job_id, JobStory())
    if row.kind == Event.RECEIVED:
        story.received += 1
        story.sha256 = detail["sha256"]
    elif row.kind == Event.QUEUED:
        told = {key: detail[key] for key in ("destination", "kind", "name", "page", "sha256")}
        ledger.queued[row.seq] = Queued(row.job_id, **told, covered="v" in detail)
    elif row.kind == Event.ERASED:
        story.tombstone = True
        story.erased_seq = row.seq if detail["page"] else story.erased_seq
        for number in detail["documents"].split():
            ledger.erased_documents[int(number)] = row.seq
    elif row.kind in STATE_AFTER:
        _learn_of_delivery(ledger, row, detail)
    story.state = detail.get("state", story.state)
    story.pages_sha256 = detail.get("pages_sha256", story.pages_sha256)
    if row.kind in CHANGES_A_JOB and "v" not in detail:  # an older gateway wrote it, and says not what the job is now
        story.fields = {}
    story.fields |= {field: detail[f"{field}_sha256"] for field in FIELDS if f"{field}_sha256" in detail}


def _learn_of_delivery(ledger: Ledger, row: AnyRow, detail: Mapping[str, Any]) -> None:
    story = ledger.deliveries.setdefault(detail["delivery_id"], DeliveryStory())
    story.seq, story.state = row.seq, STATE_AFTER[row.kind]
    story.sha256 = detail.get("sha256", story.sha256)
    if row.kind != Event.WITHDRAWN:  # which leaves the answer as it was
        story.answer_sha256 = detail.get("answer_sha256", "")
