"""Where one lead may give way to the next along the rows: strokes, blanks and steps that several rows share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from pipeline.layout.rows import Row
from pipeline.recording import Float32, UInt8
from pipeline.sheet import PX_PER_MM, Sheet

STROKE_MIN_MM = 2.0  # the shortest printed tick; a pen's flat trace is 0.2 to 0.6 mm tall
STROKE_MAX_WIDTH_MM = 0.9  # ticks are thin; the V of a lead name and slurred QRS are wide
BAND_MM = 5.0  # above and below a row's level: half of the closest rows' distance
STEP_MM = 0.8  # a jump between flat pieces that counts in full
BLUR_MM = 0.15  # how exactly rows share a border: skew left over, pen width


@dataclass(frozen=True, eq=False)
class Borders:
    """Per sheet column, float32 (W,), 0..about 1, the mean over rows: how much it looks like a border.

    strokes: a vertical line that all rows share. steps: the flat trace jumps. blanks: the trace is absent.
    """

    strokes: Float32
    steps: Float32
    blanks: Float32

    @property
    def evidence(self) -> Float32:
        return np.asarray(np.maximum(self.strokes, np.maximum(0.6 * self.steps, 0.8 * self.blanks)), np.float32)


def find_borders(sheet: Sheet, rows: Sequence[Row]) -> Borders:
    """What the rows have in common, column by column; rows must not be empty."""
    bands = np.stack([_band(sheet.marks, sheet.line(row.baseline_mm)) for row in rows])
    strokes = _strokes(bands)
    steps = np.mean([_steps(band) for band in bands], axis=0)
    blanks = np.mean([_blanks(band) for band in bands], axis=0)
    sigma = BLUR_MM * PX_PER_MM
    return Borders(*(np.asarray(gaussian_filter1d(e, sigma), np.float32) for e in (strokes, steps, blanks)))


def _band(mask: UInt8, line: int) -> UInt8:
    """uint8 (2h + 1, W): the mask around a row's level, blank beyond the sheet."""
    half = round(BAND_MM * PX_PER_MM)
    padded = np.pad(mask, ((half, half), (0, 0)))
    return np.asarray(padded[line : line + 2 * half + 1], np.uint8)


def _strokes(bands: UInt8) -> Float32:
    """float32 (W,): the share of rows that have the same thin vertical stroke here, at the same height in the row.

    QRS complexes are simultaneous too, but differ in shape, lean, and reach from the flat trace to one side.
    """
    tall = np.ones((round(STROKE_MIN_MM * PX_PER_MM), 1), np.uint8)
    wide = np.ones((1, round(STROKE_MAX_WIDTH_MM * PX_PER_MM) + 1), np.uint8)
    upright = []
    for band in bands:
        standing = _opened(band, tall)
        upright.append(standing & ~_opened(standing, wide))
    # +-1 pixel of slack in height and place: rows are found to about that
    shared = np.mean([cv2.dilate(u, np.ones((3, 3), np.uint8)) for u in upright], axis=0)
    need = round(STROKE_MIN_MM * PX_PER_MM)
    ranked = np.sort(shared, axis=0)[::-1]
    return np.asarray(ranked[need - 1] ** 2, np.float32)


def _steps(band: UInt8) -> Float32:
    """float32 (W,): 0..1, how far the trace jumps between two flat pieces."""
    weight = band.sum(axis=0).astype(np.float32)
    lines = np.arange(len(band), dtype=np.float32)[:, None]
    level = np.where(weight > 0, (band * lines).sum(axis=0) / np.maximum(weight, 1), np.nan).astype(np.float32)
    known = np.isfinite(level)
    if known.sum() < 2:
        return np.zeros(band.shape[1], np.float32)
    level = np.interp(np.arange(len(level)), np.flatnonzero(known), level[known]).astype(np.float32)
    reach = round(0.9 * PX_PER_MM)
    width = 2 * (reach // 2) + 1
    smooth = median_filter(level, width)
    spread = cv2.dilate(level[None], np.ones((1, width), np.uint8)) - cv2.erode(
        level[None], np.ones((1, width), np.uint8)
    )
    flat = np.clip(1.0 - spread[0] / (0.7 * PX_PER_MM), 0.0, 1.0)
    left, right = np.roll(smooth, reach), np.roll(smooth, -reach)
    calm = np.minimum(np.roll(flat, reach), np.roll(flat, -reach))
    return np.asarray(calm * np.clip(np.abs(left - right) / (STEP_MM * PX_PER_MM), 0.0, 1.0), np.float32)


def _blanks(band: UInt8) -> Float32:
    """float32 (W,): 1 where no ink is near the level for at least a quarter of a millimetre."""
    middle = len(band) // 2
    near = round(3.5 * PX_PER_MM)
    empty = np.asarray(~band[middle - near : middle + near + 1].any(axis=0))
    return np.asarray(_opened(empty.astype(np.uint8)[None], np.ones((1, 2), np.uint8))[0], np.float32)


def _opened(mask: UInt8, shape: UInt8) -> UInt8:
    """What of the mask the shape fits into."""
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, shape), np.uint8)
