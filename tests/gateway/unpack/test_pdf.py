"""PDF pages: pictures of every encoding that end early, and the work that a file may cost."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.unpack import pdf_dictionaries, pdf_pictures
from gateway.unpack.jbig2 import ends_early
from gateway.unpack.pdf_dictionaries import TOO_MUCH, Dictionaries, PageFacts
from gateway.unpack.sandbox import Decoder
from tests.dicom_objects import encoded, gradient, pdf_of
from tests.gateway.unpack.test_files import (
    DAMAGED,
    FAX,
    GREY_IN,
    fax_data,
    only_page,
    pdf,
    picture,
    run_lengths,
    tiff,
    told,
    trace,
)

JBIG2 = "/ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /JBIG2Decode"
WIDTH, HEIGHT = 400, 300
NOISE = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)


def objects(*bodies: bytes) -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    at = []
    for number, body in enumerate(bodies, start=1):
        at.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(at) + 1) + b"".join(b"%010d 00000 n \n" % each for each in at)
    return bytes(out) + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(at) + 1, start)


def stream(data: bytes, more: str = "") -> bytes:
    return f"<< {more} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def one_page(contents: bytes, resources: str, *others: bytes, more: str = "") -> bytes:
    """A PDF of one page, whose contents are object 4 and the others from 5 on."""
    page = (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << {resources} >> {more} >>"
    )
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return objects(b"<< /Type /Catalog /Pages 2 0 R >>", pages, page.encode(), contents, *others)


class TestAPictureThatEndsEarly:
    @pytest.mark.parametrize("share", [1, 0.97, 0.8, 0.4, 0.05])
    def test_in_jbig2(self, tmp_path: Path, share: float) -> None:
        image = trace()
        data = jbig2_of(image)
        data = data[: int(len(data) * share)]
        page = only_page(tmp_path, pdf(picture(data, image.width, image.height, JBIG2), image.width, image.height))
        assert told(page) == ([] if share == 1 else DAMAGED)
        if share == 1:  # PDFium understands the code that is made here
            assert (page.image < 128).mean() == pytest.approx((~np.asarray(image)).mean(), rel=0.3)

    def test_in_jbig2_whose_length_is_not_stated(self) -> None:
        data = jbig2_of(trace())
        at = data.index(struct.pack(">4I", trace().width, trace().height, 0, 0))
        unknown = data[: at - 4] + b"\xff\xff\xff\xff" + data[at:] + b"\x00\x00" + struct.pack(">I", trace().height)
        assert not ends_early(unknown)
        assert ends_early(data[: at - 4] + b"\xff\xff\xff\xff" + b"\x01" * 50)

    @pytest.mark.parametrize("rows", [300, 299, 200, 20])
    @pytest.mark.parametrize("k", [-1, 0])
    def test_in_fax_lines_from_whole_bytes(self, tmp_path: Path, k: int, rows: int) -> None:
        data = aligned_group_4(rows) if k else aligned_lines(rows)
        form = FAX.format(f"/K {k} /Columns {WIDTH} /Rows {HEIGHT} /EncodedByteAlign true")
        page = only_page(tmp_path, pdf(picture(data, WIDTH, HEIGHT, form), WIDTH, HEIGHT))
        assert told(page) == ([] if rows == HEIGHT else DAMAGED)

    @pytest.mark.parametrize("name", ["", "/DCT", "/Fl", "/RL", "/CCF"])
    @pytest.mark.parametrize("share", [1, 0.8, 0.4])
    def test_among_the_drawing_instructions(self, tmp_path: Path, name: str, share: float) -> None:
        form, whole = inline(name)
        cut = whole[: int(len(whole) * share)]
        contents = b"q 300 0 0 200 0 0 cm BI /W %d /H %d %b ID " % (WIDTH, HEIGHT, form) + cut + b"\nEI Q\n0 0 m\n"
        page = only_page(tmp_path, one_page(stream(contents), ""))
        assert told(page) == ([] if share == 1 else DAMAGED)

    def test_the_second_of_two_among_the_instructions(self, tmp_path: Path) -> None:
        form, whole = inline("/Fl")
        one = b"q 150 0 0 200 0 0 cm BI /W %d /H %d %b ID " % (WIDTH, HEIGHT, form)
        contents = one + whole + b"\nEI Q " + one + whole[:9000] + b"\nEI Q"
        assert told(only_page(tmp_path, one_page(stream(contents), ""))) == DAMAGED

    def test_words_that_look_like_one_are_none(self, tmp_path: Path) -> None:
        contents = b"BT (a BI with an ID x) Tj ET 0 0 m (EI) Tj"
        assert told(only_page(tmp_path, one_page(stream(contents), ""))) == []


class TestWork:
    def test_grows_with_the_pages_and_no_faster(self) -> None:
        read = []
        for count in (10, 20, 40):
            dictionaries = Dictionaries(pdf_of(*[gradient(40, 60)] * count))
            assert {dictionaries.of(number) for number in range(1, count + 1)} == {PageFacts()}
            read.append(dictionaries.bytes_read)
        assert read[2] - read[1] < 2.2 * (read[1] - read[0])

    def test_a_document_is_parsed_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from gateway.unpack import pdf as module

        readers = []
        real = pdf_dictionaries.PdfReader
        monkeypatch.setattr(pdf_dictionaries, "PdfReader", lambda *args, **kw: readers.append(1) or real(*args, **kw))
        path = tmp_path / "many"
        path.write_bytes(pdf_of(*[gradient(40, 60)] * 12))
        document = module.open_document(path, Order(), LimitsSection())
        assert len(list(document.pages)) == 12
        assert len(readers) == 1

    def test_a_picture_that_all_pages_name_is_inflated_once(self) -> None:
        shared = stream(
            zlib.compress(NOISE.tobytes()),
            f"/Type /XObject /Subtype /Image /Width {WIDTH} /Height {HEIGHT} "
            "/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode",
        )
        page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << /XObject << /I 3 0 R >> >> >>"
        kids = b" ".join(b"%d 0 R" % (4 + nth) for nth in range(20))
        pages = b"<< /Type /Pages /Kids [%b] /Count 20 >>" % kids
        dictionaries = Dictionaries(objects(b"<< /Type /Catalog /Pages 2 0 R >>", pages, shared, *[page] * 20))
        assert {dictionaries.of(number) for number in range(1, 21)} == {PageFacts()}
        assert dictionaries._work.bytes_inflated == NOISE.size

    def test_forms_that_name_each_other_are_visited_once(self, tmp_path: Path) -> None:
        each = [" ".join(f"/F{nth} {number} 0 R" for nth in range(200)) for number in (5, 6, 7, 8)]
        form = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << {} >> >>"
        forms = [stream(b"", form.format(names)) for names in each[1:]]
        leaf = stream(b"", "/Type /XObject /Subtype /Form /BBox [0 0 9 9]")
        data = one_page(stream(b""), f"/XObject << {each[0]} >>", *forms, leaf)
        assert told(only_page(tmp_path, data)) == []  # 1.6 thousand million visits, were each name followed

    @pytest.mark.parametrize("what", ["names", "tree"])
    def test_a_file_that_takes_too_much_is_read_and_says_so(self, tmp_path: Path, what: str) -> None:
        page = only_page(tmp_path, {"names": many_names, "tree": wide_tree}[what]())
        assert [(finding.code, finding.detail) for finding in page.findings] == [("page_damaged", TOO_MUCH)]

    def test_a_file_is_not_read_over_and_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = pdf_of(*[gradient(40, 60)] * 5)
        monkeypatch.setattr(pdf_dictionaries, "READ_LEAST", 0)
        assert Dictionaries(data).of(5) == PageFacts()
        monkeypatch.setattr(pdf_dictionaries, "READ_TIMES", 0.5)
        dictionaries = Dictionaries(data)
        assert [dictionaries.of(number).lost for number in (1, 2)] == [TOO_MUCH, TOO_MUCH]
        assert dictionaries.bytes_read < 1.5 * len(data)  # what was read when the bound was passed is counted too

    def test_pictures_that_inflate_to_too_much_are_not_inflated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pdf_pictures, "INFLATED_IN_ALL_MAX", NOISE.size)
        image = picture(zlib.compress(NOISE.tobytes()), WIDTH, HEIGHT, GREY_IN.format("/FlateDecode"))
        assert Dictionaries(pdf(image, WIDTH, HEIGHT)).of(1).lost == ""
        monkeypatch.setattr(pdf_pictures, "INFLATED_IN_ALL_MAX", NOISE.size - 1)
        assert Dictionaries(pdf(image, WIDTH, HEIGHT)).of(1).lost == TOO_MUCH

    def test_one_that_draws_for_ever_is_bounded_by_the_sandbox_and_told(self, tmp_path: Path) -> None:
        contents = stream(zlib.compress(b"0 0 300 200 re f\n" * 500_000), "/Filter /FlateDecode")
        path = tmp_path / "endless"
        path.write_bytes(one_page(contents, "", more="/UserUnit 4"))
        decoder = Decoder(page_within_s=60)
        documents = [decoder.open(path, Order(), LimitsSection(), IdentitySection()) for _ in range(2)]
        for _ in range(2):
            decoder.open(path, Order(), LimitsSection(), IdentitySection())  # what it starts anew loads without a hurry
            with (
                patch.object(decoder, "_page_within_s", 3),
                pytest.raises(Refused, match="Decoding took longer than 3 seconds") as refused,
            ):
                documents[0].read(1)
            assert refused.value.code == "too_slow"
        with patch.object(decoder, "_ask", side_effect=AssertionError):  # fifty such pages would take hours
            with pytest.raises(Refused, match="of 2 pages of this document"):
                documents[0].read(1)
            with pytest.raises(AssertionError):
                documents[1].read(1)  # another document is tried
        decoder.close()


def many_names() -> bytes:
    """A page that names thousands of pictures and draws none."""
    one = stream(b"x", "/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8")
    names = " ".join(f"/I{nth} {5 + nth} 0 R" for nth in range(2500))
    return one_page(stream(b""), f"/XObject << {names} >>", *[one] * 2500)


def wide_tree() -> bytes:
    """A page tree of many more entries than it says."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] >>"
    pages = b"<< /Type /Pages /Kids [%b] /Count 1 >>" % (b"3 0 R " * 20_000)
    return objects(b"<< /Type /Catalog /Pages 2 0 R >>", pages, page)


