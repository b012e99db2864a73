"""How fast the paper ran, by the beats on it: how long a heart's waves last differs less than the speeds of paper do.

For pages on which nothing else says it. The strips are looked at as they would be at each speed: intervals between
beats, steepness of the QRS, delay of the T wave, and how the energy of the slopes lies over the frequencies. One fitted
score, the same for every speed, says how much like a heart that is (`pipeline.training.fit.speed`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from scipy.signal import butter

from pipeline.geometry import Float64
from pipeline.measure import beats_and_likeness
from pipeline.measure.filters import zero_phase
from pipeline.recording import Strip

FITTED = Path(__file__).with_name("pace.toml")
SPEEDS_MM_S = (12.5, 25.0, 50.0)
STRIP_MIN_S = 0.6
READ_MIN = 0.5  # of a strip
QRS_REACH_S = 0.14  # around a beat
T_FROM_S, T_TO_S = 0.16, 0.60  # after it
BASE_S = (0.12, 0.05)  # before it: where the signal rests
SLOPE_HZ, T_HZ = 40.0, 8.0  # above them a slope is noise, a T wave is a QRS
BANDS_HZ = 2.0 ** (np.arange(12) / 2)  # half octaves from 1 to 45 Hz
SPECTRUM_S = 8.0  # every strip padded to it
FAINT = 1e-5  # of a strip's energy: less in a band is as good as none


@dataclass(frozen=True)
class Pace:
    """Strips looked at as if the paper had run at one speed.

    interval_s: the median between beats; the page's length where there is one beat. unevenness: the intervals' median
    deviation over their median. steep_s: standard deviation, in time, of the slope's energy around a beat. t_delay_s
    and t_height: where after a beat the slow part of the signal is largest, and how large beside the lead's largest.
    alike: as `likeness`. bands: natural logarithms of the shares of the slope's energy in BANDS_HZ.
    """

    interval_s: float
    unevenness: float
    steep_s: float
    t_delay_s: float
    t_height: float
    alike: float
    bands: tuple[float, ...]

    def features(self) -> Float64:
        """float64 (k,): what the score is linear in."""
        interval, steep, delay = np.log([self.interval_s, self.steep_s, self.t_delay_s])
        single = np.array([interval, steep, delay, self.alike, self.t_height, self.unevenness])
        pairs = [a * b for a, b in combinations_with_replacement((interval, steep, delay, self.alike), 2)]
        bands = np.array(self.bands)
        squares = (bands * bands, bands[:-1] * bands[1:], bands * interval, bands * steep)
        return np.concatenate([single, pairs, bands, *squares])


def speeds_by_beats(strips: Sequence[Strip], rate_hz: int, speed_mm_s: float) -> Mapping[float, float]:
    """The likelihood of each of SPEEDS_MM_S, summing to 1; all alike where the beats tell nothing.

    strips: as read for speed_mm_s, at rate_hz. Nothing is said here of how usual a speed is.
    """
    scores = list(scores_at(strips, rate_hz, [speed / speed_mm_s for speed in SPEEDS_MM_S]))
    told = [score for score in scores if score is not None]
    if len(told) < 2:
        return dict.fromkeys(SPEEDS_MM_S, 1 / len(SPEEDS_MM_S))
    # at a speed at which no strip would be as long as a beat nothing is printed: it is as unlikely as the unlikelier
    likelihood = np.exp(np.array([min(told) if score is None else score for score in scores]) - max(told))
    return dict(zip(SPEEDS_MM_S, (likelihood / likelihood.sum()).tolist(), strict=True))


def scores_at(strips: Sequence[Strip], rate_hz: int, faster: Sequence[float]) -> tuple[float | None, ...]:
    """How much like a heart the strips are if the paper ran so many times as fast as they were read for.

    Differences are log-likelihood ratios; None where no strip would be as long as a beat.
    """
    mean, scale, weight = _fitted()
    paces = [pace_at(strips, rate_hz, times) for times in faster]
    return tuple(None if pace is None else float((pace.features() - mean) / scale @ weight) for pace in paces)


@cache
def _fitted() -> tuple[Float64, Float64, Float64]:
    """Mean, scale and weight of every feature."""
    table = tomllib.loads(FITTED.read_text(encoding="utf-8"))
    mean, scale, weight = (np.array(table[name], np.float64) for name in ("mean", "scale", "weight"))
    return mean, scale, weight


def pace_at(strips: Sequence[Strip], rate_hz: int, faster: float) -> Pace | None:
    """The strips' pace if the paper ran so many times as fast as they were read for; None without a beat to look at."""
    rate = round(rate_hz * faster)
    strips = [
        replace(strip, start_s=strip.start_s / faster)
        for strip in strips
        if strip.samples >= STRIP_MIN_S * rate and np.isfinite(strip.millivolts).mean() >= READ_MIN
    ]
    beats, alike = beats_and_likeness(strips, rate)
    if not len(beats):
        return None
    waves = [(strip, _filled(strip)) for strip in strips]
    steep_s, (t_delay_s, t_height) = _steep_s(waves, beats, rate), _t_wave(waves, beats, rate)
    if steep_s is None or t_height <= 0:
        return None
    intervals = np.diff(beats)
    interval = float(np.median(intervals)) if len(intervals) else max(s.start_s + s.samples / rate for s in strips)
    uneven = float(np.median(np.abs(intervals - interval))) / interval if len(intervals) > 1 else 0.0
    return Pace(interval, uneven, steep_s, t_delay_s, t_height, alike, _bands([wave for _, wave in waves], rate))


