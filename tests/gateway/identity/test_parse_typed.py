"""What people type of a patient, and what goes out of it."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest
from pydicom import dcmread

from gateway.emit import dicom_waveform
from gateway.identity.identify import identified
from gateway.identity.parse_typed import from_person
from tests import recordings as make
from tests.gateway.emit.test_hl7v2 import emitted, only


@pytest.mark.parametrize(
    ("key", "text", "means"),
    [
        ("name", "Meier, Hans", "Meier^Hans"),
        ("name", "van der Berg,  Anna Maria", "van der Berg^Anna Maria"),
        ("name", "Meier^Hans^^Dr.", "Meier^Hans^^Dr."),
        ("name", "Meier", "Meier"),
        ("name", "Yamada^Tarou=山田^太郎", "Yamada^Tarou=山田^太郎"),
        ("referring_physician", "House, Gregory", "House^Gregory"),
        ("patient_id", "47,11", "47,11"),
        ("birth_date", "1960-02-01", "19600201"),
        ("birth_date", "01.02.1960", "19600201"),
        ("birth_date", "1.2.1960", "19600201"),
        ("birth_date", "19600201", "19600201"),
        ("birth_date", "25/03/1960", "19600325"),
        ("birth_date", "03/25/1960", "19600325"),
        ("birth_date", "05/05/1960", "19600505"),
        ("acquired_at", "11.03.2025 04:29", "202503110429"),
        ("acquired_at", "11.03.2025, 4:29:07", "20250311042907"),
        ("acquired_at", "11.03.2025", "20250311"),
        ("acquired_at", "2025-03-11", "20250311"),
        ("acquired_at", "2025-03-11 04:29", "202503110429"),
        ("acquired_at", "2025-03", "202503"),
        ("acquired_at", "20250311042900", "20250311042900"),
        ("acquired_at", "2025-03-11T04:29:00+01:00", "20250311042900+0100"),
    ],
)
def test_reads_what_is_printed_on_paper(key: str, text: str, means: str) -> None:
    assert from_person(key, text) == means


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("name", "Meier, Hans, Dr.", "Family, Given"),
        ("name", "Meier,", "Family, Given"),
        ("name", ", Hans", "Family, Given"),
        ("name", "a^b^c^d^e^f", "more parts"),
        ("name", "a=b=c=d", "more parts"),
        ("name", "Meier\x07, Hans", "printable"),
        ("referring_physician", "A\nB", "printable"),
        ("birth_date", "03/04/1960", "two different days"),
        ("birth_date", "01.02.60", "four digits"),
        ("birth_date", "31.02.1960", "not a valid date; write"),
        ("birth_date", "11.03.2025 04:29", "1960-02-01"),
        ("birth_date", "٠١.٠٢.١٩٦٠", "1960-02-01"),
        ("acquired_at", "04/03/2025 04:29", "two different days"),
        ("acquired_at", "11.03.2025 half past four", "2025-03-11 04:29"),
        ("acquired_at", "11.03.2025 25:00", "2025-03-11 04:29"),
        ("acquired_at", "yesterday at 4:29", "2025-03-11 04:29"),
    ],
)
def test_asks_again_for_what_may_be_two_things_and_never_repeats_it(key: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{key}: ") as caught:
        from_person(key, text)
    assert says in str(caught.value)
    assert text not in str(caught.value)


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "text"),
    [("acquired_at", "2026-11-25"), ("acquired_at", "24.11.2026 12:01"), ("birth_date", "01.02.2062")],
)
def test_refuses_a_day_to_come(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{key}: this (date|time) is in the future$"):
        from_person(key, text, NOW)


@pytest.mark.parametrize("text", ["2026-11-23 12:00", "2026-11-24 11:59", "2026-11", "2026"])
def test_takes_what_may_be_now_in_another_zone(text: str) -> None:
    assert from_person("acquired_at", text, NOW).startswith("2026")


def test_a_name_typed_with_a_comma_goes_out_in_its_parts() -> None:
    order = identified(make.order(), {"name": "Meier, Hans", "referring_physician": "House, Gregory"})
    message = emitted(make.three_by_four(), order)
    assert only("PID", message)[5] == "Meier^Hans"
    made = dicom_waveform.emit(make.three_by_four(), order, source_sha256=make.SHA256, page=1, made_at=make.MADE_AT)
    dataset = dcmread(BytesIO(made.data))
    assert (dataset.PatientName.family_name, dataset.PatientName.given_name) == ("Meier", "Hans")
    assert (dataset.ReferringPhysicianName.family_name, dataset.ReferringPhysicianName.given_name) == (
        "House",
        "Gregory",
    )
