"""Who holds a lease, and the end of those whose holders are dead: nothing waits for a lease that nobody holds.

A process that opens the store locks its staging folder, and the kernel lets go of that lock when the process dies,
however it dies. The folder's name is a process's identity: unlike a process id it is never given twice, and it means
the same in every container that sees the folder. Only leases held on this machine are judged: another machine's
locks may not be seen through a network share. Whoever asks and its own children live, whatever the folder says.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select, update

from gateway.job import State
from gateway.store.audit import Event, append
from gateway.store.database import Database, Transaction
from gateway.store.job_rows import AnyRow, lock_deliveries, lock_job
from gateway.store.leases import RELEASED_WAITS_S, hold_as_ours, lease_end
from gateway.store.objects import Objects
from gateway.store.process_name import ProcessName
from gateway.store.tables import DeliveryState, jobs, outbox

# A page can take a whole gateway with it: the system ends a service of which one process took all memory. Power cuts
# and restarts are no page's fault, so more of them are borne than deaths of a worker alone.
GATEWAY_DEATHS_MAX = 5
GATEWAY_DIED = "our_fault_gateway_died"


@dataclass(frozen=True)
class Holder:
    """A process that holds leases, and the one it works for, which may be itself; both by their ProcessName."""

    gateway: str
    process: str

    def __str__(self) -> str:
        return f"{self.gateway}/{self.process}"

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """The reverse of str(); None for a lease that an earlier version lent, and that says nothing."""
        parts = text.split("/")
        return cls(*parts) if len(parts) == 2 else None

    @property
    def is_local(self) -> bool:
        """Whether it is a process of this machine."""
        name = ProcessName.parse(self.process)
        return name is not None and name.is_local

    def is_child_of(self, gateway: str, living: Collection[int]) -> bool:
        """Whether it is one of a gateway's children, of which those with these process ids live."""
        name = ProcessName.parse(self.process)
        return self.gateway == gateway and name is not None and name.pid in living


def end_dead(database: Database, objects: Objects, children: Collection[int] = ()) -> int:
    """Ends the leases that dead processes of this machine held, and returns how many.

    children: process ids of this process's own that live, each of which may hold leases.

    A page whose worker died alone counts the attempt. One whose whole gateway died counts none, but waits while others
    go first, and is held as ours after GATEWAY_DEATHS_MAX of them. A document is due again at once.
    """

    def lives(holder: Holder) -> bool:
        return holder.is_child_of(objects.process, children) or objects.lives(holder.process)

    ended = 0
    for job_id, holder in _held(database, jobs.c.lease_holder, jobs.c.job_id, jobs.c.state == State.RECEIVED):
        if not lives(holder):
            ended += _end_job(database, job_id, holder, with_gateway=not objects.lives(holder.gateway))
    queued = outbox.c.state == DeliveryState.QUEUED
    for job_id, holder in _held(database, outbox.c.lease_holder, outbox.c.job_id, queued):
        if not lives(holder):
            ended += _end_deliveries(database, job_id, holder)
    return ended


def _held(database: Database, holder: object, job_id: object, state: object) -> list[tuple[str, Holder]]:
    """The jobs of what is leased on this machine, each with its holder."""
    query = select(job_id, holder).where(state, holder != "").distinct()  # type: ignore[call-overload]  # columns
    with database.read() as connection:
        rows = connection.execute(query).all()
    found = [(str(row[0]), Holder.parse(row[1])) for row in rows]
    return [(job, each) for job, each in found if each is not None and each.is_local]


def _end_job(database: Database, job_id: str, holder: Holder, with_gateway: bool) -> int:
    with database.write() as tx:
        row = lock_job(tx, job_id)
        if row.state != State.RECEIVED or row.lease_token is None or row.lease_holder != str(holder):
            return 0
        if with_gateway:
            _gateway_died(tx, row)
        else:
            _update_job(tx, row, lease_until=tx.now, lease_holder="")  # over: the next claim tells that it died
    return 1


def _gateway_died(tx: Transaction, row: AnyRow) -> None:
    deaths = row.gateway_deaths + 1
    if deaths >= GATEWAY_DEATHS_MAX:
        hold_as_ours(tx, row, GATEWAY_DIED, f"the whole gateway died {deaths} times while it worked on this page")
        return
    # Longer after each death: the next worker takes seconds to load, and must meet the others first.
    waits_until = lease_end(tx, RELEASED_WAITS_S * 2 ** (deaths - 1))
    free = {"lease_token": None, "lease_worker": "", "lease_until": waits_until, "lease_holder": ""}
    _update_job(tx, row, attempts=row.attempts - 1, gateway_deaths=deaths, **free)
    append(tx, Event.RELEASED, row.job_id, row.lease_worker, state=row.state, gateway_deaths=deaths)


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
