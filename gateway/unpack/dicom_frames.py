"""One frame out of a DICOM image, whatever the attributes and tables around it lack or get wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments, get_frame

from gateway.errors import Refused
from gateway.unpack.codestream import END_OF_IMAGE, pixels_at, stated_bits, stated_size
from gateway.unpack.dicom_order import text_of

COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
HALVED_COLOUR = ("YBR_FULL_422", "YBR_PARTIAL_422")  # PS3.3 C.7.6.3.1.2: two samples a pixel, uncompressed
BITS_ALLOCATED = (1, 8, 16)


def whole(header: Dataset, keyword: str, default: int) -> int:
    """A whole number in the header, the default where it has none. Raises Refused where it is none."""
    text = text_of(header, keyword)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise Refused("damaged", f"The DICOM attribute {keyword} is not a whole number.") from None


def frame_count(header: Dataset) -> int:
    """How many frames an image has: one where the header says none or 0. Raises Refused."""
    return whole(header, "NumberOfFrames", 1) or 1


def samples(header: Dataset) -> int:
    """Samples per pixel, by the photometric interpretation where they are not stated. Raises Refused."""
    is_colour = text_of(header, "PhotometricInterpretation") in COLOUR
    return whole(header, "SamplesPerPixel", 3 if is_colour else 1)


def isolate(dataset: Dataset, number: int) -> tuple[int, bytes | None]:
    """Completes the pixels' description, and leaves of compressed pixels this frame alone, without an offset table.

    Returns the frame's index from now on, and its bytes where it is compressed.

    Raises:
        Refused: no pixels, or fewer than the frame needs.
        ValueError, LookupError and others of the decoders' kind: the fragments are damaged.
    """
    if "PixelData" not in dataset:
        raise Refused("no_pixels", "The DICOM object has Rows and Columns but no Pixel Data (7FE0,0010).")
    count = frame_count(dataset)
    if not dataset.file_meta.TransferSyntaxUID.is_compressed:
        _complete(dataset, None, count)
        dataset.NumberOfFrames = _whole_frames(dataset, number, count)
        return number - 1, None
    frame = _frame(dataset, number - 1, count)
    _complete(dataset, frame, 1)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.PixelData = encapsulate([frame])
    dataset.NumberOfFrames = 1
    return 0, frame


def ends_early(syntax: uid.UID, frame: bytes) -> bool:
    """Whether a compressed frame, other than of run lengths, breaks off before the marker that ends every image."""
    return syntax != uid.RLELossless and frame.find(END_OF_IMAGE, pixels_at(frame)) < 0


def _complete(dataset: Dataset, frame: bytes | None, count: int) -> None:
    """States what follows from the rest: a decoder asks for it, though a reader can do without."""
    dataset.SamplesPerPixel = samples(dataset)
    if dataset.SamplesPerPixel > 1 and not text_of(dataset, "PlanarConfiguration"):
        dataset.PlanarConfiguration = 0  # colour by pixel: what every viewer assumes
    bits = stated_bits(frame) if frame is not None else None
    allocated = whole(dataset, "BitsAllocated", 0)
    if not allocated:
        allocated = _allocated(dataset, count) if bits is None else 8 if bits <= 8 else 16
        dataset.BitsAllocated = allocated
    if not 1 <= whole(dataset, "BitsStored", 0) <= allocated:
        dataset.BitsStored = min(bits or allocated, allocated)
    if not text_of(dataset, "HighBit"):
        dataset.HighBit = dataset.BitsStored - 1
    if not text_of(dataset, "PixelRepresentation"):
        dataset.PixelRepresentation = 0


def _allocated(dataset: Dataset, count: int) -> int:
    """Bits allocated to a sample, by the length of the pixels. Raises Refused where no number of bits fits it."""
    samples_in_all = count * dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
    for bits in BITS_ALLOCATED:
        length = (samples_in_all * bits + 7) // 8
        if len(dataset.PixelData) in (length, length + length % 2):
            return bits
    raise Refused("pixel_form", "Bits Allocated (0028,0100) is missing, and the length of the pixels does not tell it.")


def _whole_frames(dataset: Dataset, number: int, count: int) -> int:
    """How many frames uncompressed pixels hold, at most those stated. Raises Refused where this one is not whole."""
    by_sample = 2 if text_of(dataset, "PhotometricInterpretation") in HALVED_COLOUR else dataset.SamplesPerPixel
    frame_bits = dataset.Rows * dataset.Columns * by_sample * dataset.BitsAllocated
    have = len(dataset.PixelData)
    if have * 8 < number * frame_bits:
        need = (number * frame_bits + 7) // 8
        raise Refused("damaged", f"Pixel Data (7FE0,0010) has {have} bytes; frame {number} needs {need} to be whole.")
    return min(count, int(have * 8 // frame_bits))


def _frame(dataset: Dataset, index: int, count: int) -> bytes:
    """A compressed frame. An offset table is asked only where the fragments themselves do not tell."""
    fragments = list(generate_fragments(dataset.PixelData))[1:]  # the first item is the table (PS3.5 A.4)
    if count == 1:
        return b"".join(fragments)
    frames = fragments if len(fragments) == count else list(_begun(fragments))
    if len(frames) == count:
        return frames[index]
    extended = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        extended = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    try:
        return get_frame(dataset.PixelData, index, number_of_frames=count, extended_offsets=extended)
    except (ValueError, LookupError, struct.error, EOFError):
        why = f"Frame {index + 1} of {count} is not found in the {len(fragments)} fragments of Pixel Data (7FE0,0010)."
        raise Refused("damaged", why) from None


def _begun(fragments: list[bytes]) -> Iterator[bytes]:
    """Frames, each from a fragment in which an image begins to the next such."""
    frame = BytesIO()
    for fragment in fragments:
        if frame.tell() and stated_size(fragment) is not None:
            yield frame.getvalue()
            frame = BytesIO()
        frame.write(fragment)
    yield frame.getvalue()
