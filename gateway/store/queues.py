"""What is known of each destination: its queue, whether a person paused it, its last answer, whether it is up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.errors import UnlawfulMove
from gateway.store.audit import Event, append
from gateway.store.database import Database, Transaction
from gateway.store.job_rows import AnyRow, clean
from gateway.store.tables import DeliveryState, destinations, outbox
from gateway.store.upsert import upsert

COUNT_MAX = 100_000  # a queue longer than that is told as that: counting on costs, and tells a person nothing more


@dataclass(frozen=True)
class Peer:
    """What a destination said when it was asked whether it is there. up: None where it never was."""

    up: bool | None = None
    text: str = ""
    checked_at: datetime | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Queue:
    """A destination and what waits for it. queued and parked count to COUNT_MAX. head_queued_at: None where none waits.

    paused_at: None where no person paused it. response: its last answer to a document it took.
    """

    destination: str
    queued: int
    parked: int
    head_queued_at: datetime | None
    head_attempts: int
    head_why: str
    paused_by: str
    paused_at: datetime | None
    delivered_at: datetime | None
    response: str
    peer: Peer


class DestinationQueues:
    """The destinations as a person sees and stops them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queues(self) -> tuple[Queue, ...]:
        """Every destination that something was ever queued for, that was paused, or that was asked; by name."""
        with self._database.read() as connection:
            rows = {row.name: row for row in connection.execute(select(destinations))}
            names = sorted({*rows, *_names(connection)})
            return tuple(_queue(connection, name, rows.get(name)) for name in names)

    def pause(self, destination: str, actor: str) -> None:
        """Nothing more goes to a destination until it is resumed; what is on its way arrives. UnlawfulMove if it is."""
        with self._database.write() as tx:
            if is_paused(tx.connection, destination):
                raise UnlawfulMove(f"{destination} is paused already")
            _set(tx, destination, paused_by=clean(actor), paused_at=tx.now)
            append(tx, Event.PAUSED, "", clean(actor), destination=destination)

    def resume(self, destination: str, actor: str) -> None:
        """Lets the queue go on. UnlawfulMove where it is not paused."""
        with self._database.write() as tx:
            if not is_paused(tx.connection, destination):
                raise UnlawfulMove(f"{destination} is not paused")
            _set(tx, destination, paused_by="", paused_at=None)
            append(tx, Event.RESUMED, "", clean(actor), destination=destination)

    def record_answers(self, answers: Sequence[tuple[str, bool, str]]) -> None:
        """Keeps what destinations said when they were asked: name, whether up, in words. No audit: nothing was sent."""
        with self._database.write() as tx:
            rows = tx.execute(select(destinations.c.name, destinations.c.peer_up, destinations.c.peer_since))
            by_name = {row.name: row for row in rows}
            for name, up, text in sorted(answers):
                before = by_name.get(name)
                same = before is not None and before.peer_up == up
                since = before.peer_since if same and before is not None else tx.now
                _set(tx, name, peer_up=up, peer_words=clean(text), peer_checked_at=tx.now, peer_since=since)


def is_paused(connection: Connection, destination: str) -> bool:
    """Whether a person has stopped a destination's queue."""
    query = select(destinations.c.paused_at).where(destinations.c.name == destination)
    return connection.execute(query).scalar_one_or_none() is not None


def answered(tx: Transaction, destination: str, response: str) -> None:
    """A destination took a document."""
    _set(tx, destination, delivered_at=tx.now, response=response)


def _set(tx: Transaction, destination: str, **values: Any) -> None:
    upsert(tx, destinations, {"name": destination}, values)


def _names(connection: Connection) -> Iterator[str]:
    """Every destination in the outbox: the next greater name at a time, each found by the index."""
    name = ""
    while found := connection.execute(
        select(outbox.c.destination).where(outbox.c.destination > name).order_by(outbox.c.destination).limit(1)
    ).scalar_one_or_none():
        name = str(found)
        yield name


def _queue(connection: Connection, name: str, row_before: AnyRow | None) -> Queue:
    waiting = (outbox.c.destination == name, outbox.c.state == DeliveryState.QUEUED)
    head = connection.execute(select(outbox).where(*waiting).order_by(outbox.c.position).limit(1)).one_or_none()
    return Queue(
        destination=name,
        queued=_count(connection, name, DeliveryState.QUEUED),
        parked=_count(connection, name, DeliveryState.PARKED),
        head_queued_at=head.queued_at if head is not None else None,
        head_attempts=head.attempts if head is not None else 0,
        head_why=head.why if head is not None else "",
        paused_by=row_before.paused_by if row_before is not None else "",
        paused_at=row_before.paused_at if row_before is not None else None,
        delivered_at=row_before.delivered_at if row_before is not None else None,
        response=row_before.response if row_before is not None else "",
        peer=Peer()
        if row_before is None
        else Peer(row_before.peer_up, row_before.peer_words, row_before.peer_checked_at, row_before.peer_since),
    )


def _count(connection: Connection, destination: str, state: DeliveryState) -> int:
    some = (
        select(outbox.c.delivery_id)
        .where(outbox.c.destination == destination, outbox.c.state == state)
        .limit(COUNT_MAX)
        .subquery()
    )
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())
