"""Takes in what a feed tells: the later word counts, by the feed's own clock, in whatever order words arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, or_, select, update

from gateway.store.database import Database, Transaction, translated_for_a_door
from gateway.store.job_rows import AnyRow, clean
from gateway.store.patients.search_terms import rewrite_search_terms
from gateway.store.patients.statements import (
    DeletionStatement,
    MergeStatement,
    OrderStatement,
    PatientKey,
    PatientStatement,
    Statement,
)
from gateway.store.tables import known_orders, known_patients, known_terms
from gateway.store.upsert import upsert

AHEAD_MAX = timedelta(days=366)  # a schedule further ahead is a typing error, and would be kept for ever
PATIENT_TEXTS = ("name", "birth_date", "sex", "visit_number", "referring_physician", "place")
ORDER_TEXTS = (
    "placer_number",
    "filler_number",
    "accession_number",
    "study_uid",
    "visit_number",
    "referring_physician",
    "what",
)
NO_PATIENT = dict.fromkeys(PATIENT_TEXTS, "")
NO_ORDER = dict.fromkeys(ORDER_TEXTS, "")


def apply_statements(database: Database, feed: str, stated_at: datetime, statements: Sequence[Statement]) -> None:
    """All that one message says, or nothing of it. TryAgain where it cannot be kept now."""
    with translated_for_a_door(), database.write() as tx:
        message = _Message(tx, clean(feed), min(stated_at, tx.now))  # a clock that is ahead must not silence a day
        for statement in statements:
            message.apply(statement)


class _Message:
    """One message, within its transaction."""

    def __init__(self, tx: Transaction, feed: str, stated_at: datetime) -> None:
        self._tx = tx
        self._feed = feed
        self._stated_at = stated_at

    def apply(self, statement: Statement) -> None:
        match statement:
            case PatientStatement():
                self._patient(statement)
            case MergeStatement():
                self._merge(statement)
            case DeletionStatement():
                self._gone(statement.key)
            case OrderStatement():
                self._order(statement)

    def _patient(self, statement: PatientStatement) -> AnyRow:
        """Writes down a patient and returns the row that stands for the number now."""
        row = self._lock(statement.key)
        if self._is_late(row) or (row.merged_into is not None and not statement.anew):
            self._keep_longer(row)
            return row if row.merged_into is None else self._row(row.merged_into)
        before = NO_PATIENT if row.gone else {key: getattr(row, key) for key in PATIENT_TEXTS}
        stated = {key: getattr(statement, key) for key in PATIENT_TEXTS}
        after = {**before, **{key: clean(text) for key, text in stated.items() if text is not None}}
        self._set(row.number, **after, said_at=self._stated_at, fresh_at=self._fresh(row), gone=False, merged_into=None)
        if row.gone or after != before:
            rewrite_search_terms(self._tx, row.number)
        if row.merged_into is not None:
            rewrite_search_terms(self._tx, row.merged_into)
        return self._row(row.number)

    def _merge(self, statement: MergeStatement) -> None:
        stays = self._patient(statement.stays)
        prior = self._lock(statement.prior)
        if prior.number == stays.number or self._is_late(prior):
            return
        into = stays.number
        self._tx.execute(update(known_orders).where(known_orders.c.patient == prior.number).values(patient=into))
        earlier = known_patients.c.merged_into == prior.number
        self._tx.execute(update(known_patients).where(earlier).values(merged_into=into))
        self._empty(prior, merged_into=into)
        self._set(into, fresh_at=max(stays.fresh_at, prior.fresh_at))  # no shorter than the orders that are theirs now
        rewrite_search_terms(self._tx, into)

    def _gone(self, key: PatientKey) -> None:
        row = self._lock(key)
        if not self._is_late(row):
            self._tx.execute(delete(known_orders).where(known_orders.c.patient == row.number))
            self._empty(row, merged_into=None)
            if row.merged_into is not None:
                rewrite_search_terms(self._tx, row.merged_into)

    def _order(self, statement: OrderStatement) -> None:
        patient = self._patient(statement.patient)
        row = self._find_order(statement)
        if patient.gone or (row is not None and self._stated_at < row.said_at):
            return  # what came late is of a patient who was deleted, or of an order that has changed, meanwhile
        before = NO_ORDER if row is None or row.gone else {key: getattr(row, key) for key in ORDER_TEXTS}
        at = statement.scheduled_at or (None if row is None else row.scheduled_at)
        values: dict[str, Any] = {
            "patient": patient.number,
            # one of the two may come with a later message: the other's system gives it
            "placer_key": clean(statement.placer_key) or (row.placer_key if row else ""),
            "filler_key": clean(statement.filler_key) or (row.filler_key if row else ""),
            "said_at": self._stated_at,
            "fresh_at": max(self._tx.now, min(at or self._tx.now, self._tx.now + AHEAD_MAX)),
            "gone": statement.cancelled,
            "scheduled_at": None if statement.cancelled else at,
            **(NO_ORDER if statement.cancelled else {**before, **self._stated(statement)}),
        }
        if row is None:
            self._tx.execute(known_orders.insert().values(told_by=self._feed, **values))
        else:
            self._tx.execute(update(known_orders).where(known_orders.c.number == row.number).values(**values))
            if row.patient != patient.number:
                rewrite_search_terms(self._tx, row.patient)
        if patient.fresh_at < values["fresh_at"]:
            self._set(patient.number, fresh_at=values["fresh_at"])
        rewrite_search_terms(self._tx, patient.number)

    @staticmethod
    def _stated(statement: OrderStatement) -> dict[str, str]:
        stated = {key: getattr(statement, key) for key in ORDER_TEXTS}
        return {key: clean(text) for key, text in stated.items() if text is not None}

    def _find_order(self, statement: OrderStatement) -> AnyRow | None:
        """The row of a request that was told before, by either of its numbers; the placer's counts more."""
        by = [
            column == clean(key)
            for column, key in (
                (known_orders.c.placer_key, statement.placer_key),
                (known_orders.c.filler_key, statement.filler_key),
            )
            if key
        ]
        query = select(known_orders).where(or_(*(and_(known_orders.c.told_by == self._feed, one) for one in by)))
        rows = self._tx.execute(query.order_by(known_orders.c.number).with_for_update()).all()
        with_placer = (row for row in rows if statement.placer_key and row.placer_key == clean(statement.placer_key))
        # a row of this filler number but of another placer's is another request
        others = (row for row in rows if not (statement.placer_key and row.placer_key))
        return next(with_placer, None) or next(others, None)

    def _lock(self, key: PatientKey) -> AnyRow:
        """The row of a number, made where there is none, held until the transaction ends."""
        where = {"told_by": self._feed, "issuer": clean(key.issuer), "patient_id": clean(key.patient_id)}
        new = {"fresh_at": self._tx.now, "gone": True}
        upsert(self._tx, known_patients, where, new, told_by=self._feed)  # where it is there, this only locks it
        found = select(known_patients).where(*(known_patients.c[name] == value for name, value in where.items()))
        return self._tx.execute(found).one()

    def _row(self, number: int) -> AnyRow:
        return self._tx.execute(select(known_patients).where(known_patients.c.number == number)).one()

    def _is_late(self, row: AnyRow) -> bool:
        """Whether something later has been said of this number already. At the same second the later to come counts."""
        return row.said_at is not None and self._stated_at < row.said_at

    def _fresh(self, row: AnyRow) -> datetime:
        fresh_at: datetime = row.fresh_at
        return max(self._tx.now, fresh_at)

    def _keep_longer(self, row: AnyRow) -> None:
        self._set(row.number, fresh_at=self._fresh(row))
        if row.merged_into is not None:
            self._keep_longer(self._row(row.merged_into))

    def _empty(self, row: AnyRow, merged_into: int | None) -> None:
        """Leaves of a number only that it is nobody's any more, so that a late message does not bring it back."""
        self._set(
            row.number,
            **NO_PATIENT,
            said_at=self._stated_at,
            fresh_at=self._tx.now,
            gone=True,
            merged_into=merged_into,
        )
        self._tx.execute(delete(known_terms).where(known_terms.c.number == row.number))

    def _set(self, number: int, **values: Any) -> None:
        self._tx.execute(update(known_patients).where(known_patients.c.number == number).values(**values))
