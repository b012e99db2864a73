"""Erases pages, documents and audit entries that are old enough, and says so in the audit: the entries are tombstones.

What a person has still to decide on, and what waits for a destination, is kept whatever its age.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select, update

from gateway.config import RetentionSection
from gateway.job import State
from gateway.store.audit import Event, append
from gateway.store.counting import count_gone
from gateway.store.database import Database, Transaction
from gateway.store.job_rows import AnyRow, lock_deliveries, lock_job, new_id, pages_hash
from gateway.store.objects import Objects, erasing_objects
from gateway.store.search_terms import shown
from gateway.store.tables import (
    DeliveryState,
    audit,
    audit_head,
    jobs,
    moment_text,
    outbox,
    pages,
    remarks,
    reviews,
    terms,
)

ENDED = (State.DELIVERED, State.REFUSED)
SENT_OR_NOT = (DeliveryState.DELIVERED, DeliveryState.WITHDRAWN)
AT_ONCE = 200  # jobs of one round; the next comes when retention is looked after again
ENTRIES_AT_ONCE = 5000  # of the audit in one round
DAYS_A_YEAR = 366  # never a day too early
ACTOR = "retention"


@dataclass(frozen=True)
class Erased:
    """How much one round erased. entries: of the audit."""

    pages: int = 0
    documents: int = 0
    entries: int = 0

    def __bool__(self) -> bool:
        return bool(self.pages or self.documents or self.entries)


def erase(database: Database, objects: Objects, settings: RetentionSection) -> Erased:
    """Erases what is older than the settings say, AT_ONCE jobs at most. Each job is one transaction.

    Nothing where another process erases now, or makes a backup or proves the objects: the next round does it.
    """
    if not (settings.pages_days or settings.documents_days):
        return Erased()
    with erasing_objects(objects.folder) as may_erase:
        return _erase(database, objects, settings) if may_erase else Erased()


def _erase(database: Database, objects: Objects, settings: RetentionSection) -> Erased:
    page_jobs = _due(database, settings.pages_days, _pages_are_due)
    document_jobs = _due(database, settings.documents_days, _documents_are_due)
    erased_pages = sum(_erase_page(database, objects, job_id, settings.pages_days) for job_id in page_jobs)
    documents = sum(_erase_documents(database, objects, job_id, settings.documents_days) for job_id in document_jobs)
    entries = _prune(database, settings.audit_years) if settings.audit_years else 0
    return Erased(erased_pages, documents, entries)


def _due(database: Database, days: int, due: Callable[[datetime], Select[tuple[str]]]) -> Sequence[str]:
    if not days:
        return ()
    with database.read() as connection:
        query = due(database.now(connection) - timedelta(days=days))
        return [str(row[0]) for row in connection.execute(query.limit(AT_ONCE))]


def _pages_are_due(before: datetime) -> Select[tuple[str]]:
    old = (jobs.c.state.in_(ENDED), jobs.c.changed_at < before, jobs.c.erased_at.is_(None))
    return select(jobs.c.job_id).where(*old).order_by(jobs.c.number)


def _documents_are_due(before: datetime) -> Select[tuple[str]]:
    query = select(outbox.c.job_id).join(jobs, jobs.c.job_id == outbox.c.job_id)
    return query.where(jobs.c.state.in_(ENDED), _old_document(before)).distinct().order_by(outbox.c.job_id)


def _old_document(before: datetime) -> ColumnElement[bool]:
    since = func.coalesce(outbox.c.delivered_at, outbox.c.queued_at)
    return and_(outbox.c.state.in_(SENT_OR_NOT), outbox.c.erased_at.is_(None), since < before)


def _erase_page(database: Database, objects: Objects, job_id: str, days: int) -> int:
    """What came in, what was read, and whose it was; the row stays, as what is known of it without the patient."""
    with database.write() as tx:
        job = lock_job(tx, job_id)
        is_young = job.changed_at >= tx.now - timedelta(days=days)  # somebody has had it done again meanwhile
        if job.state not in ENDED or job.erased_at is not None or is_young:
            return 0
        recordings = tx.execute(select(pages.c.recording_sha256).where(pages.c.job_id == job_id)).scalars().all()
        tx.execute(update(jobs).where(jobs.c.job_id == job_id).values(**_nobodys(tx)))
        tx.execute(delete(terms).where(terms.c.number == job.number))
        tx.execute(delete(remarks).where(remarks.c.job_id == job_id))
        tx.execute(update(pages).where(pages.c.job_id == job_id).values(recording_sha256=None, summary="{}"))
        tx.execute(update(outbox).where(outbox.c.job_id == job_id).values(response="", why=""))
        _remove(tx, objects, filter(None, (job.sha256, *recordings)))
        _tombstone(tx, job_id, job.state, pages_sha256=pages_hash(tx.connection, job_id))
    return 1


def _tombstone(tx: Transaction, job_id: str, state: str, **more: str) -> None:
    """Says all that is gone of a job by now: the last one may outlive those before it."""
    page = tx.execute(select(jobs.c.erased_at).where(jobs.c.job_id == job_id)).scalar_one()
    gone = select(outbox.c.delivery_id).where(outbox.c.job_id == job_id, outbox.c.erased_at.is_not(None))
    ids = " ".join(map(str, tx.execute(gone.order_by(outbox.c.delivery_id)).scalars()))
    append(tx, Event.ERASED, job_id, ACTOR, page=int(page is not None), documents=ids, state=state, **more)


def _nobodys(tx: Transaction) -> dict[str, object]:
    """A job's columns without its patient, and without the key of repeats: the same page, come again, is a new job."""
    # Why a page was given up is in a person's own words, which may name the patient; the code stays.
    blank = {"order_json": None, "read_order_json": None, "file_name": "", "why": "", **shown(None)}
    return {**blank, "repeat_key": new_id(), "erased_at": tx.now}


