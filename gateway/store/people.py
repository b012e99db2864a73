"""What a person may do to a job: have it done again, sent again, told whose it is, or given up."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from gateway.errors import NotFound, TryAgain, UnlawfulMove
from gateway.identity.order import Order
from gateway.job import State, check_move
from gateway.store.audit import Event, append, text_hash
from gateway.store.database import Database, Transaction
from gateway.store.job_rows import (
    AnyRow,
    clean,
    lock_deliveries,
    lock_job,
    move_job,
    order_text,
)
from gateway.store.outbox import state_after
from gateway.store.revision import require_revision
from gateway.store.search_terms import show_order
from gateway.store.settling import requeue
from gateway.store.tables import DeliveryState, jobs, outbox, reviews

GIVEN_UP = "given_up"
SENT = (DeliveryState.DELIVERED, DeliveryState.PARKED)
NOT_APPROVED = {
    "approved_sha256": None,
    "approved_by": "",
    "approved_again_by": "",
    "left_out_by": "",
}  # columns of reviews


def retry(database: Database, job_id: str, actor: str) -> None:
    """Has a held or refused page done again from the start. What still waits to go out is withdrawn.

    What a person said of how it is to be read stays; an approval was of what was read before, and goes.
    """
    with database.write() as tx:
        job, rows = lock(tx, job_id)
        start_over(tx, job)
        tx.execute(update(reviews).where(reviews.c.job_id == job_id).values(**NOT_APPROVED))
        withdraw(tx, rows, actor)
        append(tx, Event.RETRIED, job_id, clean(actor), state=State.RECEIVED.value)


def identify(
    database: Database, job_id: str, order: Order, actor: str, revision: str | None, overridden: str = ""
) -> None:
    """Says whose page a held job is; it is done again with this order. The order itself is not audited, its hash is."""
    with database.write() as tx:
        identify_within(tx, job_id, order, actor, revision, overridden)


def identify_within(
    tx: Transaction, job_id: str, order: Order, actor: str, revision: str | None = None, overridden: str = ""
) -> None:
    """The same inside a transaction."""
    job, rows = lock(tx, job_id)
    require_revision(tx.connection, job, revision)
    if job.state != State.HELD:
        raise UnlawfulMove(f"only a held job can be identified; this one is {job.state}")
    start_over(tx, job, order_json=order_text(order), read_order_json=None)
    show_order(tx, job.number, order)
    withdraw(tx, rows, actor)
    order_hash = text_hash(order_text(order) or "")
    despite = {"overridden": clean(overridden)} if overridden else {}
    append(tx, Event.IDENTIFIED, job_id, clean(actor), order_sha256=order_hash, state=State.RECEIVED.value, **despite)


def give_up(database: Database, job_id: str, actor: str, why: str, revision: str | None) -> None:
    """Ends a held job as refused. What still waits to go out is withdrawn."""
    why = clean(why)
    with database.write() as tx:
        job, rows = lock(tx, job_id)
        require_revision(tx.connection, job, revision)
        if job.state != State.HELD:
            raise UnlawfulMove(f"only a held job can be given up; this one is {job.state}")
        move_job(tx, job, State.REFUSED, settled=State.REFUSED, code=GIVEN_UP, why=why)
        withdraw(tx, rows, actor)
        append(
            tx,
            Event.GIVEN_UP,
            job_id,
            clean(actor),
            code=GIVEN_UP,
            why_sha256=text_hash(why),
            state=State.REFUSED.value,
        )


def resend(database: Database, job_id: str, actor: str, destination: str | None) -> None:
    """Sends a job's documents again: those of a destination, else the parked ones, else all.

    Only what stands: nothing that was made before the job was last done again. NotFound where there is nothing to
    send, UnlawfulMove for a job that is being worked on, was refused, or is held for something that a person must see.
    """
    with database.write() as tx:
        job, rows = lock(tx, job_id)
        _require_sendable(job)
        chosen = _chosen(rows, destination)
        if not chosen:
            raise NotFound(f"job {job_id}, as it is now, has sent nothing to {destination or 'any destination'}")
        _send_again(tx, job, rows, chosen, destination, actor)


def resend_parked(database: Database, delivery_id: int, actor: str) -> None:
    """Sends one parked document again. NotFound where there is none, UnlawfulMove where it is not parked any more."""
    with database.write() as tx:
        of_job = select(outbox.c.job_id, outbox.c.destination).where(outbox.c.delivery_id == delivery_id)
        found = tx.execute(of_job).one_or_none()
        if found is None:
            raise NotFound(f"there is no delivery {delivery_id}")
        job, rows = lock(tx, found.job_id)
        chosen = [row for row in rows if row.delivery_id == delivery_id and row.state == DeliveryState.PARKED]
        if not chosen:
            raise UnlawfulMove(f"delivery {delivery_id} is not parked any more")
        _require_sendable(job)
        _send_again(tx, job, rows, chosen, found.destination, actor)


def _require_sendable(job: AnyRow) -> None:
    """Raises UnlawfulMove unless the job's documents are what stands of it: else old ones would go out unseen."""
    if job.state in (State.RECEIVED, State.REFUSED):
        raise UnlawfulMove(f"a job that is {job.state} has nothing to send again")
    if job.settled != State.DIGITIZED:
        raise UnlawfulMove(
            "as it is now, this job was not let out: what went out, if anything did, is of an earlier state of it, and "
            "what is held goes out when a person has cleared it"
        )


