"""The beats of a recording, each with the leads that show it at the same time and where its waves begin and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.intervals.build import BEFORE_S, RATE_HZ, SAMPLES, WHOLE
from pipeline.intervals.network import BOUNDARIES, boundaries, log_probabilities
from pipeline.intervals.windows import swing, window
from pipeline.measure import WINDOW_S
from pipeline.recording import Float32, Float64, Strip


@dataclass(frozen=True, eq=False)
class Beats:
    """Of k beats, in page time.

    centre_s: float64 (k,). at_s: float64 (k, 6) as BOUNDARIES, page seconds, NaN where no lead is read. present:
    float64 (k, 6), the probability that the wave is there, NaN where too little of the beat is read to tell.
    spread_s: float64 (k, 6), the network's own standard deviation, NaN as at_s. leads: float64 (k,), how many show the
    beat.
    """

    centre_s: Float64
    at_s: Float64
    present: Float64
    spread_s: Float64
    leads: Float64

    def __len__(self) -> int:
        return len(self.centre_s)

    def duration_s(self, begins: str, ends: str) -> tuple[Float64, Float64]:
        """float64 (k,) each: from one boundary to another, and its standard deviation; NaN where there is no wave."""
        a, b = BOUNDARIES.index(begins), BOUNDARIES.index(ends)
        there = (np.nan_to_num(self.present[:, a], nan=1.0) > 0.5) & (np.nan_to_num(self.present[:, b], nan=1.0) > 0.5)
        lasts = np.where(there, self.at_s[:, b] - self.at_s[:, a], np.nan)
        return lasts, np.hypot(self.spread_s[:, a], self.spread_s[:, b])


def delineate(strips: Sequence[Strip], rate_hz: int, centres_s: Float64, weights: Mapping[str, Float32]) -> Beats:
    """The beats at these page times. Leads are simultaneous where they stand at the same page time."""
    swings = [swing(strip.millivolts) for strip in strips]
    kept, said, reads, counts = [], [], [], []
    for centre in centres_s.tolist():
        pieces = [
            window(strip.millivolts, rate_hz, centre - strip.start_s, 1.0, size)
            for strip, size in zip(strips, swings, strict=True)
            if size > 0 and shows(strip, rate_hz, centre)
        ]
        if pieces:
            leads = np.stack(pieces)
            kept.append(centre)
            said.append(log_probabilities(leads, weights))
            reads.append(leads[:, 2].max(0))
            counts.append(len(pieces))
    if not kept:
        nothing = np.empty((0, len(BOUNDARIES)))
        return Beats(np.empty(0), nothing, nothing, nothing, np.empty(0))
    found = boundaries(np.stack(said))
    read = np.stack(reads)  # (k, SAMPLES): whether any lead is read there
    at = np.clip(np.round((found.at_s + BEFORE_S) * RATE_HZ).astype(int), 0, SAMPLES - 1)
    there = np.take_along_axis(read, at, 1) > 0
    whole = read.mean(1, keepdims=True) >= WHOLE
    centre_s = np.array(kept)
    return Beats(
        centre_s,
        np.where(there, found.at_s + centre_s[:, None], np.nan),
        np.where(whole, found.present, np.nan),
        np.where(there, found.spread_s, np.nan),
        np.array(counts, np.float64),
    )


def shows(strip: Strip, rate_hz: int, centre_s: float) -> bool:
    """Whether a lead is read around the middle of a beat, a QRS complex's width either side."""
    first = round((centre_s - strip.start_s - WINDOW_S) * rate_hz)
    last = round((centre_s - strip.start_s + WINDOW_S) * rate_hz)
    return first >= 0 and last <= strip.samples and bool(np.isfinite(strip.millivolts[first:last]).all())
