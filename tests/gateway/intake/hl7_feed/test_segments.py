"""Bytes into segments: odd delimiters, line ends, character sets, escapes; and acknowledgements in the sender's own."""

from __future__ import annotations

import importlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import get_args

import hl7apy
import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.config import Hl7FeedSection
from gateway.intake.hl7_feed.answer import Code, Rejected, acknowledgement
from gateway.intake.hl7_feed.character_sets import codec_of
from gateway.intake.hl7_feed.segment_names import SEGMENT_NAMES, is_segment_name
from gateway.intake.hl7_feed.segments import read_header
from gateway.store.patients import OrderStatement, PatientStatement
from tests.gateway.intake.hl7_feed.messages import NOW, PID, SETTINGS, message, statement, understood

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def name(data: bytes, settings: Hl7FeedSection = SETTINGS) -> str | None:
    found = statement(data, settings)
    assert isinstance(found, PatientStatement)
    return found.name


def with_name(text: str, msh18: str = "") -> str:
    return message("ADT^A08", f"PID|1||4711^^^HOSP^MR||{text}^X", msh="|" * 6 + msh18 if msh18 else "")


@pytest.mark.parametrize(
    ("text", "msh18", "codec"),
    [
        ("Müller", "", "utf-8"),
        ("Müller", "UNICODE UTF-8", "utf-8"),
        ("Müller", "UTF-8", "utf-8"),
        ("Müller", "8859/1", "latin-1"),
        ("Müller", "ISO-8859-1", "latin-1"),
        ("Müller~ASCII".partition("~")[0], "8859/1~ASCII", "latin-1"),
        ("Łukasz", "8859/2", "iso8859-2"),
        ("Ψωμί", "8859/7", "iso8859-7"),
        ("Žá€", "8859/15", "iso8859-15"),
        ("山田", "~ISO IR87", "iso2022_jp"),
        ("山田", "ASCII~ISO IR87", "iso2022_jp"),
        ("張偉", "GB 18030-2000", "gb18030"),
        ("許功蓋", "BIG-5", "big5"),  # each ends with the byte of a backslash
        ("홍길동", "KS X 1001", "euc_kr"),
        ("Smith", "ASCII", "ascii"),
    ],
)
def test_a_message_is_read_in_its_own_character_set(text: str, msh18: str, codec: str) -> None:
    assert name(with_name(text, msh18).encode(codec)) == f"{text}^X"


def test_the_configuration_outvotes_a_sender_who_says_the_wrong_set() -> None:
    settings = SETTINGS.model_copy(update={"character_set": "8859/1"})
    assert name(with_name("Müller", "ASCII").encode("latin-1"), settings) == "Müller^X"


@pytest.mark.parametrize(
    ("msh18", "condition"), [("", "102"), ("ASCII", "102"), ("KLINGON", "103"), ("UNICODE UTF-16", "103")]
)
def test_what_is_not_in_its_set_is_told_and_never_guessed(msh18: str, condition: str) -> None:
    with pytest.raises(Rejected) as caught:
        understood(with_name("Müller", msh18).encode("latin-1"))
    assert (caught.value.code, caught.value.condition, caught.value.place) == ("AE", condition, "MSH^1^18")
    assert "ller" not in str(caught.value)


def test_every_set_of_the_configuration_is_known() -> None:
    allowed = get_args(Hl7FeedSection.model_fields["character_set"].annotation)
    assert len(allowed) > 5
    assert None not in [codec_of(one) for one in allowed]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\r\n"])
def test_segments_may_end_as_they_like(end: str) -> None:
    assert name(message("ADT^A08", PID).replace("\r", end).encode()) == "Müller^Änne^Maria^Dr."


def test_a_last_segment_may_have_no_end_and_blank_lines_may_stand_before_the_header() -> None:
    assert name(("\r\n" + message("ADT^A08", PID).rstrip("\r")).encode()) == "Müller^Änne^Maria^Dr."


def test_delimiters_are_those_of_the_sender() -> None:
    text = message("ADT^A08", "PID|1||4711^^^H&1.2&ISO^MR~5^^^H^PI||M\\S\\^A\\F\\B")
    for old, new in zip("|^~\\&", "$%?!@", strict=True):
        text = text.replace(old, new)
    found = statement(text)
    assert isinstance(found, PatientStatement)
    assert (found.key.patient_id, found.key.issuer, found.name) == ("4711", "H", "M%^A$B")


