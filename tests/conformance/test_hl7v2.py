"""The HL7 v2 message before a parser that is not the library it was built with, and before hl7apy's own profile."""

from __future__ import annotations

import base64
from typing import get_args

import hl7
import pytest
from hl7apy.parser import parse_message

from gateway.config import MllpDestination
from gateway.emit import aecg, hl7v2
from gateway.emit.hl7v2 import Addressing
from gateway.identity.order import Patient
from pipeline.recording import Finding, Lead, Severity
from tests import recordings as make

VERSIONS = get_args(MllpDestination.model_fields["version"].annotation)


def message(version: str) -> tuple[bytes, bytes]:
    """The ORU and the aECG inside it."""
    recording = make.with_gaps((Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2, "50% & |more|"),))
    order = make.order(patient=Patient("47|11", "1.2.276.99", "O&Brien|x^Jürgen", "19540131", "M"))
    sent = aecg.emit(recording, order, source_sha256=make.SHA256, page=1)
    out = hl7v2.emit(
        recording,
        order,
        sent,
        to=Addressing("ehr", version),
        job_id="job-1",
        page=1,
        source_sha256=make.SHA256,
        message_time=make.RECEIVED_AT,
        measurements=make.TOLD,
    )
    return out.data, sent.data


@pytest.mark.parametrize("version", VERSIONS)
def test_python_hl7_finds_the_same_aecg(version: str) -> None:
    data, sent = message(version)
    parsed = hl7.parse(data)  # python-hl7 takes bytes as UTF-8
    (ed,) = [obx for obx in parsed.segments("OBX") if str(obx[2]) == "ED"]
    assert [str(part) for part in ed[5][0][1:4]] == ["TEXT", "XML", "Base64"]
    assert base64.b64decode(str(ed[5][0][4])) == sent


@pytest.mark.parametrize("version", VERSIONS)
def test_python_hl7_reads_identity_order_and_status(version: str) -> None:
    parsed = hl7.parse(message(version)[0])
    assert parsed.unescape(parsed.extract_field("PID", field_num=3)) == "47|11"
    assert parsed.unescape(parsed.extract_field("PID", field_num=5, component_num=1)) == "O&Brien|x"
    assert parsed.extract_field("PID", field_num=5, component_num=2) == "Jürgen"
    assert parsed.extract_field("OBR", field_num=4) == "11524-6"
    assert parsed.extract_field("OBR", field_num=25) == "P"
    assert parsed.extract_field("MSH", field_num=12) == version
    findings = [obx for obx in parsed.segments("OBX") if str(obx[3]).startswith("FINDING^")]
    assert parsed.unescape(str(findings[0][5])).endswith("50% & |more|")


@pytest.mark.parametrize("version", VERSIONS)
def test_python_hl7_can_acknowledge_it(version: str) -> None:
    parsed = hl7.parse(message(version)[0])
    ack = parsed.create_ack("AA")
    assert str(ack.segment("MSA")[2]) == str(parsed.segment("MSH")[10])


@pytest.mark.parametrize("version", VERSIONS)
def test_hl7apy_knows_every_group_and_required_field(version: str) -> None:
    parsed = parse_message(message(version)[0].decode(), find_groups=True)
    assert parsed.validate()
