"""Samples of a DICOM image into the 8-bit RGB of a page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing

from gateway.errors import Refused
from gateway.unpack.dicom_frames import whole
from gateway.unpack.dicom_order import DAMAGE, text_of
from pipeline.recording import UInt8

BAND_ROWS = 512  # rows looked up at a time: bounds the copies beside the page itself
# A window shows nearly all the greys that a page has. One that shows fewer than a quarter is not of these pixels, such
# as one left over from their copy of 8 bits, and would cut ruling and trace away.
LEAST_SHOWN = 0.25
GREYS = 256  # what a page can hold of them

Levels = npt.NDArray[np.float64]  # (n,) ascending: the values that a frame holds


def to_rgb(frame: npt.NDArray[np.generic], header: Dataset) -> UInt8:
    """uint8 (H, W, 3) RGB of a decoded frame; more than 8 bits go through the object's own window.

    Raises:
        Refused: the image is blank.
    """
    photometric = text_of(header, "PhotometricInterpretation")
    bits = whole(header, "BitsStored", whole(header, "BitsAllocated", 8))
    if photometric == "PALETTE COLOR":
        return _palette(frame, header)
    if frame.ndim == 3:
        return np.ascontiguousarray(_scaled(frame, bits))
    if bits == 1:
        grey = (frame != 0).astype(np.uint8) * 255
    elif bits <= 8 and frame.dtype == np.uint8:
        # the file's own grey, not its window: eight bits fit the page, and a window could cut the trace away
        grey = _scaled(frame, bits)
    else:
        grey = _windowed(frame, header)
    if photometric == "MONOCHROME1":  # the lowest value is white
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, axis=2)


def _palette(frame: npt.NDArray[np.generic], header: Dataset) -> UInt8:
    """The colours of a lookup table. A table of 16 bits a colour may hold numbers of 8 (PS3.3 C.7.6.3.1.6)."""
    colours = apply_color_lut(frame, header)
    return _scaled(colours[..., :3], 8 if int(colours.max(initial=0)) < GREYS else 16)


def _scaled(values: npt.NDArray[np.generic], bits: int) -> UInt8:
    """uint8 of unsigned values of so many bits; of all the bits that their type has where one of them needs more."""
    if values.dtype == np.uint8 and bits == 8:
        return values.astype(np.uint8, copy=False)
    most = 2**bits - 1
    if int(values.max(initial=0)) > most:
        most = 2 ** (8 * values.dtype.itemsize) - 1
    out = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        out[band] = values[band].astype(np.uint32) * 255 // most
    return out


def _windowed(frame: npt.NDArray[np.generic], header: Dataset) -> UInt8:
    """Grey of more than 8 bits: from the darkest to the lightest value that the first window of use shows.

    The pixels are whole whatever the window is: without one of use, the whole range of their values is shown.
    """
    low, present = _present(frame)
    levels = np.flatnonzero(present).astype(np.float64) + low
    if len(levels) < 2:
        raise Refused("blank", "The image has one and the same value everywhere.")
    shown = next(_shown(_modality(levels, header), header))
    darkest, lightest = float(shown.min()), float(shown.max())
    table = np.zeros(len(present), np.uint8)
    table[present] = (shown - darkest) * (255 / (lightest - darkest))
    out = np.empty(frame.shape, np.uint8)
    for top in range(0, len(frame), BAND_ROWS):
        out[top : top + BAND_ROWS] = table[frame[top : top + BAND_ROWS].astype(np.int64) - low]
    return out


def _present(frame: npt.NDArray[np.generic]) -> tuple[int, npt.NDArray[np.bool_]]:
    """The lowest value, and for it and each above whether the frame holds it."""
    low, high = int(frame.min()), int(frame.max())
    present = np.zeros(high - low + 1, np.bool_)
    for top in range(0, len(frame), BAND_ROWS):
        present[frame[top : top + BAND_ROWS].astype(np.int64) - low] = True
    return low, present


def _modality(levels: Levels, header: Dataset) -> Levels:
    """The levels rescaled, as they are where the rescaling is damaged or leaves one value of them."""
    try:
        rescaled = np.asarray(apply_modality_lut(levels.astype(np.int32), header), np.float64)
    except DAMAGE:
        return levels
    return rescaled if rescaled.max() > rescaled.min() else levels


def _shown(levels: Levels, header: Dataset) -> Iterator[Levels]:
    """The levels through each table and window of use, in the order of the object; then as they are."""
    if "VOILUTSequence" in header:
        try:
            looked_up = np.asarray(apply_voi(levels.astype(np.int32), header), np.float64)
            if len(np.unique(looked_up)) >= max(2, LEAST_SHOWN * min(len(levels), GREYS)):
                yield looked_up
        except DAMAGE:
            pass
    widths = text_of(header, "WindowWidth").split("\\")
    for index, (centre, width) in enumerate(zip(text_of(header, "WindowCenter").split("\\"), widths, strict=False)):
        try:
            ends = float(centre) - float(width) / 2, float(centre) + float(width) / 2
            inside = int(((levels >= ends[0]) & (levels <= ends[1])).sum())
            windowed = np.asarray(apply_windowing(levels, header, index=index), np.float64)
            if inside >= LEAST_SHOWN * len(levels) and windowed.max() > windowed.min():  # False for NaN as well
                yield windowed
        except DAMAGE:  # an empty number, a width of 0
            continue
    yield levels
