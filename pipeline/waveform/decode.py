"""From a distribution over heights in every column to one height, its uncertainty and whether there is ink."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.geometry import Float64
from pipeline.networks.row import ROWS_PER_BIN
from pipeline.recording import Float32
from pipeline.waveform.reading import Reading
from pipeline.waveform.strip import COLUMNS_PER_MM, ROWS_PER_MM, RowStrip
from pipeline.waveform.viterbi import cheapest_path

BIN_MM = ROWS_PER_BIN / ROWS_PER_MM
REACH = 4  # bins to either side of the path: the target's own spread of one bin, and the network's doubt
STIFFNESS = 0.12  # nats per bin of height difference: bends unsure columns, gives way to a steep stroke that was seen
JUMP = 5.0  # nats for a step of any height: a pacing spike of one sure column is worth going there and back
BOUNDARY_JUMP = 0.5  # nats, near a lead's start: the next lead begins at a height of its own
FLOOR_MM = 0.05  # half a pixel at 100 dpi and the resampling: no column is known better
UNLIKELIEST = -12.0  # log-probability below which a bin is as good as impossible: one bin must not veto a path
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
    sigma = np.maximum(sigma * sigma_scale, FLOOR_MM)
    present = 1.0 - null
    inside = present >= 0.5
    half_height = strip.rise_mm[0]
    edge_mm = float(half_height - np.abs(rise[inside]).max()) if inside.any() else float(half_height)
    return Reading(rise.astype(np.float32), sigma.astype(np.float32), present.astype(np.float32), edge_mm)


def _expectation(p: Float32, path: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Float64, Float64]:
    """Mean around the path, and the standard deviation of the whole column about it, less the target's own spread."""
    rise = bin_rise_mm(len(p))
    rows = np.clip(path[None, :] + np.arange(-REACH, REACH + 1)[:, None], 0, len(p) - 1)
    weight = np.take_along_axis(p, rows, axis=0) + 1e-12
    mean = (weight * rise[rows]).sum(axis=0) / weight.sum(axis=0)
    variance = (p * (rise[:, None] - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(np.maximum(variance - BIN_MM**2, 0.0))


__all__ = ["BIN_MM", "COLUMNS_PER_MM", "bin_rise_mm", "decode"]
