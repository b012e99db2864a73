"""Forgets what a feed has not told of for long: the gateway keeps no second register of the hospital's patients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select

from gateway.store.audit import Event, append
from gateway.store.database import Database, Transaction
from gateway.store.patients.search_terms import rewrite_search_terms
from gateway.store.tables import known_orders, known_patients, known_terms

AT_ONCE = 500  # in one transaction: a door that says yes to a page must not wait for long


@dataclass(frozen=True)
class Forgotten:
    """How much was forgotten."""

    patients: int = 0
    orders: int = 0


def forget(database: Database, keep_days: int) -> Forgotten:
    """Forgets patients and orders that were last told more than so many days ago, and says so in the audit, once.

    An order that is scheduled for later is kept so long after that, and its patient with it.
    """
    patients = orders = 0
    while True:
        with database.write() as tx:
            before = tx.now - timedelta(days=keep_days)
            some_orders = _forget_orders(tx, known_orders.c.fresh_at < before)
            some_patients, theirs = _forget_patients(tx, known_patients.c.fresh_at < before)
            patients, orders = patients + some_patients, orders + some_orders + theirs
            if max(some_orders, some_patients) < AT_ONCE:
                if patients or orders:
                    append(tx, Event.FORGOTTEN, "", "", patients=patients, orders=orders, keep_days=keep_days)
                return Forgotten(patients, orders)


def _forget_orders(tx: Transaction, old: ColumnElement[bool]) -> int:
    some = select(known_orders.c.number, known_orders.c.patient).where(old).limit(AT_ONCE)
    rows = tx.execute(some.with_for_update()).all()  # what is told anew meanwhile is not old any more
    tx.execute(delete(known_orders).where(known_orders.c.number.in_([row.number for row in rows])))
    for patient in sorted({row.patient for row in rows}):
        rewrite_search_terms(tx, patient)
    return len(rows)


def _forget_patients(tx: Transaction, old: ColumnElement[bool]) -> tuple[int, int]:
    some = select(known_patients.c.number).where(old).limit(AT_ONCE)
    numbers = list(tx.execute(some.with_for_update()).scalars())
    orders = tx.execute(delete(known_orders).where(known_orders.c.patient.in_(numbers))).rowcount
    tx.execute(delete(known_terms).where(known_terms.c.number.in_(numbers)))
    # numbers that were merged into one of these lead nowhere now
    tx.execute(delete(known_patients).where(known_patients.c.merged_into.in_(numbers)))
    tx.execute(delete(known_patients).where(known_patients.c.number.in_(numbers)))
    return len(numbers), orders
