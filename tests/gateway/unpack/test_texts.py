"""What a DICOM object says of whose ECG it is, in bytes that break the rules: read right, or told and held."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from gateway.config import IdentitySection, LimitsSection
from gateway.identity.identify import identified
from gateway.identity.order import Order, Unread
from gateway.job import Arrival, Door
from gateway.unpack import Unpacked, unpack
from pipeline.findings import FindingCode
from pipeline.recording import Severity
from tests.dicom_objects import dicom_object, gradient, put_pixels, save

HOLDS, TELLS = Severity.ERROR, Severity.WARNING


def stating(folder: Path, **attributes: object) -> Unpacked:
    """A page whose object states these attributes; bytes are written as they are, None leaves the attribute out."""
    made = dicom_object()
    put_pixels(made, gradient()[None])
    made.InstitutionName = "Ward 7"
    for keyword, value in attributes.items():
        if value is None:
            delattr(made, keyword)
        elif isinstance(value, bytes):
            element = made[keyword]
            made.add_new(element.tag, element.VR, value + b" " * (len(value) % 2))
        else:
            setattr(made, keyword, value)
    path = save(made, folder / "page.dcm")
    return unpack(path, Arrival(Door.DICOM, "TEST"), LimitsSection(), IdentitySection())


def named(folder: Path, name: bytes, declared: str | None, **more: object) -> Unpacked:
    return stating(folder, PatientName=name, SpecificCharacterSet=declared, **more)


def told(document: Unpacked) -> list[tuple[str, Severity, str]]:
    return [(finding.code, finding.severity, finding.detail) for finding in document.read(1).findings]


@pytest.mark.parametrize("declared", [None, "", "ISO_IR 6", "ISO_IR 100", "ISO-IR 100", "ISO_IR 999", "latin1"])
@pytest.mark.parametrize("name", ["Müller^Jürgen", "João^Simões", "Nguyễn^Thị", "山田^太郎", "Иванов^Пётр"])
def test_what_is_built_like_utf_8_is_utf_8_whatever_is_declared(tmp_path: Path, name: str, declared: str) -> None:
    document = named(tmp_path, name.encode(), declared)
    assert document.order.patient.name == name
    assert told(document) == []


@pytest.mark.parametrize("declared", ["GB18030", "ISO_IR 13", "\\ISO 2022 IR 87", "ISO_IR 144", "ISO_IR 166"])
def test_japanese_in_utf_8_is_read_where_another_set_is_declared(tmp_path: Path, declared: str) -> None:
    assert named(tmp_path, "山田^太郎".encode(), declared).order.patient.name == "山田^太郎"


@pytest.mark.parametrize(
    ("name", "codec", "declared"),
    [
        ("Ångström^Åsa", "latin-1", "ISO_IR 100"),
        ("GÓŁKA^Łucja", "iso8859-2", "ISO_IR 101"),  # \xd3\xa3 would be a Cyrillic letter in UTF-8
        ("ЯН^Иван", "iso8859-5", "ISO_IR 144"),
        ("Αθηνά^Δήμου", "iso8859-7", "ISO_IR 126"),
        ("แดง^สมชาย", "iso8859-11", "ISO_IR 166"),  # the first word is valid UTF-8 of three bytes, too
        ("王^小东", "gb18030", "GB18030"),
        ("Yamada^Tarou=山田^太郎", "iso2022_jp", "\\ISO 2022 IR 87"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis", "ISO_IR 13"),
    ],
)
def test_a_text_of_the_declared_set_is_read_in_it(tmp_path: Path, name: str, codec: str, declared: str) -> None:
    document = named(tmp_path, name.encode(codec), declared)
    assert document.order.patient.name == name
    assert told(document) == []


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("Müller^Jürgen".encode("latin-1"), None),
        ("Müller^Jürgen".encode("latin-1"), "ISO_IR 192"),
        ("Müller^Jürgen".encode("latin-1"), "ISO_IR 999"),
        ("Šimić^Ana".encode("cp1252", "replace"), "ISO_IR 100"),  # \x8a is a control in Latin-1
        ("山田^太郎".encode("shift_jis"), None),
        ("山田^太郎".encode("shift_jis"), "ISO_IR 100"),
        ("山田^太郎".encode("iso2022_jp"), None),
        ("M\ufffdller^J\ufffdrgen".encode(), "ISO_IR 192"),  # lost before it came here
        (b"Wang\x81^\xff", "GB18030"),
    ],
)
def test_a_name_of_an_unknown_set_is_left_out_and_holds_the_page(
    tmp_path: Path, name: bytes, declared: str | None
) -> None:
    document = named(tmp_path, name, declared)
    assert document.order.patient.name == ""
    assert "PatientName" not in dict(document.order.attributes)
    assert told(document) == [("characters_not_read", HOLDS, "attribute PatientName")]


def test_a_text_beside_the_patient_is_left_out_and_told(tmp_path: Path) -> None:
    document = stating(tmp_path, InstitutionName="Universitätsklinik".encode("latin-1"))
    assert document.order.institution == ""
    assert document.order.patient.name == "Müller^Jörg"
    assert told(document) == [("characters_not_read", TELLS, "attribute InstitutionName")]


def test_a_person_who_types_the_name_answers_it(tmp_path: Path) -> None:
    order = named(tmp_path, b"M\xfcller^J\xfcrgen", None).order
    assert order.unread == (Unread("PatientName", FindingCode.CHARACTERS_NOT_READ, must_hold=True),)
    assert identified(order, {"accession_number": "A-1"}).unread == order.unread
    assert identified(order, {"name": "Müller, Jürgen"}).unread == ()
    assert identified(order, {"patient_id": "OTHER"}).unread == ()  # the first name was somebody else's
    assert Order.from_dict(order.to_dict()) == order


@pytest.mark.parametrize(
    ("stated", "time"),
    [
        ("143000.1234567", "143000.123456"),
        ("143000.123456789", "143000.123456"),
        ("14:30:00.5", "143000.5"),
        ("9:30:00", "093000"),
        ("9:30", "0930"),
        ("1430", "1430"),
    ],
)
def test_a_time_is_read_as_far_as_a_receiver_takes_it(tmp_path: Path, stated: str, time: str) -> None:
    document = stating(tmp_path, StudyTime=stated.encode())
    assert (document.order.study_time, document.order.acquired_at) == (time, f"20240131{time}")
    assert told(document) == []


def test_a_moment_with_seven_digits_is_cut_to_six(tmp_path: Path) -> None:
    document = stating(tmp_path, AcquisitionDateTime="20240131143000.1234567+0100")
    assert document.order.acquired_at == "20240131143000.123456+0100"


@pytest.mark.parametrize("stated", ["240000", "93000", "120000-130000", "noon", "1430\\1500"])
def test_a_time_that_cannot_be_read_is_told_and_holds_nothing(tmp_path: Path, stated: str) -> None:
    document = stating(tmp_path, StudyTime=stated.encode())
    assert document.order.acquired_at == "20240131"
    assert told(document) == [("time_not_read", TELLS, "attribute StudyTime")]


def test_a_moment_that_another_date_stands_in_for_is_told(tmp_path: Path) -> None:
    document = stating(tmp_path, AcquisitionDateTime="20241331")
    assert document.order.acquired_from == "StudyDate"
    assert told(document) == [("time_not_read", TELLS, "attribute AcquisitionDateTime")]


@pytest.mark.parametrize("stated", ["", "0000.00.00", "00000000"])
def test_a_date_that_says_it_is_unknown_is_no_finding(tmp_path: Path, stated: str) -> None:
    assert told(stating(tmp_path, StudyDate=stated.encode())) == []


@pytest.mark.parametrize("number", ["1.02.3", "01.2", "2.25." + "9" * 39])
def test_a_study_is_known_by_the_number_that_its_archive_files_it_under(tmp_path: Path, number: str) -> None:
    document = stating(tmp_path, StudyInstanceUID=number)
    assert document.order.study_uid == number
    assert told(document) == []


@pytest.mark.parametrize("number", ["1..2", "1.2.", "1." + "2" * 63, "study 7"])
def test_a_study_that_cannot_be_kept_is_told(tmp_path: Path, number: str) -> None:
    document = stating(tmp_path, StudyInstanceUID=number)
    assert document.order.study_uid == ""
    assert told(document) == [("study_uid_not_kept", TELLS, "attribute StudyInstanceUID")]


def test_a_study_with_a_leading_zero_goes_out_under_its_number_and_into_no_log(
    tmp_path: Path,
) -> None:
    script = f"""
from datetime import UTC, datetime
import gateway.unpack.dicom_order
from gateway.emit.catalogue import Material, document
from gateway.job import DocumentKind
from gateway.identity.order import Order
from tests.recordings import three_by_four
order = Order(study_uid="1.02.3", acquired_at="20240131143000")
material = Material(three_by_four(), order, "job", "0" * 64, 1, datetime.now(UTC), b"")
made = document(DocumentKind.DICOM_WAVEFORM, material)
open({str(tmp_path / "out.dcm")!r}, "wb").write(made.data)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert dcmread(tmp_path / "out.dcm").StudyInstanceUID == "1.02.3"
    assert (done.stdout, done.stderr) == ("", "")
