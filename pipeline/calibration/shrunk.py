"""How much smaller than its own millimetres a page was printed: fax machines shrink what does not fit their paper.

Only asked where the millimetres come from a file's resolution, which knows the paper that came out and not the one that
went in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.calibration.pulse import Pulse
from pipeline.geometry import Landmarks, PaperMap

SMALLEST, LARGEST = 0.88, 1.04  # of its own size that a page is printed at to fit another paper
ROWS_LARGEST = 1.01  # longer rows are no larger print: they have gaps between their leads
WIDTHS_MM, HEIGHTS_MM = (2.5, 5.0, 10.0), (5.0, 10.0, 20.0)  # of pulses on paper of the right size
ROW_MM = 250.0  # of trace on nearly every page, whatever its speed: ten seconds at 25 mm/s
ALIKE = 0.06  # between a pulse's width and its height: a tenth of a millimetre is two per cent of its width
AGREE = 0.035  # between pulses and rows: a pulse is measured to a few per cent
ENOUGH = 1.5  # summed scores of pulses
START_MIN, END_MIN = 0.3, 0.35
LEVEL_MM = 2.5
SPREAD_MM = 1.5  # of rows that end together
SAME = 0.025  # nearer to its own size than a pulse or the end of a row can tell, it is left alone
OWN_HEIGHT = 0.0165  # of three pulses from a nominal one: their heights are known to one and a half per cent
HEIGHTS_TELL = 3  # pulses
FINE_PX_PER_MM = 6.0  # down the page, below which a pixel is two per cent of a pulse and more, as of a standard fax


def tells_heights(paper: PaperMap) -> bool:
    """Whether pixels are small enough for a pulse's height to tell a page's size."""
    x, y = float(paper.x_mm.mean()), float(paper.y_mm.mean())
    above, below = paper.to_px(np.array([[x, y - 5.0], [x, y + 5.0]]))
    return float(np.hypot(*(below - above))) / 10.0 >= FINE_PX_PER_MM


def printed_size(pulses: Sequence[Pulse], marks: Landmarks | None, heights_tell: bool = True) -> float | None:
    """The size a page is printed at, 1 its own; None where nothing tells, or it is its own.

    heights_tell: as tells_heights says.
    """
    by_rows = None if marks is None else _of_rows(marks)
    by_pulses = _of_pulses(pulses)
    if by_pulses is None and heights_tell and _as_high_as_they_should(pulses):
        return None  # their feet or uprights are smudged; rows need not be of ten seconds
    rows_agree = by_rows is not None and (by_pulses is None or abs(by_rows - by_pulses) < AGREE)
    size = by_rows if rows_agree else by_pulses  # twenty-five centimetres are measured better than one
    return None if size is None or abs(size - 1) < SAME else size


def _of_rows(marks: Landmarks) -> float | None:
    """By the length of the rows, if they agree and it is near the usual."""
    starts, ends = marks.starts[marks.starts[:, 2] >= START_MIN], marks.ends[marks.ends[:, 2] >= END_MIN]
    lengths = []
    for x, y, _ in ends:
        own = starts[(np.abs(starts[:, 1] - y) < LEVEL_MM) & (starts[:, 0] < x - ROW_MM / 2)]
        if len(own):
            lengths.append(x - own[:, 0].min())
    if len(lengths) < 2:
        return None
    length = float(np.median(lengths))
    agree = float(np.median(np.abs(np.array(lengths) - length))) < SPREAD_MM
    size = length / ROW_MM
    return size if agree and SMALLEST <= size <= ROWS_LARGEST else None


def _as_high_as_they_should(pulses: Sequence[Pulse]) -> bool:
    """Whether several pulses are all of one height, and that height is one of paper of the right size."""
    for nominal in HEIGHTS_MM:
        heights = [p.height_mm for p in pulses if abs(p.height_mm / nominal - 1) < ALIKE / 2]
        if len(heights) >= HEIGHTS_TELL and abs(float(np.median(heights)) / nominal - 1) < OWN_HEIGHT:
            return True
    return False


def _of_pulses(pulses: Sequence[Pulse]) -> float | None:
    """By two pulses or more that are as wide and as high as one another, and shrunk as much both ways."""
    best: tuple[float, float] | None = None
    for pulse in pulses:
        alike = [
            p
            for p in pulses
            if abs(p.width_mm / pulse.width_mm - 1) < ALIKE and abs(p.height_mm / pulse.height_mm - 1) < ALIKE
        ]
        evidence = sum(p.score for p in alike)
        if len(alike) < 2 or evidence < ENOUGH or (best is not None and evidence <= best[0]):
            continue
        wide = _of_nominal(float(np.median([p.width_mm for p in alike])), WIDTHS_MM)
        tall = _of_nominal(float(np.median([p.height_mm for p in alike])), HEIGHTS_MM)
        if wide is not None and tall is not None and abs(wide - tall) < ALIKE:
            best = evidence, (wide + 2 * tall) / 3  # its height is twice its width, and measured twice as well
    return None if best is None else best[1]


def _of_nominal(size_mm: float, nominal: Sequence[float]) -> float | None:
    return next((size_mm / n for n in nominal if SMALLEST <= size_mm / n <= LARGEST), None)
