"""The outbox: one queue per destination, in order, one document on its way at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from sqlalchemy import func, select, update

from gateway.errors import LostLease
from gateway.job import Delivery, State
from gateway.store.audit import Event, append, text_hash
from gateway.store.database import Database, Transaction
from gateway.store.job_fields import values_hash
from gateway.store.job_rows import (
    AnyRow,
    clean,
    delivery_from,
    lock_deliveries,
    lock_job,
    move_job,
    new_id,
)
from gateway.store.queues import answered, is_paused
from gateway.store.tables import DeliveryState, outbox

RESPONSE_CHARACTERS_MAX = 4000  # an answer is kept for a person to read; a peer may send any length
_STATES = select(outbox.c.delivery_id, outbox.c.state, outbox.c.code, outbox.c.why, outbox.c.response)
ANSWER_CHARACTERS_MAX = 400  # of its codes in the audit, where each try is told and nothing is ever removed


def claim_delivery(database: Database, destination: str, lease_s: float, holder: str = "") -> Delivery | None:
    """The head of a destination's queue, None where it is empty, waits, or something is on its way there.

    A head that waits for its back-off blocks those behind it: order is kept. Parked rows are not in the queue. None
    also where a person has paused the destination. holder: gateway.store.holder, of this process.
    """
    with database.write() as tx:
        _lock_queue(tx, destination)
        if is_paused(tx.connection, destination):
            return None
        head = _head(tx, destination)
        if head is None or head.due_at > tx.now or _is_busy(tx, destination):
            return None
        token = new_id()
        tx.execute(
            update(outbox)
            .where(outbox.c.delivery_id == head.delivery_id)
            .values(
                attempts=head.attempts + 1,
                lease_token=token,
                lease_until=tx.now + timedelta(seconds=lease_s),
                lease_holder=holder,
            )
        )
        if head.lease_token is not None:
            append(tx, Event.LEASE_EXPIRED, head.job_id, _actor(destination), delivery_id=head.delivery_id)
        return delivery_from(head, token)


def delivered(database: Database, delivery: Delivery, response: str, answer: str = "") -> None:
    """The destination accepted it. The job is DELIVERED with its last one. LostLease where another has it now.

    answer, here and below: what the destination said, as codes without patient data, for the audit; "" for nothing.
    """
    response = clean(response)
    with database.write() as tx:
        job, row = _lock_leased(tx, delivery)
        response_text = response[:RESPONSE_CHARACTERS_MAX]
        # why it did not go before would stand beside the answer with which it went
        _close(tx, row, DeliveryState.DELIVERED, code="", why="", response=response_text, delivered_at=tx.now)
        answered(tx, row.destination, response_text)
        _record(tx, Event.DELIVERED, job, row, response_sha256=text_hash(response), extra=_detail_of(answer=answer))


def postpone(database: Database, delivery: Delivery, why: str, wait_s: float, code: str = "", answer: str = "") -> None:
    """The destination could not take it now: it stays at the head and is due again after wait_s."""
    why = clean(why)
    with database.write() as tx:
        job, row = _lock_leased(tx, delivery)
        due_at = tx.now + timedelta(seconds=wait_s)
        _close(tx, row, DeliveryState.QUEUED, why=why[:RESPONSE_CHARACTERS_MAX], due_at=due_at)
        detail = _detail_of(code=code, answer=answer)
        _record(tx, Event.POSTPONED, job, row, why_sha256=text_hash(why), extra=detail, wait_s=round(wait_s, 3))


def park(database: Database, delivery: Delivery, code: str, why: str, answer: str = "") -> None:
    """It will not be tried again by itself; its job is HELD, its other deliveries go on."""
    code, why = clean(code), clean(why)[:RESPONSE_CHARACTERS_MAX]
    with database.write() as tx:
        job, row = _lock_leased(tx, delivery)
        _close(tx, row, DeliveryState.PARKED, code=code, why=why)
        detail = _detail_of(code=code, answer=answer)
        _record(tx, Event.PARKED, job, row, why_sha256=text_hash(why), reason=(code, why), extra=detail)


def answered_later(database: Database, delivery: Delivery, answer: str, note: str) -> None:
    """Writes beside a delivered document what its destination said of it afterwards; nothing where it waits again.

    answer: as codes without patient data. note: what is wrong, for the person who looks at the job; "" for nothing.
    """
    answer, note = clean(answer), clean(note)[:RESPONSE_CHARACTERS_MAX]
    with database.write() as tx:
        job = lock_job(tx, delivery.job_id)
        rows = [row for row in lock_deliveries(tx, delivery.job_id) if row.delivery_id == delivery.delivery_id]
        if not rows or rows[0].state != DeliveryState.DELIVERED:
            return
        response = "\n".join(filter(None, (rows[0].response, answer)))[:RESPONSE_CHARACTERS_MAX]
        tx.execute(
            update(outbox).where(outbox.c.delivery_id == delivery.delivery_id).values(response=response, why=note)
        )
        answered(tx, delivery.destination, response)
        detail = _detail_of(answer=answer)
        _record(tx, Event.ANSWERED_LATER, job, rows[0], why_sha256=text_hash(note), extra=detail)


def objected_counts(database: Database, days: int) -> dict[str, int]:
    """How many documents delivered in so many days each destination took and then found fault with."""
    with database.read() as connection:
        since = database.now(connection) - timedelta(days=days)
        query = (
            select(outbox.c.destination, func.count())
            .where(outbox.c.state == DeliveryState.DELIVERED, outbox.c.why != "", outbox.c.delivered_at >= since)
            .group_by(outbox.c.destination)
        )
        return {row[0]: int(row[1]) for row in connection.execute(query)}


def _detail_of(**codes: str) -> dict[str, str]:
    """Those of these codes that say anything, cut to a bounded length."""
    return {name: clean(text)[:ANSWER_CHARACTERS_MAX] for name, text in codes.items() if text}


def state_after(job: AnyRow, rows: list[str]) -> State:
    """Where a job stands, from the states of its rows of the outbox.

    Deliveries move only a job that its worker called digitized: one held for its content stays held.
    """
    if job.settled != State.DIGITIZED or job.state not in (State.DIGITIZED, State.HELD, State.DELIVERED):
        return State(job.state)
    if DeliveryState.PARKED in rows:
        return State.HELD
    return State.DIGITIZED if DeliveryState.QUEUED in rows else State.DELIVERED


def _lock_queue(tx: Transaction, destination: str) -> None:
    """Lets one transaction at a time look at a destination's queue; SQLite has only one at a time anyway."""
    if tx.connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(destination.encode()).digest()[:8], "big", signed=True)
        tx.execute(select(func.pg_advisory_xact_lock(number)))


