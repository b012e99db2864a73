"""gateway/emit/aecg.py: what is in the document, read with lxml."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from lxml import etree

from gateway.emit import aecg
from gateway.emit.emitted import Emitted
from gateway.errors import Held, Refused
from gateway.identity.order import Order, Patient
from pipeline.recording import TWELVE, Finding, Lead, MadeBy, Recording, Severity
from tests import recordings as make

NS = {"h": "urn:hl7-org:v3"}
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def emitted(recording: Recording, order: Order | None = None, **settings: object) -> Emitted:
    values: dict[str, object] = {"source_sha256": make.SHA256, "page": 1, "made_at": make.MADE_AT}
    return aecg.emit(recording, order or make.order(), **(values | settings))  # type: ignore[arg-type]


def read(recording: Recording, order: Order | None = None, **settings: object) -> etree._Element:
    return etree.fromstring(emitted(recording, order, **settings).data)


def sets(root: etree._Element) -> list[tuple[str, dict[str, np.ndarray]]]:
    """(head, lead code -> mV) per sequenceSet; every lead of a set must be equally long."""
    out = []
    for one in root.iterfind(".//h:sequenceSet", NS):
        head = one.find(".//h:head", NS).get("value")
        leads = {}
        for sequence in one.iterfind("h:component/h:sequence", NS):
            digits = sequence.find(".//h:digits", NS)
            if digits is None:
                continue
            assert sequence.find(".//h:origin", NS).attrib == {"value": "0", "unit": "uV"}
            assert sequence.find(".//h:scale", NS).attrib == {"value": "1", "unit": "uV"}
            whole = np.array(digits.text.split(), int)
            assert np.abs(whole).max() <= 32767
            leads[sequence.find("h:code", NS).get("code")] = whole / 1000.0
        assert len({len(mv) for mv in leads.values()}) == 1
        out.append((head, leads))
    return out


def seconds_after(head: str, start: str = "20240131143000.000") -> float:
    form = "%Y%m%d%H%M%S.%f"
    return (datetime.strptime(head, form) - datetime.strptime(start, form)).total_seconds()


def assert_every_printed_sample_is_there_once(recording: Recording, root: etree._Element) -> None:
    left = {id(s): s.millivolts.copy() for s in recording.strips}
    for head, leads in sets(root):
        for code, mv in leads.items():
            first = round(seconds_after(head) * recording.rate_hz)
            for strip in recording.strips:
                begin = first - round(strip.start_s * recording.rate_hz)
                rest = left[id(strip)][begin : begin + len(mv)] if begin >= 0 else []
                same_lead = code == f"MDC_ECG_LEAD_{strip.lead.value.upper()}"
                if same_lead and len(rest) == len(mv) and np.abs(rest - mv).max() <= 0.0005 + 1e-6:
                    left[id(strip)][begin : begin + len(mv)] = np.nan
                    break
            else:
                pytest.fail(f"{code} from {head} was never printed")
    assert all(np.isnan(rest).all() for rest in left.values())


def test_strips_are_one_set_per_column_and_one_for_the_rhythm_strip() -> None:
    found = sets(read(make.three_by_four(), layout="strips"))
    assert [(seconds_after(head), len(leads)) for head, leads in found] == [(0, 3), (2.5, 3), (5, 3), (7.5, 3), (0, 1)]


@pytest.mark.parametrize(
    "recording",
    [make.three_by_four(), make.six_by_two((Lead.II,)), make.twelve_by_one(), make.with_gaps()],
    ids=["3x4+1", "6x2+1", "12x1", "gaps"],
)
def test_every_printed_sample_is_in_one_set_and_nothing_else(recording: Recording) -> None:
    assert_every_printed_sample_is_there_once(recording, read(recording, layout="strips"))


def test_leads_printed_together_share_a_set_though_their_edges_differ_by_some_samples() -> None:
    """As on a photograph, where each lead's ends are found by themselves."""
    starts_ms = [
        ((0, 8, -4), (2504, 2500, 2498), (5010, 4996, 5000), (7500, 7506, 7490))[n // 3][n % 3] for n in range(12)
    ]
    lengths_ms = [(2488, 2476, 2500, 2492)[n % 4] for n in range(12)]
    strips = [
        make.strip(lead, start / 1000, length / 1000)
        for lead, start, length in zip(TWELVE, starts_ms, lengths_ms, strict=True)
    ]
    found = sets(read(make.recording([*strips, make.strip(Lead.II, 0.0, 10.0)], "3x4+1"), layout="strips"))
    assert [len(leads) for _, leads in found] == [3, 3, 3, 3, 1]
    assert all(len(mv) >= 1200 for _, leads in found for mv in leads.values())
    for head, leads in found[:4]:
        first = round((seconds_after(head) + min(0, min(starts_ms)) / 1000) * 500)
        for code, mv in leads.items():
            lead = next(lead for lead in TWELVE if code == f"MDC_ECG_LEAD_{lead.value.upper()}")
            whole = make.millivolts(lead, -1.0, 12.0)
            assert np.abs(whole[first + 500 : first + 500 + len(mv)] - mv).max() <= 0.0005 + 1e-5


def test_a_lead_that_begins_much_later_keeps_a_set_of_its_own() -> None:
    late = [make.strip(lead, 0.5 if lead is Lead.III else 0.0, 2.0 if lead is Lead.III else 2.5) for lead in TWELVE[:3]]
    found = sets(read(make.recording(late, "3x1"), layout="strips"))
    assert [sorted(len(mv) for mv in leads.values()) for _, leads in found] == [[1250, 1250], [1000]]


def test_a_hole_splits_its_lead_and_leaves_the_others_whole() -> None:
    found = sets(read(make.with_gaps(), layout="strips"))
    lengths = sorted((code, len(mv)) for _, leads in found for code, mv in leads.items() if code.endswith(("V1", "V2")))
    assert lengths == [("MDC_ECG_LEAD_V1", 1250), ("MDC_ECG_LEAD_V2", 500), ("MDC_ECG_LEAD_V2", 650)]


def test_single_set_is_twelve_equal_leads_and_says_where_they_are_real() -> None:
    recording = make.with_gaps()
    root = read(recording)
    ((head, leads),) = sets(root)
    assert seconds_after(head) == 0
    assert len(leads) == 12
    assert {len(mv) for mv in leads.values()} == {5000}
    v2 = leads["MDC_ECG_LEAD_V2"]
    assert (v2[:2500] == 0).all()
    assert (v2[3000:3100] == 0).all()
    printed = {
        (note.find(".//h:boundary/h:code", NS).get("code"), note.find(".//h:low", NS).get("value"))
        for note in root.iterfind(".//h:annotation", NS)
        if note.find("h:code", NS).get("code") == "PRINTED"
    }
    assert ("MDC_ECG_LEAD_V2", "20240131143005.000") in printed
    assert ("MDC_ECG_LEAD_V2", "20240131143006.200") in printed
    assert len(printed) == 11 + 1 + 2  # eleven leads whole or holed once: V2 twice, the rhythm strip of II twice


def test_single_set_takes_the_rhythm_strip_for_its_lead() -> None:
    ((_, leads),) = sets(read(make.three_by_four()))
    assert np.abs(leads["MDC_ECG_LEAD_II"] - make.millivolts(Lead.II, 0.0, 10.0)).max() <= 0.0005 + 1e-6


def test_a_lead_that_was_not_printed_is_left_out() -> None:
    recording = make.recording([make.strip(lead, 0.0, 2.5) for lead in TWELVE[:6]], "3x2")
    ((_, leads),) = sets(read(recording))
    assert len(leads) == 6


def test_time_of_day_is_not_invented() -> None:
    root = read(make.three_by_four(), make.order(acquired_at="20240131"), layout="strips")
    codes = {e.get("code") for e in root.iterfind(".//h:code", NS)}
    assert "TIME_RELATIVE" in codes
    assert "TIME_ABSOLUTE" not in codes
    heads = [(e.get("value"), e.get("unit")) for e in root.iterfind(".//h:head", NS)]
    assert heads == [("0.000", "s"), ("2.500", "s"), ("5.000", "s"), ("7.500", "s"), ("0.000", "s")]
    assert root.find("h:effectiveTime/h:center", NS).get("value") == "20240131"


def test_times_have_fourteen_digits_three_decimals_and_no_offset() -> None:
    root = read(make.three_by_four(), make.order(acquired_at="20240131143000.25+0100"), layout="strips")
    assert [e.get("value") for e in root.iterfind(".//h:head", NS)][:2] == ["20240131143000.250", "20240131143002.750"]


def test_the_document_begins_as_picky_readers_want_it() -> None:
    data = emitted(make.three_by_four()).data
    assert data.startswith(b"<?xml ")
    root = etree.fromstring(data)
    assert root.tag == "{urn:hl7-org:v3}AnnotatedECG"
    assert root.prefix is None
    assert root.get("type") == "Observation"
    assert len(root.findall("h:component/h:series", NS)) == 1
    assert {e.attrib.values()[0] for e in root.iterfind(".//h:increment", NS)} == {"0.002"}


def test_the_same_input_gives_the_same_bytes_and_another_another_id() -> None:
    first = emitted(make.with_gaps())
    assert first == emitted(make.with_gaps())
    root = etree.fromstring(first.data)
    assert root.find("h:id", NS).get("root") == first.name
    series = root.find("h:component/h:series", NS)
    assert etree.QName(series[0]).localname == "id"
    assert series[0].get("root") not in ("", first.name)
    for other in (
        emitted(replace(make.with_gaps(), made_by=MadeBy("0.2.0"))),
        emitted(make.with_gaps(), make.order(patient=Patient("4712", "1.2.276.99"))),
        emitted(make.with_gaps(), layout="strips"),
        emitted(make.with_gaps(), page=2),
    ):
        assert other.name != first.name


@pytest.mark.parametrize(
    ("issuer", "configured", "root"),
    [
        ("1.2.276.99", "", "1.2.276.99"),
        ("1.2.276.99", "2.16.1", "2.16.1"),
        ("St. Mary's", "2.16.1", "2.16.1"),
    ],
)
def test_patient_id_is_under_its_issuers_root(issuer: str, configured: str, root: str) -> None:
    order = make.order(patient=Patient("4711", issuer))
    found = read(make.three_by_four(), order, patient_root=configured).find(".//h:trialSubject/h:id", NS)
    assert found.attrib == {"root": root, "extension": "4711"}


def test_issuers_without_an_oid_have_roots_of_their_own() -> None:
    roots = set()
    for issuer in ("", "St. Mary's", "St. Paul's", "1.2.840.0.19"):
        order = make.order(patient=Patient("4711", issuer))
        roots.add(read(make.three_by_four(), order).find(".//h:trialSubject/h:id", NS).get("root"))
    assert len(roots) == 4
    assert all(len(root) == 36 for root in roots)


def test_patient_demographics() -> None:
    person = read(make.three_by_four()).find(".//h:subjectDemographicPerson", NS)
    name = [(etree.QName(part).localname, part.text) for part in person.find("h:name", NS)]
    assert name == [("prefix", "Dr"), ("given", "Jane"), ("given", "Q"), ("family", "Doe"), ("suffix", "Jr")]
    assert person.find("h:administrativeGenderCode", NS).get("code") == "F"
    assert person.find("h:birthTime", NS).get("value") == "19540131"


def test_a_name_without_an_alphabetic_group_is_the_ideographic_one() -> None:
    order = make.order(patient=Patient("4711", name="=山田^太郎"))
    person = read(make.three_by_four(), order).find(".//h:subjectDemographicPerson", NS)
    name = [(etree.QName(part).localname, part.text) for part in person.find("h:name", NS)]
    assert name == [("given", "太郎"), ("family", "山田")]


@pytest.mark.parametrize("nothing", ["", "=", "^^=^"])
def test_a_name_that_says_nothing_is_left_out(nothing: str) -> None:
    person = read(make.three_by_four(), make.order(patient=Patient("4711", name=nothing)))
    assert person.find(".//h:subjectDemographicPerson/h:name", NS) is None


def test_the_trial_does_not_apply() -> None:
    assert read(make.three_by_four()).find(".//h:clinicalTrial/h:id", NS).attrib == {"nullFlavor": "NA"}


def test_findings_are_annotations_of_lead_and_time() -> None:
    root = read(make.with_gaps((Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2),)))
    (note,) = [n for n in root.iterfind(".//h:annotation", NS) if n.find("h:code", NS).get("code") == "gap_not_read"]
    assert note.find("h:value", NS).text.startswith("WARNING: A stretch of the lead could not be read")
    boundaries = note.findall(".//h:boundary", NS)
    assert boundaries[0].find("h:code", NS).get("code") == "MDC_ECG_LEAD_V2"
    assert boundaries[1].find("h:value/h:low", NS).get("value") == "20240131143006.000"


