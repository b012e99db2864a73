"""Finds known patients and orders by words of what a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, FromClause, and_, func, select

from gateway.identity.candidate import OrderCandidate
from gateway.identity.order import Order, Patient
from gateway.store.database import Database
from gateway.store.job_rows import AnyRow, clean
from gateway.store.search_terms import search_terms_of
from gateway.store.tables import known_orders as orders
from gateway.store.tables import known_patients as patients
from gateway.store.tables import known_terms as terms

WORDS_MAX = 6  # of a search; more words find nothing more
SCAN_MAX = 20_000  # patients with the rarest of the words that are looked at: bounds a search for words that all have
AFTER_ANY_CHARACTER = "\U0010ffff"
ISO_DATE = re.compile(r"\b((?:18|19|20)\d\d)-(\d\d)-(\d\d)\b")
DOTTED_DATE = re.compile(r"\b(\d\d?)\.(\d\d?)\.((?:18|19|20)\d\d)\b")


def find(database: Database, text: str, most: int) -> list[OrderCandidate]:
    """Known orders, and each patient for themselves, that every word fits; at most so many, whole words first.

    A word fits where a word of the name, or of any number, or the birth date begins with it. Where more than SCAN_MAX
    patients have every one of the words, only as many of them are looked at: whoever searches types more.
    """
    terms = _terms(text)
    if not terms or most < 1:
        return []
    with database.read() as connection:
        numbers = _patients(connection, terms, most)
        found = {row.number: row for row in connection.execute(select(patients).where(patients.c.number.in_(numbers)))}
        requests = _by_patient(connection.execute(select(orders).where(orders.c.patient.in_(numbers))))
        earlier = _earlier(connection, numbers)
    candidates: list[OrderCandidate] = []
    for number in numbers:
        of_patient = sorted(requests.get(number, ()), key=lambda row: _rank(row, terms))
        candidates += [_of_order(found[number], row) for row in of_patient]
        candidates.append(_of_patient(found[number], earlier.get(number, ())))
        if len(candidates) >= most:
            break
    return candidates[:most]


def _terms(text: str) -> tuple[str, ...]:
    """The words of a question, a date that somebody wrote with dots or hyphens as one word."""
    text = ISO_DATE.sub(r"\1\2\3", clean(text))
    text = DOTTED_DATE.sub(lambda date: f"{date[3]}{int(date[2]):02}{int(date[1]):02}", text)
    return search_terms_of(text)[:WORDS_MAX]


def _patients(connection: Connection, wanted: Sequence[str], most: int) -> list[int]:
    """Numbers of patients, walked along the word that fewest have, the whole words first."""
    along, *others = sorted(wanted, key=lambda word: _count(connection, word))
    walked = select(terms.c.term, terms.c.number).where(_begins(terms, along))
    near = walked.order_by(terms.c.term, terms.c.number).limit(SCAN_MAX).subquery()
    query = select(near.c.number)
    for word in others:
        also = terms.alias()
        query = query.where(select(1).where(also.c.number == near.c.number, _begins(also, word)).exists())
    found = query.order_by(near.c.term, near.c.number)
    # two words of one patient may begin alike: such a patient is found twice
    return list(dict.fromkeys(connection.execute(found.limit(4 * most)).scalars()))[:most]


def _count(connection: Connection, word: str) -> int:
    some = select(terms.c.number).where(_begins(terms, word)).limit(SCAN_MAX).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _begins(table: FromClause, word: str) -> ColumnElement[bool]:
    column = table.c.term
    return and_(column >= word, column < word + AFTER_ANY_CHARACTER)


def _by_patient(rows: Iterable[AnyRow]) -> dict[int, list[AnyRow]]:
    found: dict[int, list[AnyRow]] = {}
    for row in rows:
        if not row.gone:
            found.setdefault(row.patient, []).append(row)
    return found


def _earlier(connection: Connection, numbers: Sequence[int]) -> dict[int, list[str]]:
    """The numbers that were merged into each patient's."""
    query = select(patients.c.merged_into, patients.c.patient_id).where(patients.c.merged_into.in_(numbers))
    found: dict[int, list[str]] = {}
    for row in connection.execute(query.order_by(patients.c.number)):
        found.setdefault(row.merged_into, []).append(row.patient_id)
    return found


def _rank(row: AnyRow, terms: Sequence[str]) -> tuple[bool, float]:
    """The order that somebody asked for by its number first, then the newest."""
    text = f"{row.accession_number} {row.visit_number} {row.placer_number} {row.filler_number}"
    named = any(word.startswith(one) for word in search_terms_of(text) for one in terms)
    at: datetime = row.scheduled_at or row.said_at
    return not named, -at.timestamp()


def _person(row: AnyRow) -> Patient:
    return Patient(row.patient_id, row.issuer, row.name, row.birth_date, row.sex)


def _of_patient(row: AnyRow, earlier: Sequence[str]) -> OrderCandidate:
    formerly = f"formerly {', '.join(earlier)}" if earlier else ""
    return OrderCandidate(
        Order(patient=_person(row), visit_number=row.visit_number, referring_physician=row.referring_physician),
        row.told_by,
        row.said_at,
        "; ".join(filter(None, (row.place, formerly))),
    )


def _of_order(patient: AnyRow, row: AnyRow) -> OrderCandidate:
    order = Order(
        patient=_person(patient),
        study_uid=row.study_uid,
        accession_number=row.accession_number,
        referring_physician=row.referring_physician or patient.referring_physician,
        placer_order_number=row.placer_number,
        filler_order_number=row.filler_number,
        visit_number=row.visit_number or patient.visit_number,
    )
    return OrderCandidate(order, row.told_by, row.scheduled_at or row.said_at, row.what)


@dataclass(frozen=True)
class PatientCounts:
    """How much feeds have told of. last_at: when something was said last, by their clocks; None: never."""

    patients: int
    orders: int
    last_at: datetime | None


def count(database: Database) -> PatientCounts:
    """Counts what is known: for a person who asks, not for every look."""
    with database.read() as connection:
        people = connection.execute(
            select(func.count(), func.max(patients.c.said_at)).where(patients.c.gone.is_(False))
        ).one()
        requests = select(func.count()).select_from(orders).where(orders.c.gone.is_(False))
        return PatientCounts(int(people[0]), int(connection.execute(requests).scalar_one()), people[1])
