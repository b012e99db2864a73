"""Where the signal of a row begins and ends, calibration pulses left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.layout.rows import NEAR_MM, Row
from pipeline.sheet import PX_PER_MM, Sheet

AFTER_PULSE_MM = 7.0  # how far behind a pulse the blank before the trace is looked for
BLANK_MIN_MM = 0.5
ALIKE_MM = 1.5  # rows that begin together
FOOT_MIN_MM, FOOT_MAX_MM = 1.0, 6.0  # of a pulse
FLAT_MM = 0.5  # to either side of the foot: half a pen and what the row is found off


@dataclass(frozen=True)
class Span:
    """The signal's ends along a row, in paper millimetres."""

    start_mm: float
    end_mm: float


def row_spans(sheet: Sheet, rows: Sequence[Row], pulses_mm: Sequence[tuple[float, float, float]]) -> tuple[Span, ...]:
    """Every row's ink without the pulses (x0, x1, baseline) that stand at its ends.

    A row that begins or ends where rows with a pulse do has one as well, recognised or not.
    """
    own = [_own_span(sheet, row, pulses_mm) for row in rows]
    starts = [(row.start_mm, start) for row, (start, _) in zip(rows, own, strict=True) if start is not None]
    ends = [(row.end_mm, end) for row, (_, end) in zip(rows, own, strict=True) if end is not None]
    return tuple(
        Span(
            start if start is not None else _like_others(row.start_mm, starts),
            end if end is not None else _like_others(row.end_mm, ends),
        )
        for row, (start, end) in zip(rows, own, strict=True)
    )


def _like_others(ink_mm: float, others: Sequence[tuple[float, float]]) -> float:
    """The signal's end where others' ink ends at the same place, else the ink's."""
    alike = [signal for ink, signal in others if abs(ink - ink_mm) <= ALIKE_MM]
    return float(np.median(alike)) if alike else ink_mm


def _own_span(
    sheet: Sheet, row: Row, pulses_mm: Sequence[tuple[float, float, float]]
) -> tuple[float | None, float | None]:
    """Where the signal begins behind a row's own left pulse, and ends before its right one; None without one."""
    start: float | None = None
    end: float | None = None
    for x0, x1, baseline in pulses_mm:
        if abs(baseline - row.baseline_mm) > 2 * NEAR_MM:
            continue
        if x0 < (row.start_mm + row.end_mm) / 2:
            start = _across_blank(sheet, row, x1 + _foot(sheet, x1, baseline, x0 - row.start_mm, +1), +1)
        else:
            end = _across_blank(sheet, row, x0 - _foot(sheet, x0, baseline, row.end_mm - x1, -1), -1)
    return start, end


def _foot(sheet: Sheet, edge_mm: float, baseline_mm: float, other_foot_mm: float, direction: int) -> float:
    """The length of a pulse's inner foot: that of its outer one, if the ink beside the pulse is as flat for so long."""
    if not FOOT_MIN_MM <= other_foot_mm <= FOOT_MAX_MM:
        return 0.0
    line, flat, near = sheet.line(baseline_mm), round(FLAT_MM * PX_PER_MM), round(NEAR_MM * PX_PER_MM)
    one, other = sorted((edge_mm + direction * 0.4, edge_mm + direction * (other_foot_mm - 0.3)))
    band = sheet.marks[max(0, line - near) : line + near + 1, sheet.column(one) : sheet.column(other)].astype(bool)
    level = band[max(0, min(line, near) - flat) : min(line, near) + flat + 1]
    alone = level.any(axis=0) & (level.sum(axis=0) == band.sum(axis=0))
    return other_foot_mm if alone.size and float(alone.mean()) >= 0.9 else 0.0


def _across_blank(sheet: Sheet, row: Row, edge_mm: float, direction: int) -> float:
    """From a pulse's edge over its foot and the blank beside it to the trace; the edge where nothing is blank."""
    near = round(NEAR_MM * PX_PER_MM)
    line, column = sheet.line(row.baseline_mm), sheet.column(edge_mm)
    reach = round(AFTER_PULSE_MM * PX_PER_MM)
    band = sheet.marks[max(0, line - near) : line + near + 1]
    piece = band[:, column : column + reach] if direction > 0 else band[:, max(0, column - reach) : column + 1][:, ::-1]
    inked = np.asarray(piece.any(axis=0), np.bool_)
    least = round(BLANK_MIN_MM * PX_PER_MM)
    edges = np.flatnonzero(np.diff(np.pad((~inked).astype(np.int8), 1)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - first >= least and stop < len(inked):
            return sheet.x_mm(column + direction * int(stop))
    return edge_mm
