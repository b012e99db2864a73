"""HL7 v2 messages into what they say of patients and orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.config import Hl7FeedSection
from gateway.intake.hl7_feed.answer import Rejected
from gateway.intake.hl7_feed.moments import moment
from gateway.store.patients import DeletionStatement, MergeStatement, OrderStatement, PatientKey, PatientStatement
from tests.gateway.intake.hl7_feed.messages import (
    NOW,
    PID,
    PV1,
    SETTINGS,
    at,
    message,
    statement,
    understood,
)

ANNE = PatientStatement(
    key=PatientKey("4711", "HOSP"),
    name="Müller^Änne^Maria^Dr.",
    birth_date="19540131",
    sex="F",
    visit_number="V-9",
    referring_physician="House^Gregory^J^Dr.",
    place="at 3W, room 12, bed B",
    anew=True,
)


def pid(**fields: str) -> str:
    """A PID with some fields otherwise; names are p3, p5 ..."""
    parts = PID.split("|")
    for name, text in fields.items():
        parts[int(name[1:])] = text
    return "|".join(parts)


def patient(text: str | bytes, settings: Hl7FeedSection = SETTINGS) -> PatientStatement:
    found = statement(text, settings)
    assert isinstance(found, PatientStatement)
    return found


def order(*segments: str, kind: str = "ORM^O01") -> OrderStatement:
    found = statement(message(kind, PID, PV1, *segments))
    assert isinstance(found, OrderStatement)
    return found


def rejected(text: str | bytes, settings: Hl7FeedSection = SETTINGS) -> tuple[str, str, str]:
    with pytest.raises(Rejected) as caught:
        understood(text, settings)
    return caught.value.code, caught.value.condition, caught.value.place


def test_an_admission_tells_all_of_a_patient() -> None:
    heard = understood(message("ADT^A01^ADT_A01", "EVN|A01|20260504101400", PID, "NK1|1|Someone", PV1, "ZXY|local|1"))
    assert heard.statements == (ANNE,)
    assert heard.at == at("20260504101500")


@pytest.mark.parametrize("event", ["A02", "A06", "A07", "A08", "A13", "A31"])
def test_a_change_tells_the_same_but_begins_nothing(event: str) -> None:
    assert statement(message(f"ADT^{event}", PID, PV1)) == replace(ANNE, anew=False)


@pytest.mark.parametrize("event", ["A01", "A04", "A05", "A28"])
def test_what_begins_may_use_a_number_again(event: str) -> None:
    assert patient(message(f"ADT^{event}", PID)).anew


def test_after_a_discharge_the_patient_is_nowhere_and_after_a_cancelled_admission_the_visit_is_none() -> None:
    left = patient(message("ADT^A03", PID, PV1))
    assert (left.place, left.visit_number) == ("", "V-9")
    assert (patient(message("ADT^A11", PID, PV1)).place, patient(message("ADT^A11", PID, PV1)).visit_number) == ("", "")


def test_without_a_visit_nothing_is_said_of_it() -> None:
    heard = patient(message("ADT^A31", PID))
    assert (heard.visit_number, heard.referring_physician, heard.place) == (None, None, None)


def test_an_empty_field_says_nothing_and_two_quotes_delete() -> None:
    heard = patient(message("ADT^A08", pid(p5="", p7="", p8=""), 'PV1|1|I|""|||||""'))
    assert (heard.name, heard.birth_date, heard.sex) == (None, None, None)
    assert (heard.place, heard.referring_physician, heard.visit_number) == ("", "", None)
    gone = patient(message("ADT^A08", pid(p5='""', p7='""', p8='""')))
    assert (gone.name, gone.birth_date, gone.sex) == ("", "", "")


def test_a_segment_that_ends_early_says_nothing_of_what_is_behind() -> None:
    assert patient(message("ADT^A08", "PID|1||4711^^^HOSP^MR")) == PatientStatement(PatientKey("4711", "HOSP"))


@pytest.mark.parametrize(
    ("numbers", "types", "issuers", "chosen"),
    [
        ("88^^^B^PI~4711^^^A^MR", ("MR", "PI"), (), ("4711", "A")),
        ("88^^^B^PI~4711^^^A^MR", ("PI",), (), ("88", "B")),
        ("1^^^A^MR~2^^^B^MR", ("MR",), (), ("1", "A")),
        ("1^^^A^MR~2^^^B^MR", ("MR",), ("B",), ("2", "B")),
        ("1^^^A^MR~2^^^B^MR", ("MR",), ("B", "A"), ("2", "B")),
        ("5^^^A^mr", ("MR",), (), ("5", "A")),
        ("9^^^X^SS~4711", ("MR", "PI"), (), ("4711", "")),
        ("4711^7^M10^HOSP", ("MR", "PI"), (), ("4711", "HOSP")),
        ("^^^A^MR~2^^^&1.2.3&ISO^MR", ("MR",), (), ("2", "1.2.3")),
        ("1^^^X^NI", ("NI",), (), ("1", "X")),
    ],
)
def test_of_several_numbers_the_preferred_one_stands_for_the_patient(
    numbers: str, types: tuple[str, ...], issuers: tuple[str, ...], chosen: tuple[str, str]
) -> None:
    settings = SETTINGS.model_copy(update={"identifier_types": types, "issuers": issuers})
    assert patient(message("ADT^A08", pid(p3=numbers)), settings).key == PatientKey(*chosen)


@pytest.mark.parametrize("numbers", ["", '""', "9^^^X^SS", "~~", "^^^A^MR"])
def test_without_a_patients_number_nothing_can_be_kept(numbers: str) -> None:
    assert rejected(message("ADT^A08", pid(p3=numbers))) == ("AE", "101", "PID^1^3")


@pytest.mark.parametrize(
    "number", ["4" * 65 + "^^^A^MR", "4\\E\\7^^^A^MR", "4\\X0007\\7^^^A^MR", "4^^^" + "A" * 65 + "^MR"]
)
def test_a_number_that_no_page_could_have_is_not_kept(number: str) -> None:
    assert rejected(message("ADT^A08", pid(p3=number))) == ("AE", "102", "PID^1^3")


@pytest.mark.parametrize(
    ("names", "pn"),
    [
        ("Doe^Jane", "Doe^Jane"),
        ("Doe", "Doe"),
        ("Doe^^^Jr.", "Doe^^^^Jr."),
        ("Doe^Jane^Q^III^Prof.^PhD^L", "Doe^Jane^Q^Prof.^III"),
        ("Alias^A^^^^^A~Legal^L^^^^^L", "Legal^L"),
        ("Maiden^M^^^^^M~Plain^P", "Plain^P"),
        ("Maiden^M^^^^^M~Shown^S^^^^^D", "Shown^S"),
        ("Baby^B^^^^^B", "Baby^B"),
        ("van der Berg&van der&Berg^Jan^^^^^L", "van der Berg^Jan"),
        ("&von&Berg^Jan", "von Berg^Jan"),
        ("Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("山田^太郎^^^^^L^I", "=山田^太郎"),
        ("Smith \\T\\ Sons^A\\S\\B", "Smith & Sons^A B"),
        ("O'Neil\\E\\x^A=B", "O'Neil x^A B"),
    ],
)
def test_names_become_dicom_names(names: str, pn: str) -> None:
    assert patient(message("ADT^A08", pid(p5=names))).name == pn


@pytest.mark.parametrize(
    ("born", "date"),
    [("19540131", "19540131"), ("195401310830+0100", "19540131"), ("1954", None), ("195413", None), ("19540230", None)],
)
def test_a_birth_date_is_a_whole_date_or_not_said(born: str, date: str | None) -> None:
    assert patient(message("ADT^A08", pid(p7=born))).birth_date == date


@pytest.mark.parametrize(
    ("code", "sex"), [("M", "M"), ("f", "F"), ("O", "O"), ("A", "O"), ("U", ""), ("N", ""), ("W", "")]
)
def test_sexes_are_those_of_dicom(code: str, sex: str) -> None:
    assert patient(message("ADT^A08", pid(p8=code))).sex == sex


@pytest.mark.parametrize("event", ["A18", "A30", "A34", "A36", "A39", "A40", "A46", "A47"])
def test_a_merge_names_the_number_that_goes_and_the_patient_who_stays(event: str) -> None:
    heard = statement(message(f"ADT^{event}", "EVN|A40|20260504", PID, "PD1|x", "MRG|815^^^HOSP^MR", PV1))
    assert heard == MergeStatement(PatientKey("815", "HOSP"), ANNE)


def test_a_merge_may_tell_of_several_patients() -> None:
    second = "PID|2||2^^^HOSP^MR||Two^T"
    heard = understood(message("ADT^A40", PID, "MRG|815^^^HOSP^MR", second, "MRG|20^^^HOSP^MR~X^^^Y^SS", "PV1|1|O"))
    assert [
        (m.prior.patient_id, m.stays.key.patient_id) for m in heard.statements if isinstance(m, MergeStatement)
    ] == [
        ("815", "4711"),
        ("20", "2"),
    ]


def test_a_merge_without_the_number_that_goes_is_not_kept() -> None:
    assert rejected(message("ADT^A40", PID)) == ("AE", "100", "MRG")
    assert rejected(message("ADT^A40", PID, "MRG|815^^^HOSP^MR", "PID|2||2^^^HOSP^MR")) == ("AE", "100", "MRG")
    assert rejected(message("ADT^A40", "MRG|815^^^HOSP^MR")) == ("AE", "100", "PID")
    assert rejected(message("ADT^A40", PID, "MRG|815^^^X^SS")) == ("AE", "101", "MRG^1^1")


@pytest.mark.parametrize("event", ["A23", "A29"])
def test_a_deletion_names_the_patient(event: str) -> None:
    assert statement(message(f"ADT^{event}", PID)) == DeletionStatement(PatientKey("4711", "HOSP"))


def test_the_event_is_that_of_evn_where_the_header_has_none() -> None:
    assert patient(message("ADT", "EVN|A01|20260504", PID, version="2.2")).anew


@pytest.mark.parametrize(
    "kind", ["ADT^A60", "ADT^A37", "ADT", "ORU^R01", "SIU^S12", "ORM^O02", "DFT^P03^DFT_P03", "MFN"]
)
def test_what_is_not_needed_says_nothing(kind: str) -> None:
    assert understood(message(kind, PID)).statements == ()


def test_a_type_that_is_not_needed_is_not_even_decoded() -> None:
    assert understood(message("ORU^R01", "OBX|1|TX|x||").encode() + b"\xff\xfe").statements == ()


@pytest.mark.parametrize("event", ["A01", "A08", "A29", "A40"])
def test_a_message_without_its_patient_is_not_kept(event: str) -> None:
    assert rejected(message(f"ADT^{event}", "EVN|A01")) == ("AE", "100", "PID")


ORC = "ORC|NW|P-1^KIS|F-2^RIS||SC||^^^20260505|||||1003^Order^Olga"
OBR = "OBR|1|P-1^KIS|F-2^RIS|93000^ECG 12 leads^L||||||||||||1003^Order^Olga||ACC-7|RP1|SPS1"


@pytest.mark.parametrize("kind", ["ORM^O01", "ORM^O01^ORM_O01", "OMG^O19^OMG_O19", "OMI^O23"])
def test_a_new_order_tells_all_of_it(kind: str) -> None:
    heard = order(ORC, OBR, "NTE|1||note", kind=kind)
    bare = replace(ANNE, anew=False, visit_number=None, referring_physician=None, place=None)
    assert heard == OrderStatement(
        patient=bare,
        placer_key="P-1^KIS",
        filler_key="F-2^RIS",
        placer_number="P-1",
        filler_number="F-2",
        accession_number="ACC-7",
        visit_number="V-9",
        referring_physician="House^Gregory^J^Dr.",
        what="ECG 12 leads",
        scheduled_at=at("20260505"),
    )


@pytest.mark.parametrize("code", ["CA", "OC", "DC", "OD", "CR", "DR", "RP", "UA"])
def test_a_cancelled_order_ends(code: str) -> None:
    assert order(f"ORC|{code}|P-1^KIS").cancelled


@pytest.mark.parametrize("segment", ["ORC|SC|P-1^KIS|||CA", "ORC|OK|P-1^KIS|||DC", "ORC|SC|P-1|||RP"])
def test_an_order_ends_by_its_status_too(segment: str) -> None:
    assert order(segment).cancelled


@pytest.mark.parametrize("code", ["NW", "SN", "XO", "XX", "SC", "NA", "RO", "PA", "CH", "HD", "RL", ""])
def test_other_control_codes_tell_of_the_order(code: str) -> None:
    assert not order(f"ORC|{code}|P-1^KIS|||IP").cancelled


@pytest.mark.parametrize(
    ("segments", "accession"),
    [
        (("ORC|NW|P1", "OBR|1|||x||||||||||||||ACC-OBR", "IPC|ACC-IPC|RP|1.2.3|SPS"), "ACC-IPC"),
        (("ORC|NW|P1", "OBR|1|||x||||||||||||||ACC-OBR||SPS1", "IPC||RP"), "ACC-OBR"),
        (("ORC|NW|P1|F1", "OBR|1||F1|x||||||||||||||||SPS1"), None),  # OBR-20 is a step's, ORC-3 the filler's
    ],
)
def test_the_accession_number_is_where_the_standards_have_it(segments: tuple[str, ...], accession: str | None) -> None:
    assert order(*segments).accession_number == accession


@pytest.mark.parametrize(
    ("segment", "uid"),
    [("IPC|A|RP|1.2.3^X|SPS", "1.2.3"), ("ZDS|1.2.4^100^Application^DICOM", "1.2.4"), ("ZDS|study 7", None)],
)
def test_the_study_is_the_one_that_imaging_orders_name(segment: str, uid: str | None) -> None:
    assert order(ORC, OBR, segment).study_uid == uid


@pytest.mark.parametrize(
    ("segments", "time"),
    [
        (("ORC|NW|P1", "OBR|1|||x" + "|" * 32 + "202605061000", "TQ1|1||||||202605070000"), "202605061000"),
        (("ORC|NW|P1|||||^^^202605081000", "OBR|1|||x", "TQ1|1||||||202605070900"), "202605070900"),
        (("ORC|NW|P1", "OBR|1|||x" + "|" * 23 + "^^^202605091100^^R"), "202605091100"),
        (("ORC|NW|P1||||||||||||202605101200", "OBR|1|||x"), None),
        (("ORC|NW|P1||||||||||||20260510120000|x",), None),
        (("ORC|NW|P1" + "|" * 13 + "20260510120000",), "20260510120000"),
        (("ORC|NW|P1", "OBR|1|||x|||20260511"), "20260511"),
        (("ORC|NW|P1", "OBR|1|||x|||soon"), None),
    ],
)
def test_an_order_is_planned_for_the_time_of_the_first_field_that_has_one(
    segments: tuple[str, ...], time: str | None
) -> None:
    assert order(*segments).scheduled_at == (at(time) if time else None)


def test_a_message_may_tell_of_several_orders() -> None:
    segments = ("ORC|NW|P1", "OBR|1|P1||a^A", "ORC|CA|P2", "OBR|1|P2||b^B", "OBR|2|P3||c^C", "ORC|NW|P4")
    heard = understood(message("ORM^O01", PID, PV1, *segments)).statements
    assert [(o.placer_number, o.what, o.cancelled) for o in heard if isinstance(o, OrderStatement)] == [
        ("P1", "A", False),
        ("P2", "B", True),
        ("P3", "C", True),
        ("P4", None, False),
    ]


def test_an_order_may_come_without_orc() -> None:
    assert order("OBR|1|P1||x^ECG").placer_number == "P1"


def test_what_is_requested_is_shown_by_its_text_else_by_its_code() -> None:
    assert order("OBR|1|P1||^^^93000^Rest ECG^C").what == "Rest ECG"
    assert order("OBR|1|P1||93000").what == "93000"
    assert order("OBR|1|P1||x^line\\.br\\two" + "y" * 300).what == ("line two" + "y" * 300)[:200]


def test_an_order_without_number_or_without_anything_is_not_kept() -> None:
    assert rejected(message("ORM^O01", PID, "ORC|NW", "OBR|1|||x")) == ("AE", "101", "ORC^1^2")
    assert rejected(message("ORM^O01", PID, PV1)) == ("AE", "100", "ORC")
    assert rejected(message("ORM^O01", ORC, OBR)) == ("AE", "100", "PID")
    assert rejected(message("ORM^O01", PID, "ORC|NW|" + "9" * 65)) == ("AE", "102", "ORC^1^2")
    assert rejected(message("ORM^O01", PID, "OBR|1|P1||x" + "|" * 14 + "A\\E\\1")) == ("AE", "102", "OBR^1^18")


@pytest.mark.parametrize(
    "version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5.1", "2.8.2", "2.5.1^DEU&&HL7", "", "2.9"]
)
def test_every_version_two_is_read(version: str) -> None:
    assert patient(message("ADT^A08", PID, version=version)).key.patient_id == "4711"


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("|2.5.1", "|3.0", ("AR", "203", "MSH^1^12")),
        ("|2.5.1", "|2.5.1.7", ("AR", "203", "MSH^1^12")),
        ("|C1|", "||", ("AR", "101", "MSH^1^10")),
        ("|ADT^A08|", "||", ("AR", "200", "MSH^1^9")),
        ("|C1|P", "|C1|T", ("AR", "202", "MSH^1^11")),
        ("|C1|P", "|C1|D^T", ("AR", "202", "MSH^1^11")),
    ],
)
def test_a_header_that_is_not_for_us_is_rejected(old: str, new: str, answer: tuple[str, str, str]) -> None:
    text = message("ADT^A08", PID)
    assert old in text
    assert rejected(text.replace(old, new)) == answer


def test_training_is_taken_where_it_is_configured() -> None:
    settings = SETTINGS.model_copy(update={"processing_ids": ("T",)})
    assert patient(message("ADT^A08", PID).replace("|C1|P", "|C1|T"), settings).sex == "F"
    assert rejected(message("ADT^A08", PID), settings)[1] == "202"


def test_the_message_is_of_its_own_time_else_of_the_events_else_of_now() -> None:
    assert understood(message("ADT^A08", "EVN|A08|20260503", PID)).at == at("20260504101500")
    assert understood(message("ADT^A08", "EVN|A08|20260503", PID, at="")).at == at("20260503")
    assert understood(message("ADT^A08", "EVN|A08|soon", PID, at="never")).at == NOW
    assert understood(message("ADT^A08", PID, at="20260504101500.1234+0200")).at == datetime(
        2026, 5, 4, 8, 15, 0, 123400, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text", ["", "2026-05-04", "20261301", "2026050425", "20260504101500+9999", "00000101", "２０２６"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment(text, NOW) is None


def test_an_hour_that_comes_twice_is_the_one_that_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in summer time
        assert moment("20261025023000", first) == first
        assert moment("20261025023000", first + timedelta(hours=1)) == first + timedelta(hours=1)
    finally:
        monkeypatch.undo()
        time.tzset()
