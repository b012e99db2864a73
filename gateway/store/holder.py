"""Who holds a lease, and the end of those whose holders are dead: nothing waits for a lease that nobody holds.

A process that opens the store locks its staging folder, and the kernel lets go of that lock when the process dies,
however it dies. The folder's name is a process's identity: unlike a process id it is never given twice, and it means
the same in every container that sees the folder. Only leases held on this machine are judged: another machine's
locks may not be seen through a network share.
"""

from __future__ import annotations

import hashlib
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import select, update

from gateway.job import State
from gateway.store.audit import Event, append
from gateway.store.database import Database, Transaction
from gateway.store.objects import Objects
from gateway.store.rows import AnyRow, lock_deliveries, lock_job
from gateway.store.tables import DeliveryState, jobs, outbox

MACHINE_FILES = (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id"))
MACHINE_CHARACTERS = 16


@dataclass(frozen=True)
class Holder:
    """A process that holds leases. machine: as machine() says; gateway: the process it works for, or itself."""

    machine: str
    gateway: str
    process: str

    def __str__(self) -> str:
        return f"{self.machine}/{self.gateway}/{self.process}"

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """The reverse of str(); None for a lease that an earlier version lent, and that says nothing."""
        parts = text.split("/")
        return cls(*parts) if len(parts) == 3 else None


@cache
def machine() -> str:
    """A name of this machine that no other one has, as a hash: its machine id, else this boot's, else its name."""
    for file in MACHINE_FILES:
        with suppress(OSError):
            if text := file.read_text(encoding="ascii").strip():
                return _hashed(text)
    return _hashed(socket.gethostname())


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:MACHINE_CHARACTERS]


def end_dead(database: Database, objects: Objects) -> int:
    """Ends the leases that dead processes of this machine held, and returns how many.

    A page whose whole gateway died is given back as if it had not been claimed; one whose worker died alone counts the
    attempt. A document is due again at once.
    """
    ended = 0
    for job_id, holder in _held(database, jobs.c.lease_holder, jobs.c.job_id, jobs.c.state == State.RECEIVED):
        if not objects.lives(holder.process):
            ended += _end_job(database, job_id, holder, with_gateway=not objects.lives(holder.gateway))
    queued = outbox.c.state == DeliveryState.QUEUED
    for job_id, holder in _held(database, outbox.c.lease_holder, outbox.c.job_id, queued):
        if not objects.lives(holder.process):
            ended += _end_deliveries(database, job_id, holder)
    return ended


def _held(database: Database, holder: object, job_id: object, state: object) -> list[tuple[str, Holder]]:
    """The jobs of what is leased on this machine, each with its holder."""
    query = select(job_id, holder).where(state, holder != "").distinct()  # type: ignore[call-overload]  # columns
    with database.read() as connection:
        rows = connection.execute(query).all()
    found = [(str(row[0]), Holder.parse(row[1])) for row in rows]
    return [(job, each) for job, each in found if each is not None and each.machine == machine()]


def _end_job(database: Database, job_id: str, holder: Holder, with_gateway: bool) -> int:
    with database.write() as tx:
        row = lock_job(tx, job_id)
        if row.state != State.RECEIVED or row.lease_token is None or row.lease_holder != str(holder):
            return 0
        if with_gateway:
            free = {"attempts": row.attempts - 1, "lease_token": None, "lease_worker": "", "lease_until": None}
            _update_job(tx, row, **free, lease_holder="")
            append(tx, Event.RELEASED, row.job_id, row.lease_worker, state=row.state)
        else:
            _update_job(tx, row, lease_until=tx.now, lease_holder="")  # over: the next claim tells that it died
    return 1


def _update_job(tx: Transaction, row: AnyRow, **values: object) -> None:
    tx.execute(update(jobs).where(jobs.c.number == row.number).values(**values))


def _end_deliveries(database: Database, job_id: str, holder: Holder) -> int:
    with database.write() as tx:
        lock_job(tx, job_id)
        rows = [row for row in lock_deliveries(tx, job_id) if row.lease_token and row.lease_holder == str(holder)]
        for row in rows:
            free = {"lease_token": None, "lease_until": None, "lease_holder": ""}
            tx.execute(update(outbox).where(outbox.c.delivery_id == row.delivery_id).values(**free))
            actor = f"deliver:{row.destination}"
            append(tx, Event.LEASE_EXPIRED, row.job_id, actor, delivery_id=row.delivery_id)
    return len(rows)
