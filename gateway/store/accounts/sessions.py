"""Sessions of browsers. The database knows a hash of the cookie only: reading it lets nobody in."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select, update

from gateway.store.accounts.account_rows import Session, lock_user, user_from
from gateway.store.audit import Event, append
from gateway.store.database import Database, Transaction
from gateway.store.tables import sessions, users

NOTED_EVERY = timedelta(seconds=60)  # a row is not written for every picture of a page


def open_session(
    database: Database, name: str, secret_sha256: str, csrf_token: str, lasts_s: float, how: str, address: str
) -> None:
    """Signs a user in for at most lasts_s. Sessions that have run out are cleared away."""
    with database.write() as tx:
        user = lock_user(tx, name)
        tx.execute(delete(sessions).where(sessions.c.expires_at < tx.now))
        tx.execute(
            sessions.insert().values(
                secret_sha256=secret_sha256,
                user_id=user.user_id,
                csrf_token=csrf_token,
                created_at=tx.now,
                seen_at=tx.now,
                expires_at=tx.now + timedelta(seconds=lasts_s),
            )
        )
        tx.execute(update(users).where(users.c.user_id == user.user_id).values(signed_in_at=tx.now))
        append(tx, Event.SIGNED_IN, "", name, how=how, address=address)


def session(database: Database, secret_sha256: str, idle_s: float, in_use: bool = True) -> Session | None:
    """Who has this session, None where it has run out, was idle for too long, or its user may not sign in.

    in_use: a person asks for something, so that it goes on; False only looks.
    """
    query = (
        select(users, sessions.c.csrf_token, sessions.c.seen_at, sessions.c.expires_at)
        .join(sessions, sessions.c.user_id == users.c.user_id)
        .where(sessions.c.secret_sha256 == secret_sha256, users.c.disabled.is_(False))
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
        now = database.now(connection)
    if row is None or row.expires_at <= now or row.seen_at + timedelta(seconds=idle_s) <= now:
        return None
    if in_use and now - row.seen_at > NOTED_EVERY:
        with database.write() as tx:
            tx.execute(update(sessions).where(sessions.c.secret_sha256 == secret_sha256).values(seen_at=tx.now))
    return Session(user_from(row), row.csrf_token)


def close_session(database: Database, secret_sha256: str) -> None:
    """Signs out; nothing happens where nobody was signed in."""
    with database.write() as tx:
        name = _name_of(tx, secret_sha256)
        if name is not None:
            tx.execute(delete(sessions).where(sessions.c.secret_sha256 == secret_sha256))
            append(tx, Event.SIGNED_OUT, "", name)


def _name_of(tx: Transaction, secret_sha256: str) -> str | None:
    query = (
        select(users.c.name)
        .join(sessions, sessions.c.user_id == users.c.user_id)
        .where(sessions.c.secret_sha256 == secret_sha256)
    )
    name: str | None = tx.execute(query).scalar()
    return name
