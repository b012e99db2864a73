"""PDF documents into pages, through PDFium."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from gateway.config import LimitsSection
from gateway.errors import Refused
from gateway.order import Order
from gateway.unpack.document import Unpacked, check_page_count, check_pixels
from gateway.unpack.media import MediaType
from pipeline.recording import Page

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
    return Unpacked(MediaType.PDF, order, count, partial(_read, source, limits))


def _read(source: Path | bytes, limits: LimitsSection, number: int) -> Page:
    """Page number of a PDF, drawn on white. Raises Refused."""
    with _opened(source) as document:
        page = document[number - 1]
        try:
            width_in, height_in = (points / POINTS_PER_INCH for points in page.get_size())
            dpi = _dpi(page, width_in * height_in, limits)
            check_pixels(width_in * dpi, height_in * dpi, limits)
            # maybe_alpha False: PDFium then draws on an opaque white page
            bitmap = page.render(scale=dpi / POINTS_PER_INCH, rev_byteorder=True, prefer_bgrx=False)
            try:
                pixels = bitmap.to_numpy()
                image = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.array(pixels[..., :3])
            finally:
                bitmap.close()
        finally:
            page.close()
    return Page(np.ascontiguousarray(image, np.uint8), (dpi, dpi))


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


def _dpi(page: pdfium.PdfPage, area_in2: float, limits: LimitsSection) -> float:
    """At how many dots per inch to draw: a scan's own resolution where the page is one scan.

    Raises:
        Refused: the pictures on it decode to more than the configuration allows.
    """
    pixels = 0
    scan_dpi = 0.0
    pictures = page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=PICTURES_DEPTH)
    for nth, picture in enumerate(pictures, start=1):
        width_px, height_px = picture.get_px_size()
        pixels += width_px * height_px
        if nth > PICTURES_MAX or pixels > limits.pixels_max_megapixels * 1e6:
            raise Refused("page_too_large", f"The pictures on a page of the PDF have {pixels / 1e6:.0f} megapixels.")
        matrix = picture.get_matrix()  # of the unit square that a picture is drawn into, in points
        across_in = math.hypot(matrix.a, matrix.b) / POINTS_PER_INCH
        down_in = math.hypot(matrix.c, matrix.d) / POINTS_PER_INCH
        if across_in * down_in > FILLS * area_in2:
            # the finer of both directions: a fax of 204 x 98 dpi is not to lose its 204
            scan_dpi = max(width_px / across_in, height_px / down_in)
    if LEAST_DPI <= scan_dpi <= MOST_DPI:
        return scan_dpi
    return MOST_DPI if scan_dpi > MOST_DPI else DRAWN_DPI