def _filled(strip: Strip) -> Float64:
    """float64 (n,) mV, straight where nothing was read."""
    known = np.isfinite(strip.millivolts)
    at = np.arange(strip.samples)
    return np.asarray(np.interp(at, at[known], strip.millivolts[known]), np.float64)


def _steep_s(waves: Sequence[tuple[Strip, Float64]], beats: Float64, rate: int) -> float | None:
    reach = round(QRS_REACH_S * rate)
    total, leads = np.zeros(2 * reach + 1), 0
    smooth = zero_phase(_low(SLOPE_HZ, rate), [wave for _, wave in waves])
    for (strip, _), wave in zip(waves, smooth, strict=True):
        slope = np.gradient(wave) ** 2
        at = [k for k in _samples(strip, beats, rate) if reach <= k < len(wave) - reach]
        if at:
            mean = np.mean([slope[k - reach : k + reach + 1] for k in at], axis=0)
            total += mean / max(float(mean.max()), 1e-12)
            leads += 1
    if not leads:
        return None
    energy = np.maximum(total - np.quantile(total, 0.25), 0) + 1e-12
    seconds = np.arange(-reach, reach + 1) / rate
    middle = float((energy * seconds).sum() / energy.sum())
    return float(np.sqrt((energy * (seconds - middle) ** 2).sum() / energy.sum()))


def _t_wave(waves: Sequence[tuple[Strip, Float64]], beats: Float64, rate: int) -> tuple[float, float]:
    """Delay and height of the slow wave after the beats, mean over beats and leads; height 0 where none is whole."""
    first, last = round(T_FROM_S * rate), round(T_TO_S * rate)
    total, count = np.zeros(last - first), np.zeros(last - first)
    for (strip, _), slow in zip(waves, zero_phase(_low(T_HZ, rate), [wave for _, wave in waves]), strict=True):
        largest = float(np.abs(slow - np.median(slow)).max())
        for k in _samples(strip, beats, rate):
            before = slow[max(0, k - round(BASE_S[0] * rate)) : max(0, k - round(BASE_S[1] * rate))]
            after = slow[max(0, k + first) : max(0, k + last)]
            if k >= 0 and len(before) and len(after) and largest > 0:
                total[: len(after)] += np.abs(after - np.median(before)) / largest
                count[: len(after)] += 1
    if not count.any():
        return T_FROM_S, 0.0
    mean = np.where(count >= max(1.0, 0.3 * count.max()), total / np.maximum(count, 1), 0.0)
    return (first + int(mean.argmax())) / rate, float(mean.max())


def _bands(waves: Sequence[Float64], rate: int) -> tuple[float, ...]:
    total = np.zeros(len(BANDS_HZ) - 1)
    for wave in waves:
        slope = np.diff(wave) * np.hanning(len(wave) - 1)
        power = np.abs(np.fft.rfft(slope, n=max(round(SPECTRUM_S * rate), len(slope)))) ** 2
        hertz = np.linspace(0, rate / 2, len(power))
        below = np.concatenate([[0.0], np.cumsum(power)])[np.searchsorted(hertz, BANDS_HZ)]
        total += np.diff(below) / max(float(power.sum()), 1e-12)
    return tuple(np.log(total / len(waves) + FAINT).tolist())


def _samples(strip: Strip, beats: Float64, rate: int) -> list[int]:
    return [int(k) for k in np.round((beats - strip.start_s) * rate)]


@cache
def _low(hertz: float, rate: int) -> Float64:
    return np.asarray(butter(2, min(hertz, 0.45 * rate), fs=rate, output="sos"), np.float64)
