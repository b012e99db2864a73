"""gateway/emit/hl7v2 with the report inside: what an independent parser finds, and what is left out when too big."""

from __future__ import annotations

import base64
from typing import get_args

import hl7
import pytest

from gateway.config import MllpDestination
from gateway.emit import aecg, hl7v2, report
from gateway.emit.emitted import Emitted
from gateway.emit.hl7v2 import Addressing
from gateway.errors import Held
from tests import recordings as make

VERSIONS = get_args(MllpDestination.model_fields["version"].annotation)
RECORDING, ORDER = make.three_by_four(), make.order()
AECG = aecg.emit(RECORDING, ORDER, source_sha256=make.SHA256, page=1)
REPORT = report.emit(RECORDING, ORDER, source_sha256=make.SHA256, page=1, received_at=make.RECEIVED_AT)


def emitted(to: Addressing, waveform: Emitted | None = AECG, pdf: Emitted | None = REPORT) -> Emitted:
    return hl7v2.emit(
        RECORDING,
        ORDER,
        waveform,
        to=to,
        job_id="job-1",
        page=1,
        source_sha256=make.SHA256,
        message_time=make.RECEIVED_AT,
        report=pdf,
    )


def encapsulated(message: Emitted) -> dict[str, list[str]]:
    """OBX-3.1 -> the components of OBX-5 of every ED."""
    found = {}
    for obx in hl7.parse(message.data).segments("OBX"):
        if str(obx[2]) == "ED":
            found[str(obx[3][0][0])] = [str(part) for part in obx[5][0]]
            assert str(obx[11]) == "P"
    return found


def omissions(message: Emitted) -> list[str]:
    found = [obx for obx in hl7.parse(message.data).segments("OBX") if str(obx[3][0][0]) == "OMITTED"]
    return [str(obx[5]).split(" (")[0] for obx in found]


@pytest.mark.parametrize("version", VERSIONS)
def test_python_hl7_finds_the_same_pdf_beside_the_aecg(version: str) -> None:
    found = encapsulated(emitted(Addressing("ehr", version)))
    assert found["REPORT"][:4] == ["", "application", "PDF", "Base64"]
    assert base64.b64decode(found["REPORT"][4]) == REPORT.data
    assert base64.b64decode(found["AECG"][4]) == AECG.data


def test_without_it_the_message_is_as_it_was() -> None:
    assert list(encapsulated(emitted(Addressing("ehr"), pdf=None))) == ["AECG"]
    assert list(encapsulated(emitted(Addressing("ehr"), waveform=None))) == ["REPORT"]


def test_another_report_is_another_message() -> None:
    other = Emitted("other", REPORT.data + b"\n")
    assert emitted(Addressing("ehr"), pdf=other).name != emitted(Addressing("ehr")).name
    assert emitted(Addressing("ehr")) == emitted(Addressing("ehr"))


def test_of_a_message_too_big_the_waveform_goes_first_then_the_report_and_each_is_told() -> None:
    whole = len(emitted(Addressing("ehr")).data)
    with_report = len(emitted(Addressing("ehr"), waveform=None).data)
    with_waveform = len(emitted(Addressing("ehr"), pdf=None).data)
    assert with_report != with_waveform
    rest = 400  # of the sentence that tells it
    cases = {
        whole: ({"AECG", "REPORT"}, []),
        with_report + rest: ({"REPORT"}, ["The annotated ECG"]),
        min(with_report, with_waveform) - 1: (set(), ["The annotated ECG", "The report"]),
    }
    for bytes_max, (kept, left_out) in cases.items():
        message = emitted(Addressing("ehr", message_max_bytes=bytes_max))
        assert (set(encapsulated(message)), omissions(message)) == (kept, left_out)
        assert len(message.data) <= bytes_max


def test_the_waveform_stays_where_only_the_report_is_too_big() -> None:
    big = Emitted("big", REPORT.data * 4)
    message = emitted(
        Addressing("ehr", message_max_bytes=len(emitted(Addressing("ehr"), pdf=None).data) + 400), pdf=big
    )
    assert (set(encapsulated(message)), omissions(message)) == ({"AECG"}, ["The report"])


def test_a_message_too_big_without_any_holds() -> None:
    with pytest.raises(Held, match="message_too_big"):
        emitted(Addressing("ehr", message_max_bytes=1000))
