"""Lends a received job to one worker at a time, and takes it back from a worker that died."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from gateway.errors import LostLease
from gateway.job import Claim, State
from gateway.store.audit import Event, append, text_hash
from gateway.store.database import Database, Transaction
from gateway.store.job_rows import AnyRow, claim_from, clean, lock_job, move_job, new_id
from gateway.store.tables import jobs

WORKER_DIED = "our_fault_worker_died"
# A page given back has met a full disk, say, which it will meet again: those behind it go first for a while.
RELEASED_WAITS_S = 5.0


def claim(database: Database, worker: str, lease_s: float, attempts_max: int, holder: str = "") -> Claim | None:
    """The oldest job that nobody works on, None where there is none. holder: gateway.store.holder, of this process.

    A job whose workers have died attempts_max times is held as ours instead, and the next one is looked at.
    """
    while True:
        with database.write() as tx:
            row = _next_free(tx)
            if row is None:
                return None
            if row.lease_token is None or row.attempts < attempts_max:
                return _lend(tx, row, worker, lease_s, holder)
            hold_as_ours(tx, row, WORKER_DIED, f"the worker died {row.attempts} times on this page")


def heartbeat(database: Database, claim: Claim, lease_s: float) -> Claim:
    """The same lease with a later end. LostLease where another worker has it now."""
    with database.write() as tx:
        row = lock_leased(tx, claim)
        tx.execute(update(jobs).where(jobs.c.number == row.number).values(lease_until=lease_end(tx, lease_s)))
        return claim_from(_reread(tx, row))


def release(database: Database, claim: Claim) -> None:
    """Gives a job back as if it had not been claimed, but not to be lent for RELEASED_WAITS_S. Raises LostLease."""
    with database.write() as tx:
        row = lock_leased(tx, claim)
        # Without a token, lease_until is the moment before which it waits: nobody holds it, nothing can expire.
        waits_until = lease_end(tx, RELEASED_WAITS_S)
        tx.execute(
            update(jobs)
            .where(jobs.c.number == row.number)
            .values(
                attempts=row.attempts - 1, lease_token=None, lease_worker="", lease_until=waits_until, lease_holder=""
            )
        )
        append(tx, Event.RELEASED, row.job_id, row.lease_worker, state=row.state)


def lock_leased(tx: Transaction, claim: Claim) -> AnyRow:
    """The row of a job that this claim still owns, held until the transaction ends. LostLease where it does not."""
    row = lock_job(tx, claim.job.job_id)
    # A lease that ran out but that nobody took over is still good: the work was done once.
    if row.state != State.RECEIVED or row.lease_token != claim.token:
        raise LostLease(f"job {claim.job.job_id} belongs to another worker now")
    return row


def _next_free(tx: Transaction) -> AnyRow | None:
    query = (
        select(jobs)
        .where(jobs.c.state == State.RECEIVED, or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < tx.now))
        .order_by(jobs.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return tx.execute(query).one_or_none()


def _lend(tx: Transaction, row: AnyRow, worker: str, lease_s: float, holder: str) -> Claim:
    worker = clean(worker)
    tx.execute(
        update(jobs)
        .where(jobs.c.number == row.number)
        .values(
            attempts=row.attempts + 1,
            lease_token=new_id(),
            lease_worker=worker,
            lease_until=lease_end(tx, lease_s),
            lease_holder=holder,
        )
    )
    if row.lease_token is not None:
        append(tx, Event.LEASE_EXPIRED, row.job_id, row.lease_worker, attempts=row.attempts, state=row.state)
    append(tx, Event.CLAIMED, row.job_id, worker, attempts=row.attempts + 1, state=row.state)
    return claim_from(_reread(tx, row))


def hold_as_ours(tx: Transaction, row: AnyRow, code: str, why: str) -> None:
    """Takes a page from a process that died over it, and holds it for a person. The row is locked."""
    move_job(
        tx,
        row,
        State.HELD,
        settled=State.HELD,
        code=code,
        why=why,
        lease_token=None,
        lease_worker="",
        lease_until=None,
        lease_holder="",
    )
    append(tx, Event.LEASE_EXPIRED, row.job_id, row.lease_worker, attempts=row.attempts, state=row.state)
    append(
        tx,
        Event.HELD,
        row.job_id,
        "gateway",
        code=code,
        why_sha256=text_hash(why),
        attempts=row.attempts,
        state=State.HELD.value,
    )


def lease_end(tx: Transaction, lease_s: float) -> datetime:
    """The moment so many seconds from now, by the database's clock."""
    return tx.now + timedelta(seconds=lease_s)


def _reread(tx: Transaction, row: AnyRow) -> AnyRow:
    return tx.execute(select(jobs).where(jobs.c.number == row.number)).one()
