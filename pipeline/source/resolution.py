"""Which resolutions a fax may have: its file may be silent, tell a ratio only, or tell a wrong one.

ITU-T T.4 has one resolution across, 204 an inch, and three down: 98 (standard), 196 (fine) and 391 (superfine). A page
at a wrong one of them is squeezed or stretched by two. The size of the sheet tells which it is, and of a sheet that was
cut the ruling and the shape of the strokes; where the file says another, the better reading of the two decides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.recording import UInt8
from pipeline.source import page_statistics

ACROSS_DPI = 204.0
DOWN_DPI = (98.0, 196.0, 391.0)
COLUMNS = (1728, 2432)  # of the shortest and the longest line in T.4: 215 and 303 mm
# What is faxed, across and down: A4 and Letter either way, Legal and B4.
SHEETS_MM = ((210.0, 297.0), (297.0, 210.0), (216.0, 279.0), (279.0, 216.0), (216.0, 356.0), (257.0, 364.0))
MM_PER_INCH = 25.4

Dpi = tuple[float, float]
FAXES: tuple[Dpi, ...] = tuple((ACROSS_DPI, down) for down in DOWN_DPI)


def resolutions(image: UInt8, dpi: Dpi | None) -> tuple[Dpi | None, ...]:
    """The one or two resolutions to read a page at, (x, y) in pixels per inch: each costs a whole reading.

    image: uint8 (H, W, 3) RGB. dpi: as the file says, None where it is silent. A page of one bit and a fax's width gets
    that of a fax behind what the file says, unless that is one at which the page is of the size of a sheet. Where the
    file is silent, that at which it is such a sheet; else the two that it looks most like, one of which may be none: a
    scan at 200 or 300 pixels an inch is as wide as a fax.
    """
    lines, columns = image.shape[:2]
    if not is_fax_wide(columns) or (dpi is not None and not _is_doubtful(lines, columns, dpi)):
        return (dpi,)
    if not page_statistics.is_one_bit(image):
        return (dpi,)
    sheets = [each for each in FAXES if not _is_doubtful(lines, columns, each)]
    if dpi is not None:
        others = [each for each in sheets or FAXES if not _is_like(each, dpi)]
        return (dpi, max(others, key=lambda each: _likeness(image, each))) if others else (dpi,)
    if sheets:
        return tuple(sheets)
    shapes = sorted(FAXES, key=lambda each: _likeness(image, each), reverse=True)[:2]
    return tuple(None if each == FAXES[1] else each for each in shapes)  # a scan and a fine fax have square pixels


def _likeness(image: UInt8, dpi: Dpi) -> tuple[int, float]:
    """How much like a page of such pixels an image looks, to compare: by its ruling, else by the shape of its strokes.

    A pen draws as broad along as down.
    """
    black = image.min(axis=2) < np.iinfo(np.uint8).max / 2
    broad = _run_px(black) / _run_px(black.T)
    return int(page_statistics.ruled(image, dpi)), -abs(float(np.log(broad * dpi[1] / dpi[0])))


def _run_px(black: npt.NDArray[np.bool_]) -> float:
    """The mean length of runs of black along the lines, at least a pixel."""
    begun = int(black[:, 0].sum()) + int((black[:, 1:] & ~black[:, :-1]).sum())
    return max(int(black.sum()) / max(begun, 1), 1.0)


def is_fax_wide(columns: int) -> bool:
    """Whether so many columns are a fax's, as senders cut or pad them."""
    narrowest, widest = COLUMNS
    return narrowest * (1 - page_statistics.RATIO_OFF) <= columns <= widest * (1 + page_statistics.RATIO_OFF)


def _is_doubtful(lines: int, columns: int, dpi: Dpi) -> bool:
    """Whether a fax's stated resolution makes its page no sheet of paper."""
    if not page_statistics.FAX_DPI[0] <= dpi[0] <= page_statistics.FAX_DPI[1]:
        return False
    across_mm, down_mm = columns / dpi[0] * MM_PER_INCH, lines / dpi[1] * MM_PER_INCH
    return not any(
        abs(across_mm / wide - 1) < page_statistics.RATIO_OFF and abs(down_mm / tall - 1) < page_statistics.RATIO_OFF
        for wide, tall in SHEETS_MM
    )


def _is_like(one: Dpi, other: Dpi) -> bool:
    return abs(one[1] / one[0] - other[1] / other[0]) < page_statistics.RATIO_OFF
