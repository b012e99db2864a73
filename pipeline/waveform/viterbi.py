"""The cheapest path through a strip, left to right, one height per column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.recording import Float32

Int64 = npt.NDArray[np.int64]


def cheapest_path(cost: Float32, stiffness: float, jump: Float32) -> Int64:
    """int64 (columns,): the row of each column that minimizes Σ cost[row, column] + Σ min(stiffness · |step|, jump).

    cost: float32 (rows, columns). stiffness: price of one row of height difference between neighbouring columns.
    jump: float32 (columns,), most that any step from column - 1 to column costs. The distance transform of an absolute
    value is a running minimum from either side, so a column costs O(rows).
    """
    rows, columns = cost.shape
    slope = np.arange(rows, dtype=np.float32) * np.float32(stiffness)
    total = np.array(cost.T, np.float32, order="C")  # a copy, whatever the order of cost: it is written into
    # column after column only what paths cost: where they came from is asked of the one that is cheapest
    above, below = np.empty(rows, np.float32), np.empty(rows, np.float32)
    for before, here, leap in zip(total[:-1], total[1:], jump[1:], strict=True):
        np.minimum.accumulate(np.subtract(before, slope, out=above), out=above)
        np.minimum.accumulate(np.add(before, slope, out=below)[::-1], out=below[::-1])
        np.minimum(np.add(above, slope, out=above), np.subtract(below, slope, out=below), out=above)
        here += np.minimum(above, before[before.argmin()] + leap, out=above)  # min() takes twice as long
    path = np.empty(columns, np.int64)
    path[-1] = int(np.argmin(total[-1]))
    for column in range(columns - 1, 0, -1):
        path[column - 1] = _origin(total[column - 1], slope, int(path[column]), jump[column])
    return path


def _origin(total: Float32, slope: Float32, row: int, jump: np.float32) -> int:
    """The j by which total[j] + min(|slope[row] - slope[j]|, jump) is least, the nearest of those above first."""
    above, below = total[row::-1] - slope[row::-1], total[row:] + slope[row:]
    up, down = int(above.argmin()), int(below.argmin())
    from_above, from_below = above[up] + slope[row], below[down] - slope[row]
    afar = int(total.argmin())
    if min(from_above, from_below) > total[afar] + jump:
        return afar
    return row - up if from_above <= from_below else row + down