def _head(tx: Transaction, destination: str) -> AnyRow | None:
    query = (
        select(outbox)
        .where(outbox.c.destination == destination, outbox.c.state == DeliveryState.QUEUED)
        .order_by(outbox.c.position)
        .limit(1)
        .with_for_update()
    )
    return tx.execute(query).one_or_none()


def _is_busy(tx: Transaction, destination: str) -> bool:
    query = select(outbox.c.delivery_id).where(
        outbox.c.destination == destination,
        outbox.c.state == DeliveryState.QUEUED,
        outbox.c.lease_until >= tx.now,
    )
    return tx.execute(query.limit(1)).first() is not None


def _lock_leased(tx: Transaction, delivery: Delivery) -> tuple[AnyRow, AnyRow]:
    job = lock_job(tx, delivery.job_id)
    rows = [row for row in lock_deliveries(tx, delivery.job_id) if row.delivery_id == delivery.delivery_id]
    if not rows or rows[0].state != DeliveryState.QUEUED or rows[0].lease_token != delivery.token:
        raise LostLease(f"delivery {delivery.delivery_id} belongs to another process now")
    return job, rows[0]


def _close(tx: Transaction, row: AnyRow, state: DeliveryState, **values: object) -> None:
    tx.execute(
        update(outbox)
        .where(outbox.c.delivery_id == row.delivery_id)
        .values(state=state, lease_token=None, lease_until=None, lease_holder="", **values)
    )


def _record(
    tx: Transaction,
    event: Event,
    job: AnyRow,
    row: AnyRow,
    *,
    reason: tuple[str, str] | None = None,
    extra: Mapping[str, str] = MappingProxyType({}),
    **detail: str | float,
) -> None:
    """Moves the job to where its deliveries put it, and audits the delivery with the state the job has then."""
    rows = {each.delivery_id: each for each in tx.execute(_STATES.where(outbox.c.job_id == job.job_id))}
    state = state_after(job, [each.state for each in rows.values()])
    now = rows[row.delivery_id]
    if state != job.state:
        code, why = reason or ("", "")
        move_job(tx, job, state, code=code, why=why)
    append(
        tx,
        event,
        row.job_id,
        _actor(row.destination),
        delivery_id=row.delivery_id,
        destination=row.destination,
        kind=row.kind,
        name=row.name,
        sha256=row.sha256,
        attempts=row.attempts,
        state=state.value,
        answer_sha256=answer_hash(now.code, now.why, now.response),
        **extra,
        **detail,
    )


def answer_hash(code: str, why: str, response: str) -> str:
    """SHA-256 over what a destination said of a document; the row of the audit covers it."""
    return values_hash([code, why, response])


def _actor(destination: str) -> str:
    return f"deliver:{destination}"
