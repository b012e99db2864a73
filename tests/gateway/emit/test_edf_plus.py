"""gateway/emit/edf_plus: read by edfio and by a reader of our own."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import edfio
import numpy as np
import pytest

from gateway.emit import edf_plus
from gateway.emit.emitted import Emitted
from gateway.emit.measured import Measurement
from gateway.errors import Held, Refused
from gateway.identity.order import Order, Patient
from gateway.mapping import Measured
from pipeline.intervals.build import SHA256
from pipeline.recording import TWELVE, Finding, Lead, Recording, Severity, Strip
from tests import recordings as make
from tests.conformance.edf_reader import EdfFile, read


def emitted(recording: Recording, order: Order | None = None, **settings: object) -> Emitted:
    values: dict[str, object] = {"source_sha256": make.SHA256, "page": 1}
    return edf_plus.emit(recording, order or make.order(), **(values | settings))  # type: ignore[arg-type]


def file(recording: Recording, order: Order | None = None, **settings: object) -> EdfFile:
    return read(emitted(recording, order, **settings).data)


def texts(found: EdfFile) -> list[str]:
    return [note.text for note in found.annotations]


@pytest.mark.parametrize(
    "recording",
    [make.three_by_four(), make.with_gaps(), make.six_by_two(), make.twelve_by_one()],
    ids=["3x4+1", "gaps", "6x2", "12x1"],
)
def test_twelve_signals_come_back_within_half_a_microvolt_and_the_least_value_elsewhere(recording: Recording) -> None:
    data = emitted(recording).data
    found, other = read(data), edfio.read_edf(BytesIO(data))
    assert found.kind == "EDF+C"
    assert found.labels == list(other.labels) == [f"ECG {lead}" for lead in TWELVE]
    assert set(found.units) == {"mV"}
    assert set(found.rate_hz) == {500.0}
    for row, truth in enumerate(recording.twelve().millivolts):
        known = np.isfinite(truth)
        assert np.abs(found.physical[row] - truth)[known].max() <= 0.0005 + 1e-6
        assert (found.digital[row][~known] == edf_plus.NOTHING).all()
        assert (found.digital[row][known] != edf_plus.NOTHING).all()
        assert np.array_equal(other.signals[row].digital, found.digital[row])


def test_records_follow_one_another_without_a_gap() -> None:
    assert file(make.three_by_four()).records_begin_s == list(range(10))
    late = file(make.three_by_four(), make.order(acquired_at="20240131143000.25"))
    assert late.records_begin_s == [k + 0.25 for k in range(10)]


def test_annotations_tell_what_was_printed_and_what_was_not_read() -> None:
    found = file(make.with_gaps())
    told = {(note.text, note.onset_s, note.seconds) for note in found.annotations}
    assert ("Printed@@ECG V4", 7.5, 2.5) in told
    assert ("Printed@@ECG II", 0.0, 10.0) in told
    assert ("Not read@@ECG II", 4.0, 0.5) in told
    assert ("Not read@@ECG V2", 6.0, 0.2) in told
    assert len([text for text in texts(found) if text.startswith("Printed@@")]) == 12
    assert any("is no voltage" in text for text in texts(found))


def test_a_lead_that_was_not_printed_is_nothing_else() -> None:
    found = file(make.recording([make.strip(Lead.V5, 0.0, 2.5)], "1x1"))
    assert found.digital.shape == (12, 1500)  # whole seconds
    assert (np.delete(found.digital, TWELVE.index(Lead.V5), axis=0) == edf_plus.NOTHING).all()
    assert (found.digital[TWELVE.index(Lead.V5)][1250:] == edf_plus.NOTHING).all()
    assert "Not printed or not read@@ECG I" in texts(found)


def test_findings_stand_at_their_time_and_signal() -> None:
    findings = (
        Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2, "bad\x14\x00byte"),
        Finding("layout_assumed", Severity.WARNING),
    )
    notes = file(make.with_gaps(findings)).annotations
    (gap,) = (note for note in notes if "A stretch of the lead" in note.text)
    assert (gap.onset_s, gap.seconds) == (6.0, pytest.approx(0.2))
    assert gap.text.endswith("bad  byte@@ECG V2")
    assert any(note.text.startswith("WARNING: The layout follows") and note.onset_s == 0 for note in notes)


def test_provenance_and_measurements_are_told() -> None:
    told = texts(file(make.three_by_four(), measurements=(Measurement(Measured.HEART_RATE, 71.6),)))
    assert "Heart rate 72 /min" in told
    assert f"Page 1 of the document with SHA-256 {make.SHA256}." in told
    assert f"Weights grid SHA-256 {'ab' * 32}." in told
    assert f"Weights delineator SHA-256 {SHA256}." in told


def test_patient_and_time_are_where_edf_plus_has_them() -> None:
    found = file(make.three_by_four())
    assert found.patient == "4711 F 31-JAN-1954 Doe_Jane_Q_Dr_Jr"
    assert found.recording == "Startdate 31-JAN-2024 X X CardioScan_Gateway"
    assert (found.date, found.time) == ("31.01.24", "14.30.00")


@pytest.mark.parametrize(
    ("patient", "written", "left_out"),
    [
        (Patient("4711 12"), "4711_12 X X X", ()),
        (Patient("4711", "", "Müller^Jürgen", "", "O"), "4711 X X X", ("the patient's name",)),
        (Patient("Ж1", "", "Doe^Jane"), "X X X Doe_Jane", ("the patient's number",)),
        (Patient("4" * 70, "", "Doe^Jane"), "X X X Doe_Jane", ("the patient's number",)),
        (Patient("4" * 40, "", "D" * 40), "4" * 40 + " X X X", ("the patient's name",)),
        (Patient("1", "", "", "19541331"), "1 X X X", ("the birth date",)),
        (Patient(), "X X X X", ()),
    ],
    ids=["blank", "umlaut", "Cyrillic number", "long number", "long name", "no such day", "unknown"],
)
def test_what_edf_cannot_write_is_left_out_and_told(patient: Patient, written: str, left_out: tuple[str, ...]) -> None:
    found = file(make.three_by_four(), make.order(patient=patient))
    assert found.patient == written
    told = [text for text in texts(found) if text.startswith("Left out")]
    assert told == [f"Left out, for EDF+ cannot write it: {what}." for what in left_out]


@pytest.mark.parametrize(
    ("acquired_at", "date", "time", "told"),
    [
        ("", "01.01.85", "00.00.00", "When this ECG was recorded is not known"),
        ("2024", "01.01.85", "00.00.00", "Recorded 2024;"),
        ("20240131", "31.01.24", "00.00.00", "Recorded 20240131;"),
        ("19750131143000", "01.01.85", "14.30.00", "Recorded 19750131143000;"),
    ],
)
def test_what_the_header_must_say_and_nobody_knows_is_taken_back(
    acquired_at: str, date: str, time: str, told: str
) -> None:
    found = file(make.three_by_four(), make.order(acquired_at=acquired_at))
    assert (found.date, found.time) == (date, time)
    assert any(text.startswith(told) for text in texts(found))
    assert found.recording.startswith("Startdate X" if date == "01.01.85" else "Startdate 31-JAN-2024")


def test_the_same_input_gives_the_same_bytes_and_another_content_another_name() -> None:
    out = emitted(make.with_gaps())
    assert emitted(replace(make.with_gaps(), seconds=(("waveform", 99.0),))) == out
    assert emitted(make.three_by_four()).name != out.name


def test_a_page_without_a_sample_is_refused_and_what_is_no_name_or_date_holds() -> None:
    nan = np.full(100, np.nan, np.float32)
    with pytest.raises(Refused, match="nothing_printed"):
        emitted(make.recording([Strip(Lead.I, 0.0, nan, nan, np.zeros(100, np.uint8))], "1x1"))
    with pytest.raises(Held, match="bad_acquisition_date"):
        emitted(make.three_by_four(), make.order(acquired_at="yesterday"))
    with pytest.raises(Held, match="bad_identity"):
        emitted(make.three_by_four(), make.order(patient=Patient("1", "", "Doe\n^Jane")))
