"""What reviewers say of held pages: how they are to be read, which leads not to believe, and that they may go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, type_coerce

from gateway.errors import NotFound, UnlawfulMove
from gateway.job import State, Verdict
from gateway.review import (
    AWAITS_APPROVAL,
    AWAITS_SECOND_APPROVAL,
    HELD_BY_RULE,
    NO_CORRECTION,
    NO_REVIEW,
    PageReview,
    correction_from_json,
    correction_json,
)
from gateway.store.audit import Event, append, text_hash
from gateway.store.database import Database, Transaction
from gateway.store.job_queries import row_of
from gateway.store.job_rows import AnyRow, clean
from gateway.store.people import NOT_APPROVED, lock, start_over, withdraw
from gateway.store.revision import (
    identified_by,
    identity_is_unseen,
    require_opened,
    require_revision,
    revision_of,
    unopened_of,
)
from gateway.store.tables import Moment, audit, pages, remarks, reviews
from gateway.store.upsert import upsert
from pipeline.recording import Correction, Lead

CORRECTABLE = (State.HELD, State.REFUSED)  # an unreadable page is refused; a person may see how it is to be read


@dataclass(frozen=True)
class Remark:
    """A person's words on a job. action: the audit's word for what was done then."""

    at: datetime
    actor: str
    action: str
    text: str


@dataclass(frozen=True)
class Approvable:
    """Whether a job waits for an approval. left_out: pages that were not read, and without which it would go.

    changed_by: who changed what would go out, or said whose it is. approved_by: who has approved all of it as it stands
    already, and whose it is with it. second: whether a rule asks for another person than these.
    """

    pages: tuple[int, ...] = ()
    left_out: tuple[int, ...] = ()
    changed_by: frozenset[str] = frozenset()
    approved_by: frozenset[str] = frozenset()
    second: bool = False

    def barred(self, four_eyes: bool) -> frozenset[str]:
        """Who may not approve it. four_eyes: who changed it may not."""
        return (self.approved_by if self.second else frozenset()) | (self.changed_by if four_eyes else frozenset())

    def __bool__(self) -> bool:
        return bool(self.pages)


class Reviews:
    """The reviewer's part of the store. Each change is one transaction with its audit entry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, job_id: str) -> Mapping[int, PageReview]:
        """What was said of each page; pages nobody spoke of are not there, unless another was left out."""
        with self._database.read() as connection:
            return _reviews(connection, job_id)

    def remarks(self, job_id: str) -> tuple[Remark, ...]:
        """What people wrote, the oldest first."""
        query = select(remarks).where(remarks.c.job_id == job_id).order_by(remarks.c.remark_id)
        with self._database.read() as connection:
            return tuple(Remark(row.at, row.actor, row.action, row.text) for row in connection.execute(query))

    def remark(self, job_id: str, actor: str, action: str, text: str) -> None:
        """Keeps a person's words beside an action that was audited by itself. Raises NotFound."""
        with self._database.write() as tx:
            lock(tx, job_id)
            _remark(tx, job_id, actor, action, text)

    def correct(
        self, job_id: str, page: int, correction: Correction, actor: str, comment: str = "", revision: str | None = None
    ) -> None:
        """Says how a page is to be read; its job is done again so. NO_CORRECTION takes back what was said before.

        revision: of the job as this person saw it.
        Raises NotFound (no such job or page), UnlawfulMove, TryAgain (a document is on its way).
        """
        with self._database.write() as tx:
            job, rows = lock(tx, job_id)
            require_revision(tx.connection, job, revision)
            if job.state not in CORRECTABLE:
                raise UnlawfulMove(f"only a held or refused page can be corrected; this one is {job.state}")
            _require_page(tx, job_id, page)
            start_over(tx, job)
            stored = None if correction == NO_CORRECTION else correction_json(correction)
            _say(tx, job_id, page, given=stored, given_by=clean(actor), **NOT_APPROVED)
            _remark(tx, job_id, actor, Event.CORRECTED, comment)
            withdraw(tx, rows, actor)
            append(
                tx,
                Event.CORRECTED,
                job_id,
                clean(actor),
                page=page,
                given=stored or "",
                comment_sha256=text_hash(clean(comment)),
                state=State.RECEIVED.value,
            )

    def mark_invalid(
        self, job_id: str, page: int, leads: Iterable[Lead], actor: str, comment: str = "", revision: str | None = None
    ) -> None:
        """Says which leads of a page are not to be believed: all of them, () for none. Takes an approval back.

        A job that is held only because a destination did not take a document is done again: that document was made
        before, and must not go out as it is. revision: of the job as this person saw it.
        Raises NotFound (no such job or page), UnlawfulMove, TryAgain (a document is on its way).
        """
        names = " ".join(lead for lead in Lead if lead in set(leads))
        with self._database.write() as tx:
            job, rows = lock(tx, job_id)
            require_revision(tx.connection, job, revision)
            if job.state != State.HELD:
                raise UnlawfulMove(f"leads can be marked only on a held page; this one is {job.state}")
            _require_page(tx, job_id, page)
            _say(tx, job_id, page, invalid_leads=names, invalid_by=clean(actor), **NOT_APPROVED)
            _remark(tx, job_id, actor, Event.LEADS_MARKED, comment)
            over = job.settled != State.HELD
            if over:
                start_over(tx, job)
                withdraw(tx, rows, actor)
            append(
                tx,
                Event.LEADS_MARKED,
                job_id,
                clean(actor),
                page=page,
                leads=names,
                comment_sha256=text_hash(clean(comment)),
                state=State.RECEIVED.value if over else job.state,
            )

    def approve(
        self,
        job_id: str,
        actor: str,
        comment: str = "",
        leave_out: Iterable[int] = (),
        four_eyes: bool = False,
        revision: str | None = None,
        opened: bool = False,
    ) -> None:
        """Lets a held job go on to its rules with what was read. leave_out: pages that were not read, named by number.

        four_eyes: who changed a page or said whose it is may not approve it. revision: of the job they saw.
        opened: by the audit, this person must have been shown every page that goes out, as it is read now; an approval
        is of them all.
        Raises NotFound, UnlawfulMove, TryAgain (a document is on its way).
        """
        with self._database.write() as tx:
            job, rows = lock(tx, job_id)
            require_revision(tx.connection, job, revision)
            wanted = approvable(tx.connection, job)
            if not wanted:
                raise UnlawfulMove("there is nothing in this job that waits for an approval")
            if missing := sorted(set(wanted.left_out) - set(leave_out)):
                raise UnlawfulMove(
                    f"page {missing[0]} was not read: correct it, or name it among those that the job goes without"
                )
            if four_eyes and clean(actor) in wanted.changed_by:
                raise UnlawfulMove("four eyes: who changed this page or said whose it is may not approve it")
            if clean(actor) in wanted.barred(four_eyes=False):
                raise UnlawfulMove("you have approved this reading already; its rule asks for a second person")
            recordings = _recordings(tx.connection, job_id, wanted.pages)
            if opened:
                require_opened(tx.connection, job_id, clean(actor), recordings)
            for page, sha256 in recordings.items():
                if wanted.approved_by - {clean(actor)}:
                    _say(tx, job_id, page, approved_again_by=clean(actor))
                else:
                    _say(tx, job_id, page, approved_sha256=sha256, approved_by=clean(actor), approved_again_by="")
            for page in wanted.left_out:
                _say(tx, job_id, page, left_out_by=clean(actor))
            start_over(tx, job)
            _remark(tx, job_id, actor, Event.APPROVED, comment)
            withdraw(tx, rows, actor)
            append(
                tx,
                Event.APPROVED,
                job_id,
                clean(actor),
                pages=_numbers(wanted.pages),
                without=_numbers(wanted.left_out),
                comment_sha256=text_hash(clean(comment)),
                state=State.RECEIVED.value,
            )

    def revision(self, job_id: str) -> str:
        """A hash of all that would go out of a job as it is now, to say later what was seen. Raises NotFound."""
        with self._database.read() as connection:
            return revision_of(connection, row_of(connection, job_id))

    def identified_by(self, job_id: str) -> frozenset[str]:
        """The people who said whose page a job is and whom nobody has approved since."""
        with self._database.read() as connection:
            return identified_by(connection, job_id)

    def identity_is_unseen(self, job_id: str) -> bool:
        """Whether it was said whose page a job is after the last approval of it."""
        with self._database.read() as connection:
            return identity_is_unseen(connection, job_id)

    def approvable(self, job_id: str) -> Approvable:
        """What an approval of a job would let out. Raises NotFound."""
        with self._database.read() as connection:
            return approvable(connection, row_of(connection, job_id))

    def unopened(self, job_id: str, actor: str) -> tuple[int, ...]:
        """The pages that this person must still open before they may approve a job. Raises NotFound."""
        with self._database.read() as connection:
            wanted = approvable(connection, row_of(connection, job_id))
            recordings = _recordings(connection, job_id, wanted.pages)
            return unopened_of(connection, job_id, clean(actor), recordings) if recordings else ()


