"""Takes off what a strip's ends show besides signal: the edge of a pulse, a tick, a stroke of the lead's own name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.recording import Seen, Strip

REACH_S = 0.08  # 2 mm: a tick or the first letter; beyond it the trace stands alone
DOUBT_MV = 0.35  # one standard deviation; the reader hesitates where it changes from the mark to the trace
DOUBT_TIMES = 8.0  # the strip's median, for pages that are uncertain everywhere


def trim_ends(strip: Strip, rate_hz: int) -> Strip:
    """The same strip without the doubtful samples of its first and last 0.08 s, and without what lies outward of them.

    Inward of the doubt the reader follows the trace; outward of it, it may have followed a mark just as surely.
    """
    limit = max(DOUBT_MV, DOUBT_TIMES * float(np.nanmedian(strip.sigma_mv))) if np.isfinite(strip.sigma_mv).any() else 0
    reach = min(round(REACH_S * rate_hz), strip.samples // 4)
    with np.errstate(invalid="ignore"):
        doubtful = strip.sigma_mv > limit
    head, tail = np.flatnonzero(doubtful[:reach]), np.flatnonzero(doubtful[::-1][:reach])
    first = int(head[-1]) + 1 if len(head) else 0
    last = strip.samples - (int(tail[-1]) + 1 if len(tail) else 0)
    if first == 0 and last == strip.samples:
        return strip
    millivolts, sigma_mv, seen = strip.millivolts.copy(), strip.sigma_mv.copy(), strip.seen.copy()
    for part in (slice(0, first), slice(last, None)):
        millivolts[part] = sigma_mv[part] = np.nan
        seen[part] = Seen.NOTHING
    return replace(strip, millivolts=millivolts, sigma_mv=sigma_mv, seen=seen)
