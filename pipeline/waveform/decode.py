"""From a distribution over heights in every column to one height, its uncertainty and whether there is ink."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter1d
from scipy.signal import savgol_filter

from pipeline.geometry import Float64
from pipeline.networks.row import ROWS_PER_BIN
from pipeline.recording import Float32
from pipeline.waveform.strip import COLUMNS_PER_MM, ROWS_PER_MM, RowStrip
from pipeline.waveform.strip_reading import Reading
from pipeline.waveform.viterbi import Int64, cheapest_path

Bool = npt.NDArray[np.bool_]

BIN_MM = ROWS_PER_BIN / ROWS_PER_MM
REACH = 3  # bins to either side of the path that always count: the target's own spread of one bin
THIN = 0.005  # probability of a bin at which the scan away from the path ends (0.5 dB better than a fixed reach)
TAIL = 0.05
STIFFNESS = 0.05  # nats per bin of height difference: bends unsure columns, gives way to a steep stroke that was seen
JUMP = 5.0  # nats for a step of any height: a pacing spike of one sure column is worth going there and back
BOUNDARY_JUMP = 2.0  # nats, near a lead's start: the next lead begins at a height of its own
FLOOR_MM = 0.05  # half a pixel at 100 dpi and the resampling: no column is known better
UNLIKELIEST = -12.0  # log-probability below which a bin is as good as impossible: one bin must not veto a path
SMOOTHED_COLUMNS = 5
HAIR_MM = 0.1  # 0.01 mV at 10 mm/mV: the reading's own noise; any more smoothing costs decibels on noisy signals
FREE_MM = 1.5  # a lead's start is known to about 1 mm


def bin_rise_mm(bins: int) -> Float64:
    """float64 (bins,): height of the bin centres above the baseline, from the top."""
    top = (bins - 1) / 2 * BIN_MM
    return np.linspace(top, -top, bins, dtype=np.float64)


def decode(
    log_p: Float32, strip: RowStrip, spans_mm: Sequence[tuple[float, float]], sigma_scale: float = 1.0
) -> Reading:
    """log_p: float32 (bins + 1, columns), log-probabilities of the heights from the top and, last, of no ink."""
    heights, null = log_p[:-1], np.exp(log_p[-1])
    given_ink = heights - np.logaddexp.reduce(heights, axis=0)
    # where there is likely no ink the heights mean nothing and must not bend the path
    cost = -np.maximum(given_ink, UNLIKELIEST) * (1 - null)
    jump = np.full(log_p.shape[1], JUMP, np.float32)
    for start, _ in spans_mm:
        jump[np.abs(strip.x_mm - start) < FREE_MM] = BOUNDARY_JUMP
    path = cheapest_path(np.asarray(cost, np.float32), STIFFNESS, jump)
    rise, sigma = _expectation(np.exp(given_ink), path)
    rise = _smooth(rise, null < 0.5)
    sigma = np.maximum(sigma * sigma_scale, FLOOR_MM)
    present = 1.0 - null
    inside = present >= 0.5
    edge_mm = _nearest_edge_mm(np.exp(given_ink[:, inside]))
    return Reading(rise.astype(np.float32), sigma.astype(np.float32), present.astype(np.float32), edge_mm)


def _nearest_edge_mm(p: Float32) -> float:
    """How near the trace may come to the strip's top or bottom: by the outermost twentieth of its probability.

    Not by the path, which stays low where a stroke leaves the strip and comes back within two columns.
    """
    if p.shape[1] == 0:
        return float(bin_rise_mm(len(p))[0])
    from_top, from_bottom = ((np.cumsum(q, axis=0) < TAIL).sum(axis=0).min() for q in (p, p[::-1]))
    return float(min(from_top, from_bottom) * BIN_MM)


def _expectation(p: Float32, path: Int64) -> tuple[Float64, Float64]:
    """Mean around the path, and the standard deviation of the whole column about it, less the target's own spread.

    The bidirectional scan: from the path up and from the path down for as long as the column holds probability. In
    a flat column that is a few bins, in a steep stroke the whole run of ink, whose mean is the best single height.
    """
    bins = len(p)
    rise, index = bin_rise_mm(bins), np.arange(bins)[:, None]
    thin = (p < THIN) & (np.abs(index - path) > REACH)
    above = np.where(thin & (index < path), index, -1).max(axis=0)
    below = np.where(thin & (index > path), index, bins).min(axis=0)
    weight = p * ((index > above) & (index < below)) + 1e-9 * (index == path)
    mean = (weight * rise[:, None]).sum(axis=0) / weight.sum(axis=0)
    variance = (p * (rise[:, None] - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(np.maximum(variance - BIN_MM**2, 0.0))


def _smooth(rise_mm: Float64, read: Bool) -> Float64:
    """Savitzky–Golay over 12 ms at 25 mm/s, within the ink, where it moves the trace by less than a hair."""
    if len(rise_mm) < SMOOTHED_COLUMNS:
        return rise_mm
    smooth = savgol_filter(rise_mm, SMOOTHED_COLUMNS, 2)
    within = minimum_filter1d(read.astype(np.uint8), SMOOTHED_COLUMNS) == 1
    return np.where(within & (np.abs(smooth - rise_mm) < HAIR_MM), smooth, rise_mm)


__all__ = ["BIN_MM", "COLUMNS_PER_MM", "bin_rise_mm", "decode"]