def approvable(connection: Connection, job: AnyRow) -> Approvable:
    """What an approval would let out; nothing where the job is held for something that no approval mends.

    A page held for its confidence or a finding, and a page that was changed by a person, wait for one. So does what a
    rule held, for which one approval is enough, or two of two people, given since it was last said whose page it is; a
    document of which a page was not read; and, with four eyes, what a person said of whose it is. Nothing where a page
    was last read before it was corrected, as where every try to read it again has killed its worker: what is there is
    not what was asked for.
    """
    if (job.state, job.settled) != (State.HELD, State.HELD):
        return Approvable()
    rows = connection.execute(select(pages).where(pages.c.job_id == job.job_id).order_by(pages.c.number)).all()
    by_page = _reviews(connection, job.job_id)
    if any(correction_from_json(row.given) != by_page.get(row.number, NO_REVIEW).correction for row in rows):
        return Approvable()
    read = [row for row in rows if row.recording_sha256]
    stopping = [row for row in rows if row.verdict == Verdict.UNREADABLE]
    waits = (
        job.code in (HELD_BY_RULE, AWAITS_APPROVAL, AWAITS_SECOND_APPROVAL)
        or any(_waits(row, by_page.get(row.number, NO_REVIEW)) for row in read)
        or any(not by_page.get(row.number, NO_REVIEW).left_out_by for row in stopping)
    )
    if not waits:
        return Approvable()
    changed_by = identified_by(connection, job.job_id).union(*(review.changed_by for review in by_page.values()))
    numbers = tuple(row.number for row in read)
    approved_by = frozenset() if identity_is_unseen(connection, job.job_id) else _approved_by(read, by_page)
    second = job.code == AWAITS_SECOND_APPROVAL
    return Approvable(numbers, tuple(row.number for row in stopping), changed_by, approved_by, second)


