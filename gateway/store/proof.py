"""Proves what happened: recomputes the audit chain, and holds every job, delivery and object against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from gateway.job import State
from gateway.store.checkpoints import Checkpoint
from gateway.store.database import Database
from gateway.store.job_fields import FIELDS, SAID, field_hash, raw
from gateway.store.job_rows import AnyRow, order_from, pages_hash
from gateway.store.ledger import DeliveryStory, JobStory, Ledger, check_end, compare_checkpoints, read_link
from gateway.store.objects import Objects, keep_objects
from gateway.store.outbox import answer_hash
from gateway.store.search_terms import shown
from gateway.store.tables import DeliveryState, audit, audit_head, jobs, outbox, pages

UNFINISHED = (State.RECEIVED, State.DIGITIZED)  # a worker or a destination has still to do its part
UNFINISHED_MAX = 1000  # jobs told one by one
FETCH_ROWS = 1000
SHOWN = ("patient_id", "issuer", "patient_name", "birth_date", "accession_number")

_JOB_COLUMNS = (
    "number",
    "job_id",
    "state",
    "sha256",
    "erased_at",
    *(name for names in FIELDS.values() for name in names),
    *SHOWN,
)
_JOBS = select(*(raw(jobs.c[name]).label(name) for name in _JOB_COLUMNS)).order_by(jobs.c.number)
_DELIVERY_COLUMNS = (
    *("delivery_id", "job_id", "destination", "kind", "name", "page", "sha256", "state", "position", "code", "why"),
    *("response", "erased_at"),
)
_DELIVERIES = select(*(raw(outbox.c[name]).label(name) for name in _DELIVERY_COLUMNS))


@dataclass(frozen=True)
class AuditReport:
    """What verifying found.

    rows: of the audit, as far as they can be read. pruned: how many of the first were taken away, by an entry of the
    moment pruned_at; the first that is left is of first_kept_at, both RFC 3339. That all before it were old enough,
    nothing that is left can show.
    first_bad_seq: the first row that does not fit the chain, None where all do. head_hash: the last row's hash, which
    fixes all before it. jobs: how many stand in each state. objects: files hashed, 0 where that was left out.
    unfinished: ids of jobs that are still RECEIVED or DIGITIZED, the oldest first, at most UNFINISHED_MAX; no problem
    in themselves, but one that stays among them should be looked at. uncovered: jobs of an older version, of which no
    row says whose ECG they are. checkpoints: how many the chain agrees with.
    """

    ok: bool
    rows: int
    first_bad_seq: int | None
    head_hash: str
    jobs: Mapping[State, int]
    objects: int
    problems: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    uncovered: int = 0
    pruned: int = 0
    pruned_at: str = ""
    first_kept_at: str = ""
    checkpoints: int = 0

    @property
    def unfinished_counts(self) -> Mapping[State, int]:
        """How many jobs have not come to an end, by state; all of them, however many unfinished names."""
        return {state: self.jobs.get(state, 0) for state in UNFINISHED}


def verify(
    database: Database, objects: Objects, check_objects: bool = True, checkpoints: Sequence[Checkpoint] = ()
) -> AuditReport:
    """Reads everything in one view of the database, then hashes the objects it names."""
    with keep_objects(objects.folder):  # or one that is erased meanwhile would be called missing
        return _verify(database, objects, check_objects, checkpoints)


def _verify(
    database: Database, objects: Objects, check_objects: bool, checkpoints: Sequence[Checkpoint]
) -> AuditReport:
    ledger = Ledger(_by_size(checkpoints))
    with database.read() as connection, _any_bytes(database, connection):
        compare_checkpoints(ledger)  # one that was signed before the first row
        for row in _stream(connection, select(audit).order_by(audit.c.seq)):
            read_link(ledger, row)
        _check_head(ledger, connection)
        check_end(ledger)
        for row in _stream(connection, _JOBS):
            _check_job(ledger, row, connection)
        for row in _stream(connection, _DELIVERIES):
            _check_delivery(ledger, row)
        for row in _stream(connection, select(pages.c.recording_sha256).where(pages.c.recording_sha256.is_not(None))):
            ledger.objects.add(row.recording_sha256)
    for job_id in (job_id for job_id, story in ledger.jobs.items() if _should_be_there(ledger, story)):
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
        uncovered=ledger.uncovered,
        pruned=ledger.pruned[0],
        pruned_at=ledger.pruned_at,
        first_kept_at=ledger.first_kept_at,
        checkpoints=ledger.confirmed,
    )


def _by_size(checkpoints: Sequence[Checkpoint]) -> Mapping[int, Sequence[Checkpoint]]:
    found: dict[int, list[Checkpoint]] = defaultdict(list)
    for checkpoint in checkpoints:
        found[checkpoint.rows].append(checkpoint)
    return dict(found)


def _should_be_there(ledger: Ledger, story: JobStory) -> bool:
    """Not where only looks at a job outlived the entries that told of it."""
    return bool(story.received or story.state or not ledger.pruned[0])


def _check_head(ledger: Ledger, connection: Connection) -> None:
    head = connection.execute(select(audit_head)).one_or_none()
    if head is None:
        ledger.problem("the audit's head is gone")
    elif (head.rows, head.hash) != (ledger.rows, ledger.head_hash):
        ledger.break_at(ledger.rows + 1, f"is missing: the head counts {head.rows} rows and ends in another hash")


def _check_job(ledger: Ledger, row: AnyRow, connection: Connection) -> None:
    story = ledger.jobs.pop(row.job_id, JobStory())
    if not story.received and story.tombstone and ledger.pruned[0]:
        pass  # the entry that received it was old enough to be taken away; the last one tells what it is now
    elif story.received != 1:
        ledger.problem(f"job {row.job_id} was received {story.received} times by the audit, not once")
    elif story.sha256 != row.sha256:
        ledger.problem(f"job {row.job_id} holds other bytes than the audit received")
    if story.state != row.state:
        ledger.problem(f"job {row.job_id} is {row.state}, the audit last saw it {story.state or 'nowhere'}")
    if story.pages_sha256 and pages_hash(connection, row.job_id) != story.pages_sha256:
        ledger.problem(f"job {row.job_id} has other pages than it was settled with")
    _check_fields(ledger, row, story)
    try:
        ledger.counts[State(row.state)] += 1
    except ValueError:
        ledger.problem(f"job {row.job_id} is in no known state")
    if row.state in UNFINISHED and len(ledger.unfinished) < UNFINISHED_MAX:
        ledger.unfinished.append(row.job_id)
    if bool(story.erased_seq) != (row.erased_at is not None):
        ledger.problem(f"job {row.job_id}: its page {_says_erased(row.erased_at)}")
    if story.erased_seq:
        ledger.erased_jobs[row.job_id] = story.erased_seq
    else:
        ledger.objects.add(row.sha256)


def _check_fields(ledger: Ledger, row: AnyRow, story: JobStory) -> None:
    """Holds whose ECG it is, who sent it and why it is where it is against the last row that covers each."""
    values = dict(row._mapping)
    wrong = [field for field, sha256 in story.fields.items() if field_hash(field, values) != sha256]
    for field in wrong:
        ledger.problem(f"job {row.job_id}: its {SAID[field]} is not what the audit covers")
    if "read_order" not in story.fields:
        ledger.uncovered += 1
    elif not wrong:
        told = shown(order_from(row.read_order_json or row.order_json))
        for name in (name for name in SHOWN if values[name] != told[name]):
            ledger.problem(f"job {row.job_id}: the worklist shows another {name} than its order says")


def _check_delivery(ledger: Ledger, row: AnyRow) -> None:
    queued = ledger.queued.get(row.position)
    erased = ledger.erased_documents.get(row.delivery_id, 0) > row.position  # and was not made anew since
    if erased != (row.erased_at is not None):
        ledger.problem(f"job {row.job_id}: delivery {row.delivery_id} {_says_erased(row.erased_at)}")
    if queued is None and erased and row.position <= ledger.pruned[0]:
        return
    told = (row.job_id, row.destination, row.kind, row.name, row.page, row.sha256)
    if (
        queued is None
        or (queued.job_id, queued.destination, queued.kind, queued.name, queued.page, queued.sha256) != told
    ):
        ledger.problem(f"delivery {row.delivery_id} was not queued like this by the audit")
    _check_progress(ledger, row, queued is not None and queued.covered)
    if not erased:
        ledger.objects.add(row.sha256)


def _says_erased(erased_at: str | None) -> str:
    return "is there, the audit says that it was erased" if erased_at is None else "counts as erased, the audit says no"


def _check_progress(ledger: Ledger, row: AnyRow, covered: bool) -> None:
    """Holds a document's state and its destination's answer against what happened to it since it was queued."""
    last = ledger.deliveries.get(row.delivery_id)
    story = last if last is not None and last.seq > row.position else DeliveryStory()
    if row.state == DeliveryState.DELIVERED and (story.state, story.sha256) != (DeliveryState.DELIVERED, row.sha256):
        ledger.problem(f"delivery {row.delivery_id} says delivered, the audit does not")
    elif row.state != (story.state or DeliveryState.QUEUED):
        ledger.problem(
            f"job {row.job_id}: delivery {row.delivery_id} is {row.state}, the audit last saw it "
            f"{story.state or DeliveryState.QUEUED}"
        )
    # Nothing covers an older gateway's delivery; what this version queued and nobody tried yet has no answer.
    expected = story.answer_sha256 or (answer_hash("", "", "") if covered and not story.state else "")
    erased_seq = max(ledger.erased_jobs.get(row.job_id, 0), ledger.erased_documents.get(row.delivery_id, 0))
    if erased_seq > max(story.seq, row.position):
        expected = answer_hash(row.code, "", "")
    if expected and answer_hash(row.code, row.why, row.response) != expected:
        ledger.problem(
            f"job {row.job_id}: the answer (code, why or response) of delivery {row.delivery_id} to {row.destination} "
            "is not what the audit covers"
        )


def _check_objects(ledger: Ledger, objects: Objects) -> None:
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
    raw_connection: Any = connection.connection.dbapi_connection
    if not database.is_sqlite:
        yield
        return
    raw_connection.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        yield
    finally:
        raw_connection.text_factory = str
