"""Pieces of leads around a heart beat, as the delineator sees them."""

from __future__ import annotations

import numpy as np

from pipeline.intervals.build import BEFORE_S, RATE_HZ, SAMPLES, SMALL_WAVES, SWING_QUANTILES
from pipeline.recording import Float32


def window(
    millivolts: Float32, rate_hz: float, centre_s: float, pace: float = 1.0, swing_mv: float | None = None
) -> Float32:
    """float32 (3, SAMPLES) around a beat: a lead by its swing, its small waves enlarged, and where it is read.

    millivolts: float32 (n,), NaN where nothing was read. centre_s: of the beat, from the first sample. pace: by how
    much the window is longer than it will be taken for. swing_mv: of the lead, measured here where it is not given.
    """
    at = (centre_s + pace * (np.arange(SAMPLES) / RATE_HZ - BEFORE_S)) * rate_hz
    known = np.isfinite(millivolts)
    size = swing(millivolts) if swing_mv is None else swing_mv
    whole = np.interp(at, np.arange(len(known)), known, left=0.0, right=0.0) == 1.0
    if not whole.any() or size <= 0:
        return np.stack([np.zeros(SAMPLES, np.float32)] * len(("swing", "small", "read")))
    samples = np.flatnonzero(known)
    wave = np.interp(at, samples, millivolts[samples])
    wave = (wave - np.median(wave[whole])) / size
    small = np.arcsinh(SMALL_WAVES * wave) / np.arcsinh(SMALL_WAVES)
    return np.stack([np.where(whole, wave, 0.0), np.where(whole, small, 0.0), whole]).astype(np.float32)


def swing(millivolts: Float32) -> float:
    """From the lowest to the highest that a lead shows, millivolts; 0 where it shows nothing."""
    shown = millivolts[np.isfinite(millivolts)]
    if not len(shown):
        return 0.0
    low, high = np.quantile(shown, SWING_QUANTILES)
    return float(high - low)