def _approved_by(read: Sequence[AnyRow], by_page: Mapping[int, PageReview]) -> frozenset[str]:
    """Who has approved every page as it was read; nobody where one of them waits for a first approval."""
    reviews_of = [(row, by_page.get(row.number, NO_REVIEW)) for row in read]
    if any(review.approved_sha256 != row.recording_sha256 for row, review in reviews_of):
        return frozenset()
    return frozenset(review.approved_by for _, review in reviews_of)


def _waits(page: AnyRow, review: PageReview) -> bool:
    changed_since = review.changed and review.approved_sha256 != page.recording_sha256
    return page.verdict == Verdict.HELD or changed_since


def _reviews(connection: Connection, job_id: str) -> dict[int, PageReview]:
    rows = connection.execute(select(reviews).where(reviews.c.job_id == job_id).order_by(reviews.c.page)).all()
    at = _approved_at(connection, job_id) if any(row.approved_sha256 for row in rows) else None
    found = {row.page: _review_from(row, at) for row in rows}
    without = tuple(page for page, review in found.items() if review.left_out_by)
    if not without:
        return found
    numbers = connection.execute(select(pages.c.number).where(pages.c.job_id == job_id)).scalars()
    return {page: replace(found.get(page, NO_REVIEW), without=without) for page in sorted({*found, *numbers})}


def _approved_at(connection: Connection, job_id: str) -> datetime | None:
    """When the approval that stands was given: one is of all pages at once, so it is the last that the audit has."""
    last = type_coerce(func.max(audit.c.at), Moment)
    query = select(last).where(audit.c.job_id == job_id, audit.c.kind == Event.APPROVED)
    return connection.execute(query).scalar_one()


def _review_from(row: AnyRow, approved_at: datetime | None) -> PageReview:
    return PageReview(
        correction=correction_from_json(row.given),
        corrected_by=row.given_by,
        invalid_leads=tuple(Lead(name) for name in row.invalid_leads.split()),
        invalid_by=row.invalid_by,
        approved_sha256=row.approved_sha256 or "",
        approved_by=row.approved_by,
        approved_at=approved_at if row.approved_sha256 else None,
        left_out_by=row.left_out_by,
        approved_again_by=row.approved_again_by if row.approved_sha256 else "",
    )


def _require_page(tx: Transaction, job_id: str, page: int) -> None:
    query = select(pages.c.number).where(pages.c.job_id == job_id, pages.c.number == page)
    if tx.execute(query).one_or_none() is None:
        raise NotFound(f"job {job_id} has no page {page}")


def _recordings(connection: Connection, job_id: str, numbers: Iterable[int]) -> dict[int, str]:
    """The SHA-256 of what was read on each of these pages."""
    query = select(pages.c.number, pages.c.recording_sha256).where(pages.c.job_id == job_id).order_by(pages.c.number)
    wanted = set(numbers)
    return {row.number: str(row.recording_sha256) for row in connection.execute(query) if row.number in wanted}


def _say(tx: Transaction, job_id: str, page: int, **values: Any) -> None:
    upsert(tx, reviews, {"job_id": job_id, "page": page}, values)


def _remark(tx: Transaction, job_id: str, actor: str, action: str, text: str) -> None:
    if text.strip():
        values = {"job_id": job_id, "at": tx.now, "actor": clean(actor), "action": action, "text": clean(text.strip())}
        tx.execute(insert(remarks).values(values))


def _numbers(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))