def inline(name: str) -> tuple[bytes, bytes]:
    """What describes a picture in an encoding, in short keys, and its code."""
    if name == "/CCF":
        form = b"/CS /G /BPC 1 /F /CCF /DP << /K -1 /Columns %d /Rows %d >>" % (WIDTH, HEIGHT)
        return form, fax_data(Image.fromarray(NOISE > 40), "group4")
    data = {
        "": NOISE.tobytes(),
        "/DCT": encoded(NOISE, "JPEG"),
        "/Fl": zlib.compress(NOISE.tobytes()),
        "/RL": run_lengths(NOISE.ravel()),
    }[name]
    return b"/CS /G /BPC 8 " + (f"/F {name}".encode() if name else b""), data


def jbig2_of(image: Image.Image) -> bytes:
    """The segments of a page whose one region is coded as Group 4 (ITU-T T.88 7.4.8, 7.4.6)."""
    size = struct.pack(">II", image.width, image.height)
    page = size + bytes(8) + b"\x00" + b"\x00\x00"  # resolution unknown, flags, no stripes
    region = size + bytes(8) + b"\x00" + b"\x01" + fax_data(image, "group4")  # place, combined by OR, MMR
    return b"".join(
        struct.pack(">IBBBI", number, kind, 0, 1, len(data)) + data
        for number, (kind, data) in enumerate(((48, page), (38, region)))
    )


def aligned_lines(rows: int) -> bytes:
    """Rows of a picture, each coded by itself and from a whole byte on: TIFF's Modified Huffman."""
    whole = tiff(Image.fromarray(NOISE[:rows] < 40), compression="tiff_ccitt")
    with Image.open(io.BytesIO(whole)) as written:
        offset, count = written.tag_v2[273][0], written.tag_v2[279][0]
    return whole[offset : offset + count]


def aligned_group_4(rows: int) -> bytes:
    """Rows all alike, each from a whole byte on: the first as Group 4 has it, the others by V0 for each change."""
    row = Image.fromarray((np.arange(WIDTH) // 40 % 2 == 0)[None])
    first = "".join(f"{byte:08b}" for byte in fax_data(row, "group4"))
    first = first[: first.rindex("000000000001000000000001")]  # the end of the block
    alike = "1" * (WIDTH // 40)
    lines = [first, *[alike] * (rows - 1)]
    return b"".join(int(line + "0" * (-len(line) % 8), 2).to_bytes((len(line) + 7) // 8, "big") for line in lines)
