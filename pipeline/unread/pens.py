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
from pipeline.unread.printed import Place

PEN_MM = 1.0  # as wide as what was read is taken for: the boldest pen, and what a trace is read off by
NAME_MM = (5.0, 2.8)  # half a printed name's box, with its blank
BORDER_MM = (1.5, 9.0)  # half a separator's
ABOVE_MM = 15.0  # of the rows' levels, to which their traces reach as a rule
LEAST_MM = (1.0, 4.0)  # of a mark's sides: a line of the ruling is narrower, a letter or a speck shorter
REACH_MM = 2.0  # from the trace: a trace drawn thick, or read beside its ink, is nearer
COLOURED = 0.25  # beyond the trace's own colour: pens of blue and red reach 0.4
TOUCH_MM2 = 0.1  # of the mark's ink beside the trace


@dataclass(frozen=True, eq=False)
class Curve:
    """What was read of a segment, float64 (n, 2) paper mm; NaN where nothing was."""

    segment: Segment
    points_mm: Float64


@dataclass(frozen=True)
class Mark:
    """Ink over the trace of a segment, from x to x, and its size in mm."""

    segment: Segment
    start_mm: float
    end_mm: float
    size_mm: tuple[float, float]


def marks_over(sheet: Sheet, colour: Float32, curves: Sequence[Curve], names: Sequence[Place]) -> tuple[Mark, ...]:
    """The marks, dark or of another colour than the traces, that touch what was read.

    colour: float32 (H, W), on the sheet's pixels, how coloured each is.
    """
    number, explained = _explained(sheet, curves, names)
    if not number.any():
        return ()
    away_mm = cv2.distanceTransform((number == 0).astype(np.uint8), cv2.DIST_L2, 3) / PX_PER_MM
    free = ~explained & _zone(sheet, curves)
    own = float(np.median(colour[number > 0]))
    inks = (sheet.marks > 0, colour > own + COLOURED)
    return tuple(mark for ink in inks for mark in _marks(sheet, ink & free, number, away_mm, curves))


def _marks(
    sheet: Sheet,
    left: npt.NDArray[np.bool_],
    number: npt.NDArray[np.uint8],
    away_mm: npt.NDArray[np.float32],
    curves: Sequence[Curve],
) -> Iterator[Mark]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8), connectivity=8)
    beside = cv2.dilate(number, np.ones((5, 5), np.uint8))
    for k in range(1, count):
        x, y, w, h, _area = (int(v) for v in stats[k])
        short, long = sorted((w / PX_PER_MM, h / PX_PER_MM))
        if short < LEAST_MM[0] or long < LEAST_MM[1]:
            continue
        box = np.s_[y : y + h, x : x + w]
        own = labels[box] == k
        if float(away_mm[box][own].max()) < REACH_MM:
            continue
        if not sheet.inside[max(0, y - 16) : y + h + 16, max(0, x - 16) : x + w + 16].all():
            continue  # the edge of the paper, or what lies beside it
        touched = np.bincount(beside[box][own], minlength=len(curves) + 1)[1:]
        for touch, curve in zip(touched, curves, strict=True):
            if touch >= TOUCH_MM2 * PX_PER_MM**2:
                yield Mark(curve.segment, sheet.x_mm(x), sheet.x_mm(x + w), (w / PX_PER_MM, h / PX_PER_MM))


def _explained(
    sheet: Sheet, curves: Sequence[Curve], names: Sequence[Place]
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
