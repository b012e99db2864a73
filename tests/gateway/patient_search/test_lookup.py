"""A typed patient id is looked up: who is known under it is told, and what contradicts is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.config import DataSection
from gateway.identity.candidate import OrderCandidate
from gateway.identity.order import Order, Patient
from gateway.patient_search.lookup import find_candidates
from gateway.store import Store
from tests.flow.processes import free_port
from tests.gateway.patient_search.ris import Ris, entry, telling
from tests.gateway.patient_search.test_search import Memory, section
from tests.gateway.storing import arrival, receive

NOW = datetime.now(UTC)
ADA = Patient("4242", "NORTH", "Able^Ada", "19500101", "F")


@pytest.fixture
def store(data: DataSection) -> Iterator[Store]:
    with closing(Store.open(data)) as store:
        yield store


def known(patient: Patient) -> OrderCandidate:
    return OrderCandidate(Order(patient), "adt", NOW, "ward 3")


def test_who_is_known_under_an_id_is_told_once_with_all_who_know(store: Store) -> None:
    receive(store, b"a page", replace(arrival(), order=Order(ADA, accession_number="N-1")))
    found = find_candidates([], Memory(store, known(ADA)), Patient("4242"), NOW)
    (each,) = found.candidates
    assert (each.patient, each.contradicts) == (ADA, ())
    assert each.source_names == "feed adt and an earlier ECG"
    assert (found.contradicting, found.overridden) == ((), "")


@pytest.mark.parametrize(
    ("typed", "contradicts"),
    [
        (Patient("4242"), ()),
        (Patient("4242", "NORTH", "ABLE^ADA^M", "1950", "F"), ()),
        (Patient("4242", name="Roe^Richard"), ("name",)),
        (Patient("4242", name="Roe^Richard", birth_date="19600101", sex="M"), ("name", "birth_date", "sex")),
        (Patient("4242", "SOUTH", "Roe^Richard"), None),  # another issuer's id
        (Patient("424", name="Roe^Richard"), None),  # an id that only begins so
    ],
)
def test_what_is_known_otherwise_contradicts(store: Store, typed: Patient, contradicts: tuple[str, ...] | None) -> None:
    found = find_candidates([], Memory(store, known(ADA)), typed, NOW)
    assert [each.contradicts for each in found.candidates] == ([] if contradicts is None else [contradicts])
    if contradicts:
        assert found.overridden == f"{' '.join(contradicts)} of feed adt"
        assert "Able" not in found.why


def test_the_job_itself_is_no_witness(store: Store) -> None:
    job_id = receive(store, b"a page", replace(arrival(), order=Order(ADA))).job_id
    typed = Patient("4242", "NORTH", "Roe^Richard")
    assert find_candidates([], Memory(store), typed, NOW, job_id).candidates == ()
    assert find_candidates([], Memory(store), typed, NOW).contradicting


def test_a_worklist_is_asked_and_a_silent_one_is_named(store: Store) -> None:
    ris = Ris()
    try:
        ris.answering = telling(entry(1, "Able^Ada", "4242"))
        worklists = [section(ris.start()), section(free_port(), name="old ris")]
        found = find_candidates(worklists, Memory(store), Patient("4242", name="Roe^Richard"), NOW)
    finally:
        ris.stop()
    (each,) = found.contradicting
    assert each.source_names == "worklist ris"
    assert [each.name for each in found.unanswered] == ["old ris"]


def test_no_id_asks_nobody(store: Store) -> None:
    memory = Memory(store)
    assert find_candidates([section(1)], memory, Patient(name="Able^Ada"), NOW).candidates == ()
    assert memory.asked == []
