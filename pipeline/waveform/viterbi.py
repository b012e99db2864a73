"""The cheapest path through a strip, left to right, one height per column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.recording import Float32

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]


def cheapest_path(cost: Float32, stiffness: float, jump: Float32) -> Int64:
    """int64 (columns,): the row of each column that minimizes Σ cost[row, column] + Σ min(stiffness · |step|, jump).

    cost: float32 (rows, columns). stiffness: price of one row of height difference between neighbouring columns.
    jump: float32 (columns,), most that any step from column - 1 to column costs. The distance transform of an absolute
    value is a running minimum from either side, so a column costs O(rows).
    """
    rows, columns = cost.shape
    slope = np.arange(rows, dtype=np.float32) * np.float32(stiffness)
    came_from = np.empty((columns, rows), np.int32)
    index = np.arange(rows, dtype=np.int32)
    total = cost[:, 0].astype(np.float32)
    for column in range(1, columns):
        best, origin = _lower_envelope(total, slope, index)
        from_afar = int(total.argmin())
        leap = total[from_afar] + jump[column]
        came_from[column] = np.where(best <= leap, origin, from_afar)
        total = np.minimum(best, leap) + cost[:, column]
    path = np.empty(columns, np.int64)
    path[-1] = int(np.argmin(total))
    for column in range(columns - 1, 0, -1):
        path[column - 1] = came_from[column, path[column]]
    return path


def _lower_envelope(
    total: Float32, slope: Float32, index: npt.NDArray[np.int32]
) -> tuple[Float32, npt.NDArray[np.int32]]:
    """min over j of total[j] + |slope[i] - slope[j]|, and the j that gives it."""
    from_above = total - slope
    running = np.minimum.accumulate(from_above)
    origin_above = np.maximum.accumulate(np.where(from_above == running, index, 0))
    from_below = (total + slope)[::-1]
    running_below = np.minimum.accumulate(from_below)
    origin_below = (len(total) - 1 - np.maximum.accumulate(np.where(from_below == running_below, index, 0)))[::-1]
    above, below = running + slope, running_below[::-1] - slope
    return np.minimum(above, below), np.where(above <= below, origin_above, origin_below).astype(np.int32)
