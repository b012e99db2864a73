"""Fits evenly spaced columns to the borders that the rows show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.layout.borders import Borders
from pipeline.recording import Float32
from pipeline.sheet import PX_PER_MM, Sheet

OUTWARD_MM = 4.0  # how far beyond the seen ink the first or last sample may lie: flat ends that a scan lost
INWARD_MM = 14.0  # and how far within: a calibration pulse that was not recognised, a foot, a name
FINE_MM = 0.125  # a sheet pixel
USUAL_S = 10.0  # nearly every device prints ten seconds across
PULL_PER_MM = 0.04  # of evidence lost per mm away from the seen ends; a stroke shared by all rows is worth 1
NAMES_PULL_PER_MM = 0.2  # and per mm by which columns differ from the distance of their names
NAME_AT_MM, NAME_AT_SPREAD_MM = 2.0, 4.0  # a name begins 2 mm before to 6 mm behind the start of its lead
NAME_PLACE_PULL_PER_MM = 0.05  # per mm outside of that
NAMES_SLACK_MM = 0.4  # letters are larger or smaller than the usual
SURE_PULL_PER_MM = 0.15  # more where the pulses are known and what is left must be signal
ENDS_SLACK_MM = 1.2  # a foot that could not be told from the trace, a tick before the first sample
USUAL_PULL_PER_MM = 0.04  # and per mm away from ten seconds, up to 3 mm
ENDS_AGREE_MM = 0.5  # pen widths, and a last sample that is not printed
TICK_MIN_MM, TICK_MAX_MM = 0.3, 1.0  # less is within the error of ink ends; more is no tick that belongs to the lead
BLANK = 0.6  # of the rows are blank
BLANK_MAX_MM = 8.0
BLANK_MOST = 0.25  # of the columns: twice what the widest gaps are of a row
GAP_MIN_MM = 0.7  # two traces that abut on a level look 0.6 mm apart where the pen was lifted between them
SEEN = 0.35  # evidence per border from which on borders count as seen


@dataclass(frozen=True)
class Spacing:
    """What the lead names say of the columns: how far apart they are, and where the names of the first one stand."""

    pitch_mm: float
    first_mm: float


@dataclass(frozen=True)
class Columns:
    """count columns; column k runs from start_mm + k * pitch_mm to start_mm + (k + 1) * pitch_mm - gap_mm.

    evidence: 0..about 1, mean over the borders; 0 for a single column, which has none.
    """

    count: int
    start_mm: float
    pitch_mm: float
    gap_mm: float
    evidence: float

    @property
    def end_mm(self) -> float:
        return self.start_mm + self.count * self.pitch_mm - self.gap_mm

    @property
    def seen(self) -> bool:
        return self.count == 1 or self.evidence >= SEEN


def fit_columns(
    sheet: Sheet,
    borders: Borders,
    count: int,
    ends_mm: tuple[float, float],
    speed_mm_s: float,
    names: Spacing | None = None,
    ends_sure: bool = False,
) -> Columns:
    """The count equal columns between about ends_mm whose borders are best seen.

    ends_sure: the calibration pulses were found, so that ends_mm are those of the signal.
    """
    left, right = ends_mm
    if count == 1:
        return Columns(1, left, right - left, 0.0, 0.0)
    outward, inward = np.arange(-OUTWARD_MM, 0, FINE_MM), np.arange(0, INWARD_MM + FINE_MM / 2, FINE_MM)
    shifts = np.concatenate([outward, inward])
    first, last = np.meshgrid(left + shifts, right - shifts, indexing="ij")
    pitch = (last - first) / count
    x = first[..., None] + pitch[..., None] * np.arange(1, count)
    columns = (x - sheet.x0_mm) * PX_PER_MM
    evidence = np.interp(columns, np.arange(len(borders.strokes)), borders.evidence).mean(axis=-1)
    cost = PULL_PER_MM * (np.abs(first - left) + np.abs(last - right))
    if ends_sure:
        for at, end in ((first, left), (last, right)):
            cost += SURE_PULL_PER_MM * np.clip(np.abs(at - end) - ENDS_SLACK_MM, 0.0, 3.0)
    cost += USUAL_PULL_PER_MM * np.minimum(np.abs(last - first - USUAL_S * speed_mm_s), 3.0)
    if names is not None:
        cost += NAMES_PULL_PER_MM * np.clip(np.abs(pitch - names.pitch_mm) - NAMES_SLACK_MM, 0.0, 4.0)
        away = np.abs(names.first_mm - first - NAME_AT_MM) - NAME_AT_SPREAD_MM
        cost += NAME_PLACE_PULL_PER_MM * np.clip(away, 0.0, 10.0)
    i, j = (int(k) for k in np.unravel_index(int(np.argmax(evidence - cost)), evidence.shape))
    found = Columns(count, float(first[i, j]), float(pitch[i, j]), 0.0, float(evidence[i, j]))
    gap = gap_mm(sheet, borders.blanks, found)
    # borders lie in the middle of the gap: the first column begins half a gap after its own
    fitted = Columns(count, found.start_mm + gap / 2, found.pitch_mm, gap, found.evidence)
    return Columns(count, fitted.start_mm + _tick_offset(fitted, ends_mm), fitted.pitch_mm, gap, fitted.evidence)


def _tick_offset(columns: Columns, ends_mm: tuple[float, float]) -> float:
    """Some devices print their ticks half a millimetre before the lead: where both ends of the ink agree on that."""
    early, late = ends_mm[0] - columns.start_mm, ends_mm[1] - columns.end_mm
    offset = (early + late) / 2
    if abs(early - late) > ENDS_AGREE_MM or not TICK_MIN_MM < abs(offset) < TICK_MAX_MM:
        return 0.0
    return offset


def gap_mm(sheet: Sheet, blanks: Float32, columns: Columns) -> float:
    """The median width of blank paper around the borders; 0 where traces abut, or too little ink is seen to tell.

    Faint traces are not in the sheet's ink: a page may look blank all along its rows, and a reader still see them.
    """
    inside = slice(sheet.column(columns.start_mm), sheet.column(columns.end_mm))
    if not blanks[inside].size or float((blanks[inside] > BLANK).mean()) > BLANK_MOST:
        return 0.0
    widths = []
    for k in range(1, columns.count):
        middle = sheet.column(columns.start_mm + k * columns.pitch_mm)
        # a tick may stand in the gap: look past it
        reach, tick = round(BLANK_MAX_MM / 2 * PX_PER_MM), round(0.5 * PX_PER_MM)
        right = blanks[middle : middle + reach] > BLANK
        left = blanks[max(0, middle - reach) : middle + 1][::-1] > BLANK
        right[:tick] |= right[tick : tick + 1].any()
        left[:tick] |= left[tick : tick + 1].any()
        widths.append(_run(right) + _run(left))
    gap = float(np.median(widths)) / PX_PER_MM
    return gap if gap >= GAP_MIN_MM else 0.0


def _run(blank: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """How many leading entries are true."""
    return int(np.argmin(blank)) if not blank.all() else len(blank)
