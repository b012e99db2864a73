"""gateway/emit/readable: a document of ours as text says what is in its bytes, and lists no samples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.emit.catalogue import Material, Wishes, document
from gateway.emit.hl7v2 import Addressing
from gateway.emit.readable import as_text
from gateway.errors import NotFound
from gateway.identity.order import Patient
from gateway.job import DocumentKind
from tests import recordings as make

MATERIAL = Material(make.with_gaps(), make.order(), "job-1", make.SHA256, 1, make.MADE_AT)
USUAL = Wishes()
JOERG = Material(
    make.with_gaps(),
    replace(make.order(), patient=Patient("0815", "", "Straße^Jörg")),
    "job-1",
    make.SHA256,
    1,
    make.MADE_AT,
)


def told(kind: DocumentKind, of: Material = MATERIAL, wishes: Wishes = USUAL) -> list[str]:
    """The lines of a document's text."""
    return as_text(kind, document(kind, of, wishes).data).splitlines()


def test_a_dicom_object_is_told_attribute_by_attribute_and_its_samples_are_counted() -> None:
    lines = told(DocumentKind.DICOM_WAVEFORM)
    assert any(line.startswith("(0010,0020) Patient ID") and "4711" in line for line in lines)
    assert any("12-lead ECG Waveform Storage" in line for line in lines)
    assert any("Waveform Data" in line and "Array of" in line for line in lines)
    assert max(map(len, lines)) < 1000


def test_an_encapsulated_report_is_told_without_its_bytes() -> None:
    lines = told(DocumentKind.DICOM_PDF)
    assert any("Encapsulated Document" in line and "Array of" in line for line in lines)
    assert not any("%PDF" in line for line in lines)


def test_an_edf_file_is_told_signal_by_signal_with_its_annotations() -> None:
    lines = told(DocumentKind.EDF)
    assert lines[0].startswith("Patient: 4711 ")
    assert sum(line.startswith("ECG ") and "at 500 Hz" in line and " mV" in line for line in lines) == 12
    assert any(line.endswith("Printed@@ECG V6") and line.startswith("at 7.5 s") for line in lines)


def test_a_wfdb_record_is_told_by_its_header_and_the_size_of_its_samples() -> None:
    lines = told(DocumentKind.WFDB)
    head, data = (next(line for line in lines if f".{ending}: " in line) for ending in ("hea", "dat"))
    assert head.endswith(" bytes")
    assert data.endswith(" bytes")
    assert any(line.endswith(" V6") and ".dat 16 " in line for line in lines)


def test_an_archive_is_told_array_by_array() -> None:
    assert "millivolts: float32 (12, 5000)" in told(DocumentKind.NPZ)


@pytest.mark.parametrize("character_set", ["UNICODE UTF-8", "8859/1"])
def test_a_message_is_read_in_the_character_set_that_it_names(character_set: str) -> None:
    wishes = Wishes(to=Addressing("ehr", character_set=character_set))
    (pid,) = [line for line in told(DocumentKind.HL7V2, JOERG, wishes) if line.startswith("PID|")]
    assert "Straße^Jörg" in pid


def test_text_is_told_as_it_is() -> None:
    assert told(DocumentKind.AECG)[0].startswith("<?xml")
    assert told(DocumentKind.CSV)[0].startswith("time_s,I,")


def test_a_report_is_no_text() -> None:
    with pytest.raises(NotFound, match="as a picture"):
        told(DocumentKind.PDF)