def _send_again(
    tx: Transaction,
    job: AnyRow,
    rows: Sequence[AnyRow],
    chosen: Sequence[AnyRow],
    destination: str | None,
    actor: str,
) -> None:
    again = {row.delivery_id for row in chosen}
    state = state_after(job, [DeliveryState.QUEUED if row.delivery_id in again else row.state for row in rows])
    if state != job.state:
        move_job(tx, job, state, code="", why="")
    append(
        tx, Event.RESENT, job.job_id, clean(actor), destination=destination, documents=len(chosen), state=state.value
    )
    for row in chosen:
        requeue(tx, row, clean(actor))


def record_access(database: Database, actor: str, job_id: str, what: str, recording: str) -> None:
    """Writes into the audit that somebody saw something of a job. NotFound where there is no such job."""
    detail = {"recording": recording} if recording else {}
    with database.write() as tx:
        if tx.execute(select(jobs.c.number).where(jobs.c.job_id == job_id)).one_or_none() is None:
            raise NotFound(f"there is no job {job_id!r}")
        append(tx, Event.LOOKED, job_id, clean(actor), what=clean(what), **detail)


def record_access_to_many(
    database: Database, actor: str, what: str, question: str, rows: int, job_ids: Sequence[str], job_id: str
) -> None:
    """Writes into the audit that somebody saw something of many jobs at once, as one entry."""
    with database.write() as tx:
        shown = " ".join(job_ids)
        append(tx, Event.LOOKED, job_id, clean(actor), what=clean(what), asked=clean(question), rows=rows, jobs=shown)


def record_file_access(database: Database, actor: str, what: str, sha256: str) -> None:
    """Writes into the audit that somebody saw something of a file that is no job's."""
    with database.write() as tx:
        append(tx, Event.LOOKED, "", clean(actor), what=clean(what), sha256=sha256)


def lock(tx: Transaction, job_id: str) -> tuple[AnyRow, Sequence[AnyRow]]:
    """A job and its rows of the outbox, held until the transaction ends. NotFound."""
    job = lock_job(tx, job_id)
    return job, lock_deliveries(tx, job_id)


def start_over(tx: Transaction, job: AnyRow, **values: object) -> None:
    """Lets the next worker do a job anew; no document made so far stands for it any more. Raises UnlawfulMove."""
    if job.erased_at is not None:
        raise UnlawfulMove("its page was erased when it was old enough: it cannot be done again")
    check_move(State(job.state), State.RECEIVED)  # also from RECEIVED itself: a worker may be busy with it
    tx.execute(update(outbox).where(outbox.c.job_id == job.job_id).values(superseded=True))
    move_job(tx, job, State.RECEIVED, settled=None, code="", why="", attempts=0, gateway_deaths=0, **values)


def withdraw(tx: Transaction, rows: Sequence[AnyRow], actor: str) -> None:
    """Takes what has not gone out off its queue: it was made before this person knew better."""
    if any(row.lease_until is not None and row.lease_until >= tx.now for row in rows):
        raise TryAgain("in_flight", "one of its documents is on its way right now; try again when it has arrived")
    for row in rows:
        if row.state in (DeliveryState.QUEUED, DeliveryState.PARKED):
            tx.execute(
                update(outbox)
                .where(outbox.c.delivery_id == row.delivery_id)
                .values(state=DeliveryState.WITHDRAWN, lease_token=None, lease_until=None, lease_holder="")
            )
            append(
                tx,
                Event.WITHDRAWN,
                row.job_id,
                clean(actor),
                delivery_id=row.delivery_id,
                destination=row.destination,
                name=row.name,
            )


def _chosen(rows: Sequence[AnyRow], destination: str | None) -> list[AnyRow]:
    sent = [row for row in rows if row.state in SENT and not row.superseded and row.erased_at is None]
    if destination is not None:
        return [row for row in sent if row.destination == destination]
    return [row for row in sent if row.state == DeliveryState.PARKED] or sent
