"""Reads the texts of a DICOM object as pydicom does, and stops where an object would cost too much."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from gateway.config import IdentitySection
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.intake.dicom_scp.staging import file_head
from gateway.unpack.dicom_header import DEPTH_MAX, ELEMENTS_MAX, read_top_level
from gateway.unpack.dicom_order import Texts, order_from_dicom, read_header, text_of
from tests.dicom_objects import SECONDARY_CAPTURE, dicom_object, gradient, put_fragments, put_pixels, save
from tests.hostile_dicom import ITEM, SEQUENCE, SEQUENCE_END, SHAPES, UNDEFINED, bare, long, names, short

SYNTAXES = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)
OBJECT_MB = 200  # what dicom_scp.object_max_mb allows
GROWTH_MAX_MB = 50
SECONDS_MAX = 5  # of processor time; pydicom takes minutes


def written(path: Path, *pieces: bytes, syntax: str = uid.ExplicitVRLittleEndian) -> Path:
    path.write_bytes(file_head(SECONDARY_CAPTURE, "1.2.3", syntax) + b"".join(pieces))
    return path


# The same as pydicom reads


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda u: u.name)
@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192", ["", "ISO 2022 IR 87"]], ids=str)
def test_an_order_is_the_same_as_from_the_whole_object(tmp_path: Path, syntax: str, character_set: object) -> None:
    made = dicom_object(syntax=syntax)
    made.SpecificCharacterSet = character_set
    made.PatientName = "Yamada^Tarou=山田^太郎" if isinstance(character_set, list) else "Müller^Jörg"
    put_pixels(made, gradient()[None])
    path = save(made, tmp_path / "page.dcm")
    found = order_from_dicom(read_top_level(path), IdentitySection())
    assert found == order_from_dicom(read_header(path), IdentitySection())
    assert found.patient.patient_id == "P-4711"


def test_compressed_pixels_are_not_looked_at(tmp_path: Path) -> None:
    made = dicom_object(syntax=uid.JPEGBaseline8Bit)
    put_pixels(made, gradient()[None])
    put_fragments(made, [b"\xff\xd8 no picture \xff\xd9"])
    path = save(made, tmp_path / "page.dcm")
    assert Texts(read_top_level(path)) == Texts(read_header(path))


def test_a_deflated_object_is_inflated_so_far_as_it_is_small(tmp_path: Path) -> None:
    made = dicom_object()
    put_pixels(made, gradient()[None])
    plain = save(made, tmp_path / "plain.dcm").read_bytes()
    start = 144 + int.from_bytes(plain[140:144], "little")
    for name, dataset in (("page", plain[start:]), ("bomb", plain[start:-3000] + bytes(64 << 20))):
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = deflate.compress(dataset) + deflate.flush()
        path = written(tmp_path / name, data, syntax=uid.DeflatedExplicitVRLittleEndian)
        if name == "page":
            assert Texts(read_top_level(path))["PatientID"] == "P-4711"
        else:
            with pytest.raises(Refused, match="deflated"):
                read_top_level(path)


short_text = st.text(st.characters(codec="utf-8", exclude_characters="\\", exclude_categories=("C",)), max_size=20)
VALUES: dict[str, st.SearchStrategy[object]] = {
    "StudyDate": st.from_regex(r"(19|20)[0-9]{6}", fullmatch=True),
    "StudyTime": st.from_regex(r"([01][0-9][0-5][0-9])?", fullmatch=True),
    "AccessionNumber": short_text,
    "PatientName": st.builds("{}^{}".format, short_text, short_text),
    "PatientID": short_text,
    "OtherPatientNames": st.lists(short_text, max_size=3),
    "PatientComments": st.text("ab äß漢\r\n", max_size=20).map(lambda text: 400 * text),
    "PatientWeight": st.floats(0, 500, width=16).map(lambda value: f"{value:g}"),
    "ImageType": st.lists(st.sampled_from(["DERIVED", "PRIMARY", "A"]), max_size=4),
    "NumberOfFrames": st.integers(0, 99),
    "Rows": st.integers(0, 65535),
    "PixelSpacing": st.just(["0.1", "0.2"]),
    "StudyInstanceUID": st.just("1.2.3.4"),
    "FrameTimeVector": st.lists(st.integers(0, 9), min_size=0, max_size=3000),
    "RecommendedDisplayFrameRateInFloat": st.floats(width=32, allow_nan=False),
    "ReferencedImageSequence": st.deferred(lambda: st.lists(datasets, max_size=3).map(Sequence)),
    "ModalityLUTSequence": st.deferred(lambda: st.lists(datasets, max_size=2).map(Sequence)),
    "ICCProfile": st.binary(max_size=9000),
}


@st.composite
def datasets(draw: st.DrawFn, base: Dataset | None = None) -> Dataset:
    made = Dataset() if base is None else base
    for keyword in draw(st.sets(st.sampled_from(sorted(VALUES)), max_size=6 if base is None else 18)):
        setattr(made, keyword, draw(VALUES[keyword]))
        if isinstance(made[keyword].value, Sequence):
            made[keyword].is_undefined_length = draw(st.booleans())
            for item in made[keyword].value:
                item.is_undefined_length_sequence_item = draw(st.booleans())
    if draw(st.booleans()):
        block = made.private_block(0x0009, "SOMEBODY", create=True)
        block.add_new(1, draw(st.sampled_from(["LO", "UN"])), draw(st.sampled_from(["", "x" * 300])).encode())
    return made


datasets = datasets()  # type: ignore[assignment]  # named above before it is made


def objects(syntax: str) -> FileDataset:
    made = dicom_object(syntax=syntax)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"  # the same at every try
    for keyword in [element.keyword for element in made]:
        if keyword not in ("SOPClassUID", "SOPInstanceUID", "SpecificCharacterSet"):
            delattr(made, keyword)
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_texts_are_those_that_pydicom_reads_whole_or_cut_short(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    syntax = data.draw(st.sampled_from(SYNTAXES))
    made = objects(syntax)
    for element in data.draw(datasets):  # type: ignore[arg-type]
        made[element.tag] = element
    put_pixels(made, gradient(4, 6)[None])
    path = save(made, tmp_path_factory.mktemp("object") / "page.dcm")
    expected = _order(read_header(path))
    assert _order(read_top_level(path)) == expected
    cut = path.with_name("cut.dcm")
    content = path.read_bytes()
    cut.write_bytes(content[: round(data.draw(st.floats(0, 1)) * len(content))])
    found, told = _or_damaged(read_top_level, cut), _or_damaged(read_header, cut)
    if found is not None:
        assert told in (None, found)
        assert set(found.attributes) <= set(expected.attributes)  # and nothing half read


PLAIN_VALUES = st.binary(max_size=12).map(lambda raw: bytes(b & 0x7F for b in raw)) | st.sampled_from(
    [b"A\\B ", b" A \\", b"\\", b"1.2.3\0", b"20240131", b"  ", b"A\0 ", b"1\\2"]
)


@settings(max_examples=100, deadline=None)
@given(
    value=PLAIN_VALUES,
    keyword=st.sampled_from(["Modality", "ImageType", "StudyDate", "StudyTime", "AcquisitionDateTime", "PatientAge"])
    | st.sampled_from(["StudyInstanceUID", "RetrieveAETitle", "Rows"]),
    implicit=st.booleans(),
    little=st.booleans(),
)
def test_a_text_that_pydicom_need_not_decode_is_the_one_that_it_would(
    value: bytes, keyword: str, implicit: bool, little: bool
) -> None:
    tag = Tag(keyword)
    vr = None if implicit else dictionary_VR(tag)
    raw = RawDataElement(tag, vr, len(value), value or None, 0, implicit, little)
    expected = text_of(Dataset({tag: raw}), keyword)
    assert Texts(Dataset({tag: raw}))[keyword] == expected


def _or_damaged(read: Callable[[Path], Dataset], path: Path) -> Order | None:
    try:
        return _order(read(path))
    except Refused as error:
        if error.code != "damaged":
            raise
        return None


def _order(dataset: Dataset) -> Order:
    return order_from_dicom(dataset, IdentitySection())


# What it does not read


def test_an_identifier_longer_than_any_lawful_one_is_left_out_and_not_cut(tmp_path: Path) -> None:
    made = dicom_object(syntax=uid.ImplicitVRLittleEndian)
    made.PatientID, made.ImageComments, made.FrameTimeVector = "9" * 5000, "a remark ä" * 1000, ["20"] * 9000
    texts = Texts(read_top_level(save(made, tmp_path / "page.dcm")))
    assert texts["PatientID"] == ""
    assert texts["ImageComments"] == made.ImageComments
    assert texts["FrameTimeVector"].startswith("20")
    assert texts["PatientName"] == "Müller^Jörg"


def test_a_text_that_is_said_to_be_a_sequence_is_left_out(tmp_path: Path) -> None:
    items = bare(ITEM) * 100_000
    path = written(tmp_path / "page.dcm", names("1.2", "1.2.3"), long((0x10, 0x20), b"SQ", len(items)), items)
    assert "PatientID" not in read_top_level(path)


@pytest.mark.parametrize("implicit", [True, False])
def test_sequences_inside_private_and_unknown_elements_are_stepped_over(tmp_path: Path, implicit: bool) -> None:
    inner = bare(ITEM, UNDEFINED) + bare((8, 0x1155), 4) + b"1.2\0" + bare((0xFFFE, 0xE00D)) + bare(SEQUENCE_END)
    private = bare((9, 0x1001), UNDEFINED) if implicit else long((9, 0x1001), b"UN", UNDEFINED)
    patient = bare((0x10, 0x20), 4) + b"P-17" if implicit else short((0x10, 0x20), b"LO", b"P-17")
    syntax = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    path = written(tmp_path / "page.dcm", private, inner, patient, syntax=syntax)
    assert Texts(read_top_level(path)) == {"PatientID": "P-17"} == Texts(read_header(path))


def test_bytes_of_undefined_length_end_at_the_delimiter(tmp_path: Path) -> None:
    raw = b"x" * 65_533 + b"\xfe\xff\xdd\xe0\0\0\0\0"  # over the border between two pieces that are searched
    path = written(tmp_path / "page.dcm", long((9, 0x1001), b"OB", UNDEFINED), raw, short((0x10, 0x20), b"LO", b"P1"))
    assert Texts(read_top_level(path)) == {"PatientID": "P1"} == Texts(read_header(path))


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([bytes(0)], "no DICOM"),
        ([bytes(128) + b"DICM"], ""),
        ([names("1.2", "1.2.3"), short((0x10, 0x20), b"LO", b"P-17")[:-2]], "EOFError"),
        ([long(SEQUENCE, b"SQ", UNDEFINED), bare(ITEM, UNDEFINED)], "OSError"),
    ],
)
def test_what_is_cut_short_or_no_dicom_is_damaged(tmp_path: Path, pieces: list[bytes], why: str) -> None:
    path = tmp_path / "page.dcm"
    if why == "no DICOM" or not why:
        path.write_bytes(b"".join(pieces))
    else:
        written(path, *pieces)
    if not why:
        assert Texts(read_top_level(path)) == {}
        return
    with pytest.raises(Refused, match=why) as refused:
        read_top_level(path)
    assert refused.value.code == "damaged"


# Bounds


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ("empty_items", f"more than {ELEMENTS_MAX} elements"),
        ("open_items", f"more than {ELEMENTS_MAX} elements"),
        ("nested", f"more than {DEPTH_MAX} deep"),
        ("private_fragments", f"more than {ELEMENTS_MAX} elements"),
        ("small_private_elements", f"more than {ELEMENTS_MAX} elements"),
        ("texts", "more than 128 KB of texts"),
        ("numbers", "more than 128 KB of texts"),
    ],
)
def test_beyond_a_bound_the_reason_is_told(tmp_path: Path, shape: str, why: str) -> None:
    path = written(tmp_path / "page.dcm", names("1.2", "1.2.3"), *SHAPES[shape](4_000_000))
    with pytest.raises(Refused, match=why) as refused:
        read_top_level(path)
    assert refused.value.code == "too_complex"
    assert len(refused.value.why) <= 64  # of an Error Comment


MEASURE = """
import json, sys, time
from pathlib import Path
from gateway.config import IdentitySection
from gateway.errors import Refused
from gateway.unpack.dicom_header import read_top_level
from gateway.unpack.dicom_order import order_from_dicom
from tests.gateway.unpack.test_dicom_header import written
from tests.hostile_dicom import SHAPES, names

def peak_mb():  # not ru_maxrss, in which the peak of the process that started this one counts too
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

path, size_bytes = Path(sys.argv[1]), int(sys.argv[2])
told = {}
for name, shape in SHAPES.items():
    with path.open("wb") as file:
        file.write(written(path.with_name("head"), names("1.2", "1.2.3")).read_bytes())
        for piece in shape(size_bytes):
            file.write(piece)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = peak_mb(), time.process_time()
    try:
        order_from_dicom(read_top_level(path), IdentitySection())
    except Refused as error:
        assert error.code == "too_complex", error
    told[name] = [peak_mb() - before, time.process_time() - began]
print(json.dumps(told))
"""


def test_no_object_of_200_mb_costs_more_than_a_little_memory_and_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "object"), str(OBJECT_MB * 10**6)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    for name, (growth_mb, seconds) in json.loads(done.stdout).items():
        assert growth_mb < GROWTH_MAX_MB, name
        assert seconds < SECONDS_MAX, name
