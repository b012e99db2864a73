"""gateway/commands/describe: the statement is the file, and it names everything that is written."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import gateway
from gateway.commands.describe import describe, hl7
from gateway.config import FolderDestination
from gateway.emit import aecg, catalogue, dicom_waveform, hl7v2
from gateway.identity.order import Patient, SourceImage
from gateway.job import DocumentKind
from gateway.mapping import Measured
from gateway.patient_search import worklist
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.recording import TWELVE, Finding, Lead, Severity
from tests import recordings as make

STATEMENT = Path(gateway.__file__).parent / "CONFORMANCE.md"
RECORDING = make.with_gaps((Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2),))
ORDER = make.order(
    patient=Patient("4711", "1.2.276.99", "Müller^Jürgen", "19540131", "M"),
    source=SourceImage("1.2.840.10008.5.1.4.1.1.7.2", "1.2.3"),
)


def keywords(ds: Dataset) -> set[str]:
    found = set()
    for element in ds:
        found.add(element.keyword)
        if isinstance(element.value, Sequence):
            for item in element.value:
                found |= keywords(item)
    return found


def test_the_file_is_what_the_command_prints() -> None:
    assert STATEMENT.read_text(encoding="utf-8") == describe(), "run: cardioscan describe > gateway/CONFORMANCE.md"


@pytest.mark.parametrize("encoding", ["viewers", "padded", "groups"])
def test_every_attribute_written_is_named(encoding: dicom_waveform.Encoding) -> None:
    out = dicom_waveform.emit(
        RECORDING,
        ORDER,
        encoding=encoding,
        channel_codes="SCPECG",
        source_sha256=make.SHA256,
        page=1,
        made_at=make.MADE_AT,
    )
    told = set(re.findall(r"\w+", describe()))
    assert keywords(dcmread(BytesIO(out.data))) <= told


def test_every_attribute_of_the_report_object_is_named() -> None:
    material = catalogue.Material(RECORDING, ORDER, "j", make.SHA256, 1, make.MADE_AT)
    out = catalogue.document(DocumentKind.DICOM_PDF, material)
    assert keywords(dcmread(BytesIO(out.data))) <= set(re.findall(r"\w+", describe()))


def test_every_key_that_a_worklist_is_asked_for_is_named() -> None:
    assert {*worklist.KEYS, *worklist.STEP_KEYS} <= set(re.findall(r"\w+", describe()))
    assert str(worklist.FIND) in describe()


def test_every_kind_a_folder_may_get_is_described() -> None:
    (allowed, _) = get_args(FolderDestination.model_fields["documents"].annotation)
    told = set(re.findall(r"^\| `(\w+)` \| `\.", describe(), re.MULTILINE))
    assert told == set(get_args(allowed))


def test_every_field_written_is_named_and_no_other() -> None:
    sent = aecg.emit(RECORDING, ORDER, source_sha256=make.SHA256, page=1)
    out = hl7v2.emit(
        RECORDING,
        ORDER,
        sent,
        to=hl7v2.Addressing("ehr", "2.5.1", "A", "B", "C", "D"),
        job_id="j",
        page=1,
        source_sha256=make.SHA256,
        message_time=make.MADE_AT,
        measurements=(hl7v2.Measurement(Measured.HEART_RATE, 70.0),),
    )
    written = set()
    for line in out.data.decode()[:-1].split("\r"):
        name, *fields = line.split("|")
        first = 2 if name == "MSH" else 1
        written |= {f"{name}-{number}" for number, field in enumerate(fields, first) if field}
    told = set(re.findall(r"\b(?:MSH|PID|PV1|ORC|OBR|OBX)-\d+\b(?!\.)", hl7.results()))
    assert written - {"MSH-2"} == told


def test_every_annotation_code_of_the_aecg_is_named() -> None:
    for layout in ("strips", "single_set"):
        out = aecg.emit(RECORDING, ORDER, layout=layout, source_sha256=make.SHA256, page=1)
        codes = set(re.findall(rf'code="(\w+)" codeSystem="{re.escape(aecg.OUR_CODES)}"', out.data.decode()))
        assert "PROVENANCE" in codes
        assert codes <= set(re.findall(r"\w+", describe()))


def test_every_code_is_named() -> None:
    told = set(re.findall(r"^\| (\S+) \|", describe(), re.MULTILINE))
    assert {*FindingCode, *UnreadableCode, *TWELVE} <= told
