"""What the worklist shows of an order and finds it by: columns of the jobs table, and words in a table of their own."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import delete, insert, update

from gateway.identity.order import Order
from gateway.store.database import Transaction
from gateway.store.job_rows import clean
from gateway.store.tables import WORD_CHARACTERS, jobs, terms

WORDS_MAX = 32  # of one job: a name of five components and two numbers have a dozen

_ADD_WORDS = insert(terms)


def shown(order: Order | None) -> dict[str, str]:
    """The columns of jobs that repeat what an order says, so that the worklist need not read JSON."""
    found = order or Order()
    return {
        "patient_id": clean(found.patient.patient_id),
        "issuer": clean(found.patient.issuer),
        "patient_name": clean(found.patient.name),
        "birth_date": clean(found.patient.birth_date),
        "accession_number": clean(found.accession_number),
    }


def search_terms_of(text: str) -> tuple[str, ...]:
    """The words of a text as they are stored and looked for: letters and digits, without accents, in one case."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
    return tuple(sorted({word[:WORD_CHARACTERS] for word in re.findall(r"[^\W_]+", plain)})[:WORDS_MAX])


def add_search_terms(tx: Transaction, number: int, order: Order | None) -> None:
    """Lets a new job be found by its patient's name and number and by its accession number."""
    columns = shown(order)
    found = search_terms_of(f"{columns['patient_id']} {columns['patient_name']} {columns['accession_number']}")
    if found:
        tx.connection.execute(_ADD_WORDS, [{"term": word, "number": number} for word in found])


def show_order(tx: Transaction, number: int, order: Order | None) -> None:
    """The same for a job that is there, whose order has changed."""
    tx.execute(update(jobs).where(jobs.c.number == number).values(**shown(order)))
    tx.execute(delete(terms).where(terms.c.number == number))
    add_search_terms(tx, number, order)
