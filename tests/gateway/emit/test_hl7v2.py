"""gateway/emit/hl7v2.py: what is in the message, read field by field from its bytes."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hl7apy import load_library
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.config import MllpDestination
from gateway.emit import aecg, hl7v2
from gateway.emit.emitted import Emitted
from gateway.emit.hl7v2 import Addressing, Measurement
from gateway.emit.measured import NotMeasured
from gateway.errors import Held
from gateway.identity.order import Order, Patient
from gateway.mapping import Measured
from pipeline.intervals import Reason
from pipeline.recording import Finding, Lead, Recording, Severity
from tests import recordings as make

VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1")
EHR = Addressing("ehr", receiving_application="EHR", receiving_facility="HOSPITAL^1.2.3^ISO")


def waveform(recording: Recording) -> Emitted:
    return aecg.emit(recording, make.order(), source_sha256=make.SHA256, page=1)


def emitted(recording: Recording, order: Order | None = None, **changes: object) -> Emitted:
    values: dict[str, object] = {
        "to": EHR,
        "job_id": "job-1",
        "page": 1,
        "source_sha256": make.SHA256,
        "message_time": make.RECEIVED_AT,
        "aecg": None,
    }
    values |= changes
    return hl7v2.emit(recording, order or make.order(), values.pop("aecg"), **values)  # type: ignore[arg-type]


def segments(message: Emitted, codec: str = "utf-8") -> list[list[str]]:
    """Fields of every segment; of MSH too, so that fields[n] is field n."""
    text = message.data.decode(codec)
    assert text.endswith("\r")
    assert "\n" not in text
    out = []
    for line in text[:-1].split("\r"):
        fields = line.split("|")
        out.append([fields[0], "|", *fields[1:]] if fields[0] == "MSH" else fields)
    return out


def only(name: str, message: Emitted, codec: str = "utf-8") -> list[str]:
    (found,) = [s + [""] * 40 for s in segments(message, codec) if s[0] == name]
    return found


def results(message: Emitted) -> list[list[str]]:
    return [s + [""] * 20 for s in segments(message) if s[0] == "OBX"]


def unescaped(text: str) -> str:
    return re.sub(r"\\([EFSTR])\\", lambda m: {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~"}[m[1]], text)


@pytest.mark.parametrize("version", VERSIONS)
def test_segments_stand_in_the_order_of_oru_r01(version: str) -> None:
    recording = make.three_by_four()
    out = emitted(recording, to=Addressing("ehr", version), aecg=waveform(recording))
    names = [s[0] for s in segments(out)]
    assert names[:5] == ["MSH", "PID", "PV1", "ORC", "OBR"]
    assert set(names[5:]) == {"OBX"}
    msh = only("MSH", out)
    assert msh[2] == "^~\\&"
    assert msh[9] == ("ORU^R01" if version == "2.3" else "ORU^R01^ORU_R01")
    assert (msh[11], msh[12], msh[18]) == ("P", version, "UNICODE UTF-8")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_that_the_version_requires_is_there(version: str) -> None:
    recording = make.three_by_four()
    out = emitted(recording, to=Addressing("ehr", version), aecg=waveform(recording))
    tables = load_library(version).SEGMENTS
    for segment in segments(out):
        required = [int(name.partition("_")[2]) for name, _, (least, _), _ in tables[segment[0]][1] if least]
        assert [n for n in required if n >= len(segment) or not segment[n]] == [], segment[0]


def test_header_says_who_to_whom_and_when() -> None:
    msh = only("MSH", emitted(make.three_by_four()))
    assert msh[3:8] == ["CARDIOSCAN", "", "EHR", "HOSPITAL^1.2.3^ISO", "20261122143005+0000"]
    naive = only("MSH", emitted(make.three_by_four(), message_time=datetime(2026, 1, 2, 3, 4, 5)))
    assert naive[7] == "20260102030405"


def test_addressing_is_what_the_configuration_says() -> None:
    destination = MllpDestination(
        kind="mllp", name="ehr", host="h", port=1, version="2.4", sending_facility="F", character_set="8859/1"
    )
    to = Addressing.of(destination)
    assert (to.name, to.version, to.sending_facility, to.character_set) == ("ehr", "2.4", "F", "8859/1")
    assert to.message_max_bytes == destination.message_max_bytes


def test_control_id_is_the_same_on_every_try_and_another_for_another_message() -> None:
    first = emitted(make.three_by_four())
    assert first == emitted(make.three_by_four())
    assert only("MSH", first)[10] == first.name
    assert re.fullmatch("[A-Z2-7]{20}", first.name)
    others = [
        emitted(make.three_by_four(), job_id="job-2"),
        emitted(make.three_by_four(), page=2),
        emitted(make.three_by_four(), to=Addressing("other")),
        emitted(make.six_by_two()),
        emitted(make.three_by_four(), make.order(patient=Patient("4712"))),
        emitted(make.three_by_four(), message_time=make.RECEIVED_AT + timedelta(seconds=1)),
    ]
    assert len({first.name, *(other.name for other in others)}) == 7


def test_patient() -> None:
    pid = only("PID", emitted(make.three_by_four()))
    assert pid[3] == "4711^^^&1.2.276.99&ISO^MR"
    assert pid[5] == "Doe^Jane^Q^Jr^Dr"  # HL7 has the suffix before the prefix, DICOM after
    assert (pid[7], pid[8]) == ("19540131", "F")


def test_an_issuer_that_is_no_oid_is_a_namespace() -> None:
    pid = only("PID", emitted(make.three_by_four(), make.order(patient=Patient("4711", "St. Mary's & Sons"))))
    assert pid[3] == "4711^^^St. Mary's \\T\\ Sons^MR"


def test_names_in_several_alphabets_are_repetitions() -> None:
    patient = Patient("4711", name="Yamada^Taro=山田^太郎=やまだ^たろう")
    pid = only("PID", emitted(make.three_by_four(), make.order(patient=patient)))
    assert pid[5].split("~") == ["Yamada^Taro^^^^^^A", "山田^太郎^^^^^^I", "やまだ^たろう^^^^^^P"]


def test_visit_and_order() -> None:
    out = emitted(make.three_by_four())
    pv1, orc, obr = only("PV1", out), only("ORC", out), only("OBR", out)
    assert (pv1[2], pv1[8], pv1[19]) == ("U", "^House^Gregory^^^Dr", "V-9")
    assert (orc[1], orc[2], orc[3]) == ("RE", "P-1", obr[3])
    assert (obr[2], obr[4], obr[7]) == ("P-1", "11524-6^EKG study^LN", "20240131143000")
    assert (obr[18], obr[24], obr[25]) == ("A-17", "EC", "P")


def test_a_physician_without_an_alphabetic_name_keeps_the_ideographic_one() -> None:
    out = emitted(make.three_by_four(), make.order(referring_physician="=山田^太郎"))
    assert only("PV1", out)[8] == "^山田^太郎"


def test_filler_number_is_the_orders_own_or_one_for_this_page_for_good() -> None:
    ours = only("OBR", emitted(make.three_by_four()))[3]
    assert re.fullmatch(r"[A-Z2-7]{16}\^CARDIOSCAN", ours)
    assert only("OBR", emitted(make.with_gaps(), job_id="other"))[3] == ours
    assert only("OBR", emitted(make.three_by_four(), page=2))[3] != ours
    assert only("OBR", emitted(make.three_by_four(), make.order(filler_order_number="F-1")))[3] == "F-1"


def test_what_is_unknown_stays_empty() -> None:
    out = emitted(make.three_by_four(), Order(patient=Patient("4711")))
    pid, pv1, obr = only("PID", out), only("PV1", out), only("OBR", out)
    assert (pid[3], pid[5], pid[7], pid[8]) == ("4711^^^^MR", "", "", "")
    assert (pv1[8], pv1[19], obr[2], obr[7]) == ("", "", "", "")
    assert all(obx[14] == "" for obx in results(out))


def test_every_result_is_preliminary_and_numbered() -> None:
    recording = make.three_by_four(findings=(Finding("flat_lead", Severity.WARNING, Lead.V1),))
    found = results(emitted(recording, aecg=waveform(recording)))
    assert [obx[1] for obx in found] == [str(n + 1) for n in range(len(found))]
    assert {obx[11] for obx in found} == {"P"}
    assert len({(obx[3], obx[4]) for obx in found}) == len(found)


def test_only_what_was_measured_is_a_number() -> None:
    assert [obx for obx in results(emitted(make.three_by_four())) if obx[2] == "NM"] == []
    measured = (Measurement(Measured.HEART_RATE, 71.6), Measurement(Measured.QRS_AXIS, -30.2))
    rate, axis = (obx for obx in results(emitted(make.three_by_four(), measurements=measured)) if obx[2] == "NM")
    assert (rate[3], rate[5], rate[6]) == ("8867-4^Heart rate^LN", "72", "/min^per minute^UCUM")
    assert (axis[3], axis[5], axis[6]) == ("8632-2^QRS axis^LN", "-30", "deg^degree^UCUM")


def test_a_standard_error_stands_behind_its_number_under_a_code_of_its_own() -> None:
    told = (
        Measurement(Measured.PR_INTERVAL, 162.4, 9.2, 11),
        Measurement(Measured.QTC_INTERVAL, 412.0, 0.2, 11),
        NotMeasured(Measured.P_AXIS, Reason.PACED),
        NotMeasured(Measured.T_AXIS, Reason.PACED),
    )
    found = results(emitted(make.three_by_four(), measurements=told))
    numbers = [(obx[3], obx[5], obx[6].split("^")[0]) for obx in found if obx[2] == "NM"]
    assert numbers == [
        ("8625-6^P-R Interval^LN", "162", "ms"),
        ("STANDARD_ERROR_8625-6^Standard error of P-R Interval^99CSG", "9", "ms"),
        (
            "8636-3^Q-T interval corrected^LN^76635-2^Q-T interval corrected based on Bazett formula^LN",
            "412",
            "ms",
        ),
        ("STANDARD_ERROR_8636-3^Standard error of Q-T interval corrected^99CSG", "1", "ms"),
    ]
    assert [obx[5] for obx in found if obx[3].startswith("NOT_MEASURED^")] == [
        "P wave axis, T wave axis not given: the page shows pacing spikes."
    ]
    assert {obx[11] for obx in found} == {"P"}


def test_a_number_that_is_none_is_our_fault() -> None:
    with pytest.raises(ValueError, match="heart_rate"):
        emitted(make.three_by_four(), measurements=(Measurement(Measured.HEART_RATE, float("nan")),))


def test_provenance_and_findings_are_texts() -> None:
    found = results(emitted(make.with_gaps((Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2, "a|b\rc"),))))
    (provenance,) = [obx[5] for obx in found if obx[3].startswith("PROVENANCE^")]
    assert provenance.startswith("Digitized from a picture of a paper ECG")
    for told in (make.SHA256, "ab" * 32, "Paper speed 25 mm/s, measured on the paper grid", "V1 5.000-7.500"):
        assert told in provenance
    (finding,) = [obx for obx in found if obx[3].startswith("FINDING^")]
    assert finding[3].split("^")[3] == "gap_not_read"
    assert finding[5].endswith("(V2, 6.000 to 6.200 s) a\\F\\b c")


def test_a_lead_that_does_not_fit_is_a_finding() -> None:
    first, *rest = make.three_by_four().strips
    high = first.millivolts.copy()
    high[7] = 99.0
    found = results(emitted(make.recording([replace(first, millivolts=high), *rest], "3x4+1")))
    (clipped,) = [obx for obx in found if obx[3].startswith("FINDING^")]
    assert clipped[3].split("^")[3] == "clipped"
    assert clipped[5].startswith("I: 1 samples beyond 32.767 mV")


def test_the_waveform_is_embedded_unchanged() -> None:
    recording = make.three_by_four()
    sent = waveform(recording)
    (ed,) = [obx for obx in results(emitted(recording, aecg=sent)) if obx[2] == "ED"]
    source, kind, subtype, encoding, data = ed[5].split("^")
    assert (source, kind, subtype, encoding) == ("", "TEXT", "XML", "Base64")
    assert base64.b64decode(data, validate=True) == sent.data


def test_a_message_too_big_for_its_receiver_goes_without_waveform_and_says_so() -> None:
    recording = make.three_by_four()
    sent = waveform(recording)
    whole = len(emitted(recording, aecg=sent).data)
    fits = emitted(recording, aecg=sent, to=Addressing("ehr", message_max_bytes=whole))
    assert any(obx[2] == "ED" for obx in results(fits))
    small = emitted(recording, aecg=sent, to=Addressing("ehr", message_max_bytes=whole - 200))
    assert not any(obx[2] == "ED" for obx in results(small))
    (omitted,) = [obx for obx in results(small) if obx[3].startswith("OMITTED^")]
    assert f"{len(sent.data)} bytes" in omitted[5]
    assert len(small.data) <= whole - 200


def test_a_message_that_is_too_big_anyway_holds_the_page() -> None:
    with pytest.raises(Held) as caught:
        emitted(make.three_by_four(), to=Addressing("ehr", message_max_bytes=1000))
    assert caught.value.code == "message_too_big"


def test_latin_1_is_written_as_latin_1() -> None:
    order = make.order(patient=Patient("4711", name="Müller^Jürgen"))
    out = emitted(make.three_by_four(), order, to=Addressing("ehr", character_set="8859/1"))
    assert only("PID", out, "latin-1")[5] == "Müller^Jürgen"
    assert only("MSH", out, "latin-1")[18] == "8859/1"
    with pytest.raises(UnicodeDecodeError):
        out.data.decode("utf-8")


@pytest.mark.parametrize(("character_set", "name"), [("8859/1", "山田^太郎"), ("ASCII", "Müller^Jürgen")])
def test_a_character_the_receiver_lacks_holds_the_page_and_is_not_repeated(character_set: str, name: str) -> None:
    with pytest.raises(Held) as caught:
        emitted(
            make.three_by_four(),
            make.order(patient=Patient("4711", name=name)),
            to=Addressing("ehr", character_set=character_set),
        )
    assert caught.value.code == "unmappable_character"
    assert "PID-5" in caught.value.why
    assert name not in caught.value.why


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (make.order(patient=Patient()), "no_patient"),
        (make.order(patient=Patient("47\r11")), "bad_identity"),
        (make.order(patient=Patient("4711", name="A\rPID|1^B")), "bad_identity"),
        (make.order(accession_number="a\nb"), "bad_identity"),
        (make.order(visit_number="a\x0bb"), "bad_identity"),
        (make.order(patient=Patient("4711", sex="X")), "bad_identity"),
        (make.order(acquired_at="yesterday"), "bad_acquisition_date"),
    ],
)
def test_what_cannot_be_said_holds_the_page(order: Order, code: str) -> None:
    with pytest.raises(Held) as caught:
        emitted(make.three_by_four(), order)
    assert caught.value.code == code


RECORDING = make.recording([make.strip(Lead.II, 0.0, 0.1)], "1x1")
TEXT = st.text(st.characters(blacklist_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=12)
ID = TEXT.filter(str.strip)  # blanks alone are no identifier, and HL7 knows no field of them
NAME = TEXT.filter(lambda t: "^" not in t and "=" not in t and t.strip() == t)


@example(patient_id="\\F\\", family="\\X0D\\", accession="\\.br\\", detail="\\E\\S\\H\\")
@example(patient_id="a|b^c", family="&~", accession="|", detail="~^&\\|")
@settings(max_examples=40, deadline=None)
@given(patient_id=ID, family=NAME, accession=ID, detail=TEXT)
def test_no_text_can_break_out_of_its_field(patient_id: str, family: str, accession: str, detail: str) -> None:
    recording = make.recording(
        list(RECORDING.strips), "1x1", (Finding("flat_lead", Severity.INFO, None, detail=detail),)
    )
    out = emitted(recording, make.order(patient=Patient(patient_id, name=f"{family}^Jane"), accession_number=accession))
    assert unescaped(only("PID", out)[3].split("^")[0]) == patient_id
    assert [unescaped(part) for part in only("PID", out)[5].split("^")] == [family, "Jane"]
    assert unescaped(only("OBR", out)[18]) == accession
    (finding,) = [obx for obx in results(out) if obx[3].startswith("FINDING^")]
    assert unescaped(finding[5]).endswith(detail)