def test_a_sender_may_name_fewer_delimiters() -> None:
    text = "MSH|^|A|B|C|D|20260504||ADT^A08|C1|P|2.2\rPID|1||4711^^^A&B^MR||Do\\F\\e^J\r"
    found = statement(text)
    assert isinstance(found, PatientStatement)
    assert (found.key.issuer, found.name) == ("A&B", "Do F e^J")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a\\F\\b", "a|b"),
        ("a\\T\\b", "a&b"),
        ("a\\R\\b", "a~b"),
        ("a\\H\\b\\N\\c", "abc"),
        ("a\\.br\\b", "a b"),
        ("a\\.sp+2\\b", "a b"),
        ("M\\XC3BC\\ller", "Müller"),
        ("M\\XFC\\ller", "Mller"),
        ("M\\Xzz\\ller", "Mller"),
        ("a\\Zlocal\\b", "ab"),
        ("a\\b", "a b"),  # no escape: and no backslash in a DICOM name
        ("a\\", "a"),
        ("\\F\\", "|"),
    ],
)
def test_escapes_are_what_they_stand_for(written: str, meant: str) -> None:
    assert name(with_name(written).encode()) == f"{meant}^X"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"GET / HTTP/1.1\r\n\r\n",
        b"MSH",
        b"MSH|",
        b"MSH||^~\\&|A",
        b"MSH|^^\\&|A",
        b"MSH|^|\\&|A"[:4] + b"|",
        b"MSHA^~\\&AAA",
        b"PID|1\rMSH|^~\\&|A",
        b"FHS|^~\\&|A",
        b"MSH|\x1b$B|A",
        b"MSH|\xc3\xa4~\\&|A",
        b"MSH|A~\\&|A",
    ],
)
def test_what_is_no_message_is_told_so(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        read_header(data)
    assert caught.value.code is Code.AR


@pytest.mark.parametrize("mark", ["\ufeff", "\r\n\ufeff", "\ufeff\r\n"])
@pytest.mark.parametrize("msh18", ["", "UNICODE UTF-8", "8859/1"])
def test_a_byte_order_mark_is_skipped_and_says_utf_8(mark: str, msh18: str) -> None:
    assert name((mark + with_name("Müller", msh18)).encode()) == "Müller^X"


def test_bytes_that_are_no_utf_8_behind_a_byte_order_mark_are_a_fault() -> None:
    with pytest.raises(Rejected, match="102"):
        understood(b"\xef\xbb\xbf" + with_name("Müller", "8859/1").encode("latin-1"))


@pytest.mark.parametrize(
    "batch",
    [
        "FHS|^~\\&|KIS\rBHS|^~\\&|KIS\r" + message("ADT^A08", PID) + "BTS|1\rFTS|1\r",
        "BHS|^~\\&|KIS\r" + message("ADT^A08", PID),
        message("ADT^A08", PID) + message("ADT^A08", PID.replace("4711", "4712")),
    ],
)
def test_a_batch_is_rejected_in_words(batch: str) -> None:
    with pytest.raises(Rejected, match=r"batches \(FHS/BHS\) are not taken") as caught:
        understood(batch)
    assert caught.value.code is Code.AR


@pytest.mark.parametrize(
    "pid",
    [
        "PID|1||2003^^^HOSP^MR||Cr^An\rna||19600131|F",
        "PID|1||2003^^^HOSP^MR||Cr^An\r^M||19600131|F",
        "PID|1||2003^^^HOSP^MR||Cr^An\r1||19600131|F",
        "PID|1||2003^^^HOSP^MR||Cr^An\r\nna||19600131|F",
        "PID|1||2003^^^HOSP^MR||Cr^An^^\rIII|X|19600131|F",
        "PID|1||2003^^^HOSP^MR||Cr^An^^\rVON||19600131|F",
    ],
)
def test_a_line_end_within_a_field_is_a_fault(pid: str) -> None:
    """Else the birth date behind it is lost, and nobody is told."""
    with pytest.raises(Rejected, match="no segment") as caught:
        understood(message("ADT^A08", "EVN|A08", pid))
    fault = caught.value
    assert (fault.code, fault.condition, fault.place) == ("AE", "100", "PID^1")


def test_the_segments_of_every_version_are_known() -> None:
    versions = [importlib.import_module(f"{library}.segments") for library in hl7apy.SUPPORTED_LIBRARIES.values()]
    names = {name for version in versions for name in version.SEGMENTS if len(name) == 3}
    assert len(versions) > 5
    assert names - SEGMENT_NAMES == set()
    assert [name for name in ("III", "VON", "DOE", "Z1", "ZBEX", "pid", "") if is_segment_name(name)] == []


def test_a_line_feed_before_what_only_looks_like_a_segment_is_a_blank_too() -> None:
    found = statement(message("ADT^A08", "PID|1||2003^^^HOSP^MR||Cr^An^^\nIII||19600131|F"))
    assert isinstance(found, PatientStatement)
    assert (found.name, found.birth_date, found.sex) == ("Cr^An^^^III", "19600131", "F")


def test_a_line_feed_within_a_field_is_a_blank_where_segments_end_with_cr() -> None:
    found = statement(message("ADT^A08", "PID|1||2003^^^HOSP^MR||Cr^An\nna||19600131|F"))
    assert isinstance(found, PatientStatement)
    assert (found.name, found.birth_date) == ("Cr^An na", "19600131")
    with pytest.raises(Rejected, match="no segment"):
        understood(message("ADT^A08", "PID|1||2003^^^HOSP^MR||Cr^An\nna||19600131|F").replace("\r", "\n"))


@pytest.mark.parametrize("end", ["\x1a", " \r", "\r\r\x00\r", "Z01|ours\r", "PV1\r"])
def test_padding_and_local_segments_are_no_fault(end: str) -> None:
    assert name((message("ADT^A08", PID) + end).encode()) == "Müller^Änne^Maria^Dr."


@pytest.mark.parametrize("loosely", ["ISO-8859-1", "ISO8859/1", "8859-1", "iso 8859 1", "ISO_8859-1"])
def test_a_character_set_may_be_spelt_loosely(loosely: str) -> None:
    assert name(with_name("Müller", loosely).encode("latin-1")) == "Müller^X"


def test_an_order_without_obr_4_and_a_receiver_of_empty_components_are_taken() -> None:
    order = message("ORM^O01", PID, "ORC|NW|PL9^KIS", "OBR|1|PL9^KIS").replace("|CARDIOSCAN|ECG|", "|CARDIOSCAN|^^|")
    found = statement(order)
    assert isinstance(found, OrderStatement)
    assert found.placer_number == "PL9"


@given(some.binary(max_size=300), some.integers(0, 400))
def test_whatever_comes_is_read_or_rejected(noise: bytes, place: int) -> None:
    whole = message("ADT^A40", PID, "MRG|815^^^HOSP^MR").encode()
    with suppress(Rejected):
        data = whole[:place] + noise + whole[place:]
        assert acknowledgement(read_header(data), AT).startswith(b"MSH")
        understood(data, now=NOW)


def ack(text: str, words: str = "", fault: Rejected | None = None) -> list[str]:
    return acknowledgement(read_header(text.encode()), AT, words, fault).decode().split("\r")


def test_a_yes_goes_back_where_it_came_from() -> None:
    msh, msa, end = ack(message("ADT^A01^ADT_A01", PID, msh="||||||UNICODE UTF-8"))
    fields = msh.split("|")
    assert fields[:9] == ["MSH", "^~\\&", "CARDIOSCAN", "ECG", "KIS", "HOSP", "20260504120000+0000", "", "ACK^A01^ACK"]
    assert len(fields[9]) == 20
    assert fields[10:] == ["P", "2.5.1", "", "", "", "", "", "UNICODE UTF-8"]
    assert (msa, end) == ("MSA|AA|C1", "")


def test_an_old_version_has_an_old_ack() -> None:
    msh, msa, end = ack(message("ADT^A08", version="2.3"), fault=Rejected(Code.AE, "101", "PID^1^3", "no number"))
    assert msh.split("|")[8] == "ACK^A08"
    assert (msa, end) == ("MSA|AE|C1|no number", "")


def test_a_no_says_where_and_why_in_the_senders_delimiters() -> None:
    text = message("ADT^A08").replace("^", "*").replace("|", "$")
    msh, msa, err, _ = ack(text, fault=Rejected(Code.AE, "101", "PID^1^3", "no number"))
    assert msh.startswith("MSH$*~\\&$CARDIOSCAN$")
    assert msa == "MSA$AE$C1$no number"
    assert err == "ERR$$PID*1*3$101**HL70357$E$$$$no number"


@pytest.mark.parametrize(("asked", "code"), [("AL", "CA"), ("SU", "CA"), ("ER", "CA"), ("NE", "AA"), ("", "AA")])
def test_enhanced_mode_gets_the_commit_answer(asked: str, code: str) -> None:
    assert ack(message("ADT^A08", msh=f"|||{asked}|NE"), "words")[1] == f"MSA|{code}|C1|words"
