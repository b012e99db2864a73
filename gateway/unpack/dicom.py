"""DICOM images and encapsulated PDFs into pages, through pydicom and GDCM."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

from gateway import MAKER, MODEL
from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.order import Order
from gateway.unpack import pdf
from gateway.unpack.codestream import rle_overflows, stated_size
from gateway.unpack.dicom_order import DAMAGE as HEADER_DAMAGE
from gateway.unpack.dicom_order import order_from_dicom, read_header, text_of
from gateway.unpack.document import Unpacked, check_page_count, check_pixels
from gateway.unpack.media import MediaType, recognise_bytes
from gateway.unpack.resolution import from_spacing_mm
from pipeline.recording import Page, UInt8

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
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")

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
    count = _whole(header, "NumberOfFrames", 1)
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


def _whole(header: Dataset, keyword: str, default: int) -> int:
    """A whole number in the header. Raises Refused where it is none."""
    text = text_of(header, keyword)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise Refused("damaged", f"The DICOM attribute {keyword} is not a whole number.") from None


def _check_image(header: Dataset, limits: LimitsSection) -> None:
    """Raises Refused where the header describes no image that can be read, before any pixel is."""
    rows, columns = _whole(header, "Rows", 0), _whole(header, "Columns", 0)
    if rows == 0 or columns == 0:
        raise Refused("no_pixels", "The DICOM object holds neither an image nor a PDF.")
    check_pixels(columns, rows, limits)
    syntax = text_of(header.file_meta, "TransferSyntaxUID")
    if syntax not in PLUGINS:
        raise Refused("transfer_syntax", f"Transfer syntax {uid.UID(syntax).name} is not supported.")
    form = (text_of(header, "PhotometricInterpretation"), _whole(header, "SamplesPerPixel", 1))
    one_sample = form[0] in (*GREY, "PALETTE COLOR") and form[1] == 1
    if not (one_sample or (form[0] in COLOUR and form[1] == 3)):
        raise Refused("pixel_form", f"Photometric interpretation {form[0]!r} of {form[1]} samples is not supported.")
    if _whole(header, "BitsAllocated", 0) not in (1, 8, 16):
        raise Refused("pixel_form", f"{_whole(header, 'BitsAllocated', 0)} bits per sample are not supported.")


def _read(path: Path, number: int) -> Page:
    """Frame number of an image as a page. Raises Refused."""
    try:
        dataset = dcmread(path)
        _check_codestream(dataset, number)
        image = to_rgb(_decoded(dataset, number), dataset)
        if image.shape[:2] != (dataset.Rows, dataset.Columns):
            raise ValueError("another size than the header's")
    except DAMAGE as error:
        why = f"Frame {number} of the DICOM image cannot be decoded ({type(error).__name__})."
        raise Refused("damaged", why) from error
    return Page(image, _dpi(dataset))


def _decoded(dataset: Dataset, number: int) -> npt.NDArray[np.generic]:
    """The samples of a frame, (rows, columns) or (rows, columns, 3), YBR turned to RGB. Raises any of DAMAGE."""
    plugins = PLUGINS[dataset.file_meta.TransferSyntaxUID]
    for plugin in plugins[:-1]:
        try:
            return pixel_array(dataset, index=number - 1, decoding_plugin=plugin)
        except RuntimeError:  # how pydicom says that a plugin could not; the next one may
            continue
    return pixel_array(dataset, index=number - 1, decoding_plugin=plugins[-1])


def _check_codestream(dataset: Dataset, number: int) -> None:
    """Raises Refused where a compressed frame is larger than the header says: the decoders believe the frame."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return
    frame = get_frame(dataset.PixelData, number - 1, number_of_frames=_whole(dataset, "NumberOfFrames", 1))
    if syntax == uid.RLELossless:
        fits = not rle_overflows(frame, dataset.Columns * dataset.Rows)
    else:
        fits = stated_size(frame) == (dataset.Columns, dataset.Rows, dataset.SamplesPerPixel)
    if not fits:
        raise Refused("damaged", f"Frame {number} is compressed with another size than the header's.")


def to_rgb(frame: npt.NDArray[np.generic], header: Dataset) -> UInt8:
    """uint8 (H, W, 3) RGB of a decoded frame; more than 8 bits go through the object's own window."""
    photometric = text_of(header, "PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        return _to_8_bits(apply_color_lut(frame, header), spread=False)
    if frame.ndim == 3:
        return np.ascontiguousarray(_to_8_bits(frame, spread=False))
    bits = _whole(header, "BitsStored", _whole(header, "BitsAllocated", 8))
    if bits == 1:
        grey = (frame != 0).astype(np.uint8) * 255
    elif bits <= 8 and frame.dtype == np.uint8:
        # the file's own grey, not its window: eight bits fit the page, and a window could cut the trace away
        grey = (frame.astype(np.uint16) * 255 // (2**bits - 1)).astype(np.uint8) if bits < 8 else frame
    else:
        grey = _to_8_bits(apply_voi_lut(apply_modality_lut(frame, header), header), spread=True)
    if photometric == "MONOCHROME1":  # the lowest value is white
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, axis=2)


def _to_8_bits(values: npt.NDArray[np.generic], *, spread: bool) -> UInt8:
    """uint8 of wider values. spread: from the darkest to the lightest value present, else the upper eight bits."""
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if not spread:
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    wide = values.astype(np.float32)
    low, high = float(wide.min()), float(wide.max())
    if not high > low:
        raise Refused("blank", "The image has one and the same value everywhere.")
    return ((wide - low) * (255 / (high - low))).astype(np.uint8)


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
