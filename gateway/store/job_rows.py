"""Rows as the rest of the gateway sees them, and the few reads and moves that every verb of the store needs."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from gateway.errors import NotFound
from gateway.identity.order import Order
from gateway.job import Arrival, Claim, Delivery, DocumentKind, Door, Job, State, check_move
from gateway.store.audit import canonical
from gateway.store.counting import count_move
from gateway.store.database import Transaction
from gateway.store.tables import DeliveryState, jobs, outbox, pages

AnyRow = Row[*tuple[Any, ...]]


@dataclass(frozen=True)
class DeliveryRow:
    """One document on its way to one destination. response: what the destination said, cut to a bounded length.

    superseded: it was made before its job was last done again, and is none of what stands now. made_at: the time of the
    result that it holds, None of a document of an older version.
    """

    delivery_id: int
    job_id: str
    destination: str
    kind: DocumentKind
    name: str
    page: int
    sha256: str
    size_bytes: int
    state: DeliveryState
    attempts: int
    code: str
    why: str
    response: str
    queued_at: datetime
    due_at: datetime
    delivered_at: datetime | None
    superseded: bool
    made_at: datetime | None


def new_id() -> str:
    """An identifier nobody can guess: for a job, or for a lease's token."""
    return uuid.uuid4().hex


def clean(text: str) -> str:
    """Text that both databases can hold: no NUL (PostgreSQL) and no half characters (a file name that is not UTF-8)."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def order_text(order: Order | None) -> str | None:
    """An order as JSON, ASCII only, so that any character a sender used comes back as it was."""
    return None if order is None else canonical(order.to_dict())


def order_from(text: str | None) -> Order | None:
    """The reverse of order_text."""
    return None if text is None else Order.from_dict(json.loads(text))


def job_from(row: AnyRow) -> Job:
    """A row of jobs as a Job. Its order is the door's, or the one a person gave it."""
    return Job(
        job_id=row.job_id,
        state=State(row.state),
        arrival=Arrival(
            door=Door(row.door),
            sender=row.sender,
            sender_address=row.sender_address,
            called=row.called,
            media_type=row.media_type,
            file_name=row.file_name,
            order=order_from(row.order_json),
        ),
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        received_at=row.received_at,
        changed_at=row.changed_at,
        attempts=row.attempts,
        code=row.code,
        why=row.why,
        settled=None if row.settled is None else State(row.settled),
    )


def claim_from(row: AnyRow) -> Claim:
    """A leased row of jobs as a Claim."""
    return Claim(job=job_from(row), token=row.lease_token, expires_at=row.lease_until)


def delivery_from(row: AnyRow, token: str) -> Delivery:
    """A row of the outbox, as it was before this try, as a Delivery."""
    return Delivery(
        delivery_id=row.delivery_id,
        job_id=row.job_id,
        token=token,
        destination=row.destination,
        kind=DocumentKind(row.kind),
        name=row.name,
        page=row.page,
        sha256=row.sha256,
        attempts=row.attempts,
        queued_at=row.queued_at,
    )


def delivery_row_from(row: AnyRow) -> DeliveryRow:
    """A row of the outbox as a DeliveryRow."""
    return DeliveryRow(
        delivery_id=row.delivery_id,
        job_id=row.job_id,
        destination=row.destination,
        kind=DocumentKind(row.kind),
        name=row.name,
        page=row.page,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        code=row.code,
        why=row.why,
        response=row.response,
        queued_at=row.queued_at,
        due_at=row.due_at,
        delivered_at=row.delivered_at,
        superseded=row.superseded,
        made_at=row.made_at,
    )


def pages_hash(connection: Connection, job_id: str) -> str:
    """SHA-256 over what became of a job's pages, so that the audit can vouch for it without repeating it."""
    columns = (pages.c.number, pages.c.verdict, pages.c.code, pages.c.why, pages.c.summary, pages.c.recording_sha256)
    rows = connection.execute(select(*columns).where(pages.c.job_id == job_id).order_by(pages.c.number))
    return hashlib.sha256(canonical([list(row) for row in rows]).encode()).hexdigest()


# Locks are taken in one order everywhere, so that no two transactions wait for each other:
# the job, then its rows of the outbox, then counts (counting), then the audit's head (audit.append).


def lock_job(tx: Transaction, job_id: str) -> AnyRow:
    """The job's row, held until the transaction ends. NotFound where there is none."""
    row = tx.execute(select(jobs).where(jobs.c.job_id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return row


def lock_deliveries(tx: Transaction, job_id: str) -> Sequence[AnyRow]:
    """The job's rows of the outbox in the order they were queued, held until the transaction ends."""
    query = select(outbox).where(outbox.c.job_id == job_id).order_by(outbox.c.position).with_for_update()
    return tx.execute(query).all()


def move_job(tx: Transaction, row: AnyRow, state: State, **values: object) -> None:
    """Changes a job's row. UnlawfulMove where the table of moves forbids the new state."""
    if state != row.state:
        check_move(State(row.state), state)
    tx.execute(
        update(jobs).where(jobs.c.number == row.number).values(state=state, changed_at=tx.now, **values),
    )
    count_move(tx, row.state, state)