def _erase_documents(database: Database, objects: Objects, job_id: str, days: int) -> int:
    with database.write() as tx:
        job = lock_job(tx, job_id)
        before = tx.now - timedelta(days=days)
        rows = [row for row in lock_deliveries(tx, job_id) if _is_old(row, before)]
        if job.state not in ENDED or not rows:
            return 0
        ids = [row.delivery_id for row in rows]
        gone = {"erased_at": tx.now, "response": "", "why": ""}  # what was answered may name the patient
        tx.execute(update(outbox).where(outbox.c.delivery_id.in_(ids)).values(**gone))
        _remove(tx, objects, {row.sha256 for row in rows})
        _tombstone(tx, job_id, job.state)
    return len(rows)


def _is_old(row: AnyRow, before: datetime) -> bool:
    return row.state in SENT_OR_NOT and row.erased_at is None and (row.delivered_at or row.queued_at) < before


def _remove(tx: Transaction, objects: Objects, hashes: Iterable[str]) -> None:
    """Takes bytes off the disk that no row needs any more.

    Before the commit: whoever dies between leaves a page that is to be erased once more, and never bytes of which
    nobody knows.
    """
    for sha256 in hashes:
        needed = or_(
            exists().where(jobs.c.sha256 == sha256, jobs.c.erased_at.is_(None)),
            exists().where(outbox.c.sha256 == sha256, outbox.c.erased_at.is_(None)),
            exists().where(pages.c.recording_sha256 == sha256),
        )
        if not tx.execute(select(needed)).scalar_one():
            objects.remove(sha256)


def _prune(database: Database, years: int) -> int:
    """Takes away the oldest entries, with the rows of jobs of which no later one tells what is gone."""
    with database.write() as tx:
        first = tx.execute(select(audit_head.c.first_seq)).scalar_one()
        cut = _cut(tx, moment_text(tx.now - timedelta(days=years * DAYS_A_YEAR)))
        cut = min(cut, first + ENTRIES_AT_ONCE - 1)  # pages wait to be taken while one transaction writes
        if cut < first:
            return 0
        cut_hash = tx.execute(select(audit.c.hash).where(audit.c.seq == cut)).scalar_one()
        later = audit.alias("later")
        told_later = exists().where(later.c.job_id == audit.c.job_id, later.c.seq > cut, later.c.kind == Event.ERASED)
        gone = select(audit.c.job_id).where(audit.c.seq <= cut, audit.c.job_id != "", ~told_later)
        states = Counter(tx.execute(select(jobs.c.state).where(jobs.c.job_id.in_(gone))).scalars().all())
        for table in (pages, outbox, reviews, remarks):
            tx.execute(delete(table).where(table.c.job_id.in_(gone)))
        tx.execute(delete(jobs).where(jobs.c.job_id.in_(gone)))
        count_gone(tx, states)
        append(tx, Event.PRUNED, "", ACTOR, through=cut, through_hash=cut_hash, jobs=sum(states.values()))
        tx.execute(update(audit_head).values(first_seq=cut + 1))  # the database lets go of older entries only
        tx.execute(delete(audit).where(audit.c.seq <= cut))
        return int(cut - first + 1)


def _cut(tx: Transaction, before: str) -> int:
    """The last entry that may go: all up to it are old, and of jobs that were erased as a whole. 0 for none."""
    oldest_young = tx.execute(select(func.min(audit.c.seq)).where(audit.c.at >= before)).scalar()
    last = tx.execute(select(audit_head.c.rows)).scalar_one()
    kept = or_(
        exists().where(jobs.c.job_id == audit.c.job_id, jobs.c.erased_at.is_(None)),
        exists().where(outbox.c.job_id == audit.c.job_id, outbox.c.erased_at.is_(None)),
    )
    cut = int(last if oldest_young is None else oldest_young - 1)
    needed = tx.execute(select(func.min(audit.c.seq)).where(audit.c.seq <= cut, audit.c.job_id != "", kept)).scalar()
    return cut if needed is None else int(needed) - 1
