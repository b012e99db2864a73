"""Where the signal of a row begins and ends, calibration pulses left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.layout.rows import NEAR_MM, Row
from pipeline.sheet import PX_PER_MM, Sheet

AFTER_PULSE_MM = 7.0  # how far behind a pulse the blank before the trace is looked for
BLANK_MIN_MM = 0.5


@dataclass(frozen=True)
class Span:
    """The signal's ends along a row, in paper millimetres."""

    start_mm: float
    end_mm: float


def row_span(sheet: Sheet, row: Row, pulses_mm: Sequence[tuple[float, float, float]]) -> Span:
    """A row's ink without the pulses (x0, x1, baseline) that stand at its ends."""
    start, end = row.start_mm, row.end_mm
    middle = (start + end) / 2
    for x0, x1, baseline in pulses_mm:
        if abs(baseline - row.baseline_mm) > 2 * NEAR_MM:
            continue
        if x0 < middle:
            start = max(start, _across_blank(sheet, row, x1, +1))
        else:
            end = min(end, _across_blank(sheet, row, x0, -1))
    return Span(start, end)


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
