"""DICOM images and encapsulated PDFs into pages, through pydicom and GDCM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from gateway import MAKER, MODEL
from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.unpack import dicom_overlay as overlay
from gateway.unpack import pdf
from gateway.unpack.codestream import rle_overflows, stated_size
from gateway.unpack.dicom_colours import to_rgb
from gateway.unpack.dicom_frames import BITS_ALLOCATED, COLOUR, ends_early, frame_count, isolate, samples, whole
from gateway.unpack.dicom_order import DAMAGE as HEADER_DAMAGE
from gateway.unpack.dicom_order import order_from_dicom, read_header, text_of
from gateway.unpack.document import Unpacked, check_page_count, check_pixels
from gateway.unpack.media import MediaType, recognise_bytes
from gateway.unpack.resolution import from_spacing_mm
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Page, Severity

# What the decoders raise on damaged input, found by reading them and by fuzzing.
DAMAGE = (*HEADER_DAMAGE, RuntimeError, SyntaxError, ZeroDivisionError)

# In the order tried. Pillow's decoders have been fuzzed for years, GDCM's less: Pillow first where both can.
PLUGINS: dict[str, tuple[str, ...]] = {
    uid.ImplicitVRLittleEndian: ("",),
    uid.ExplicitVRLittleEndian: ("",),
    uid.ExplicitVRBigEndian: ("",),
    uid.JPEGBaseline8Bit: ("pillow", "gdcm"),
    uid.JPEGExtended12Bit: ("pillow", "gdcm"),  # of 8 bits: neither decodes 12
    uid.JPEGLossless: ("gdcm",),
    uid.JPEGLosslessSV1: ("gdcm",),
    uid.JPEGLSLossless: ("gdcm",),
    uid.JPEGLSNearLossless: ("gdcm",),
    uid.JPEG2000: ("pillow", "gdcm"),
    uid.JPEG2000Lossless: ("pillow", "gdcm"),
    uid.RLELossless: ("pydicom",),
}
GREY = ("MONOCHROME1", "MONOCHROME2")
ATTRIBUTE = re.compile(r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\) '[\w ]+'")  # in pydicom's messages: never a value

# PS3.3: the distance on the scanned paper; for plain images it may be the same; at the detector of an X-ray unit.
SPACINGS = ("NominalScannedPixelSpacing", "PixelSpacing", "ImagerPixelSpacing")


def open_document(path: Path, order: Order | None, limits: LimitsSection, identity: IdentitySection) -> Unpacked:
    """A DICOM object as a document: each frame is a page. order: as the door read it, None to read it here.

    Raises:
        Refused: damaged, neither image nor PDF, or beyond a cap.
    """
    header = read_header(path)
    order = order or order_from_dicom(header, identity)
    if "EncapsulatedDocument" in header:
        return _encapsulated(header, order, limits)
    count = frame_count(header)
    check_page_count(count, limits)
    _check_image(header, limits)
    return Unpacked(MediaType.DICOM, order, count, partial(_read, path))


def _encapsulated(header: Dataset, order: Order, limits: LimitsSection) -> Unpacked:
    """The PDF inside PS3.3 A.45's Encapsulated Document. Raises Refused.

    An archive that forwards every Encapsulated PDF sends our own reports back: read again, each would make another.
    """
    if (text_of(header, "Manufacturer"), text_of(header, "ManufacturerModelName")) == (MAKER, MODEL):
        raise Refused("own_report", f"The document is a report by a {MODEL}; send the page it was made from.")
    try:
        content = bytes(header.EncapsulatedDocument or b"")
    except DAMAGE as error:
        raise Refused("damaged", f"The encapsulated document cannot be read ({type(error).__name__}).") from error
    if recognise_bytes(content[:1024]) is not MediaType.PDF:
        raise Refused("not_a_pdf", "The encapsulated document is no PDF.")
    inside = pdf.open_document(content, order, limits)
    return Unpacked(MediaType.DICOM, order, inside.page_count, inside.read)


def _check_image(header: Dataset, limits: LimitsSection) -> None:
    """Raises Refused where the header describes no image that can be read, before any pixel is."""
    rows, columns = whole(header, "Rows", 0), whole(header, "Columns", 0)
    if rows == 0 or columns == 0:
        why = "The DICOM object holds neither an image nor a PDF: it has no Rows (0028,0010) or no Columns."
        raise Refused("no_pixels", why)
    check_pixels(columns, rows, limits)
    syntax = text_of(header.file_meta, "TransferSyntaxUID")
    if syntax not in PLUGINS:
        raise Refused("transfer_syntax", f"TransferSyntaxUID {uid.UID(syntax).name} is not supported.")
    form = (text_of(header, "PhotometricInterpretation"), samples(header))
    one_sample = form[0] in (*GREY, "PALETTE COLOR") and form[1] == 1
    if not (one_sample or (form[0] in COLOUR and form[1] == 3)):
        why = f"PhotometricInterpretation {form[0]!r} with SamplesPerPixel {form[1]} is not supported."
        raise Refused("pixel_form", why)
    bits = whole(header, "BitsAllocated", 8)  # missing: the pixels tell
    if bits not in BITS_ALLOCATED:
        raise Refused("pixel_form", f"BitsAllocated {bits} is not supported.")


def _read(path: Path, number: int) -> Page:
    """Frame number of an image as a page. Raises Refused."""
    try:
        dataset = dcmread(path)
        index, compressed = isolate(dataset, number)
        findings = [] if compressed is None else list(_check_codestream(dataset, compressed, number))
        image = to_rgb(_decoded(dataset, index), dataset)
        if image.shape[:2] != (dataset.Rows, dataset.Columns):
            raise ValueError("another size than the header's (0028,0010) 'Rows' and 'Columns'")
        findings += overlay.draw(image, dataset, number)
    except DAMAGE as error:
        named = ATTRIBUTE.search(str(error))
        why = f"{type(error).__name__}: {named[0]}" if named else type(error).__name__
        raise Refused("damaged", f"Frame {number} of the DICOM image cannot be decoded ({why}).") from error
    return Page(image, _dpi(dataset), tuple(findings))


def _decoded(dataset: Dataset, index: int) -> npt.NDArray[np.generic]:
    """The samples of a frame, (rows, columns) or (rows, columns, 3), YBR turned to RGB. Raises any of DAMAGE."""
    plugins = PLUGINS[dataset.file_meta.TransferSyntaxUID]
    for plugin in plugins[:-1]:
        try:
            return pixel_array(dataset, index=index, decoding_plugin=plugin)
        except RuntimeError:  # how pydicom says that a plugin could not; the next one may
            continue
    return pixel_array(dataset, index=index, decoding_plugin=plugins[-1])


def _check_codestream(dataset: Dataset, frame: bytes, number: int) -> Iterator[Finding]:
    """Tells of a compressed frame that breaks off.

    Raises Refused where it is larger than the header says: the decoders believe the frame.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == uid.RLELossless:
        fits = not rle_overflows(frame, dataset.Columns * dataset.Rows)
    else:
        fits = stated_size(frame) == (dataset.Columns, dataset.Rows, dataset.SamplesPerPixel)
    if not fits:
        why = f"Frame {number} is compressed with another size than the header's Rows, Columns and SamplesPerPixel."
        raise Refused("damaged", why)
    if ends_early(syntax, frame):
        detail = "the compressed picture has no end"
        yield Finding(FindingCode.PAGE_DAMAGED, Severity.ERROR, detail=detail)


def _dpi(header: Dataset) -> tuple[float, float] | None:
    """The resolution on paper, None where the object states none that can be one."""
    for keyword in SPACINGS:
        values = text_of(header, keyword).split("\\")
        if len(values) != 2:
            continue
        try:
            down_mm, across_mm = float(values[0]), float(values[1])  # PS3.3 10.7.1.3: rows first
        except ValueError:
            continue
        dpi = from_spacing_mm(across_mm, down_mm)
        if dpi:
            return dpi
    return None
