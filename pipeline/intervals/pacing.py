"""Whether the leads themselves show pacing spikes: strokes before the beats that are too narrow for a heart's waves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from pipeline.intervals.beats import shows
from pipeline.intervals.windows import swing
from pipeline.recording import Float64, Strip


@dataclass(frozen=True)
class PacingFit:
    """spike_min: of a lead's swing, from which on strokes are spikes.

    narrow_s: twice what a stroke lasts at most. from_s, to_s: before the middle of a beat, where it is looked for.
    leads_quantile: of the leads that show a beat, the one whose stroke counts. beats_share: of the beats, and at least
    two, that begin with a spike where a pacemaker works.
    """

    spike_min: float
    narrow_s: float
    from_s: float
    to_s: float
    leads_quantile: float
    beats_share: float


def is_paced(strips: Sequence[Strip], rate_hz: int, centres_s: Float64, fit: PacingFit) -> bool:
    """Whether enough beats begin with a spike."""
    return narrow_stroke(strips, rate_hz, centres_s, fit) > fit.spike_min


def narrow_stroke(strips: Sequence[Strip], rate_hz: int, centres_s: Float64, fit: PacingFit) -> float:
    """How high narrow strokes before beats are, as a share of the lead's swing: what the share of the beats reaches."""
    narrow = [_narrow(strip, rate_hz, fit.narrow_s) for strip in strips]
    heights = []
    for centre in centres_s.tolist():
        seen = []
        for strip, height in zip(strips, narrow, strict=True):
            first, last = (round((centre - before - strip.start_s) * rate_hz) for before in (fit.from_s, fit.to_s))
            if height is not None and first >= 0 and shows(strip, rate_hz, centre):
                seen.append(float(np.max(height[first:last])))
        if seen:
            heights.append(float(np.quantile(seen, fit.leads_quantile)))
    enough = max(2, math.ceil(fit.beats_share * len(heights)))
    return sorted(heights)[-enough] if len(heights) >= enough else 0.0


def _narrow(strip: Strip, rate_hz: int, narrow_s: float) -> Float64 | None:
    """float64 (n,): how far each sample stands off its surroundings, by the lead's swing; 0 where it is not read."""
    size, known = swing(strip.millivolts), np.isfinite(strip.millivolts)
    if size <= 0:
        return None
    at = np.arange(strip.samples)
    wave = np.interp(at, at[known], strip.millivolts[known])
    off = np.abs(wave - median_filter(wave, size=round(narrow_s * rate_hz)))
    return np.asarray(np.where(known, off / size, 0.0), np.float64)
