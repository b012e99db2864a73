"""Bytes as received into pages and orders."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, TiffImagePlugin
from pydicom import dcmread, uid

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Door
from gateway.unpack import MediaType, Unpacked, recognise, unpack
from gateway.unpack.codestream import rle_overflows, stated_size
from gateway.unpack.resolution import believable
from pipeline.recording import Page
from tests.dicom_objects import (
    colours,
    compressed,
    dicom_object,
    encapsulated_pdf,
    encoded,
    gradient,
    pdf_of,
    put_fragments,
    put_pixels,
    save,
)

BOTH_WAYS = np.array([[0, 255], [255, 0]], np.uint8)


def opened(path: Path, order: Order | None = None, **limits: float) -> Unpacked:
    arrival = Arrival(Door.FAX, "ward", order=order)
    return unpack(path, arrival, LimitsSection.model_validate(limits), IdentitySection())


def only_page(path: Path) -> Page:
    (numbered,) = opened(path).pages
    assert numbered[0] == 1
    return numbered[1]


def written(folder: Path, data: bytes) -> Path:
    path = folder / "received"
    path.write_bytes(data)
    return path


def fax_tiff(*pages: Image.Image, compression: str = "group4", **options: object) -> bytes:
    return encoded(pages[0], "TIFF", compression=compression, save_all=True, append_images=pages[1:], **options)


def bilevel(columns: int = 1728, rows: int = 200) -> Image.Image:
    return Image.fromarray(gradient(rows, columns)).convert("1")


class TestRecognise:
    def test_goes_by_content_and_not_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "page.pdf"
        path.write_bytes(encoded(gradient(), "PNG"))
        assert recognise(path) is MediaType.PNG

    def test_takes_a_pdf_behind_leading_rubbish(self, tmp_path: Path) -> None:
        assert recognise(written(tmp_path, b"\r\nFax header\r\n" + pdf_of(gradient()))) is MediaType.PDF

    def test_refuses_what_is_none_of_the_five_kinds(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="unknown_format"):
            opened(written(tmp_path, b"BM" + bytes(100)))

    def test_refuses_an_empty_file(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="unknown_format"):
            opened(written(tmp_path, b""))


class TestTiff:
    @pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw", "packbits", "tiff_deflate", None])
    def test_reads_every_compression_that_faxes_and_scanners_write(self, tmp_path: Path, compression: str) -> None:
        page = only_page(written(tmp_path, fax_tiff(bilevel(), compression=compression)))
        assert np.array_equal(page.image[..., 0] > 0, np.asarray(bilevel()))

    @pytest.mark.parametrize("dpi", [(204, 98), (204, 196), (204, 391), (200, 200), (300, 300)])
    def test_honours_the_resolutions_of_fax(self, tmp_path: Path, dpi: tuple[float, float]) -> None:
        assert only_page(written(tmp_path, fax_tiff(bilevel(), dpi=dpi))).dpi == pytest.approx(dpi)

    def test_honours_lines_per_centimetre(self, tmp_path: Path) -> None:
        data = fax_tiff(bilevel(), resolution_unit="cm", x_resolution=80.3, y_resolution=38.5)
        assert only_page(written(tmp_path, data)).dpi == pytest.approx((203.96, 97.8), abs=0.1)

    @pytest.mark.parametrize("dpi", [(72, 72), (1, 1), (30000, 30000), (204, 1000), (0, 0)])
    def test_does_not_believe_a_senseless_resolution(self, tmp_path: Path, dpi: tuple[float, float]) -> None:
        assert only_page(written(tmp_path, fax_tiff(bilevel(), dpi=dpi))).dpi is None

    def test_does_not_take_an_aspect_ratio_for_a_resolution(self, tmp_path: Path) -> None:
        data = fax_tiff(bilevel(), tiffinfo={282: 200.0, 283: 200.0, TiffImagePlugin.RESOLUTION_UNIT: 1})
        assert only_page(written(tmp_path, data)).dpi is None

    def test_every_page_of_a_document_is_a_page(self, tmp_path: Path) -> None:
        path = written(tmp_path, fax_tiff(bilevel(100, 10), bilevel(120, 11), bilevel(140, 12)))
        assert [(number, page.image.shape) for number, page in opened(path).pages] == [
            (1, (10, 100, 3)),
            (2, (11, 120, 3)),
            (3, (12, 140, 3)),
        ]

    def test_refuses_more_pages_than_allowed_before_decoding_any(self, tmp_path: Path) -> None:
        path = written(tmp_path, fax_tiff(*[bilevel(10, 10)] * 6))
        with pytest.raises(Refused, match="too_many_pages"):
            opened(path, pages_max=5)

    def test_white_is_zero_is_white(self, tmp_path: Path) -> None:
        black = fax_tiff(Image.new("1", (64, 8), 0))
        as_black_is_zero, as_white_is_zero = (struct.pack("<HHIHH", 262, 3, 1, v, 0) for v in (1, 0))
        assert as_black_is_zero in black
        page = only_page(written(tmp_path, black.replace(as_black_is_zero, as_white_is_zero)))
        assert page.image.min() == 255

    def test_a_damaged_page_is_refused_and_the_others_still_read(self, tmp_path: Path) -> None:
        noise = Image.effect_noise((400, 300), 80)
        data = bytearray(fax_tiff(noise, noise, compression="tiff_lzw"))
        with Image.open(written(tmp_path, bytes(data))) as image:
            start = image.tag_v2[273][0]
        data[start : start + 2000] = b"\xff" * 2000
        document = opened(written(tmp_path, bytes(data)))
        with pytest.raises(Refused, match="damaged"):
            document.read(1)
        assert document.read(2).image.shape == (300, 400, 3)


class TestPngAndJpeg:
    def test_reads_the_resolution_of_a_png(self, tmp_path: Path) -> None:
        assert only_page(written(tmp_path, encoded(gradient(), "PNG", dpi=(300, 150)))).dpi == pytest.approx(
            (300, 150), abs=0.1
        )

    def test_transparency_lies_on_white_paper(self, tmp_path: Path) -> None:
        clear = np.zeros((4, 4, 4), np.uint8)
        assert only_page(written(tmp_path, encoded(clear, "PNG"))).image.min() == 255

    def test_transparent_palette_colours_lie_on_white_paper(self, tmp_path: Path) -> None:
        image = Image.new("P", (4, 4), 0)
        image.putpalette([0, 0, 0])
        assert only_page(written(tmp_path, encoded(image, "PNG", transparency=0))).image.min() == 255

    def test_sixteen_bits_become_eight(self, tmp_path: Path) -> None:
        wide = np.array([[0, 0x8000, 0xFFFF]], np.uint16)
        assert only_page(written(tmp_path, encoded(wide, "PNG"))).image[0, :, 0].tolist() == [0, 128, 255]

    def test_refuses_a_png_bomb_before_decoding_it(self, tmp_path: Path) -> None:
        side = 60_000
        head = struct.pack(">II5B", side, side, 1, 0, 0, 0, 0)
        rows = zlib.compress(bytes(1000))

        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
        with pytest.raises(Refused, match="page_too_large"):
            list(opened(written(tmp_path, bomb)).pages)

    def test_reads_the_density_of_a_jpeg(self, tmp_path: Path) -> None:
        assert only_page(written(tmp_path, encoded(gradient(), "JPEG", dpi=(200, 200)))).dpi == (200, 200)

    def test_does_not_take_a_cameras_density_for_the_papers(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x829A] = 0.01  # ExposureTime
        data = encoded(gradient(), "JPEG", dpi=(300, 300), exif=exif)
        assert only_page(written(tmp_path, data)).dpi is None

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_turns_a_photo_upright(self, tmp_path: Path, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = Image.fromarray(colours(32, 48))
        path = written(tmp_path, encoded(picture, "JPEG", quality=95, exif=exif, subsampling=0, dpi=(200, 100)))
        page = only_page(path)
        methods = {
            2: (Image.Transpose.FLIP_LEFT_RIGHT,),
            3: (Image.Transpose.ROTATE_180,),
            4: (Image.Transpose.FLIP_TOP_BOTTOM,),
            5: (Image.Transpose.TRANSPOSE,),
            6: (Image.Transpose.ROTATE_270,),
            7: (Image.Transpose.TRANSVERSE,),
            8: (Image.Transpose.ROTATE_90,),
        }
        for method in methods.get(orientation, ()):
            picture = picture.transpose(method)
        assert np.abs(page.image.astype(int) - np.asarray(picture).astype(int)).mean() < 5
        assert page.dpi == ((100, 200) if orientation >= 5 else (200, 100))

    def test_refuses_a_truncated_jpeg(self, tmp_path: Path) -> None:
        data = encoded(Image.effect_noise((300, 300), 60), "JPEG")
        with pytest.raises(Refused, match="damaged"):
            only_page(written(tmp_path, data[: len(data) // 2]))

    def test_names_no_file_of_ours_to_who_sent_something_that_is_no_picture(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="damaged") as refused:
            only_page(written(tmp_path, b"\x89PNG\r\n\x1a\n and then nothing"))
        assert str(tmp_path) not in str(refused.value)


class TestPdf:
    def test_draws_every_page_at_the_resolution_of_its_scan(self, tmp_path: Path) -> None:
        path = written(tmp_path, pdf_of(gradient(400, 600), colours(300, 300), dpi=200))
        first, second = (page for _, page in opened(path).pages)
        assert first.image.shape == (400, 600, 3)
        assert first.dpi == pytest.approx((200, 200), rel=0.01)
        assert second.image.shape == (300, 300, 3)
        assert second.image[150, 50, 0] > 150 > 50 > second.image[150, 50, 2]

    def test_draws_a_coarse_picture_at_our_own_resolution(self, tmp_path: Path) -> None:
        assert only_page(written(tmp_path, pdf_of(gradient(72, 72), dpi=72))).image.shape == (300, 300, 3)

    def test_refuses_a_page_too_large_to_draw(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="page_too_large"):
            only_page(written(tmp_path, pdf_of(gradient(1000, 1000), dpi=5)))

    def test_refuses_a_picture_too_large_to_decode(self, tmp_path: Path) -> None:
        path = written(tmp_path, pdf_of(gradient(1000, 1000), dpi=200))
        with pytest.raises(Refused, match="pictures"):
            list(opened(path, pixels_max_megapixels=0.9).pages)

    def test_refuses_more_pages_than_allowed(self, tmp_path: Path) -> None:
        path = written(tmp_path, pdf_of(*[gradient()] * 4))
        with pytest.raises(Refused, match="too_many_pages"):
            opened(path, pages_max=3)

    def test_refuses_a_torn_pdf(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match=r"damaged|no_pages"):
            list(opened(written(tmp_path, pdf_of(gradient())[:200])).pages)


class TestDicomImages:
    @pytest.mark.parametrize(
        "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
    )
    def test_reads_every_uncompressed_syntax(self, tmp_path: Path, syntax: str) -> None:
        made = dicom_object(syntax=syntax)
        put_pixels(made, gradient()[None])
        assert np.array_equal(only_page(save(made, tmp_path / "x")).image[..., 1], gradient())

    @pytest.mark.parametrize(
        "syntax",
        [
            uid.RLELossless,
            uid.JPEGLossless,
            uid.JPEGLosslessSV1,
            uid.JPEGLSLossless,
            uid.JPEG2000Lossless,
        ],
    )
    @pytest.mark.parametrize("pixels", [gradient()[None], np.stack([gradient(), 255 - gradient()]), colours()[None]])
    def test_reads_every_lossless_syntax(self, tmp_path: Path, syntax: str, pixels: npt.NDArray[np.uint8]) -> None:
        made = dicom_object()
        put_pixels(made, pixels, "RGB" if pixels.ndim == 4 else "MONOCHROME2")
        path = compressed(save(made, tmp_path / "x"), syntax)
        assert dcmread(path).file_meta.TransferSyntaxUID == syntax
        for number, page in opened(path).pages:
            expected = pixels[number - 1] if pixels.ndim == 4 else pixels[number - 1][..., None]
            assert np.array_equal(page.image, np.broadcast_to(expected, page.image.shape))

    @pytest.mark.parametrize(("syntax", "form"), [(uid.JPEGBaseline8Bit, "JPEG"), (uid.JPEG2000, "JPEG2000")])
    def test_reads_lossy_colour(self, tmp_path: Path, syntax: str, form: str) -> None:
        made = dicom_object(syntax=syntax)
        put_pixels(made, colours()[None], "RGB")
        made.PhotometricInterpretation = "YBR_FULL_422" if form == "JPEG" else "YBR_ICT"
        options = {"no_jp2": True, "mct": 1, "irreversible": True} if form == "JPEG2000" else {"quality": 95}
        put_fragments(made, [encoded(colours(), form, **options)])
        page = only_page(save(made, tmp_path / "x"))
        assert np.abs(page.image.astype(int) - colours()).mean() < 12

    def test_frames_are_pages(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, np.stack([gradient(), 255 - gradient()]))
        pages = [page for _, page in opened(save(made, tmp_path / "x")).pages]
        assert np.array_equal(pages[1].image, 255 - pages[0].image)

    def test_single_bits_become_black_and_white(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, np.zeros((1, 4, 8), np.uint8))
        made.BitsAllocated = made.BitsStored = 1
        made.HighBit = 0
        made.PixelData = b"\x0f\xff\x00\xff"
        image = only_page(save(made, tmp_path / "x")).image[..., 0]
        assert image[0].tolist() == [255] * 4 + [0] * 4  # PS3.5 8.1.1: the first pixel is the lowest bit
        assert image[:, 0].tolist() == [255, 255, 0, 255]

    def test_monochrome1_is_white_where_it_is_zero(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None], "MONOCHROME1")
        assert np.array_equal(only_page(save(made, tmp_path / "x")).image[..., 0], 255 - gradient())

    def test_palette_colours_are_looked_up(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, BOTH_WAYS[None] // 255, "PALETTE COLOR")
        for colour, table in (("Red", b"\x00\xff"), ("Green", b"\x10\x20"), ("Blue", b"\xff\x00")):
            setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [2, 0, 8])
            setattr(made, f"{colour}PaletteColorLookupTableData", table)
        image = only_page(save(made, tmp_path / "x")).image
        assert image[0].tolist() == [[0, 0x10, 255], [255, 0x20, 0]]

    def test_twelve_bits_go_through_the_objects_own_window(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, np.array([[[0, 1000, 2000, 3000, 4095]]], np.uint16))
        made.BitsStored, made.HighBit = 12, 11
        made.WindowCenter, made.WindowWidth = 2000, 2000
        image = only_page(save(made, tmp_path / "x")).image[0, :, 0]
        assert image[[0, -1]].tolist() == [0, 255]
        assert image[1] < 3
        assert abs(int(image[2]) - 128) < 3

    @pytest.mark.parametrize("keyword", ["NominalScannedPixelSpacing", "PixelSpacing", "ImagerPixelSpacing"])
    def test_pixel_spacing_is_a_resolution(self, tmp_path: Path, keyword: str) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        setattr(made, keyword, ["0.254", "0.127"])  # rows first
        assert only_page(save(made, tmp_path / "x")).dpi == pytest.approx((200, 100))

    def test_a_senseless_spacing_is_not_believed(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.PixelSpacing = ["1", "1"]
        assert only_page(save(made, tmp_path / "x")).dpi is None

    def test_refuses_a_compressed_frame_that_says_another_size(self, tmp_path: Path) -> None:
        made = dicom_object(syntax=uid.JPEGBaseline8Bit)
        put_pixels(made, gradient()[None])
        put_fragments(made, [encoded(gradient(800, 900), "JPEG")])
        with pytest.raises(Refused, match="damaged"):
            only_page(save(made, tmp_path / "x"))

    @pytest.mark.parametrize(("rows", "columns"), [(65535, 65535), (60000, 3000)])
    def test_refuses_an_image_larger_than_allowed_before_reading_it(
        self, tmp_path: Path, rows: int, columns: int
    ) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.Rows, made.Columns = rows, columns
        with pytest.raises(Refused, match="page_too_large"):
            opened(save(made, tmp_path / "x"))

    def test_refuses_more_frames_than_allowed(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.NumberOfFrames = 100_000
        with pytest.raises(Refused, match="too_many_pages"):
            opened(save(made, tmp_path / "x"))

    def test_refuses_pixels_that_end_early(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.PixelData = made.PixelData[:100]
        with pytest.raises(Refused, match="damaged"):
            only_page(save(made, tmp_path / "x"))

    def test_refuses_an_object_without_image(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="no_pixels"):
            opened(save(dicom_object(), tmp_path / "x"))

    def test_refuses_the_deflated_syntax(self, tmp_path: Path) -> None:
        made = dicom_object(syntax=uid.DeflatedExplicitVRLittleEndian)
        put_pixels(made, gradient()[None])
        with pytest.raises(Refused, match="transfer_syntax"):
            opened(save(made, tmp_path / "x"))

    def test_reads_the_pages_of_an_encapsulated_pdf(self, tmp_path: Path) -> None:
        path = save(encapsulated_pdf(pdf_of(gradient(400, 600), gradient(300, 300))), tmp_path / "x")
        document = opened(path)
        assert document.media_type is MediaType.DICOM
        assert document.order.patient.patient_id == "P-4711"
        assert [page.image.shape for _, page in document.pages] == [(400, 600, 3), (300, 300, 3)]

    def test_refuses_an_encapsulated_document_that_is_no_pdf(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="not_a_pdf"):
            opened(save(encapsulated_pdf(b"<html></html>"), tmp_path / "x"))


class TestOrder:
    def test_a_dicom_object_says_whose_ecg_it_is(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        order = opened(save(made, tmp_path / "x")).order
        assert order.patient == Patient("P-4711", "WARD", "Müller^Jörg", "19500203", "M")
        assert order.accession_number == "A-17"
        assert order.study_uid == made.StudyInstanceUID
        assert order.source.sop_instance_uid == made.SOPInstanceUID
        assert (order.acquired_at, order.acquired_from) == ("20240131143005", "StudyDate")
        assert ("Modality", "OT") in order.attributes
        assert ("InstitutionName", "Hôpital") in order.attributes

    def test_what_the_door_read_goes_before_what_the_file_says(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        known = Order(patient=Patient(patient_id="CORRECTED"))
        assert opened(save(made, tmp_path / "x"), known).order == known

    def test_a_fax_alone_has_no_patient(self, tmp_path: Path) -> None:
        assert opened(written(tmp_path, fax_tiff(bilevel()))).order == Order()

    @pytest.mark.parametrize(
        ("attributes", "moment", "source"),
        [
            ({"AcquisitionDateTime": "20240131143005.25+0100"}, "20240131143005.25+0100", "AcquisitionDateTime"),
            ({"AcquisitionDateTime": "2024"}, "2024", "AcquisitionDateTime"),
            ({"AcquisitionDateTime": "20241331"}, "20240131143005", "StudyDate"),  # no thirteenth month
            ({"AcquisitionDate": "20240201", "AcquisitionTime": "0915"}, "202402010915", "AcquisitionDate"),
            ({"AcquisitionDate": "20240201", "AcquisitionTime": "9999"}, "20240201", "AcquisitionDate"),
            ({"StudyDate": "1999.12.31", "StudyTime": "23:59:00"}, "19991231235900", "StudyDate"),
            ({"StudyDate": "19990229"}, "", ""),
            ({"StudyDate": ""}, "", ""),
        ],
    )
    def test_the_acquisition_time_is_the_first_lawful_one(
        self, tmp_path: Path, attributes: dict[str, str], moment: str, source: str
    ) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        for keyword, value in attributes.items():
            setattr(made, keyword, value)
        order = opened(save(made, tmp_path / "x")).order
        assert (order.acquired_at, order.acquired_from) == (moment, source)

    @pytest.mark.parametrize("number", ["1..2", "..", "1.2.", "1." + "2" * 63, "study 7"])
    def test_a_study_uid_that_is_not_built_as_one_counts_as_missing(self, tmp_path: Path, number: str) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.StudyInstanceUID = number
        order = opened(save(made, tmp_path / "x")).order
        assert order.study_uid == ""
        assert ("StudyInstanceUID", number) in order.attributes

    @pytest.mark.parametrize("number", ["1.2.0.3", "1.02", "2.25." + "9" * 39, "0.1"])
    def test_a_study_uid_that_is_built_as_one_is_kept(self, tmp_path: Path, number: str) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.StudyInstanceUID = number
        assert opened(save(made, tmp_path / "x")).order.study_uid == number

    def test_the_wide_space_of_a_japanese_name_is_a_space(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.SpecificCharacterSet = "ISO_IR 192"
        made.PatientName = "=\u5c71\u7530\u3000\u592a\u90ce\u3000"
        assert opened(save(made, tmp_path / "x")).order.patient.name == "=\u5c71\u7530 \u592a\u90ce"

    def test_a_senseless_sex_or_birth_date_stays_empty(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.PatientSex, made.PatientBirthDate = "?", "00000000"
        patient = opened(save(made, tmp_path / "x")).order.patient
        assert (patient.sex, patient.birth_date) == ("", "")

    @pytest.mark.parametrize(
        ("character_set", "name"),
        [("ISO_IR 100", "Ångström^Åsa"), ("ISO_IR 192", "山田^太郎"), ("ISO_IR 144", "Люкceмбypг")],
    )
    def test_character_sets_are_decoded(self, tmp_path: Path, character_set: str, name: str) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.SpecificCharacterSet, made.PatientName, made.InstitutionName = character_set, name, ""
        order = opened(save(made, tmp_path / "x")).order
        assert order.patient.name == name
        assert order.character_set == character_set

    def test_bulk_values_are_no_attributes(self, tmp_path: Path) -> None:
        path = save(encapsulated_pdf(pdf_of(gradient())), tmp_path / "x")
        assert "EncapsulatedDocument" not in dict(opened(path).order.attributes)


class TestStatedSize:
    @pytest.mark.parametrize(("form", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG2000", {})])
    def test_reads_what_the_markers_say(self, form: str, options: dict[str, object]) -> None:
        assert stated_size(encoded(colours(123, 77), form, **options)) == (77, 123, 3)

    @pytest.mark.parametrize(
        "stream", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00\x11", b"\xff\x4f\xff\x51\x00", b"GIF89a"]
    )
    def test_says_nothing_of_a_torn_stream(self, stream: bytes) -> None:
        assert stated_size(stream) is None


class TestRunLengths:
    def test_a_plane_that_fits_passes(self) -> None:
        frame = struct.pack("<16I", 2, 64, 68, *[0] * 13) + b"\x81\xff\x00\x01" + b"\x01\x02\x03\x80"
        assert not rle_overflows(frame, 129)

    def test_a_plane_that_does_not_fit_is_found_without_unpacking_it(self) -> None:
        frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\xff" * 1000
        assert rle_overflows(frame, 128 * 999 - 3)

    def test_a_torn_header_overflows_nothing(self) -> None:
        assert not rle_overflows(b"\x01\0\0\0", 100)


def test_a_resolution_that_is_not_a_number_is_not_believed() -> None:
    assert believable(float("nan"), 200) is None
    assert believable(float("inf"), float("inf")) is None
