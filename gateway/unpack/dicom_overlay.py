"""Overlay planes of a DICOM image (PS3.3 C.9.2), drawn onto its page: some programs put the trace there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from gateway.unpack.dicom_order import DAMAGE
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Severity, UInt8

GROUPS = range(0x6000, 0x6020, 2)
ROWS, FRAMES, TYPE, ORIGIN, FRAME_ORIGIN, BITS, BIT_POSITION, DATA = (
    0x0010,
    0x0015,
    0x0040,
    0x0050,
    0x0051,
    0x0100,
    0x0102,
    0x3000,
)
PAPER_GREY = 128  # the middle pixel of paper is lighter


def draw(image: UInt8, dataset: Dataset, number: int) -> Iterator[Finding]:
    """Draws the overlays of frame number onto its image, in black on paper, and tells what was and was not drawn."""
    for group in GROUPS:
        try:
            drawn = _draw(image, dataset, group, number)
        except DAMAGE:
            drawn = False
        if drawn is None:
            continue
        code, severity = (
            (FindingCode.OVERLAY_DRAWN, Severity.WARNING) if drawn else (FindingCode.OVERLAY_NOT_DRAWN, Severity.ERROR)
        )
        yield Finding(code, severity, detail=f"attribute OverlayData ({group:04X},3000)")


def _draw(image: UInt8, dataset: Dataset, group: int, number: int) -> bool | None:
    """Whether an overlay was drawn; None where there is none, or it shows nothing on this frame. Raises of DAMAGE."""
    if (group, DATA) not in dataset:
        return False if _is_in_the_pixels(dataset, group) else None
    plane = _plane(dataset, group, number)
    if plane is None or not plane.any():
        return None
    if _of(dataset, group, TYPE, "G") != "G":  # a region of interest: an area, not a drawing
        return False
    top, left = (int(one) - 1 for one in _of(dataset, group, ORIGIN, (1, 1)))
    plane = plane[max(-top, 0) :, max(-left, 0) :]
    onto = image[max(top, 0) :, max(left, 0) :][: plane.shape[0], : plane.shape[1]]
    inked = plane[: onto.shape[0], : onto.shape[1]].astype(np.bool_)
    onto[inked] = 0 if np.median(image[::8, ::8]) >= PAPER_GREY else 255
    return bool(inked.any())


def _plane(dataset: Dataset, group: int, number: int) -> npt.NDArray[np.uint8] | None:
    """The overlay of a frame (PS3.3 C.9.2.1: it may have frames of its own, from one of the image's on)."""
    planes = dataset.overlay_array(group)
    if planes.ndim == 2:
        return planes if (group, FRAMES) not in dataset or number == 1 else None
    index = number - int(_of(dataset, group, FRAME_ORIGIN, 1))
    return planes[index] if 0 <= index < len(planes) else None


def _is_in_the_pixels(dataset: Dataset, group: int) -> bool:
    """Whether an overlay's bits lie beside the grey in the words of the pixels, as before 2004, and any is set."""
    if (group, ROWS) not in dataset or int(_of(dataset, group, BITS, 1)) != 16:
        return False
    bit = int(_of(dataset, group, BIT_POSITION, 0))
    if dataset.file_meta.TransferSyntaxUID.is_compressed or bit < int(dataset.BitsStored):
        return False
    big_endian = not dataset.file_meta.TransferSyntaxUID.is_little_endian
    pixels = np.frombuffer(dataset.PixelData, ">u2" if big_endian else "<u2")
    return bool((pixels & (1 << bit)).any())


def _of(dataset: Dataset, group: int, element: int, default: Any) -> Any:
    found = dataset.get((group, element))
    return default if found is None or found.value in (None, "") else found.value
