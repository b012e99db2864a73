"""The addresses that sent messages to a feed: after a restart they are no strangers."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select

from gateway.store.database import Database
from gateway.store.tables import feed_senders
from gateway.store.upsert import upsert


def remembered(database: Database, feed: str) -> list[str]:
    """The addresses that were kept for a feed, the one that sent last comes last."""
    query = select(feed_senders.c.address).where(feed_senders.c.feed == feed).order_by(feed_senders.c.sent_at)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def remember(database: Database, feed: str, address: str, forgotten: Iterable[str]) -> None:
    """Keeps that an address has sent a message now, and deletes those that are forgotten for it."""
    with database.write() as tx:
        key = {"feed": feed, "address": address}
        upsert(tx, feed_senders, key, {"sent_at": tx.now})
        of_feed = feed_senders.c.feed == feed
        tx.execute(delete(feed_senders).where(of_feed, feed_senders.c.address.in_(list(forgotten))))
