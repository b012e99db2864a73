"""Counts failed sign-ins by name and by address, and locks out who guesses.

A try is counted before its password is looked at and taken back when it was right: many at once are no way round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from gateway.store.accounts.account_rows import insert_unless_there
from gateway.store.audit import Event, append
from gateway.store.database import Database, Transaction
from gateway.store.job_rows import AnyRow
from gateway.store.tables import lockouts, users

STRANGER = "stranger"  # the audit's actor for a name that is no user's: it may be a password in the wrong field


@dataclass(frozen=True)
class Gauge:
    """What is counted: a name or an address, and how many failures it may have."""

    what: str  # name or address
    value: str
    failures_max: int

    @property
    def key(self) -> str:
        """What the database knows of it."""
        return hashlib.sha256(f"{self.what}:{self.value}".encode()).hexdigest()


def begin(database: Database, gauges: Sequence[Gauge], lock_s: float) -> datetime | None:
    """Counts a try; where one of the gauges is locked, counts nothing and returns until when."""
    with database.write() as tx:
        tx.execute(delete(lockouts).where(lockouts.c.failed_at < tx.now - timedelta(seconds=lock_s)))
        rows = [(gauge, _lock(tx, gauge)) for gauge in sorted(gauges, key=lambda gauge: gauge.key)]
        locked: list[datetime] = [
            row.locked_until for _, row in rows if row.locked_until is not None and row.locked_until > tx.now
        ]
        if locked:
            return max(locked)
        for gauge, row in rows:
            failures = row.failures + 1
            until = tx.now + timedelta(seconds=lock_s) if failures >= gauge.failures_max else None
            _set(tx, gauge, failures=failures, failed_at=tx.now, locked_until=until)
    return None


def succeeded(database: Database, gauges: Sequence[Gauge]) -> None:
    """Takes the try back: a name begins anew, an address has this one failure less."""
    with database.write() as tx:
        for gauge in sorted(gauges, key=lambda gauge: gauge.key):
            row = _lock(tx, gauge)
            # Whoever has an account must not clear an address from which others' passwords are guessed.
            failures = 0 if gauge.what == "name" else max(0, row.failures - 1)
            _set(tx, gauge, failures=failures, failed_at=tx.now, locked_until=None)


def failed(database: Database, gauges: Sequence[Gauge], name: str, address: str) -> None:
    """Writes a failed try into the audit, and what it locked."""
    with database.write() as tx:
        exists = tx.execute(select(users.c.user_id).where(users.c.name == name)).one_or_none() is not None
        actor = name if exists else STRANGER
        rows = [(gauge, _lock(tx, gauge)) for gauge in sorted(gauges, key=lambda gauge: gauge.key)]
        append(tx, Event.SIGN_IN_FAILED, "", actor, address=address)
        for gauge, row in rows:
            if row.failures == gauge.failures_max:
                append(tx, Event.LOCKED_OUT, "", actor, what=gauge.what, address=address, failures=row.failures)


def unlock(tx: Transaction, name: str) -> None:
    """Lets a name begin anew."""
    tx.execute(delete(lockouts).where(lockouts.c.key == Gauge("name", name, 0).key))


def _lock(tx: Transaction, gauge: Gauge) -> AnyRow:
    insert_unless_there(tx, lockouts, key=gauge.key, failures=0, failed_at=tx.now, locked_until=None)
    return tx.execute(select(lockouts).where(lockouts.c.key == gauge.key).with_for_update()).one()


def _set(tx: Transaction, gauge: Gauge, **values: int | datetime | None) -> None:
    tx.execute(update(lockouts).where(lockouts.c.key == gauge.key).values(**values))
