"""The ends of leads: the last hair of a lead whose ink no column holds any more.

A pen begins and ends round, a scanner fades the last column, and the border between two leads is known to a fifth of a
millimetre. Without this, leads began and ended with a few samples of nothing. What joins two leads, the stroke from one
level to the next, is left as it is read: telling those columns from the trace beside them made two of seven pages worse
by a decibel and none better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.waveform.strip import COLUMNS_PER_MM
from pipeline.waveform.strip_reading import Reading

Bool = npt.NDArray[np.bool_]

HELD_MM = 0.4  # of a lead's end without ink that its last height stands for: 16 ms
GROWS = 0.8  # mm that each mm farther from a read column adds to sigma


@dataclass(frozen=True, eq=False)
class Ended:
    """A reading, and the columns whose heights were told by those beside them."""

    reading: Reading
    held: Bool


def hold_ends(reading: Reading, x0_mm: float, spans_mm: Sequence[tuple[float, float]], present: float) -> Ended:
    """The reading of a row with the first and last columns of every lead at the height of the nearest that was read.

    Where that is farther than HELD_MM off, the end stays empty. x0_mm: paper x of column 0. spans_mm: (start, end) of
    every lead. present: probability from which a column counts as read.
    """
    rise, sigma, shown = reading.rise_mm.copy(), reading.sigma_mm.copy(), reading.present.copy()
    held = np.zeros(len(rise), np.bool_)
    reach = round(HELD_MM * COLUMNS_PER_MM)
    left, right = min(start for start, _ in spans_mm), max(end for _, end in spans_mm)
    for start, end in spans_mm:
        # at the row's ends every column of which any part lies in the lead: a column is as wide as two and a half
        # samples at 25 mm/s. Between leads its centre tells whose it is: the ink in it may be the other's
        a, b = (start - x0_mm) * COLUMNS_PER_MM, (end - x0_mm) * COLUMNS_PER_MM
        first = max(int(np.floor(a + 0.5) if start == left else np.ceil(a)), 0)
        last = min(int(np.ceil(b - 0.5) if end == right else np.ceil(b) - 1), len(rise) - 1)
        for inward in (np.arange(first, last + 1), np.arange(last, first - 1, -1)):
            read = np.flatnonzero(reading.present[inward[: reach + 1]] >= present)
            if not len(read) or not read[0]:
                continue
            filled, nearest = inward[: read[0]], inward[read[0]]
            rise[filled], shown[filled], held[filled] = rise[nearest], 1.0, True
            # on top of the column's own: where the reader hesitated there may be something else than the trace
            sigma[filled] += GROWS / COLUMNS_PER_MM * np.abs(filled - nearest)
    return Ended(replace(reading, rise_mm=rise, sigma_mm=sigma, present=shown), held)
