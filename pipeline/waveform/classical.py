"""Follows the darkest line of a row without any network: what stands in until weights exist."""

from __future__ import annotations

import numpy as np

from pipeline.recording import Float32
from pipeline.waveform.strip import ROWS_PER_MM, RowStrip
from pipeline.waveform.strip_reading import Reading
from pipeline.waveform.viterbi import cheapest_path

GRID_SHARE = 0.85  # of a row or column of the strip that is as dark as the grid line in it
PULL_PER_MM = 0.006  # towards the row's own baseline, so that an equally dark neighbour row loses
INK_PER_COLUMN = 0.25  # grey difference to paper and grid that counts as ink
STIFFNESS_PER_MM = 0.15  # a QRS of 15 mm costs about as much as 3 columns of missing ink


def trace_classically(strip: RowStrip) -> Reading:
    """The path of most ink beyond the grid's. sigma_mm: the stroke's spread in the column and 0.2 mm for the method."""
    ink = _ink(strip)
    rise = strip.rise_mm.astype(np.float32)
    cost = np.asarray((1.0 - ink) + PULL_PER_MM * np.abs(rise)[:, None], np.float32)
    no_jumps = np.full(ink.shape[1], np.inf, np.float32)
    path = cheapest_path(cost, STIFFNESS_PER_MM / ROWS_PER_MM, no_jumps)
    reach = ROWS_PER_MM  # 1 mm to either side: the stroke, not its neighbour
    rows = np.clip(path[None, :] + np.arange(-reach, reach + 1)[:, None], 0, len(rise) - 1)
    weight = np.take_along_axis(ink, rows, axis=0) + np.float32(1e-3)
    height = rise[rows]
    mean = (weight * height).sum(axis=0) / weight.sum(axis=0)
    spread = np.sqrt((weight * (height - mean) ** 2).sum(axis=0) / weight.sum(axis=0))
    present = np.clip(np.take_along_axis(ink, rows, axis=0).max(axis=0) / (2 * INK_PER_COLUMN), 0.0, 1.0)
    edge_mm = float(min(rise[0] - mean.max(), mean.min() - rise[-1]))
    return Reading(mean.astype(np.float32), (spread + 0.2).astype(np.float32), present.astype(np.float32), edge_mm)


def _ink(strip: RowStrip) -> Float32:
    """float32 (rows, columns) 0..1: how much darker than paper and grid."""
    grey = strip.pixels.max(axis=2)  # coloured grids are bright in one channel, ink is dark in all
    grey = np.where(strip.on_page, grey, 1.0).astype(np.float32)
    # a grid line is dark along its whole column or row, even a flat trace is not: the bright end tells them apart
    vertical = np.quantile(grey, GRID_SHARE, axis=0, keepdims=True)
    horizontal = np.quantile(grey, GRID_SHARE, axis=1, keepdims=True)
    paper = np.minimum(vertical, horizontal)
    dark = np.clip(paper - grey, 0.0, None)
    top = max(float(np.quantile(dark, 0.995)), 0.1)
    return np.asarray(np.clip(dark / top, 0.0, 1.0), np.float32)
