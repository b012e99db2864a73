"""The cheapest path through a strip, left to right, one height per column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.recording import Float32

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]


def cheapest_path(cost: Float32, stiffness: Float32) -> Int64:
    """int64 (columns,): the row of each column that minimizes Σ cost[row, column] + Σ stiffness[column] · |step|.

    cost: float32 (rows, columns). stiffness: float32 (columns,), price of one row of height difference between
    column - 1 and column; 0 lets the path jump there for nothing. The distance transform of an absolute value is a
    running minimum from either side, so a column costs O(rows).
    """
    rows, columns = cost.shape
    ramp = np.arange(rows, dtype=np.float32)
    came_from = np.empty((columns, rows), np.int32)
    index = np.arange(rows, dtype=np.int32)
    total = cost[:, 0].astype(np.float32)
    for column in range(1, columns):
        slope = ramp * stiffness[column]
        best, origin = _lower_envelope(total, slope, index)
        came_from[column] = origin
        total = best + cost[:, column]
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
