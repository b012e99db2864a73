"""DICOM images whose attributes are odd, wrong or missing while their pixels are whole."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.job import Arrival, Door
from gateway.unpack import Unpacked, unpack
from pipeline.recording import Page, Severity, UInt8
from tests.dicom_objects import colours, compressed, dicom_object, encoded, gradient, put_fragments, put_pixels, save


def opened(made: FileDataset, folder: Path) -> Unpacked:
    return unpack(save(made, folder / "x"), Arrival(Door.DICOM, "TEST"), LimitsSection(), IdentitySection())


def only_page(made: FileDataset, folder: Path) -> Page:
    document = opened(made, folder)
    assert document.page_count == 1
    return document.read(1)


def grey(image: UInt8) -> UInt8:
    return image[..., 0]


def of_bits(bits: int, photometric: str = "MONOCHROME2") -> FileDataset:
    """The gradient of 8 bits as so many of 16."""
    made = dicom_object()
    values = gradient() if photometric == "MONOCHROME2" else colours()
    put_pixels(made, (values.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)[None], photometric)
    made.BitsStored, made.HighBit = bits, bits - 1
    return made


class TestWindow:
    @pytest.mark.parametrize("bits", [12, 16])
    @pytest.mark.parametrize(
        ("centre", "width"),
        [
            ("32768", "0"),
            ("128", "256"),  # left over from a copy of 8 bits
            ("-5000", "10"),
            ("100", "0.5"),
            ("32768", ""),
            ("", "65536"),
            ("32768", "wide"),
            ("32768\\", "0\\"),
            ("NaN", "100"),
            ("32768", "inf"),
        ],
    )
    def test_gives_way_to_all_the_values_where_it_cannot_be_of_these_pixels(
        self, tmp_path: Path, centre: str, width: str, bits: int
    ) -> None:
        made = of_bits(bits)
        made.add_new("WindowCenter", "LO", centre)  # as LO: the DS is not to be checked on the way out
        made.add_new("WindowWidth", "LO", width)
        made["WindowCenter"].VR = made["WindowWidth"].VR = "DS"
        image = grey(only_page(made, tmp_path).image)
        assert np.abs(image.astype(int) - gradient() * (255 / 250)).max() <= 2  # from the darkest to the lightest

    def test_the_second_is_taken_where_the_first_is_empty(self, tmp_path: Path) -> None:
        made = of_bits(12)
        made.add_new("WindowCenter", "LO", "\\2048")
        made.add_new("WindowWidth", "LO", "\\2048")
        made["WindowCenter"].VR = made["WindowWidth"].VR = "DS"
        image = grey(only_page(made, tmp_path).image)
        assert image[0, -1] == 255  # 4015 of 4095 lies above the window, 1024 to 3072
        assert (image[0] == 255).sum() > 10

    def test_gives_way_where_a_rescaling_makes_all_the_values_one(self, tmp_path: Path) -> None:
        made = of_bits(12)
        made.RescaleSlope, made.RescaleIntercept = "0", "7"
        made.WindowCenter, made.WindowWidth = "2048", "4096"
        assert len(np.unique(grey(only_page(made, tmp_path).image))) > 50

    @pytest.mark.parametrize("table", [b"\0\0" * 4096, b"\1\0"])
    def test_a_table_that_shows_nothing_gives_way(self, tmp_path: Path, table: bytes) -> None:
        made = of_bits(12)
        item = Dataset()
        item.add_new("LUTDescriptor", "US", [4096, 0, 16])
        item.add_new("LUTData", "OW", table)
        made.VOILUTSequence = Sequence([item])
        assert len(np.unique(grey(only_page(made, tmp_path).image))) > 50

    def test_a_page_of_one_value_is_blank(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, np.full((1, 40, 60), 900, np.uint16))
        with pytest.raises(Refused, match="blank"):
            only_page(made, tmp_path)


class TestColour:
    @pytest.mark.parametrize("bits", [8, 12, 16])
    def test_of_more_bits_is_scaled_by_those_stored(self, tmp_path: Path, bits: int) -> None:
        assert np.abs(only_page(of_bits(bits, "RGB"), tmp_path).image.astype(int) - colours()).max() <= 1

    @pytest.mark.parametrize("bits", [12, 16])
    def test_of_more_bits_compressed_is_scaled_likewise(self, tmp_path: Path, bits: int) -> None:
        path = compressed(save(of_bits(bits, "RGB"), tmp_path / "x"), uid.JPEG2000Lossless)
        document = unpack(path, Arrival(Door.DICOM, "TEST"), LimitsSection(), IdentitySection())
        assert np.abs(document.read(1).image.astype(int) - colours()).max() <= 1


class TestPalette:
    @pytest.mark.parametrize(
        ("stated_bits", "shift", "form"), [(8, 0, "<u2"), (16, 0, "<u2"), (16, 8, "<u2"), (8, 0, "u1")]
    )
    def test_of_8_bits_is_read_whatever_words_it_is_in(
        self, tmp_path: Path, stated_bits: int, shift: int, form: str
    ) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None], "PALETTE COLOR")
        for colour in ("Red", "Green", "Blue"):
            setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, stated_bits])
            table = (np.arange(256) << shift).astype(form).tobytes()
            setattr(made, f"{colour}PaletteColorLookupTableData", table)
        assert np.abs(grey(only_page(made, tmp_path).image).astype(int) - gradient()).max() <= 1


class TestMissing:
    @pytest.mark.parametrize(
        "keywords",
        [
            ("PlanarConfiguration",),
            ("BitsStored",),
            ("HighBit",),
            ("PixelRepresentation",),
            ("SamplesPerPixel",),
            ("BitsAllocated", "BitsStored", "HighBit"),
            ("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
            ("NumberOfFrames",),
        ],
    )
    @pytest.mark.parametrize("in_jpeg", [False, True])
    def test_what_follows_from_the_rest_may_be_missing(
        self, tmp_path: Path, keywords: tuple[str, ...], in_jpeg: bool
    ) -> None:
        made = dicom_object(syntax=uid.JPEGBaseline8Bit if in_jpeg else uid.ExplicitVRLittleEndian)
        put_pixels(made, colours()[None], "RGB")
        if in_jpeg:
            put_fragments(made, [encoded(colours(), "JPEG", quality=95)])
            made.PhotometricInterpretation = "YBR_FULL_422"
        for keyword in keywords:
            delattr(made, keyword)
        assert np.abs(only_page(made, tmp_path).image.astype(int) - colours()).mean() < 12

    def test_a_grey_page_of_16_bits_tells_them_by_its_length(self, tmp_path: Path) -> None:
        made = of_bits(16)
        del made.BitsAllocated, made.BitsStored, made.HighBit
        assert np.abs(grey(only_page(made, tmp_path).image) - gradient() * (255 / 250)).max() <= 2

    @pytest.mark.parametrize(
        ("keyword", "value", "named"),
        [
            ("PixelData", None, "Pixel Data (7FE0,0010)"),
            ("PixelData", bytes(100), "Pixel Data (7FE0,0010) has 100 bytes; frame 1 needs 2400"),
            ("Rows", None, "Rows"),
            ("PhotometricInterpretation", None, "PhotometricInterpretation"),
            ("PhotometricInterpretation", "CMYK", "PhotometricInterpretation"),
            ("BitsAllocated", 32, "BitsAllocated"),
            ("NumberOfFrames", "many", "NumberOfFrames"),
            ("SamplesPerPixel", 2, "SamplesPerPixel"),
            ("PixelRepresentation", 7, "Pixel Representation"),
        ],
    )
    def test_what_cannot_be_done_without_is_named(
        self, tmp_path: Path, keyword: str, value: object, named: str
    ) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        if value is None:
            delattr(made, keyword)
        else:
            made.add_new(keyword, "LO" if keyword == "NumberOfFrames" else made[keyword].VR, value)
        with pytest.raises(Refused) as refused:
            only_page(made, tmp_path)
        assert named in refused.value.why


class TestFrames:
    def test_no_frames_are_one(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, gradient()[None])
        made.NumberOfFrames = 0
        assert np.array_equal(grey(only_page(made, tmp_path).image), gradient())

    def test_frames_before_the_one_that_breaks_off_are_read(self, tmp_path: Path) -> None:
        made = dicom_object()
        put_pixels(made, np.stack([gradient(), gradient()]))
        made.PixelData = made.PixelData[:-1000]
        document = opened(made, tmp_path)
        assert np.array_equal(grey(document.read(1).image), gradient())
        with pytest.raises(Refused, match="Pixel Data"):
            document.read(2)

    @pytest.mark.parametrize("table", [(4711,), (0, 8), (2**32 - 1,), ()])
    @pytest.mark.parametrize("pieces", [1, 3])
    def test_one_frame_needs_no_right_offset_table(self, tmp_path: Path, table: tuple[int, ...], pieces: int) -> None:
        made = in_fragments([encoded(gradient(), "JPEG", quality=95)], table, pieces)
        assert np.abs(grey(only_page(made, tmp_path).image).astype(int) - gradient()).mean() < 6

    @pytest.mark.parametrize("pieces", [1, 3])
    def test_frames_that_begin_with_their_own_marker_need_none_either(self, tmp_path: Path, pieces: int) -> None:
        frames = [encoded(image, "JPEG", quality=95) for image in (gradient(), 255 - gradient())]
        document = opened(in_fragments(frames, (0, 3), pieces), tmp_path)
        assert np.abs(grey(document.read(2).image).astype(int) - (255 - gradient())).mean() < 6

    def test_an_extended_offset_table_is_not_needed_for_one_frame(self, tmp_path: Path) -> None:
        made = in_fragments([encoded(gradient(), "JPEG", quality=95)], (), 1)
        made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = struct.pack("<Q", 99), struct.pack("<Q", 1)
        assert only_page(made, tmp_path).image.shape == (40, 60, 3)


def in_fragments(frames: list[bytes], table: tuple[int, ...], pieces: int) -> FileDataset:
    """An object of JPEG frames, each in so many fragments, behind a Basic Offset Table with these numbers."""
    made = dicom_object(syntax=uid.JPEGBaseline8Bit)
    put_pixels(made, np.repeat(gradient()[None], len(frames), 0))
    put_fragments(made, frames)
    items = b"".join(encapsulate([frame], fragments_per_frame=pieces, has_bot=False)[8:] for frame in frames)
    numbers = struct.pack(f"<{len(table)}I", *table)
    made.PixelData = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(numbers)) + numbers + items
    return made


class TestEndsEarly:
    @pytest.mark.parametrize(
        "syntax",
        [
            uid.JPEGBaseline8Bit,
            uid.JPEGLosslessSV1,
            uid.JPEGLSLossless,
            uid.JPEG2000Lossless,
            uid.RLELossless,
            uid.ExplicitVRLittleEndian,
        ],
    )
    def test_a_frame_that_breaks_off_is_refused_or_told(self, tmp_path: Path, syntax: str) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (200, 300)).astype(np.uint8)
        made = dicom_object()
        put_pixels(made, noise[None])
        path = save(made, tmp_path / "whole")
        if syntax == uid.JPEGBaseline8Bit:
            made = in_fragments([encoded(noise, "JPEG", quality=95)], (), 1)
            made.Rows, made.Columns = noise.shape
        elif syntax != uid.ExplicitVRLittleEndian:
            made = dcmread(compressed(path, syntax))
        if made.file_meta.TransferSyntaxUID.is_compressed:
            frame = b"".join(list(fragments_of(made.PixelData)))
            put_fragments(made, [frame[: len(frame) * 6 // 10]])
        else:
            made.PixelData = made.PixelData[: noise.size * 6 // 10]
        assert refusal_or_findings(made, tmp_path) in (["damaged"], [("page_damaged", Severity.ERROR)])


def refusal_or_findings(made: FileDataset, folder: Path) -> list[object]:
    try:
        return [(each.code, each.severity) for each in only_page(made, folder).findings]
    except Refused as refused:
        return [refused.code]


def fragments_of(data: bytes) -> list[bytes]:
    from pydicom.encaps import generate_fragments

    return list(generate_fragments(data))[1:]


class TestOverlay:
    def made(self, group: int = 0x6000, kind: str = "G", origin: tuple[int, int] = (1, 1)) -> FileDataset:
        made = dicom_object()
        put_pixels(made, np.full((1, 40, 64), 250, np.uint8))
        plane = np.zeros((40, 64), np.uint8)
        plane[10, 8:40] = 1
        for element, vr, value in (
            (0x0010, "US", 40),
            (0x0011, "US", 64),
            (0x0040, "CS", kind),
            (0x0050, "SS", list(origin)),
            (0x0100, "US", 1),
            (0x0102, "US", 0),
            (0x3000, "OW", np.packbits(plane, bitorder="little").tobytes()),
        ):
            made.add_new((group, element), vr, value)
        return made

    @pytest.mark.parametrize("group", [0x6000, 0x601E])
    def test_is_drawn_in_black_on_paper_and_told(self, tmp_path: Path, group: int) -> None:
        page = only_page(self.made(group), tmp_path)
        assert (page.image == 0).all(axis=2).nonzero()[0].tolist() == [10] * 32
        assert [(each.code, each.severity) for each in page.findings] == [("overlay_drawn", Severity.WARNING)]

    def test_begins_where_its_origin_says(self, tmp_path: Path) -> None:
        page = only_page(self.made(origin=(-4, 11)), tmp_path)
        rows, columns = (page.image == 0).all(axis=2).nonzero()
        assert (set(rows.tolist()), columns.min(), columns.max()) == ({5}, 18, 49)

    @pytest.mark.parametrize("change", ["region", "outside", "torn", "odd"])
    def test_that_cannot_be_drawn_holds_the_page(self, tmp_path: Path, change: str) -> None:
        made = self.made(kind="R" if change == "region" else "G", origin=(200, 1) if change == "outside" else (1, 1))
        if change == "torn":
            made[0x6000, 0x3000].value = bytes(10)
        if change == "odd":
            del made[0x6000, 0x0011]
        page = only_page(made, tmp_path)
        assert page.image.min() == 250
        assert [(each.code, each.severity) for each in page.findings] == [("overlay_not_drawn", Severity.ERROR)]

    def test_in_the_high_bits_of_the_pixels_holds_the_page(self, tmp_path: Path) -> None:
        made = of_bits(12)
        words = np.frombuffer(made.PixelData, "<u2").copy()
        words[100:110] |= 1 << 12
        made.PixelData = words.tobytes()
        for element, value in ((0x0010, 40), (0x0011, 60), (0x0100, 16), (0x0102, 12)):
            made.add_new((0x6000, element), "US", value)
        assert [each.code for each in only_page(made, tmp_path).findings] == ["overlay_not_drawn"]

    def test_without_a_mark_is_no_finding(self, tmp_path: Path) -> None:
        made = self.made()
        made[0x6000, 0x3000].value = bytes(40 * 64 // 8)
        assert only_page(made, tmp_path).findings == ()

    def test_of_another_frame_is_not_drawn_on_this_one(self, tmp_path: Path) -> None:
        made = self.made()
        put_pixels(made, np.full((2, 40, 64), 250, np.uint8))
        made.add_new((0x6000, 0x0015), "IS", "1")
        document = opened(made, tmp_path)
        assert document.read(1).image.min() == 0
        assert document.read(2).image.min() == 250


def test_nothing_is_found_on_a_page_without_fault(tmp_path: Path) -> None:
    made = dicom_object()
    put_pixels(made, gradient()[None])
    assert only_page(made, tmp_path).findings == ()
