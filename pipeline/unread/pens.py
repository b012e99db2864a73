"""What is written or spilt over the traces: ink that touches a trace, reaches away from it, and is not print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.geometry import Float64, Segment
from pipeline.recording import Float32
from pipeline.sheet import PX_PER_MM, Sheet
from pipeline.unread.printed import Place, PrintedPulse

PEN_MM = 1.0  # as wide as what was read is taken for: the boldest pen, and what a trace is read off by
NAME_MM = (5.0, 2.8)  # half a printed name's box, with its blank
BORDER_MM = (1.5, 9.0)  # half a separator's
PULSE_MM = (2.5, 1.0)  # around a calibration pulse: its feet go on to either side
STRAIGHT_MM = 8.0  # along or down the paper: a ruling, a frame, a fold, a scanner's line; no pen is so straight
ABOVE_MM = 15.0  # of the rows' levels, to which their traces reach as a rule
LEAST_MM = (1.0, 4.0)  # of a mark's sides: a line of the ruling is narrower, a letter or a speck shorter
REACH_MM = 2.0  # from the trace: a trace drawn thick, or read beside its ink, is nearer
COLOURED = 0.25  # beyond the trace's own colour: pens of blue and red reach 0.4
TOUCH_MM2 = 0.1  # of the mark's ink beside the trace
STROKE_MM = 1.25  # a pen's stroke is narrower, a stain and mould are wider
SIGMA_LEAST_MM = 1e-3  # of what is compared with it: no reading is surer


@dataclass(frozen=True, eq=False)
class Curve:
    """What was read of a segment, float64 (n, 2) paper mm, and its sigma, float64 (n,) mm; NaN where nothing was."""

    segment: Segment
    points_mm: Float64
    sigma_mm: Float64


@dataclass(frozen=True)
class Mark:
    """Ink over the trace of a segment, from x to x, and its size in mm.

    touch_mm2: of its ink beside the trace. strokes: share of its ink that is as narrow as a pen's. unsure: logarithm of
    the lead's sigma beside it over the lead's usual one, at least 0.
    """

    segment: Segment
    start_mm: float
    end_mm: float
    size_mm: tuple[float, float]
    touch_mm2: float
    strokes: float
    unsure: float


def share_along(marks: Sequence[Mark]) -> float:
    """How much of a segment pen strokes run along, 0..1. marks: those over one segment, at least one.

    A mark counts by how much of it is strokes: mould and stains are judged by their ink.
    """
    segment = marks[0].segment
    at_mm = np.arange(segment.start_mm, segment.end_mm, 1.0 / PX_PER_MM)
    drawn = np.zeros(len(at_mm))
    for mark in marks:
        drawn = np.maximum(drawn, np.where((at_mm >= mark.start_mm) & (at_mm < mark.end_mm), mark.strokes, 0.0))
    return float(drawn.mean())


def marks_over(
    sheet: Sheet,
    colour: Float32,
    curves: Sequence[Curve],
    names: Sequence[Place],
    pulses: Sequence[PrintedPulse] = (),
) -> tuple[Mark, ...]:
    """The marks, dark or of another colour than the traces, that touch what was read.

    colour: float32 (H, W), on the sheet's pixels, how coloured each is.
    """
    number, explained = _explained(sheet, curves, names, pulses)
    if not number.any():
        return ()
    away_mm = cv2.distanceTransform((number == 0).astype(np.uint8), cv2.DIST_L2, 3) / PX_PER_MM
    free = ~explained & _zone(sheet, curves)
    own = float(np.median(colour[number > 0]))
    inks = (sheet.marks > 0, colour > own + COLOURED)
    return tuple(mark for ink in inks for mark in _marks(sheet, _without_lines(ink & free), number, away_mm, curves))


def _without_lines(ink: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The ink without what runs straight along or down the paper: a net of thin lines would be one large mark."""
    mask, long = ink.astype(np.uint8), round(STRAIGHT_MM * PX_PER_MM) + 1
    along = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, long), np.uint8))
    down = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((long, 1), np.uint8))
    lines = cv2.dilate(cv2.bitwise_or(along, down), np.ones((3, 3), np.uint8))
    return np.asarray(ink & (lines == 0), np.bool_)


def _marks(
    sheet: Sheet,
    left: npt.NDArray[np.bool_],
    number: npt.NDArray[np.uint8],
    away_mm: npt.NDArray[np.float32],
    curves: Sequence[Curve],
) -> Iterator[Mark]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8), connectivity=8)
    beside = np.asarray(cv2.dilate(number, np.ones((5, 5), np.uint8)), np.uint8)
    read = np.array([_columns_read(sheet, curve) for curve in curves])
    for k in range(1, count):
        x, y, w, h, _area = (int(v) for v in stats[k])
        short, long = sorted((w / PX_PER_MM, h / PX_PER_MM))
        if short < LEAST_MM[0] or long < LEAST_MM[1]:
            continue
        box = np.s_[y : y + h, x : x + w]
        own = labels[box] == k
        if not _is_apart(away_mm[box], own):
            continue
        if not sheet.inside[max(0, y - 16) : y + h + 16, max(0, x - 16) : x + w + 16].all():
            continue  # the edge of the paper, or what lies beside it
        for curve, columns in zip(curves, _touched(beside[box], own, read[:, x : x + w]), strict=True):
            if len(columns) >= TOUCH_MM2 * PX_PER_MM**2:
                span, size = (sheet.x_mm(x), sheet.x_mm(x + w)), (w / PX_PER_MM, h / PX_PER_MM)
                unsure = _unsure(curve, sheet.x_mm(x + columns.min()), sheet.x_mm(x + columns.max()))
                yield Mark(curve.segment, *span, size, len(columns) / PX_PER_MM**2, _of_strokes(own), unsure)


