"""How strongly lines are printed at any distance on a page whose map is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.geometry import Float64, PaperMap
from pipeline.paper import ruling
from pipeline.paper.lines import Working
from pipeline.paper.ruling import Float32
from pipeline.recording import UInt8

WINDOWS_MOST = 24  # of a page: more tell the same, and each costs a millisecond
STEP_MM = 1.0  # over which the map's slope at a window is measured


def lines_seen(image: UInt8, paper: PaperMap, per_mm: Sequence[float]) -> Float64:
    """float64 (n,): log power of the printed lines of each density above its surroundings, NaN where too fine to see.

    image: uint8 (H, W, 3) RGB. per_mm: lines per millimetre of the map. The mean over windows of the page and over both
    directions; blank paper and paper with other lines give about 0.
    """
    page = Working.of(image)
    found = ruling.windows(page.ink)
    density = np.asarray(per_mm, np.float64)
    if not len(found.power):
        return np.full(len(density), np.nan)
    chosen = np.unique(np.linspace(0, len(found.power) - 1, WINDOWS_MOST).astype(int))
    told = [_in_window(page, paper, found.power[k], found.centres_px[k], density) for k in chosen.tolist()]
    seen = np.stack(told)
    counted = np.isfinite(seen).sum(axis=0)
    total = np.nansum(seen, axis=0) / np.maximum(counted, 1)
    return np.where(counted > 0, total, np.nan)


def _in_window(page: Working, paper: PaperMap, power: Float32, centre_px: Float64, per_mm: Float64) -> Float64:
    """float64 (n,): the mean of both directions in one window."""
    slopes = _mm_per_px(page, paper, centre_px)
    both = []
    for axis in (0, 1):
        table = ruling.prominence(power, axis)
        fx, fy = (per_mm * slopes[axis, k] for k in (0, 1))
        seen = ruling.sample(table, fx[None], fy[None])[0].astype(np.float64)
        both.append(np.where(np.hypot(fx, fy) < ruling.NYQUIST, seen, np.nan))
    return np.asarray(np.mean(both, axis=0))


def _mm_per_px(page: Working, paper: PaperMap, centre_px: Float64) -> Float64:
    """float64 (2, 2): paper x and y in mm per working pixel to the right and down."""
    at = paper.to_mm(page.given(centre_px[None]))[0]
    here = page.worked(paper.to_px(np.array([at, at + [STEP_MM, 0.0], at + [0.0, STEP_MM]])))
    return np.asarray(np.linalg.inv((here[1:] - here[0]).T / STEP_MM))
