"""PDF documents into pages, through PDFium."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from gateway.config import LimitsSection
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.unpack.document import Unpacked, check_page_count, check_pixels
from gateway.unpack.inverted import black_on_white
from gateway.unpack.media import MediaType
from gateway.unpack.pdf_dictionaries import Dictionaries
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Page, Severity

POINTS_PER_INCH = 72.0
DRAWN_DPI = 300.0  # a page of vectors: a 1 mm grid square becomes 11.8 pixels
LEAST_DPI, MOST_DPI = 100.0, 600.0  # a scan inside the PDF keeps its own resolution between these
FILLS = 0.8  # of the page's area: then the page is that one picture
PICTURES_DEPTH = 3  # forms within forms that are searched for pictures
PICTURES_MAX = 2000  # on one page; an ECG report has a handful

# What pypdfium2 raises on damaged input (PdfiumError is a RuntimeError), found by reading it and by fuzzing.
DAMAGE = (pdfium.PdfiumError, ValueError, TypeError, OSError, OverflowError, MemoryError, RecursionError)


def open_document(source: Path | bytes, order: Order, limits: LimitsSection) -> Unpacked:
    """A PDF file, or the PDF inside a DICOM object, as a document.

    Raises:
        Refused: damaged, encrypted, or too many pages.
    """
    with _opened(source) as document:
        count = len(document)
    check_page_count(count, limits)
    return Unpacked(MediaType.PDF, order, count, partial(_read, source, Dictionaries(source), limits))


def _read(source: Path | bytes, dictionaries: Dictionaries, limits: LimitsSection, number: int) -> Page:
    """Page number of a PDF, drawn on white. Raises Refused."""
    with _opened(source) as document:
        page = document[number - 1]
        try:
            scan = _scan(page, limits)
            facts = dictionaries.of(number)  # not before the pictures' sizes were checked
            units_per_inch = POINTS_PER_INCH / facts.user_unit  # PDFium takes every unit for a point
            dpi = _dpi(scan, units_per_inch)
            width_in, height_in = (units / units_per_inch for units in page.get_size())
            check_pixels(width_in * dpi, height_in * dpi, limits)
            # maybe_alpha False: PDFium then draws on an opaque white page
            bitmap = page.render(scale=dpi / units_per_inch, rev_byteorder=True, prefer_bgrx=False)
            try:
                pixels = bitmap.to_numpy()
                image = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.array(pixels[..., :3])
            finally:
                bitmap.close()
        finally:
            page.close()
    lost = (Finding(FindingCode.PAGE_DAMAGED, Severity.ERROR, detail=facts.lost),) if facts.lost else ()
    drawn = Page(np.ascontiguousarray(image, np.uint8), (dpi, dpi), lost)
    return black_on_white(drawn, one_bit=scan.is_one_bit)


@contextmanager
def _opened(source: Path | bytes) -> Iterator[pdfium.PdfDocument]:
    """The document; PDFium's exceptions become Refused."""
    try:
        document = pdfium.PdfDocument(source)
        try:
            yield document
        finally:
            document.close()
    except DAMAGE as error:
        text = " ".join(str(error).split())[:120]
        if "password" in text.lower():
            raise Refused("encrypted", "The PDF is protected by a password.") from error
        raise Refused("damaged", f"The PDF is damaged ({type(error).__name__}: {text}).") from error


@dataclass(frozen=True)
class _Scan:
    """The picture that a page is. dots_per_unit: of the page's own unit, the finer of both directions, 0 for none.

    is_one_bit: it is black and white alone, before PDFium smooths it.
    """

    dots_per_unit: float = 0.0
    is_one_bit: bool = False


def _scan(page: pdfium.PdfPage, limits: LimitsSection) -> _Scan:
    """The one picture that fills a page, if any does.

    Raises:
        Refused: the pictures on it decode to more than the configuration allows.
    """
    pixels = 0
    found = _Scan()
    width, height = page.get_size()
    pictures = page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=PICTURES_DEPTH)
    for nth, picture in enumerate(pictures, start=1):
        width_px, height_px = picture.get_px_size()
        pixels += width_px * height_px
        if nth > PICTURES_MAX or pixels > limits.pixels_max_megapixels * 1e6:
            raise Refused("page_too_large", f"The pictures on a page of the PDF have {pixels / 1e6:.0f} megapixels.")
        matrix = picture.get_matrix()  # of the unit square that a picture is drawn into
        across, down = math.hypot(matrix.a, matrix.b), math.hypot(matrix.c, matrix.d)
        if across * down > FILLS * width * height:
            # the finer of both directions: a fax of 204 x 98 dpi is not to lose its 204
            dots_per_unit = max(width_px / across, height_px / down)
            found = _Scan(dots_per_unit, picture.get_metadata().bits_per_pixel == 1)
    return found


def _dpi(scan: _Scan, units_per_inch: float) -> float:
    """At how many dots per inch to draw: a scan's own resolution where the page is one scan."""
    scan_dpi = scan.dots_per_unit * units_per_inch
    if LEAST_DPI <= scan_dpi <= MOST_DPI:
        return scan_dpi
    return MOST_DPI if scan_dpi > MOST_DPI else DRAWN_DPI
