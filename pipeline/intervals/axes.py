"""The frontal axes of P, QRS and T: the direction of the areas that the limb leads show of a wave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.intervals.beats import Beats, shows
from pipeline.intervals.build import CELL_S
from pipeline.intervals.network import BOUNDARIES
from pipeline.recording import Float64, Lead, Strip


def _limb_leads() -> dict[Lead, tuple[float, float]]:
    """What a limb lead shows of a vector (x to the left arm, y to the feet): Einthoven's triangle with I = x."""
    first, second = np.array([1.0, 0.0]), np.array([0.5, np.sqrt(1.0 - 0.5**2)])
    third = second - first
    right, left, foot = -(first + second) / 2, (first - third) / 2, (second + third) / 2
    names = (Lead.I, Lead.II, Lead.III, Lead.AVR, Lead.AVL, Lead.AVF)
    shown = (first, second, third, right, left, foot)
    return {lead: (float(x), float(y)) for lead, (x, y) in zip(names, shown, strict=True)}


LIMB_LEADS = _limb_leads()
LEVEL_S = CELL_S  # before a wave, where the level is that its area is measured from: no boundary is known better


@dataclass(frozen=True)
class Axis:
    """degrees: -180 to 180, 0 to the left, 90 to the feet. unsure_deg: by how much the leads disagree."""

    degrees: float
    unsure_deg: float
    beats: int


def axis(strips: Sequence[Strip], rate_hz: int, beats: Beats, begins: str, ends: str) -> Axis | None:
    """The axis of the wave between two boundaries; None where fewer than three limb leads show it.

    Of two nothing would tell that one was read too high.
    """
    rows, areas, weights, most = [], [], [], 0
    for strip in strips:
        if strip.lead not in LIMB_LEADS:
            continue
        found = wave_areas(strip, rate_hz, beats, begins, ends)
        if len(found):
            rows.append(LIMB_LEADS[strip.lead])
            areas.append(float(np.median(found)))
            weights.append(np.sqrt(len(found)))
            most = max(most, len(found))
    if len(set(rows)) <= 2:
        return None
    matrix, seen, weight = np.array(rows), np.array(areas), np.array(weights)
    vector, *_ = np.linalg.lstsq(matrix * weight[:, None], seen * weight, rcond=None)
    size = float(np.hypot(*vector))
    off = float(np.sqrt(np.mean((matrix @ vector - seen) ** 2)))
    unsure = np.degrees(np.arctan2(off, size))
    return Axis(float(np.degrees(np.arctan2(vector[1], vector[0]))), float(unsure), most)


def wave_areas(strip: Strip, rate_hz: int, beats: Beats, begins: str, ends: str) -> Float64:
    """float64 (k,): mV s under the wave of those beats of which this lead shows it whole, from the level before it."""
    a, b = BOUNDARIES.index(begins), BOUNDARIES.index(ends)
    level = BOUNDARIES.index("qrs_on" if begins != "p_on" else "p_on")
    out = []
    for k in range(len(beats)):
        spans = beats.at_s[k, [a, b, level]]
        if not np.isfinite(spans).all() or np.nan_to_num(beats.present[k, a], nan=1.0) <= 0.5:
            continue
        if not shows(strip, rate_hz, float(beats.centre_s[k])):
            continue
        first, last, ground = (round((at - strip.start_s) * rate_hz) for at in spans.tolist())
        before = ground - round(LEVEL_S * rate_hz)
        if before < 0 or last > strip.samples or last <= first:
            continue
        wave, rest = strip.millivolts[first:last], strip.millivolts[before : ground + 1]
        if np.isfinite(wave).all() and np.isfinite(rest).all():
            out.append(float((wave - rest.mean()).sum()) / rate_hz)
    return np.array(out, np.float64)
