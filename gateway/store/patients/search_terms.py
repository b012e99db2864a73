"""The words that a known patient is found by: of name, birth date and numbers, those of their orders too."""

from __future__ import annotations

from sqlalchemy import and_, delete, insert, select

from gateway.store.database import Transaction
from gateway.store.job_rows import AnyRow
from gateway.store.search_terms import search_terms_of
from gateway.store.tables import known_orders, known_patients, known_terms


def rewrite_search_terms(tx: Transaction, number: int) -> None:
    """Makes the words of a patient those of the rows as they are now. Holds the patient's row: one writer at a time."""
    patient = tx.execute(select(known_patients).where(known_patients.c.number == number).with_for_update()).one()
    there = set(tx.execute(select(known_terms.c.term).where(known_terms.c.number == number)).scalars())
    wanted = set() if patient.gone else _terms(tx, patient)
    if there - wanted:
        gone = and_(known_terms.c.number == number, known_terms.c.term.in_(sorted(there - wanted)))
        tx.execute(delete(known_terms).where(gone))
    if wanted - there:
        tx.connection.execute(
            insert(known_terms), [{"term": word, "number": number} for word in sorted(wanted - there)]
        )


def _terms(tx: Transaction, patient: AnyRow) -> set[str]:
    number = patient.number
    # a page may well show a number that was merged into this one: paper knows of no merge
    texts = [patient.patient_id, patient.name, patient.birth_date, patient.visit_number]
    earlier = select(known_patients.c.patient_id).where(known_patients.c.merged_into == number)
    texts += tx.execute(earlier).scalars()
    for order in tx.execute(
        select(known_orders).where(known_orders.c.patient == number, known_orders.c.gone.is_(False))
    ):
        texts += [order.accession_number, order.visit_number, order.placer_number, order.filler_number]
    return {word for text in texts for word in search_terms_of(text)}
