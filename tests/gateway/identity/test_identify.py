"""A person's word on whose page it is, over what the page came with."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from gateway.config import Config, DataSection
from gateway.disposition.page_count import ecg_pages
from gateway.identity.identify import identified, is_another_patient
from gateway.identity.order import Order, Patient, SourceImage
from gateway.job import Outcome, PageResult, State, Verdict
from gateway.store import Store
from tests.gateway.storing import held, settled

OF_111 = Order(
    patient=Patient("111", "HOSPITAL", "Doe^Jane", "19500101", "F"),
    study_uid="1.2.3",
    study_id="S1",
    study_date="20240101",
    study_time="1200",
    accession_number="A1",
    referring_physician="House^Gregory",
    placer_order_number="P1",
    filler_order_number="F1",
    institution="Hospital",
    acquired_at="20240101",
    acquired_from="AcquisitionDate",
    visit_number="V1",
    character_set="ISO_IR 100",
    source=SourceImage("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"),
    attributes=(("PatientName", "Doe^Jane"), ("Modality", "OT"), ("StudyDescription", "of Jane")),
)


@pytest.mark.parametrize("changes", [{"patient_id": "222"}, {"patient_id": "111", "issuer": "OTHER"}])
def test_another_patient_takes_nothing_over_from_the_first(changes: dict[str, str]) -> None:
    told = identified(OF_111, changes)
    assert told.patient == Patient(changes["patient_id"], changes.get("issuer", ""))
    kept = {f.name: getattr(told, f.name) for f in fields(Order) if getattr(told, f.name) != getattr(Order(), f.name)}
    assert kept == {
        "patient": told.patient,
        "institution": OF_111.institution,
        "acquired_at": OF_111.acquired_at,
        "acquired_from": OF_111.acquired_from,
        "source": OF_111.source,
        "attributes": (("Modality", "OT"),),
        "by_person": True,
    }


def test_an_order_that_another_is_put_in_place_of_leaves_nothing_even_with_the_same_id() -> None:
    nameless_issuer = replace(OF_111, patient=Patient("111", "", "Doe^Jane", "19540131"))
    told = identified(nameless_issuer, {"patient_id": "111", "issuer": "H", "name": "Roe^Rick"}, afresh=True)
    assert told.patient == Patient("111", "H", "Roe^Rick")
    assert (told.study_uid, told.accession_number, told.acquired_at) == ("", "", OF_111.acquired_at)


def test_another_study_of_the_same_patient_takes_nothing_of_the_first_study_over() -> None:
    told = identified(OF_111, {"study_uid": "1.2.9"})
    assert told.patient == OF_111.patient
    assert (told.study_uid, told.study_id, told.study_date, told.study_time) == ("1.2.9", "", "", "")
    assert identified(OF_111, {"study_uid": "1.2.3", "study_id": "S2"}).study_date == OF_111.study_date
    first = identified(replace(OF_111, study_uid=""), {"study_uid": "1.2.9"})
    assert (first.study_uid, first.study_date) == ("1.2.9", OF_111.study_date)


def test_another_patient_gets_what_was_given_with_it() -> None:
    given = {"patient_id": "222", "name": "Roe^Richard", "birth_date": "1960-02-29", "sex": "m", "acquired_at": "2024"}
    told = identified(OF_111, {**given, "accession_number": "A2"})
    assert told.patient == Patient("222", "", "Roe^Richard", "19600229", "M")
    assert (told.accession_number, told.acquired_at, told.acquired_from) == ("A2", "2024", "a person")


def test_a_correction_of_the_same_patient_keeps_the_rest() -> None:
    told = identified(OF_111, {"patient_id": "111", "name": "Doe^Janet"})
    assert told == replace(OF_111, patient=replace(OF_111.patient, name="Doe^Janet"), by_person=True)
    assert identified(OF_111, {"name": " "}) == OF_111  # nothing was said


def test_an_order_without_any_patient_is_completed() -> None:
    unnamed = replace(OF_111, patient=Patient())
    assert identified(unnamed, {"patient_id": "222"}) == replace(unnamed, patient=Patient("222"), by_person=True)


def test_a_name_without_an_identifier_is_somebody_elses() -> None:
    nameless = replace(OF_111, patient=Patient(name="Doe^Jane"))
    assert is_another_patient(nameless, {"patient_id": "222"})
    assert identified(nameless, {"patient_id": "222"}).patient == Patient("222")


def test_an_issuer_completes_an_identifier_that_had_none() -> None:
    told = identified(replace(OF_111, patient=Patient("111", name="Doe^Jane")), {"patient_id": "111", "issuer": "H"})
    assert told.patient == Patient("111", "H", "Doe^Jane")
    assert told.study_uid == OF_111.study_uid


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("birth_date", "1950"),
        ("birth_date", "19501332"),
        ("birth_date", "٢٠٢٤٠١٠١"),
        ("sex", "X"),
        ("acquired_at", "yesterday"),
        ("acquired_at", "202413"),
        ("name", "Doe\\Jane"),
        ("name", "D" * 65),
        ("patient_id", "1\n2"),
    ],
)
def test_says_which_text_is_not_lawful(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{key}: "):
        identified(None, {key: text})


def test_counts_the_pages_that_an_identity_would_be_given_to(store: Store, data: DataSection) -> None:
    ecg = PageResult(1, Verdict.DIGITIZED, recording_npz=b"one")
    cover = PageResult(2, Verdict.NOT_AN_ECG, "not_an_ecg", "a letter")
    doubtful = PageResult(3, Verdict.HELD, "low_confidence", "doubtful", recording_npz=b"two")
    config = Config(data=data)
    two = settled(store, Outcome(State.HELD, "low_confidence", "doubtful", (ecg, cover, doubtful)))
    assert ecg_pages(config, store, two) == 2
    one = settled(store, Outcome(State.HELD, "no_patient_id", "none", (ecg, cover)), b"another page")
    assert ecg_pages(config, store, one) == 1
    none = settled(store, held(), b"a third page")
    assert ecg_pages(config, store, none) == 0
