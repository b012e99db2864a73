"""TIFF, PDF and picture files as people's faxes, scanners and telephones write them."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, TiffImagePlugin

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.job import Arrival, Door
from gateway.unpack import MediaType, Unpacked, recognise, unpack
from gateway.unpack.fax_code import FaxCode, first_row_lost
from pipeline.recording import Page, Severity
from tests.dicom_objects import colours, encoded, gradient, pdf_of

# 96 x 64 in three thirds of colour; nothing in our environment writes HEIC
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAA"
    "AERAAAEAAQAAAAABegABAAAAAAAAAD0AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA1mlwcnAAAAC3"
    "aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAA"
    "AwAeoDCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABgAAAAQAAAABBw"
    "aXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQIDBAAAAEVtZGF0AAAAOSgBrxOA5qhw0//+gZR//Dvnh+W81RK320l3/qDl//Dn1uUisn9B"
    "dSiv/9chhR+/owv6kgL6f/U5vw=="
)
DAMAGED = [("page_damaged", Severity.ERROR)]
OLD = 255  # SubfileType


def opened(folder: Path, data: bytes, **limits: float) -> Unpacked:
    path = folder / "received"
    path.write_bytes(data)
    return unpack(path, Arrival(Door.FAX, "ward"), LimitsSection.model_validate(limits), IdentitySection())


def only_page(folder: Path, data: bytes) -> Page:
    document = opened(folder, data)
    assert document.page_count == 1
    return document.read(1)


def told(page: Page) -> list[tuple[str, Severity]]:
    return [(finding.code, finding.severity) for finding in page.findings]


def told_or_refused(folder: Path, data: bytes) -> list[object]:
    try:
        return [*told(only_page(folder, data))]
    except Refused as refused:
        return [refused.code]


def trace(width: int = 1728, height: int = 1100, seed: int = 1) -> Image.Image:
    """A ruled page of one bit with four wandering lines."""
    image = Image.new("1", (width, height), 1)
    draw = ImageDraw.Draw(image)
    rng = np.random.default_rng(seed)
    for x in range(0, width, 40):
        draw.line((x, 0, x, height), 0)
    for row in range(4):
        y = height * (row + 0.5) / 4 + np.cumsum(rng.normal(0, 4, width // 4)) * height / 1100
        draw.line([(4 * x, float(each)) for x, each in enumerate(y)], 0, 3)
    return image


def tiff(image: Image.Image, compression: str | None = "group4", **tags: int) -> bytes:
    """A TIFF of one strip. tags: _266=2 and so on."""
    numbered = {278: image.height} | {int(key[1:]): value for key, value in tags.items()}
    return encoded(image, "TIFF", compression=compression, tiffinfo=numbered)


def directories(*pages: tuple[Image.Image, dict[int, int]]) -> bytes:
    """A TIFF of pages with tags of their own."""
    out = io.BytesIO()
    frames = []
    for image, tags in pages:
        copy = image.copy()
        copy.encoderinfo = {"tiffinfo": tags, "compression": "group4" if image.mode == "1" else "tiff_deflate"}
        frames.append(copy)
    first, *rest = frames
    first.save(out, "TIFF", save_all=True, append_images=rest, **first.encoderinfo)
    if any(OLD in tags for _, tags in pages):  # which Pillow does not write
        return out.getvalue().replace(struct.pack("<HHII", 254, 4, 1, 1), struct.pack("<HHIHH", 255, 3, 1, 2, 0))
    return out.getvalue()


def smaller(image: Image.Image, share: float) -> Image.Image:
    return image.convert("L").resize((round(image.width * share), round(image.height * share)), Image.Resampling.BOX)


class TestPreviews:
    @pytest.mark.parametrize("tags", [{254: 1}, {254: 1, OLD: 2}, {254: 4}, {254: 5}, {}])
    @pytest.mark.parametrize("share", [0.75, 0.5, 0.13])
    def test_a_smaller_version_is_no_page_of_its_own(self, tmp_path: Path, share: float, tags: dict[int, int]) -> None:
        page = only_page(tmp_path, directories((trace(), {}), (smaller(trace(), share), tags)))
        assert page.image.shape == (1100, 1728, 3)
        assert told(page) == [("preview_left_out", Severity.INFO)]

    @pytest.mark.parametrize("size", [(1728, 1100), (864, 550), (3456, 2200)])
    def test_a_transparency_mask_is_no_page_and_costs_none(self, tmp_path: Path, size: tuple[int, int]) -> None:
        mask = Image.new("1", size, 1)
        tags = {254: 4, 262: 4}
        document = opened(tmp_path, directories((trace(), {}), (mask, tags), (trace(seed=2), {}), (mask, tags)))
        pages = [page for _, page in document.pages]
        assert [page.image.shape for page in pages] == [(1100, 1728, 3)] * 2
        assert [told(page) for page in pages] == [[], []]
        assert (pages[0].image != pages[1].image).any()

    @pytest.mark.parametrize("tags", [{254: 1}, {}])
    def test_nor_where_it_comes_first(self, tmp_path: Path, tags: dict[int, int]) -> None:
        document = opened(tmp_path, directories((smaller(trace(), 0.13), tags), (trace(), {}), (trace(seed=2), {})))
        assert [page.image.shape for _, page in document.pages] == [(1100, 1728, 3)] * 2

    def test_another_ecg_on_smaller_paper_of_the_same_shape_is_a_page(self, tmp_path: Path) -> None:
        others = [(smaller(trace(seed=seed), 0.5), {}) for seed in (2, 3, 4)]
        assert opened(tmp_path, directories((trace(), {}), *others)).page_count == 4

    def test_a_page_is_a_page_though_every_directory_is_marked_as_reduced(self, tmp_path: Path) -> None:
        document = opened(tmp_path, directories((trace(), {254: 1}), (trace(seed=2), {254: 1})))
        assert document.page_count == 2

    @pytest.mark.parametrize("tags", [{254: 1}, {254: 4}, {254: 1, OLD: 2}])
    def test_a_marked_page_of_another_shape_is_a_page(self, tmp_path: Path, tags: dict[int, int]) -> None:
        document = opened(tmp_path, directories((trace(height=2287), tags), (trace(height=2285, seed=2), tags)))
        assert document.page_count == 2

    @pytest.mark.parametrize("larger", [trace(), Image.new("1", (1728, 1100), 1)])
    def test_a_marked_page_of_the_same_shape_with_another_ecg_is_a_page(
        self, tmp_path: Path, larger: Image.Image
    ) -> None:
        document = opened(tmp_path, directories((larger, {254: 1}), (smaller(trace(seed=2), 0.5), {254: 1})))
        assert document.page_count == 2

    @pytest.mark.parametrize("preview", [smaller(trace(), 0.01), Image.new("L", (864, 550), 255)])
    def test_a_marked_preview_that_cannot_be_compared_is_no_page(self, tmp_path: Path, preview: Image.Image) -> None:
        page = only_page(tmp_path, directories((trace(), {}), (preview, {254: 1})))
        assert told(page) == [("preview_left_out", Severity.INFO)]

    def test_a_marked_preview_that_cannot_be_decoded_does_not_cost_its_page(self, tmp_path: Path) -> None:
        data = bytearray(directories((trace(), {}), (smaller(trace(), 0.5), {254: 1})))
        with Image.open(io.BytesIO(data)) as image:
            image.seek(1)
            assert isinstance(image, TiffImagePlugin.TiffImageFile)
            at = image.tag_v2[273][0]
        data[at : at + 20] = b"\xff" * 20
        assert only_page(tmp_path, bytes(data)).image.shape == (1100, 1728, 3)

    def test_one_of_several_pages_stays_one(self, tmp_path: Path) -> None:
        document = opened(tmp_path, directories((trace(), {254: 2}), (trace(seed=2), {254: 2})))
        assert document.page_count == 2

    def test_more_directories_than_pages_may_have_are_refused(self, tmp_path: Path) -> None:
        blank = Image.new("1", (16, 16))
        with pytest.raises(Refused, match="too_many_pages"):
            opened(tmp_path, directories(*[(blank, {})] * 4), pages_max=3)


class TestTiffEndsEarly:
    @pytest.mark.parametrize("compression", ["group3", "group4"])
    @pytest.mark.parametrize("fill_order", [1, 2])
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 0.95])
    def test_a_fax_whose_code_ends_before_the_page_is_damaged(
        self, tmp_path: Path, compression: str, fill_order: int, share: float
    ) -> None:
        whole = tiff(trace(), compression=compression, _266=fill_order)
        assert told(only_page(tmp_path, whole)) == []
        assert told(only_page(tmp_path, cut_short(whole, share))) == DAMAGED

    @pytest.mark.parametrize("compression", ["group3", "group4"])
    def test_where_it_ends_is_told(self, tmp_path: Path, compression: str) -> None:
        (finding,) = only_page(tmp_path, cut_short(tiff(trace(), compression=compression), 0.6)).findings
        row = int(finding.detail.split("rows ")[1].split()[0])
        assert 600 <= row <= 720

    def test_g4_without_an_end_of_its_block_is_whole(self) -> None:
        code = g4(trace())
        assert first_row_lost(code) is None
        strip = code.strips[0].rstrip(b"\0")
        bare = strip[:-3]  # T.6 2.4.1.1: the end of the block is 24 bits
        assert first_row_lost(FaxCode(code.columns, code.rows, code.rows, 4, [bare])) in (None, code.rows - 1)

    def test_a_blank_page_is_whole(self) -> None:
        assert first_row_lost(g4(Image.new("1", (1728, 2000), 1))) is None

    def test_a_strip_in_the_middle_that_ends_early_is_damaged(self, tmp_path: Path) -> None:
        code = g4(trace())
        part = code.strips[0]
        page = FaxCode(code.columns, code.rows * 3, code.rows, 4, [part, part[: len(part) // 2], part])
        row = first_row_lost(page)
        assert row is not None
        assert code.rows < row < code.rows * 2

    def test_a_jpeg_inside_that_ends_early_is_damaged(self, tmp_path: Path) -> None:
        noise = Image.effect_noise((600, 400), 80)
        whole = tiff(noise, compression="jpeg")
        assert told(only_page(tmp_path, whole)) == []
        assert told_or_refused(tmp_path, cut_short(whole, 0.6)) in (DAMAGED, ["damaged"])

    @pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", None])
    def test_any_other_that_ends_early_is_refused(self, tmp_path: Path, compression: str | None) -> None:
        whole = tiff(Image.effect_noise((600, 400), 80), compression=compression)
        with Image.open(io.BytesIO(whole)) as image:
            end = image.tag_v2[273][0] + sum(image.tag_v2[279]) * 6 // 10
        assert told_or_refused(tmp_path, whole[:end]) == ["damaged"]

    def test_a_fax_that_counted_bad_lines_says_so(self, tmp_path: Path) -> None:
        page = only_page(tmp_path, tiff(trace(), _326=17, _327=1))
        assert [(each.code, each.severity, each.detail) for each in page.findings] == [
            ("fax_lines_damaged", Severity.WARNING, "17 of 1100 lines")
        ]


def g4(image: Image.Image) -> FaxCode:
    with Image.open(io.BytesIO(tiff(image))) as written:
        (offset,), (count,) = written.tag_v2[273], written.tag_v2[279]
        assert written.tag_v2[262] == 1  # black is zero
    data = tiff(image)[offset : offset + count]
    return FaxCode(image.width, image.height, image.height, 4, [data])


def cut_short(data: bytes, share: float) -> bytes:
    """The TIFF with its only strip's byte count reduced, and the rest of the strip blanked."""
    with Image.open(io.BytesIO(data)) as image:
        offset, count = image.tag_v2[273][0], image.tag_v2[279][0]
        assert len(image.tag_v2[273]) == 1
    less = int(count * share)
    cut = data[: offset + less] + bytes(count - less) + data[offset + count :]
    for form, size in ("<HHII", 4), ("<HHIHH", 4):
        old = struct.pack(form, 279, 4 if form == "<HHII" else 3, 1, count, *([0] if form == "<HHIHH" else []))
        new = struct.pack(form, 279, 4 if form == "<HHII" else 3, 1, less, *([0] if form == "<HHIHH" else []))
        assert size
        if old in cut:
            return cut.replace(old, new)
    raise AssertionError("no byte count of one strip")