def _is_apart(away_mm: npt.NDArray[np.float32], own: npt.NDArray[np.bool_]) -> bool:
    """Whether a mark reaches away from what was read, or runs beside it with a blank between, as a second line does."""
    nearest_mm = np.where(own, away_mm, np.inf).min(axis=0)
    beside_mm = float((np.isfinite(nearest_mm) & (nearest_mm >= PEN_MM / 2)).sum()) / PX_PER_MM
    return bool(away_mm[own].max() >= REACH_MM or beside_mm >= LEAST_MM[1])


def _touched(
    beside: npt.NDArray[np.uint8], own: npt.NDArray[np.bool_], read: npt.NDArray[np.bool_]
) -> Iterator[npt.NDArray[np.intp]]:
    """For each curve the columns, of a mark's pixels beside it; where it was not read those are its own ink."""
    _, columns = np.nonzero(own)
    numbers = beside[own]
    for k, known in enumerate(read, 1):
        yield columns[(numbers == k) & known[columns]]


def _columns_read(sheet: Sheet, curve: Curve) -> npt.NDArray[np.bool_]:
    """bool (W,): a sheet's columns in which a curve was read, and half a pen's width from where it was not."""
    known = np.isfinite(curve.points_mm).all(axis=1)
    found = np.zeros(sheet.ink.shape[1], np.uint8)
    at = np.rint((curve.points_mm[known, 0] - sheet.x0_mm) * PX_PER_MM).astype(int)
    found[np.clip(at, 0, len(found) - 1)] = 1
    wide = round(PEN_MM * PX_PER_MM) + 1
    # at 100 mm/s samples lie two pixels apart
    closed = cv2.morphologyEx(found[None], cv2.MORPH_CLOSE, np.ones((1, 3), np.uint8))
    return np.asarray(cv2.erode(closed, np.ones((1, wide), np.uint8))[0] > 0, np.bool_)


def _unsure(curve: Curve, start_mm: float, end_mm: float) -> float:
    """How much more the reader hesitates beside a mark than in the segment as a rule, as of Mark."""
    x_mm, sigma_mm = curve.points_mm[:, 0], curve.sigma_mm
    there = np.isfinite(sigma_mm) & (x_mm >= start_mm) & (x_mm <= end_mm)
    if not there.any():
        return 0.0
    return float(max(np.log(np.median(sigma_mm[there]) / max(np.nanmedian(sigma_mm), SIGMA_LEAST_MM)), 0.0))


def _of_strokes(mark: npt.NDArray[np.bool_]) -> float:
    """The share of a mark's ink that is as narrow as a pen's."""
    round_pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(STROKE_MM * PX_PER_MM),) * 2)
    wide = cv2.morphologyEx(np.pad(mark.astype(np.uint8), len(round_pen)), cv2.MORPH_OPEN, round_pen)
    return 1.0 - float(wide.sum()) / float(mark.sum())


def _explained(
    sheet: Sheet, curves: Sequence[Curve], names: Sequence[Place], pulses: Sequence[PrintedPulse]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """uint8 (H, W): the number from 1 of the curve drawn at a pixel, 0 for none; and where ink is of the print."""
    number = np.zeros(sheet.ink.shape, np.uint8)
    for k, curve in enumerate(curves, 1):
        known = np.isfinite(curve.points_mm).all(axis=1)
        edges = np.flatnonzero(np.diff(np.pad(known.astype(np.int8), 1)))
        for first, stop in zip(edges[::2], edges[1::2], strict=True):
            points = (curve.points_mm[first:stop] - [sheet.x0_mm, sheet.y0_mm]) * PX_PER_MM
            at = np.rint(points * 16).astype(np.int32)
            cv2.polylines(number, [at], False, k, round(PEN_MM * PX_PER_MM), cv2.LINE_8, 4)
    printed = number > 0
    for name in names:
        printed[_box(sheet, name, NAME_MM)] = True
    for curve in curves:
        for x_mm in (curve.segment.start_mm, curve.segment.end_mm):
            printed[_box(sheet, Place(x_mm, curve.segment.baseline_mm), BORDER_MM)] = True
    for pulse in pulses:
        middle = Place((pulse.x0_mm + pulse.x1_mm) / 2, pulse.baseline_mm - pulse.height_mm / 2)
        half_mm = ((pulse.x1_mm - pulse.x0_mm) / 2 + PULSE_MM[0], abs(pulse.height_mm) / 2 + PULSE_MM[1])
        printed[_box(sheet, middle, half_mm)] = True
    return number, printed


def _box(sheet: Sheet, middle: Place, half_mm: tuple[float, float]) -> tuple[slice, slice]:
    lines = slice(sheet.line(middle.y_mm - half_mm[1]), sheet.line(middle.y_mm + half_mm[1]) + 1)
    return lines, slice(sheet.column(middle.x_mm - half_mm[0]), sheet.column(middle.x_mm + half_mm[0]) + 1)


def _zone(sheet: Sheet, curves: Sequence[Curve]) -> npt.NDArray[np.bool_]:
    levels = [curve.segment.baseline_mm for curve in curves]
    left, right = min(c.segment.start_mm for c in curves), max(c.segment.end_mm for c in curves)
    zone = np.zeros(sheet.ink.shape, np.bool_)
    lines = slice(sheet.line(min(levels) - ABOVE_MM), sheet.line(max(levels) + ABOVE_MM))
    zone[lines, sheet.column(left) : sheet.column(right)] = True
    return zone
