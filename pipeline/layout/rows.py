"""Finds the rows of traces on a page laid flat, and where on the paper each begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from pipeline.recording import UInt8
from pipeline.sheet import PX_PER_MM, Sheet

FLAT_MAX_MM = 1.2  # a vertical run of ink up to this is the trace between complexes; letters and QRS stand taller
PIECE_MIN_MM = 3.5  # wider than a letter, shorter than the flat stretch between T and P
TRACE_MIN_MM = 5.0  # wider than what is left of grid lines
EDGE_MM = 5.0  # a fax draws the rim of a skewed sheet as a black wedge; no row is printed so near to it
FRAME_MIN_MM = 90.0  # a flat stretch this wide without one complex is a printed line, not a heart
STRAIGHT_MM = 0.15  # median distance from a straight line; the calmest trace has P and T waves
NEAR_MM = 3.0  # how far from its row's level the flat part of a trace strays: wander, ST, offsets between leads
END_NEAR_MM = 7.0  # the same for its ends: a whole lead may stray, if the next row is far enough
NOISY = 0.25  # what ink of a trace counts that is not flat: all that a trembling patient leaves
APART_MIN_MM = 6.5  # twelve rows on a small page
COVERAGE_MIN = 0.5  # of the best row's columns: a row of traces runs across the page, text does not
STRETCH_MIN_MM = 9.0  # a pulse with its feet; shorter stretches at the ends are something else
LENGTH_MIN_MM = 45.0  # of a row that is worth reading
GAP_MAX_MM = 6.0  # between leads of one row, and across a lead name that is printed in the trace


@dataclass(frozen=True)
class Row:
    """A row of traces: its level at 0 mV and its left and right end, in paper millimetres.

    coverage: 0..1, the share of its length where a trace was seen near its level.
    """

    baseline_mm: float
    start_mm: float
    end_mm: float
    coverage: float


def find_rows(sheet: Sheet) -> tuple[Row, ...]:
    """The rows of traces from the top; empty where there are none."""
    flat = _flat_pieces(sheet.marks)
    mask = _traces(sheet.marks)
    weight = flat.sum(axis=1, dtype=np.float64) + NOISY * mask.sum(axis=1, dtype=np.float64)
    profile = gaussian_filter1d(weight, 0.7 * PX_PER_MM)
    near = round(NEAR_MM * PX_PER_MM)
    covered = _covered(mask, near)
    peaks = [int(p) for p in find_peaks(profile, height=LENGTH_MIN_MM * PX_PER_MM * 0.02)[0]]
    chosen: list[int] = []
    for peak in sorted(peaks, key=lambda p: -profile[p]):
        if all(abs(peak - other) >= APART_MIN_MM * PX_PER_MM for other in chosen):
            chosen.append(peak)
    if not chosen:
        return ()
    best = max(int(covered[p]) for p in chosen)
    least = max(COVERAGE_MIN * best, 0.4 * LENGTH_MIN_MM * PX_PER_MM)
    edge = round(EDGE_MM * PX_PER_MM)
    lines = sorted(p for p in chosen if covered[p] >= least and edge <= p < len(mask) - edge)
    rows = []
    for peak in lines:
        others = [abs(peak - other) for other in lines if other != peak]
        start, end = _ends(mask, peak, min(round(END_NEAR_MM * PX_PER_MM), round(0.4 * min(others, default=10**6))))
        length = end - start
        if length < LENGTH_MIN_MM * PX_PER_MM:
            continue
        level = _level(flat[:, start:end], peak, near)
        rows.append(Row(sheet.y_mm(level), sheet.x_mm(start), sheet.x_mm(end), float(min(1.0, covered[peak] / length))))
    return tuple(rows)


def extent_mm(rows: Sequence[Row]) -> tuple[float, float]:
    """Where the traces of a page begin and end, pulses included: the median over its rows, which must not be empty."""
    return float(np.median([row.start_mm for row in rows])), float(np.median([row.end_mm for row in rows]))


def _flat_pieces(mask: UInt8) -> UInt8:
    """uint8 (H, W) 0/1: ink of thin, lying pieces, the trace between complexes."""
    run = round(FLAT_MAX_MM * PX_PER_MM) + 1
    standing = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((run, 1), np.uint8)), np.uint8)
    thin = mask & ~standing
    _, labels, stats, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    keep = (width >= PIECE_MIN_MM * PX_PER_MM) & (height <= 0.7 * width)
    # a frame or a rule: long and dead straight
    keep &= ~((width > FRAME_MIN_MM * PX_PER_MM) & (height < 0.02 * width))
    keep[0] = False
    return np.asarray(keep[labels], np.uint8)


def _traces(marks: UInt8) -> UInt8:
    """uint8 (H, W) 0/1: pieces at least as wide as a trace's; not letters, not dashes of a grid."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    keep = stats[:, cv2.CC_STAT_WIDTH] >= TRACE_MIN_MM * PX_PER_MM
    keep[0] = False
    for k in np.flatnonzero(stats[:, cv2.CC_STAT_WIDTH] > FRAME_MIN_MM * PX_PER_MM).tolist():
        left, top, width, height = (int(v) for v in stats[k, : cv2.CC_STAT_AREA])
        keep[k] &= not _straight(labels[top : top + height, left : left + width] == k)
    return np.asarray(keep[labels], np.uint8)


def _straight(piece: npt.NDArray[np.bool_]) -> bool:
    """Whether a long piece is a ruled line or the edge of a sheet: its middle follows a straight line throughout."""
    columns = np.flatnonzero(piece.any(axis=0))
    middle = (piece * np.arange(len(piece))[:, None]).sum(axis=0)[columns] / piece.sum(axis=0)[columns]
    slope, start = np.polyfit(columns, middle, 1)
    return float(np.median(np.abs(middle - slope * columns - start))) < STRAIGHT_MM * PX_PER_MM


def _covered(mask: UInt8, near: int) -> npt.NDArray[np.int64]:
    """int64 (H,): in how many columns a trace lies within near pixels of this line."""
    band = cv2.dilate(mask, np.ones((2 * near + 1, 1), np.uint8))
    return np.asarray(band.sum(axis=1, dtype=np.int64))


def _ends(mask: UInt8, line: int, near: int) -> tuple[int, int]:
    """The columns between which traces run along this line: from the first long stretch to the last."""
    band = mask[max(0, line - near) : line + near + 1].any(axis=0)
    gap = round(GAP_MAX_MM * PX_PER_MM)
    closed = cv2.morphologyEx(np.pad(band.astype(np.uint8), gap)[None], cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))[
        0, gap:-gap
    ]
    edges = np.flatnonzero(np.diff(np.pad(closed.astype(np.int8), 1)))
    long = [
        (int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= STRETCH_MIN_MM * PX_PER_MM
    ]
    return (long[0][0], long[-1][1]) if long else (0, 0)


def _level(flat: UInt8, line: int, near: int) -> float:
    """The line where most of the flat ink lies, sub-pixel: the level of 0 mV."""
    top = max(0, line - near)
    weight = gaussian_filter1d(flat[top : line + near + 1].sum(axis=1).astype(np.float64), 0.35 * PX_PER_MM)
    peak = int(np.argmax(weight))
    span = slice(max(0, peak - 3), peak + 4)
    return top + float(np.average(np.arange(len(weight))[span], weights=weight[span] + 1e-9))