class TestPicturesEndEarly:
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP"])
    def test_a_file_that_breaks_off_is_refused(self, tmp_path: Path, form: str) -> None:
        data = encoded(Image.effect_noise((600, 400), 80).convert("RGB"), form)
        assert told_or_refused(tmp_path, data[: len(data) * 6 // 10]) == ["damaged"]

    def test_a_jpeg_that_was_closed_early_is_damaged(self, tmp_path: Path) -> None:
        data = encoded(Image.effect_noise((600, 400), 80), "JPEG")
        assert told(only_page(tmp_path, data)) == []
        assert told(only_page(tmp_path, data[: len(data) * 6 // 10] + b"\xff\xd9")) == DAMAGED

    def test_a_jpeg_with_a_preview_and_something_behind_it_is_whole(self, tmp_path: Path) -> None:
        preview = encoded(gradient(), "JPEG")
        data = encoded(Image.effect_noise((600, 400), 80), "JPEG", comment=preview[:1000] + b"\xff\xd9")
        assert told(only_page(tmp_path, data + b"telephone's own" * 10)) == []


class TestInverted:
    @pytest.mark.parametrize("form", ["TIFF", "PNG", "BMP", "PDF"])
    def test_white_on_black_is_turned_over_and_told(self, tmp_path: Path, form: str) -> None:
        turned = Image.fromarray(~np.asarray(trace()))
        data = pdf_of_one_bit(turned) if form == "PDF" else encoded(turned, form)
        page = only_page(tmp_path, data)
        assert told(page) == [("page_inverted", Severity.INFO)]
        ink = (page.image[..., 0] < 128).mean()
        assert 0.5 * (~np.asarray(trace())).mean() < ink < 2 * (~np.asarray(trace())).mean()
        if form != "PDF":
            assert np.array_equal(page.image[..., 0] > 0, np.asarray(trace()))

    @pytest.mark.parametrize("form", ["TIFF", "PNG", "PDF"])
    def test_black_on_white_stays(self, tmp_path: Path, form: str) -> None:
        data = pdf_of_one_bit(trace()) if form == "PDF" else encoded(trace(), form)
        assert told(only_page(tmp_path, data)) == []

    def test_a_dark_photo_stays_dark(self, tmp_path: Path) -> None:
        dark = np.minimum(gradient(400, 600), 60)
        assert only_page(tmp_path, encoded(dark, "PNG")).image.mean() < 70


def pdf_of_one_bit(image: Image.Image) -> bytes:
    return pdf(one_bit(image), image.width, image.height)


def one_bit(image: Image.Image) -> bytes:
    data = zlib.compress(np.packbits(np.asarray(image), axis=1).tobytes())
    return picture(data, image.width, image.height, "/Filter /FlateDecode /ColorSpace /DeviceGray /BitsPerComponent 1")


def picture(data: bytes, width: int, height: int, more: str) -> bytes:
    head = f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} {more} /Length {len(data)} >>"
    return head.encode() + b"\nstream\n" + data + b"\nendstream"


def pdf(image: bytes, width: float, height: float, dpi: float = 200, page: str = "", unit: float = 1) -> bytes:
    """A PDF of one page with this picture all over it. page: more of the page's dictionary."""
    wide, high = (72 * side / dpi / unit for side in (width, height))
    content = f"q {wide:.4f} 0 0 {high:.4f} 0 0 cm /Im Do Q".encode()
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {wide:.4f} {high:.4f}] /Contents 4 0 R "
        f"/Resources << /XObject << /Im 5 0 R >> >> {page} >>".encode(),
        f"<< /Length {len(content)} >>".encode() + b"\nstream\n" + content + b"\nendstream",
        image,
    ]
    out = bytearray(b"%PDF-1.6\n")
    at = []
    for number, body in enumerate(bodies, start=1):
        at.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % each for each in at)
    return bytes(out) + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


FAX = "/ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /CCITTFaxDecode /DecodeParms << {} >>"
GREY_IN = "/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter {}"


class TestPdf:
    @pytest.mark.parametrize("unit", [1, 2, 0.5, 10])
    def test_a_user_unit_is_part_of_the_size_on_paper(self, tmp_path: Path, unit: float) -> None:
        image = trace()
        data = pdf(one_bit(image), image.width, image.height, page=f"/UserUnit {unit}", unit=unit)
        page = only_page(tmp_path, data)
        assert page.dpi == pytest.approx((200, 200), rel=0.001)
        assert page.image.shape[1] == pytest.approx(1728, abs=2)

    def test_a_user_unit_of_a_page_of_vectors_draws_it_larger(self, tmp_path: Path) -> None:
        coarse = encoded(gradient(72, 72), "PDF", resolution=72)
        assert only_page(tmp_path, coarse).image.shape == (300, 300, 3)
        doubled = coarse.replace(b"/Type /Page\n", b"/Type /Page /UserUnit 2\n")
        assert doubled != coarse
        assert only_page(tmp_path, doubled).image.shape == (600, 600, 3)

    @pytest.mark.parametrize("unit", ["0", "-3", "(two)", "1e99", "null"])
    def test_a_senseless_user_unit_counts_as_none(self, tmp_path: Path, unit: str) -> None:
        image = trace()
        data = pdf(one_bit(image), image.width, image.height, page=f"/UserUnit {unit}")
        assert only_page(tmp_path, data).dpi == pytest.approx((200, 200), rel=0.001)

    @pytest.mark.parametrize("parameters", ["/K -1", "/K 0", "/K 0 /EndOfLine true"])
    @pytest.mark.parametrize("share", [1, 0.8, 0.4])
    def test_a_fax_inside_that_ends_early_is_damaged(self, tmp_path: Path, parameters: str, share: float) -> None:
        image = trace()
        data = fax_data(image, "group4" if "-1" in parameters else "group3")
        data = data[: int(len(data) * share)]
        form = FAX.format(f"{parameters} /Columns {image.width} /Rows {image.height}")
        page = only_page(tmp_path, pdf(picture(data, image.width, image.height, form), image.width, image.height))
        assert told(page) == ([] if share == 1 else DAMAGED)

    @pytest.mark.parametrize("name", ["/DCTDecode", "/FlateDecode", "/RunLengthDecode", "[/FlateDecode /DCTDecode]"])
    @pytest.mark.parametrize("share", [1, 0.8, 0.4])
    def test_any_picture_inside_that_ends_early_is_damaged(self, tmp_path: Path, name: str, share: float) -> None:
        noise = np.random.default_rng(3).integers(0, 256, (300, 400)).astype(np.uint8)
        jpeg = encoded(noise, "JPEG")
        data = {
            "/DCTDecode": jpeg[: int(len(jpeg) * share)],
            "/FlateDecode": (whole := zlib.compress(noise.tobytes()))[: int(len(whole) * share)],
            "/RunLengthDecode": run_lengths(noise.ravel()[: int(noise.size * share)]),
            "[/FlateDecode /DCTDecode]": zlib.compress(jpeg[: int(len(jpeg) * share)]),
        }[name]
        page = only_page(tmp_path, pdf(picture(data, 400, 300, GREY_IN.format(name)), 400, 300))
        assert told(page) == ([] if share == 1 else DAMAGED)

    def test_a_file_that_breaks_off_is_damaged_or_refused(self, tmp_path: Path) -> None:
        data = pdf_of(colours(400, 600))
        assert told_or_refused(tmp_path, data[: len(data) // 2]) in (DAMAGED, ["damaged"], ["no_pages"])

    def test_pictures_of_every_form_that_we_write_are_whole(self, tmp_path: Path) -> None:
        for image in (trace(), trace().convert("L"), trace().convert("RGB"), trace().convert("P")):
            assert told(only_page(tmp_path, encoded(image, "PDF", resolution=200))) == []


def fax_data(image: Image.Image, compression: str) -> bytes:
    """Coded lines, black is 1 as PDF has it unless told."""
    whole = tiff(Image.fromarray(~np.asarray(image)), compression=compression, _262=1)
    with Image.open(io.BytesIO(whole)) as written:
        offset, count = written.tag_v2[273][0], written.tag_v2[279][0]
    return whole[offset : offset + count]


def run_lengths(data: npt.NDArray[np.uint8]) -> bytes:
    out = bytearray()
    for at in range(0, len(data), 128):
        part = data[at : at + 128].tobytes()
        out += bytes([len(part) - 1]) + part
    return bytes(out) + b"\x80"


class TestKinds:
    @pytest.mark.parametrize(
        ("form", "media"), [("BMP", MediaType.BMP), ("WEBP", MediaType.WEBP), ("HEIF", MediaType.HEIC)]
    )
    def test_pictures_of_screens_and_telephones_are_read(self, tmp_path: Path, form: str, media: MediaType) -> None:
        data = HEIC if form == "HEIF" else encoded(colours(), form, **({"lossless": True} if form == "WEBP" else {}))
        path = tmp_path / "received"
        path.write_bytes(data)
        assert recognise(path) is media
        page = only_page(tmp_path, data)
        assert np.abs(page.image.astype(int) - colours(*page.image.shape[:2])).mean() < 12

    @pytest.mark.parametrize("brand", [b"avif", b"mp42", b"qt  "])
    def test_films_and_other_codings_are_refused_by_what_is_taken(self, tmp_path: Path, brand: bytes) -> None:
        with pytest.raises(Refused, match="none of DICOM, PDF, TIFF, PNG, JPEG, BMP, WebP or HEIC"):
            opened(tmp_path, b"\0\0\0\x18ftyp" + brand + bytes(100))

    def test_a_torn_heic_is_refused(self, tmp_path: Path) -> None:
        assert told_or_refused(tmp_path, HEIC[: len(HEIC) * 8 // 10]) == ["damaged"]
