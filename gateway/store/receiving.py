"""Takes a page in: bytes on disk first, then one commit, and only then may the door say yes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Executable, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.config import DataSection
from gateway.errors import OutOfSpace, QueueFull
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, State
from gateway.store.audit import Event, append, append_received, canonical
from gateway.store.counting import count_move
from gateway.store.database import Database, Transaction, translated_for_a_door
from gateway.store.job_rows import clean, lock_job, new_id, order_from, order_text
from gateway.store.objects import Objects
from gateway.store.people import identify_within
from gateway.store.search_terms import add_search_terms, shown
from gateway.store.tables import audit, jobs

_WAITING = select(func.count()).where(jobs.c.state == State.RECEIVED)
_KNOWN = select(jobs.c.job_id).where(jobs.c.repeat_key == bindparam("key"))
# They return a row only where they inserted one: the unique key decides between two that come at once.
_INSERT_UNLESS_KNOWN: dict[str, Executable] = {
    name: dialect.insert(jobs).on_conflict_do_nothing(index_elements=[jobs.c.repeat_key]).returning(jobs.c.number)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


@dataclass(frozen=True)
class Receipt:
    """What a door may tell its sender. duplicate: the same page had come before, and this is its job."""

    job_id: str
    duplicate: bool


def room(database: Database, objects: Objects, data: DataSection) -> None:
    """Raises TryAgain, QueueFull or OutOfSpace where a door should not even begin to receive."""
    with translated_for_a_door(), database.read() as connection:
        check_room(connection, objects, data)


def check_room(connection: Connection, objects: Objects, data: DataSection) -> None:
    """Raises QueueFull or OutOfSpace where a page more would be one too many."""
    if objects.free_mb() < data.reserve_mb:
        raise OutOfSpace("out_of_space", f"less than {data.reserve_mb} MB are free (data.reserve_mb)")
    waiting = connection.execute(_WAITING).scalar_one()
    if waiting >= data.queue_max:
        raise QueueFull("queue_full", f"{waiting} pages wait, {data.queue_max} are allowed (data.queue_max)")


def receive(
    database: Database, objects: Objects, data: DataSection, staged: Path, arrival: Arrival, sha256: str
) -> Receipt:
    """Keeps a staged file and makes it a job. The staged file is gone afterwards, whatever happened."""
    try:
        key = repeat_key(arrival, sha256)
        with translated_for_a_door():
            with database.read() as connection:
                if connection.execute(_KNOWN, {"key": key}).first() is None:
                    check_room(connection, objects, data)
            size_bytes = objects.keep(staged, sha256)
            with database.write() as tx:
                receipt = _commit(tx, arrival, sha256, size_bytes, key)
        return receipt
    finally:
        staged.unlink(missing_ok=True)


def repeat_key(arrival: Arrival, sha256: str) -> str:
    """The same for the same bytes from the same sender at the same door for the same patient; names none of them."""
    patient = arrival.order.patient if arrival.order else Patient()
    same = [sha256, arrival.door, arrival.sender, patient.patient_id, patient.issuer]
    return hashlib.sha256(canonical(same).encode()).hexdigest()


def _commit(tx: Transaction, arrival: Arrival, sha256: str, size_bytes: int, key: str) -> Receipt:
    job_id = new_id()
    values = {
        "job_id": job_id,
        "state": State.RECEIVED,
        "door": arrival.door,
        "sender": clean(arrival.sender),
        "sender_address": clean(arrival.sender_address),
        "called": clean(arrival.called),
        "media_type": clean(arrival.media_type),
        "file_name": clean(arrival.file_name),
        "order_json": order_text(arrival.order),
        "repeat_key": key,
        "sha256": sha256,
        "size_bytes": size_bytes,
        "received_at": tx.now,
        "changed_at": tx.now,
        "attempts": 0,
        "code": "",
        "why": "",
        "made_by": "",
        "lease_worker": "",
        **shown(arrival.order),
    }
    new = tx.execute(_INSERT_UNLESS_KNOWN[tx.connection.dialect.name], values).first()
    actor = f"{arrival.door}:{clean(arrival.sender)}"
    if new is not None:
        add_search_terms(tx, new.number, arrival.order)
        count_move(tx, None, State.RECEIVED)
        append_received(tx, job_id, actor, values, sha256=sha256, size_bytes=size_bytes, state=State.RECEIVED.value)
        return Receipt(job_id, duplicate=False)
    existing = tx.execute(_KNOWN, {"key": key}).scalar_one()
    if _brings_facts(tx, existing, arrival.order or Order(), actor):
        identify_within(tx, existing, arrival.order or Order(), actor)
    append(tx, Event.REPEATED, existing, actor, sha256=sha256)
    return Receipt(existing, duplicate=True)


def _brings_facts(tx: Transaction, job_id: str, order: Order, actor: str) -> bool:
    """Whether a repeat says more of the same patient's page, or something else, than when it was held.

    Not where it leaves anything out that was known, nor where a person has said whose page it is: that stands.
    """
    job = lock_job(tx, job_id)
    before = order_from(job.order_json) or Order()
    if (job.state, job.settled) != (State.HELD, State.HELD) or order == before:
        return False
    if any(fact and not _facts(order)[key] for key, fact in _facts(before).items()):
        return False
    others_word = select(audit.c.seq).where(
        audit.c.job_id == job_id, audit.c.kind == Event.IDENTIFIED, audit.c.actor != actor
    )
    return tx.execute(others_word.limit(1)).first() is None


def _facts(order: Order) -> dict[str, str]:
    """The texts of an order and of its patient, by key."""
    return {key: text for key, text in (*vars(order).items(), *vars(order.patient).items()) if isinstance(text, str)}
