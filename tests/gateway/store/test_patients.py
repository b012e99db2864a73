"""What a feed tells: kept, changed, merged, cancelled, found and forgotten, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gateway.config import DataSection
from gateway.identity.candidate import OrderCandidate
from gateway.store import Event, Store
from gateway.store.audit_queries import AuditQuery
from gateway.store.database import Database, database_url
from gateway.store.patients import (
    DeletionStatement,
    MergeStatement,
    OrderStatement,
    PatientKey,
    PatientStatement,
    Statement,
)

NOW = datetime.now(UTC).replace(microsecond=0)
ANN = PatientKey("4711", "HOSP")


def ann(**said: str | bool) -> PatientStatement:
    return PatientStatement(ANN, **{"name": "Müller^Änne", "birth_date": "19540131", "sex": "F", **said})  # type: ignore[arg-type]


def tell(store: Store, *told: Statement, minutes: float = 0.0, feed: str = "adt") -> None:
    store.apply_statements(feed, NOW - timedelta(hours=1) + timedelta(minutes=minutes), told)


def order(number: str = "P1", **said: object) -> OrderStatement:
    values = {"patient": PatientStatement(ANN), "placer_key": number, "placer_number": number, **said}
    return OrderStatement(**values)  # type: ignore[arg-type]


def names(found: list[OrderCandidate]) -> list[str]:
    return [known.order.patient.name for known in found]


def the(found: list[OrderCandidate]) -> OrderCandidate:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    "words", ["4711", "47", "mull", "MULLER änne", "anne", "19540131", "1954-01-31", "31.1.1954", "v9", "müller 4711"]
)
def test_a_patient_is_found_by_the_beginning_of_any_word(store: Store, words: str) -> None:
    tell(store, ann(visit_number="V9", place="at 3W, room 12"), PatientStatement(PatientKey("1"), name="Other^Otto"))
    known = the(store.find_orders(words, 10))
    patient = known.order.patient
    assert (patient.patient_id, patient.issuer, patient.name) == ("4711", "HOSP", "Müller^Änne")
    assert (patient.birth_date, patient.sex, known.order.visit_number) == ("19540131", "F", "V9")
    assert (known.source, known.at, known.what) == ("adt", NOW - timedelta(hours=1), "at 3W, room 12")


@pytest.mark.parametrize("words", ["", "  ", "-", "müller otto", "ller", "4712", "%", "_", "1955-01-31"])
def test_words_that_do_not_all_fit_find_nobody(store: Store, words: str) -> None:
    tell(store, ann(), PatientStatement(PatientKey("1"), name="Other^Otto"))
    assert store.find_orders(words, 10) == []


def test_no_more_are_found_than_asked_for_and_whole_words_come_first(store: Store) -> None:
    tell(store, *(PatientStatement(PatientKey(str(n)), name=f"Mayerhofer{n}^X") for n in range(20)))
    tell(store, PatientStatement(PatientKey("99"), name="Mayer^Y"))
    found = store.find_orders("mayer", 5)
    assert len(found) == 5
    assert found[0].order.patient.name == "Mayer^Y"
    assert len(store.find_orders("mayer", 100)) == 21


def test_what_is_not_said_stays_and_what_is_said_to_be_nothing_goes(store: Store) -> None:
    tell(store, ann(visit_number="V9", place="at 3W"))
    tell(store, PatientStatement(ANN, place="", sex="M"), minutes=1)
    known = the(store.find_orders("4711", 10))
    assert (known.order.patient.name, known.order.patient.sex) == ("Müller^Änne", "M")
    assert (known.order.visit_number, known.what) == ("V9", "")


def test_a_changed_name_is_found_by_the_new_one_only(store: Store) -> None:
    tell(store, ann())
    tell(store, ann(name="Schmidt^Änne"), minutes=1)
    assert store.find_orders("müller", 10) == []
    assert names(store.find_orders("schmidt", 10)) == ["Schmidt^Änne"]


def test_the_same_again_is_harmless(store: Store) -> None:
    for _ in range(3):
        tell(store, ann(), order())
    assert (store.patient_counts().patients, store.patient_counts().orders) == (1, 1)


def test_an_older_word_that_comes_late_changes_nothing(store: Store) -> None:
    tell(store, ann(name="Schmidt^Änne"), order(what="ECG", accession_number="A2"), minutes=5)
    tell(store, ann(), order(what="old", accession_number="A1"), DeletionStatement(ANN), minutes=4)
    assert names(store.find_orders("4711", 10)) == ["Schmidt^Änne"] * 2
    assert store.find_orders("a2", 10)[0].what == "ECG"
    assert store.find_orders("a1", 10) == []


def test_of_two_words_of_one_second_the_later_to_come_counts(store: Store) -> None:
    tell(store, ann())
    tell(store, ann(name="Schmidt^Änne"))
    assert names(store.find_orders("4711", 10)) == ["Schmidt^Änne"]


def test_a_clock_that_is_ahead_silences_nobody(store: Store) -> None:
    tell(store, ann(), minutes=60 * 24 * 365)
    store.apply_statements("adt", datetime.now(UTC) + timedelta(days=400), [ann(name="Schmidt^Änne")])
    assert names(store.find_orders("4711", 10)) == ["Schmidt^Änne"]


def test_one_number_of_two_issuers_or_feeds_is_two_patients(store: Store) -> None:
    tell(store, ann(), PatientStatement(PatientKey("4711", "OTHER"), name="Other^Otto"))
    tell(store, ann(name="Third^T"), feed="second")
    found = store.find_orders("4711", 10)
    assert {(k.source, k.order.patient.issuer, k.order.patient.name) for k in found} == {
        ("adt", "HOSP", "Müller^Änne"),
        ("adt", "OTHER", "Other^Otto"),
        ("second", "HOSP", "Third^T"),
    }


def test_an_order_comes_before_its_patient_with_all_its_numbers(store: Store) -> None:
    at = NOW + timedelta(hours=3)
    tell(store, ann(visit_number="V9", referring_physician="House^G"))
    told = order(filler_key="F1^LAB", filler_number="F1", accession_number="ACC-7", what="ECG", scheduled_at=at)
    told = replace(told, study_uid="1.2.3")
    tell(store, told)
    first, second = store.find_orders("müller", 10)
    assert (first.order.accession_number, first.order.placer_order_number, first.order.filler_order_number) == (
        "ACC-7",
        "P1",
        "F1",
    )
    assert first.order.study_uid == "1.2.3"
    assert (first.order.visit_number, first.order.referring_physician) == ("V9", "House^G")
    assert (first.at, first.what, first.order.patient.name) == (at, "ECG", "Müller^Änne")
    assert (second.order.accession_number, second.order.patient.name) == ("", "Müller^Änne")


@pytest.mark.parametrize("words", ["acc-7", "p1", "f1", "müller acc"])
def test_a_patient_is_found_by_the_numbers_of_an_order_and_that_order_comes_first(store: Store, words: str) -> None:
    tell(store, ann(), order("Q2", accession_number="B8", scheduled_at=NOW + timedelta(days=9)))
    tell(store, order(filler_key="F1", filler_number="F1", accession_number="ACC-7"))
    found = store.find_orders(words, 10)
    assert [known.order.accession_number for known in found] == ["ACC-7", "B8", ""]


def test_an_order_is_the_same_by_either_number(store: Store) -> None:
    tell(store, order("P1", what="ECG"))
    tell(store, order("P1", filler_key="F1", filler_number="F1"), minutes=1)
    tell(store, order("", placer_number=None, filler_key="F1", accession_number="A1"), minutes=2)
    known = store.find_orders("a1", 10)[0]
    assert (known.order.placer_order_number, known.order.filler_order_number, known.what) == ("P1", "F1", "ECG")
    assert store.patient_counts().orders == 1


def test_two_placers_with_one_filler_number_are_two_orders(store: Store) -> None:
    tell(store, order("P1", filler_key="F1"), order("P2", filler_key="F1"))
    assert store.patient_counts().orders == 2


def test_a_cancelled_order_is_gone_also_when_the_cancel_comes_first(store: Store) -> None:
    tell(store, ann(), order("P1"), order("P2", cancelled=True), minutes=1)
    tell(store, order("P1", cancelled=True), minutes=2)
    tell(store, order("P2"), minutes=0)
    assert [known.order.placer_order_number for known in store.find_orders("4711", 10)] == [""]
    assert store.find_orders("p1", 10) == []
    tell(store, order("P1", what="again"), minutes=3)
    assert store.find_orders("p1", 10)[0].what == "again"


def test_an_order_that_moves_to_another_patient_is_found_there_only(store: Store) -> None:
    tell(store, ann(), order("P1"))
    other = PatientStatement(PatientKey("815"), name="Other^Otto")
    tell(store, order("P1", patient=other), minutes=1)
    assert names(store.find_orders("p1", 10)) == ["Other^Otto"] * 2


def test_a_merged_number_finds_the_one_who_stays_with_all_orders(store: Store) -> None:
    tell(store, ann(), order("P1"), PatientStatement(PatientKey("815"), name="Müller^Anna"))
    tell(store, MergeStatement(ANN, PatientStatement(PatientKey("815"), name="Müller^Anna")), minutes=1)
    found = store.find_orders("4711", 10)
    assert [known.order.patient.patient_id for known in found] == ["815", "815"]
    assert [known.order.placer_order_number for known in found] == ["P1", ""]
    assert found[1].what == "formerly 4711"
    assert store.patient_counts().patients == 1


def test_messages_that_still_use_a_merged_number_speak_of_the_one_who_stays(store: Store) -> None:
    stays = PatientStatement(PatientKey("815"), name="Müller^Anna")
    tell(store, ann(), MergeStatement(ANN, stays))
    tell(store, ann(name="Wrong^Name"), order("P7"), minutes=1)
    found = store.find_orders("p7", 10)
    assert [(k.order.patient.patient_id, k.order.patient.name) for k in found] == [("815", "Müller^Anna")] * 2
    assert store.find_orders("wrong", 10) == []


def test_a_merged_number_that_is_given_again_is_a_patient_of_its_own(store: Store) -> None:
    tell(store, ann(), MergeStatement(ANN, PatientStatement(PatientKey("815"), name="Stays^S")))
    tell(store, ann(name="New^Ned", anew=True), minutes=1)
    assert names(store.find_orders("4711", 10)) == ["New^Ned"]
    assert the(store.find_orders("815", 10)).what == ""


def test_merges_follow_one_another_there_and_back(store: Store) -> None:
    a, b, c = (PatientStatement(PatientKey(number), name=f"{number}^X", anew=True) for number in ("A1", "B1", "C1"))
    tell(store, a, b, c, order("P1", patient=a))
    tell(store, MergeStatement(a.key, b), minutes=1)
    tell(store, MergeStatement(b.key, c), minutes=2)
    assert [k.order.patient.patient_id for k in store.find_orders("a1", 10)] == ["C1", "C1"]
    assert store.find_orders("c1", 10)[1].what == "formerly A1, B1"
    tell(store, MergeStatement(c.key, a), minutes=3)
    assert [k.order.patient.patient_id for k in store.find_orders("c1", 10)] == ["A1", "A1"]
    tell(store, MergeStatement(b.key, c), minutes=2)  # late: an old story
    assert [k.order.patient.patient_id for k in store.find_orders("b1", 10)] == ["A1", "A1"]


def test_a_merge_of_a_number_with_itself_or_of_one_never_told_is_harmless(store: Store) -> None:
    tell(store, MergeStatement(ANN, ann(anew=True)))
    tell(store, MergeStatement(PatientKey("0"), ann(anew=True)), minutes=1)
    assert the(store.find_orders("4711", 10)).what == "formerly 0"


def test_a_deleted_patient_is_gone_until_told_anew_later(store: Store) -> None:
    tell(store, ann(), order("P1"))
    tell(store, DeletionStatement(ANN), minutes=2)
    tell(store, ann(), order("P1"), minutes=1)
    assert store.find_orders("4711", 10) == []
    tell(store, PatientStatement(ANN, name="New^Ned"), minutes=3)
    known = the(store.find_orders("4711", 10))
    assert (known.order.patient.name, known.order.patient.birth_date) == ("New^Ned", "")  # nothing of the one before


def test_a_message_is_kept_whole_or_not_at_all(store: Store) -> None:
    broken = OrderStatement(PatientStatement(ANN), placer_key="P1", placer_number=7)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        tell(store, ann(), broken)
    assert store.patient_counts().patients == 0


def test_text_that_no_database_holds_is_kept_as_near_as_can_be(store: Store) -> None:
    tell(store, ann(name="Mül\0ler^Ä\ud800nne"))
    assert names(store.find_orders("4711", 10)) == ["Mül\ufffdler^Ä?nne"]


def test_what_several_connections_tell_of_one_patient_at_once_is_kept_once(store: Store) -> None:
    def one(n: int) -> None:
        told = (ann(name=f"N{n}^X", anew=True), order(f"P{n % 3}", filler_key=f"F{n % 3}", accession_number=f"A{n}"))
        tell(store, *told, minutes=n)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    assert (store.patient_counts().patients, store.patient_counts().orders) == (1, 3)
    assert {known.order.patient.name for known in store.find_orders("4711", 10)} == {"N39^X"}
    assert [len(store.find_orders(word, 10)) for word in ("n39", "a39", "a38", "a37", "n38", "a36")] == [
        4,
        4,
        4,
        4,
        0,
        0,
    ]


def age(data: DataSection, days: int) -> None:
    """Makes all that is known older."""
    database = Database(database_url(data))
    then = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with database.engine.begin() as connection:
        for table in ("known_patients", "known_orders"):
            connection.execute(text(f"UPDATE {table} SET fresh_at = :then"), {"then": then})
    database.close()


def test_what_was_not_told_for_long_is_forgotten_and_the_audit_says_how_much(store: Store, data: DataSection) -> None:
    stays = PatientStatement(PatientKey("815"), name="Stays^S")
    tell(store, ann(), order("P1"), MergeStatement(PatientKey("7"), stays))
    age(data, 31)
    tell(store, PatientStatement(PatientKey("2"), name="Fresh^F"))
    before = store.audit_queries.last_seq()
    forgotten = store.expire_patients(30)
    assert (forgotten.patients, forgotten.orders) == (3, 1)
    assert store.find_orders("4711", 10) == store.find_orders("815", 10) == store.find_orders("p1", 10) == []
    assert names(store.find_orders("fresh", 10)) == ["Fresh^F"]
    (entry,) = store.audit_queries.audit_after(before, 10)
    assert entry.kind == Event.FORGOTTEN
    assert entry.detail == {"patients": 3, "orders": 1, "keep_days": 30}
    assert store.expire_patients(30).patients == 0
    assert store.audit_queries.last_seq() == before + 1  # nothing was forgotten: nothing to tell
    assert store.verify_audit().ok


def test_an_order_for_later_keeps_itself_and_its_patient(store: Store, data: DataSection) -> None:
    age_days = 40
    tell(store, ann(), order("P1"))
    age(data, age_days)
    tell(store, order("P2", scheduled_at=datetime.now(UTC) + timedelta(days=60)))
    store.expire_patients(30)
    assert [k.order.placer_order_number for k in store.find_orders("4711", 10)] == ["P2", ""]
    assert store.find_orders("p1", 10) == []


def test_many_are_forgotten_in_more_than_one_go(
    store: Store, data: DataSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.patients.expire.AT_ONCE", 3)
    tell(store, *(PatientStatement(PatientKey(str(n)), name=f"N{n}^X") for n in range(10)))
    age(data, 31)
    assert store.expire_patients(30).patients == 10
    assert len(store.audit_queries.audit(AuditQuery(kind=Event.FORGOTTEN), None, 10).entries) == 1
