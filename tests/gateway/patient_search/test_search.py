"""Everybody who may know is asked at once, each order is one line, and no line is of two patients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.config import DataSection
from gateway.identity.candidate import OrderCandidate
from gateway.identity.order import Order, Patient
from gateway.patient_search.search import Match, NamedSource, Source, search, united
from gateway.patient_search.worklist import Answer
from gateway.store import JobOrder, JobQuery, Store
from tests.flow.processes import free_port
from tests.gateway.patient_search.ris import TODAY, Ris, entry, section, telling
from tests.gateway.storing import arrival, receive

NOW = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
ADA = Patient("4242", "NORTH", "Able^Ada", "19500101", "F")


class Memory:
    """A store with earlier jobs and what feeds told."""

    def __init__(self, store: Store, *known: OrderCandidate) -> None:
        self.worklist = store.worklist
        self.known = list(known)
        self.asked: list[tuple[str, int]] = []

    def find_orders(self, words: str, most: int) -> list[OrderCandidate]:
        self.asked.append((words, most))
        return self.known


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(Store.open(DataSection(folder=tmp_path_factory.mktemp("store"), reserve_mb=0))) as store:
        order = Order(ADA, accession_number="N-1", study_uid="1.9", visit_number="of that day")
        receive(store, b"a page", replace(arrival(), order=order))
        yield store


@pytest.fixture
def ris() -> Iterator[Ris]:
    ris = Ris()
    yield ris
    ris.stop()


def teller(source: Source, name: str = "") -> Match:
    return Match(Order(ADA, accession_number="N-1"), (NamedSource(source, name),))


def test_one_order_that_two_know_is_one_line_with_all_that_they_say_and_an_earlier_ecg_another(
    store: Store, ris: Ris
) -> None:
    ris.answering = telling(entry(1, "Able^Ada", "4242"))
    told = OrderCandidate(Order(ADA, accession_number="N-1", visit_number="V-1"), "adt", NOW, "ward 3")
    memory = Memory(store, told)
    found = search([section(ris.start())], memory, "  4242 ", NOW)
    match, earlier = found.matches
    assert [(each.source, each.name) for each in match.sources] == [("worklist", "ris"), ("feed", "adt")]
    assert (earlier.order, earlier.sources) == (Order(ADA), (NamedSource(Source.EARLIER),))
    assert (match.order.patient, match.order.study_uid, match.order.visit_number) == (ADA, "1.2.3.1", "V-1")
    assert match.what == "Resting ECG"
    assert found.unanswered == ()
    assert memory.asked[0][0] == "4242"


def test_what_belongs_to_an_earlier_recording_alone_is_not_taken_over(store: Store) -> None:
    found = search([], Memory(store), "able", NOW)
    (match,) = found.matches
    assert match.order == Order(ADA)
    assert match.what == "accession N-1 then"
    assert match.sources == (NamedSource(Source.EARLIER),)
    jobs = store.worklist.page(JobQuery(words="able"), JobOrder.NEWEST, "", 10).rows
    assert found.job_ids == tuple(row.job_id for row in jobs)


def test_a_worklist_that_is_down_hides_nothing_that_others_know_and_is_named(store: Store, ris: Ris) -> None:
    ris.answering = telling(entry(2, "Able^Ben", "4243"))
    down = section(free_port(), name="old ris")
    found = search([down, section(ris.start())], Memory(store), "able", NOW)
    assert [match.order.patient.name for match in found.matches] == ["Able^Ben", "Able^Ada"]
    assert [(each.name, each.code) for each in found.unanswered] == [("old ris", "unreachable")]


def test_two_silent_worklists_take_as_long_as_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)  # which one alone never passes

    def silent(*_: object) -> Answer:
        both.wait(30)
        return Answer((), "timeout", "it did not answer")

    monkeypatch.setattr("gateway.patient_search.search.find", silent)
    found = search([section(1, timeout_s=60, name=name) for name in ("a", "b")], Memory(store), "able", NOW)
    assert [each.code for each in found.unanswered] == ["timeout", "timeout"]
    assert len(found.matches) == 1


def test_a_worklist_that_nothing_ends_is_not_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr("gateway.patient_search.search.find", lambda *_: ended.wait(60))
    began = time.monotonic()
    found = search([section(1, timeout_s=0.2)], Memory(store), "able", NOW)
    assert time.monotonic() - began < 30
    ended.set()
    assert [(each.code, each.why) for each in found.unanswered] == [
        ("timeout", "RIS at 127.0.0.1:1 did not answer in 0.2 s")
    ]


def test_words_of_nothing_ask_nobody(store: Store) -> None:
    memory = Memory(store)
    assert search([section(1)], memory, " \x00 ", NOW).matches == ()
    assert memory.asked == []


def test_scheduled_ones_stand_first_and_of_one_kind_those_nearest_to_now(store: Store, ris: Ris) -> None:
    def day(number: int, text: str) -> Any:
        return entry(number, f"Able^{number}", str(number), ScheduledProcedureStepStartDate=text)

    ris.answering = telling(day(1, "20261117"), day(2, "20261123"), day(3, "20261124"), day(4, ""))
    told = [
        OrderCandidate(Order(Patient(name)), "adt", NOW - timedelta(days=days))
        for name, days in (("long ago", 30), ("just now", 0))
    ]
    found = search([section(ris.start())], Memory(store, *told), "able", NOW)
    assert [match.order.patient.patient_id for match in found.matches] == [
        *("2", "3", "1", "4"),
        *("just now", "long ago"),
        "4242",
    ]


@pytest.mark.parametrize(
    "other",
    [
        replace(ADA, issuer="SOUTH"),
        replace(ADA, issuer=""),
        replace(ADA, name="Able^Anna"),
        replace(ADA, birth_date="19500110"),
    ],
)
def test_what_contradicts_or_leaves_open_whose_it_is_stays_a_line_of_its_own(other: Patient) -> None:
    second = Match(Order(other, accession_number="N-1"), (NamedSource(Source.FEED, "adt"),))
    assert united([teller(Source.WORKLIST, "ris"), second]) == [teller(Source.WORKLIST, "ris"), second]


@pytest.mark.parametrize("texts", [{"study_uid": "1.3"}, {"placer_order_number": "P-9"}, {"visit_number": "V-9"}])
def test_two_requests_are_never_made_one(texts: dict[str, str]) -> None:
    first = Order(ADA, study_uid="1.2", accession_number="N-1", placer_order_number="P-1", visit_number="V-1")
    matches = [
        Match(first, (NamedSource(Source.WORKLIST, "a"),)),
        Match(replace(first, **texts), (NamedSource(Source.FEED, "b"),)),
    ]
    assert united(matches) == matches


def test_a_third_joins_the_line_that_it_does_not_contradict() -> None:
    one = Match(Order(ADA, study_uid="1.2", accession_number="N-1"), (NamedSource(Source.WORKLIST, "a"),))
    two = Match(Order(ADA, study_uid="1.3", accession_number="N-1"), (NamedSource(Source.WORKLIST, "b"),))
    three = Match(Order(ADA, study_uid="1.3", accession_number="N-1"), (NamedSource(Source.FEED, "c"),))
    assert [[each.name for each in match.sources] for match in united([three, one, two])] == [["a"], ["b", "c"]]


def test_patients_without_an_id_are_one_only_if_nothing_differs() -> None:
    nobody = Order(Patient(name="Able^Ada"))
    more = Order(Patient(name="Able^Ada", sex="F"))
    matches = [
        Match(each, (NamedSource(Source.FEED, name),)) for each, name in ((nobody, "a"), (more, "b"), (nobody, "c"))
    ]
    assert [[each.name for each in match.sources] for match in united(matches)] == [["a", "c"], ["b"]]