def test_what_was_measured_is_an_annotation_of_all_leads_with_its_standard_error_within() -> None:
    root = read(make.three_by_four(), measurements=make.TOLD)
    found = root.iterfind(".//h:annotationSet/h:component/h:annotation", NS)
    notes = {note.find("h:code", NS).get("code"): note for note in found}
    interval, rate, axis = (
        notes[code] for code in ("MDC_ECG_TIME_PD_PR", "MDC_ECG_HEART_RATE", "MDC_ECG_ANGLE_QRS_FRONT")
    )
    told = [(n.find("h:value", NS).get("value"), n.find("h:value", NS).get("unit")) for n in (interval, rate, axis)]
    assert told == [("162", "ms"), ("72", "bpm"), ("-30", "deg")]
    assert interval.find("h:code", NS).get("codeSystem") == aecg.MDC
    assert interval.find("h:support", NS) is None
    error = interval.find("h:component/h:annotation", NS)
    assert error.find("h:code", NS).get("code") == "STANDARD_ERROR"
    assert error.find("h:value", NS).attrib["value"] == "9"
    assert "MDC_ECG_ANGLE_P_FRONT" not in notes
    assert "P wave axis, T wave axis not given" in notes["NOT_MEASURED"].find("h:value", NS).text


def test_provenance_is_told() -> None:
    root = read(make.three_by_four())
    texts = [e.text for e in root.iterfind(".//h:annotation/h:value", NS) if e.get(XSI_TYPE) == "ST"]
    assert any(make.SHA256 in text for text in texts)
    assert any("ab" * 32 in text for text in texts)
    assert root.find("h:text", NS).text.startswith("Digitized from a picture of a paper ECG")


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (make.order(acquired_at=""), "no_acquisition_date"),
        (make.order(patient=Patient()), "no_patient"),
        (make.order(patient=Patient("47\x0011")), "bad_identity"),
        (make.order(patient=Patient("4711", name="Doe\x07^Jane")), "bad_identity"),
        (make.order(patient=Patient("4711", birth_date="1954-01-31")), "bad_identity"),
    ],
)
def test_what_is_unknown_or_unlawful_holds_the_page(order: Order, code: str) -> None:
    with pytest.raises(Held) as caught:
        emitted(make.three_by_four(), order)
    assert caught.value.code == code


def test_nothing_printed_is_refused() -> None:
    with pytest.raises(Refused):
        emitted(make.recording([make.strip(Lead.I, 0.0, 2.5, ((0.0, 2.5),))], "3x4"))
