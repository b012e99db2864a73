"""Which stated resolutions to believe."""

from __future__ import annotations

import math

MM_PER_INCH = 25.4
CM_PER_INCH = 2.54

# 72 and 96 dpi are what software writes when it knows nothing, and no scanner or fax (98 dpi, across the paper's
# length only, beside 204) resolves less than this in both directions; above 2400 dpi no paper is scanned.
LEAST_DPI, MOST_DPI = 97.0, 2400.0
# The most unequal pair in use is 204 x 98 dpi, standard-resolution fax; 204 x 391 is superfine.
MOST_UNEQUAL = 2.6


def believable(x_dpi: float, y_dpi: float) -> tuple[float, float] | None:
    """(x, y) in pixels per inch of paper, None where the pair cannot be the resolution of a scanned page."""
    if not (math.isfinite(x_dpi) and math.isfinite(y_dpi)):
        return None
    if min(x_dpi, y_dpi) < LEAST_DPI or max(x_dpi, y_dpi) > MOST_DPI:
        return None
    if max(x_dpi, y_dpi) / min(x_dpi, y_dpi) > MOST_UNEQUAL:
        return None
    return float(x_dpi), float(y_dpi)


def from_spacing_mm(x_mm: float, y_mm: float) -> tuple[float, float] | None:
    """The same from the distance between pixel centres in millimetres of paper."""
    if not (x_mm > 0 and y_mm > 0):
        return None
    return believable(MM_PER_INCH / x_mm, MM_PER_INCH / y_mm)
