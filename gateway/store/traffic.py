"""What flows: how much waits for each destination and for how long, and how much has gone through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, func, select

from gateway.store.database import Database
from gateway.store.tables import DeliveryState, hours, jobs, outbox

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class QueueTraffic:
    """A destination's documents. head_age_s: how long the next one has waited, 0 where none does."""

    destination: str
    queued: int
    parked: int
    delivered: int
    head_age_s: float


@dataclass(frozen=True)
class Traffic:
    """received_last_hour: jobs. pages: how many pages ended how, since counting began."""

    destination_queues: tuple[QueueTraffic, ...]
    received_last_hour: int
    pages: tuple[tuple[str, int], ...]


def traffic(database: Database, destinations: Iterable[str]) -> Traffic:
    """What is asked often, so each question is answered from an index."""
    with database.read() as connection:
        now = database.now(connection)
        lately = select(func.count()).select_from(jobs).where(jobs.c.received_at > now - HOUR)
        verdicts = select(hours.c.verdict, func.sum(hours.c.pages)).group_by(hours.c.verdict).order_by(hours.c.verdict)
        heads = {name: _head_age_s(connection, name, database) for name in destinations}
        return Traffic(
            destination_queues=tuple(
                QueueTraffic(
                    name,
                    _count(connection, name, DeliveryState.QUEUED),
                    _count(connection, name, DeliveryState.PARKED),
                    _count(connection, name, DeliveryState.DELIVERED),
                    age_s,
                )
                for name, age_s in heads.items()
            ),
            received_last_hour=connection.execute(lately).scalar_one(),
            pages=tuple((str(verdict), int(count)) for verdict, count in connection.execute(verdicts)),
        )


def _count(connection: Connection, destination: str, state: DeliveryState) -> int:
    query = select(func.count()).select_from(outbox).where(outbox.c.destination == destination, outbox.c.state == state)
    return int(connection.execute(query).scalar_one())


def _head_age_s(connection: Connection, destination: str, database: Database) -> float:
    query = (
        select(outbox.c.queued_at)
        .where(outbox.c.destination == destination, outbox.c.state == DeliveryState.QUEUED)
        .order_by(outbox.c.position)
        .limit(1)
    )
    queued_at = connection.execute(query).scalar()
    return 0.0 if queued_at is None else max(0.0, (database.now(connection) - queued_at).total_seconds())
