"""TIFF, PNG, JPEG, BMP, WebP and HEIC files into pages, through Pillow."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from gateway.config import LimitsSection
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.unpack import jpeg, tiff
from gateway.unpack.document import Unpacked, check_page_count, check_pixels
from gateway.unpack.media import MediaType
from gateway.unpack.resolution import CM_PER_INCH, believable
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Page, Severity, UInt8

FORMAT = {
    MediaType.TIFF: "TIFF",
    MediaType.PNG: "PNG",
    MediaType.JPEG: "JPEG",
    MediaType.BMP: "BMP",
    MediaType.WEBP: "WEBP",
    MediaType.HEIC: "HEIF",
}
ONE_PAGE = tiff.Pages((0,), frozenset())
BAND_ROWS = 512  # rows converted to RGB at a time: bounds the copies beside the page itself
WHITE = 255
WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
INCH, CENTIMETRE = 2, 3  # TIFF 6.0, ResolutionUnit

# Damage that Pillow steps over is no news for the log; what it could not step over is raised.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# What Pillow raises on damaged input, found by reading it and by fuzzing.
DAMAGE = (
    OSError,  # UnidentifiedImageError, truncation, decoder errors
    SyntaxError,  # broken PNG chunks and JPEG markers
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    AssertionError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_document(path: Path, media: MediaType, order: Order, limits: LimitsSection) -> Unpacked:
    """A raster file as a document; only a TIFF has more than one page.

    Raises:
        Refused: damaged, or too many pages.
    """
    with _opened(
        path, media, limits
    ) as image:  # any kind, so that a damaged file is told before its pages are asked for
        pages = tiff.find_pages(image, limits) if media is MediaType.TIFF else ONE_PAGE
    check_page_count(len(pages.directories), limits)
    return Unpacked(media, order, len(pages.directories), partial(_read, path, media, limits, pages))


def _read(path: Path, media: MediaType, limits: LimitsSection, pages: tiff.Pages, number: int) -> Page:
    """Page number of a raster file, upright, RGB. Raises Refused."""
    with _opened(path, media, limits) as image:
        directory = pages.directories[number - 1]
        if directory:
            image.seek(directory)
        check_pixels(*image.size, limits)
        orientation = _orientation(image)
        dpi = _dpi(image)
        findings = list(tiff.damage(image)) if media is MediaType.TIFF else []
        image.load()
        if number - 1 in pages.copies:
            findings.append(Finding(FindingCode.PREVIEW_LEFT_OUT, Severity.INFO))
        if media is MediaType.JPEG and jpeg.ends_early(path.read_bytes()):
            detail = "the picture is closed before its last row"
            findings.append(Finding(FindingCode.PAGE_DAMAGED, Severity.ERROR, detail=detail))
        return turned(Page(to_rgb(image), dpi, tuple(findings)), orientation)


@contextmanager
def _opened(path: Path, media: MediaType, limits: LimitsSection) -> Iterator[Image.Image]:
    """The image, not yet decoded; Pillow's exceptions become Refused."""
    # Pillow's own cap warns at this many pixels and raises at twice as many; ours, before decoding, comes first.
    Image.MAX_IMAGE_PIXELS = int(limits.pixels_max_megapixels * 1e6)
    if media is MediaType.HEIC:
        from pi_heif import register_heif_opener  # here: two libraries that no other page needs

        register_heif_opener()
    try:
        with Image.open(path, formats=(FORMAT[media],)) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise Refused("page_too_large", "The page decodes to more pixels than the configuration allows.") from error
    except DAMAGE as error:
        kind = FORMAT[media]
        raise Refused("damaged", f"The {kind} file is damaged or of a kind not supported ({_why(error)}).") from error


def _why(error: BaseException) -> str:
    """The library's own words, on one line and short; not those that name our file, for senders read them."""
    if isinstance(error, UnidentifiedImageError):
        return type(error).__name__
    text = " ".join(str(error).split())[:120]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _orientation(image: Image.Image) -> int:
    """The Orientation tag, 1..8; 1 where it is missing or senseless."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """The file's resolution, None where it states none, or one that says nothing about the paper."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _tiff_dpi(image)
    taken_with = image.getexif().get_ifd(ExifTags.IFD.Exif)
    if ExifTags.Base.ExposureTime in taken_with or ExifTags.Base.FNumber in taken_with:
        return None  # a camera: its 300 dpi is a setting of the file, not a property of the paper
    stated = image.info.get("dpi")
    return believable(float(stated[0]), float(stated[1])) if stated else None


def _tiff_dpi(image: TiffImagePlugin.TiffImageFile) -> tuple[float, float] | None:
    tags = image.tag_v2
    unit = tags.get(TiffImagePlugin.RESOLUTION_UNIT, INCH)
    try:
        x = float(tags.get(TiffImagePlugin.X_RESOLUTION, 0))
        y = float(tags.get(TiffImagePlugin.Y_RESOLUTION, 0))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if unit == INCH:
        return believable(x, y)
    if unit == CENTIMETRE:
        return believable(x * CM_PER_INCH, y * CM_PER_INCH)
    return None  # "no absolute unit": an aspect ratio only


def to_rgb(image: Image.Image) -> UInt8:
    """uint8 (H, W, 3) RGB of a loaded image; transparency lies on white paper, 16 bits become 8.

    Raises:
        Refused: a pixel form no scanner writes.
    """
    width, height = image.size
    page = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, BAND_ROWS):
        band = image.crop((0, top, width, min(top + BAND_ROWS, height)))
        page[top : top + BAND_ROWS] = _band_to_rgb(band)
    return page


def _band_to_rgb(band: Image.Image) -> UInt8:
    if band.mode in WIDE_MODES:
        wide = np.asarray(band).astype(np.uint16)
        return np.repeat((wide >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if band.mode in ("I", "F"):
        raise Refused("pixel_form", f"Pixels of Pillow's form {band.mode!r} (32 bits) are not supported.")
    if "transparency" in band.info or band.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        over = band.convert("RGBA")
        paper = Image.new("RGBA", over.size, (WHITE, WHITE, WHITE, WHITE))
        return np.asarray(Image.alpha_composite(paper, over).convert("RGB"))
    return np.asarray(band.convert("RGB"))


def turned(page: Page, orientation: int) -> Page:
    """The page as it is to be looked at, from the Orientation tag (TIFF 6.0, 1..8); dpi turns with it."""
    image, dpi = page.image, page.dpi
    if orientation >= 5:  # rows and columns change places
        image = image.transpose(1, 0, 2)
        dpi = (dpi[1], dpi[0]) if dpi else None
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return replace(page, image=np.ascontiguousarray(image), dpi=dpi)
