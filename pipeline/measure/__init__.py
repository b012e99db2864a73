"""Where heart beats are, how alike they look, and their rate, which is told only where it is sure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks

from pipeline.geometry import Float64
from pipeline.measure.filters import zero_phase
from pipeline.recording import Float32, Lead, Seen, Strip

QRS_HZ = (6.0, 22.0)  # where the energy of a QRS complex lies, and little of P, T or mains
WINDOW_S = 0.10  # about one QRS complex
REFRACTORY_S = 0.25  # beats this close are looked for in a second look only: T waves are as near
CLOSEST_S = 0.15  # no two beats are closer: 400 per minute
MORE_BEATS = 1.5  # times as many in the second look: every other beat of a very fast heart was passed over
STRIP_MIN_S = 1.0
PEAK = 0.35  # of a typical beat's energy
BEATS_MIN = 4  # three intervals, so that one wrong one can be noticed
SLACK_S = 0.02  # beats are placed to about that
ALIKE = 0.8  # correlation of neighbouring beats; noise of the same band stays below 0.7
SPAN_MIN_S = 2.0
UNEVEN_MAX = 0.35  # median deviation of intervals over their median: beyond it, beats were missed or invented


def heart_rate(strips: Sequence[Strip], rate_hz: int) -> float | None:
    """Beats per minute from the QRS energy of all strips along page time; None where not sure.

    That is where beats are few or uneven, or follow one another so fast that every other one may have been missed.
    """
    waves = _waves(strips, rate_hz)
    energy = _energy(strips, waves, rate_hz)
    beats = _peaks_s(energy, rate_hz)
    if len(_peaks_s(energy, rate_hz, CLOSEST_S)) >= MORE_BEATS * len(beats):
        return None
    return _rate(beats) if _likeness(strips, waves, beats, rate_hz) >= ALIKE else None


def heart_rate_bpm(millivolts: Float32, rate_hz: int) -> float | None:
    """The same of one lead, float32 (n,) mV with NaN where nothing was read."""
    return heart_rate((_alone(millivolts),), rate_hz)


def r_peaks_s(millivolts: Float32, rate_hz: int) -> Float64:
    """float64 (k,) seconds: the steepest-filtered extreme of every QRS complex of one lead, float32 (n,) mV."""
    known = np.isfinite(millivolts)
    beats = beats_s((_alone(millivolts),), rate_hz)
    if not len(beats):
        return beats
    at = np.arange(len(millivolts))
    filtered = np.abs(zero_phase(_qrs_filter(rate_hz), [np.interp(at, at[known], millivolts[known])])[0])
    reach = round(WINDOW_S * rate_hz)
    peaks = []
    for beat in np.round(beats * rate_hz).astype(int).tolist():
        first = max(0, beat - reach)
        peaks.append(first + int(np.argmax(filtered[first : beat + reach + 1])))
    return np.asarray(peaks, np.float64) / rate_hz


def _alone(millivolts: Float32) -> Strip:
    read = np.where(np.isfinite(millivolts), np.uint8(Seen.READ), np.uint8(Seen.NOTHING))
    return Strip(Lead.II, 0.0, millivolts, np.zeros(len(millivolts), np.float32), read)


def likeness(strips: Sequence[Strip], beats: Float64, rate_hz: int) -> float:
    """How much neighbouring beats of a lead look alike: the median correlation of their QRS complexes, 0 without two.

    Hearts, fibrillating ones too, stay above 0.9; noise below 0.7.
    """
    return _likeness(strips, _waves(strips, rate_hz), beats, rate_hz)


def beats_and_likeness(strips: Sequence[Strip], rate_hz: int) -> tuple[Float64, float]:
    """Both of beats_s and likeness, for one filtering of the strips."""
    waves = _waves(strips, rate_hz)
    beats = _peaks_s(_energy(strips, waves, rate_hz), rate_hz)
    return beats, _likeness(strips, waves, beats, rate_hz)


def _waves(strips: Sequence[Strip], rate_hz: int) -> list[Float64 | None]:
    """What the QRS complexes of each strip are seen in, float64 (n,) mV; None where it is too short."""
    filled: list[Float64 | None] = []
    for strip in strips:
        known = np.isfinite(strip.millivolts)
        at = np.arange(strip.samples)
        enough = known.sum() >= STRIP_MIN_S * rate_hz
        filled.append(np.interp(at, at[known], strip.millivolts[known]) if enough else None)
    filtered = iter(zero_phase(_qrs_filter(rate_hz), [wave for wave in filled if wave is not None]))
    return [None if wave is None else next(filtered) for wave in filled]


def _likeness(strips: Sequence[Strip], waves: Sequence[Float64 | None], beats: Float64, rate_hz: int) -> float:
    reach, slack = round(WINDOW_S * rate_hz), round(SLACK_S * rate_hz)
    found: list[float] = []
    for strip, wave in zip(strips, waves, strict=True):
        if wave is None:
            continue
        places = np.round((beats - strip.start_s) * rate_hz).astype(int)
        inside = places[(places >= reach + slack) & (places < strip.samples - reach - slack)].tolist()
        for one, other in pairwise(inside):
            around = wave[other - reach - slack : other + reach + slack + 1]
            found.append(_best_correlation(wave[one - reach : one + reach + 1], around))
    return float(np.median(found)) if found else 0.0


def _best_correlation(shape: Float64, around: Float64) -> float:
    """The highest of Pearson's with every stretch of its length; that is 0 where one of both is level."""
    x, others = shape - shape.mean(), sliding_window_view(around, len(shape))
    y = others - others.mean(axis=1, keepdims=True)
    norm = np.sqrt((x @ x) * np.einsum("ij,ij->i", y, y))
    return float(np.divide(y @ x, norm, out=np.zeros(len(y)), where=norm > 0).max())


def _rate(beats: Float64) -> float | None:
    if len(beats) < BEATS_MIN or beats[-1] - beats[0] < SPAN_MIN_S:
        return None
    intervals = np.diff(beats)
    median = float(np.median(intervals))
    if float(np.median(np.abs(intervals - median))) > UNEVEN_MAX * median:
        return None
    return 60.0 / median


def beats_s(strips: Sequence[Strip], rate_hz: int, apart_s: float = REFRACTORY_S) -> Float64:
    """float64 (n,): page seconds of the QRS complexes, ascending, none closer than apart_s."""
    return _peaks_s(_energy(strips, _waves(strips, rate_hz), rate_hz), rate_hz, apart_s)


def _peaks_s(energy: Float64, rate_hz: int, apart_s: float = REFRACTORY_S) -> Float64:
    if not np.isfinite(energy).any():
        return np.empty(0)
    known = np.nan_to_num(energy, nan=0.0)
    # every 1.5 s hold a beat at 40 and more per minute; the median of their maxima is a typical beat
    block = round(1.5 * rate_hz)
    tops = [float(known[k : k + block].max()) for k in range(0, max(len(known) - block // 2, 1), block)]
    typical = float(np.median(tops))
    if typical <= 0:
        return np.empty(0)
    peaks, _ = find_peaks(known, height=PEAK * typical, distance=round(apart_s * rate_hz))
    return np.asarray(peaks, np.float64) / rate_hz


def _energy(strips: Sequence[Strip], waves: Sequence[Float64 | None], rate_hz: int) -> Float64:
    """float64 (n,): QRS energy along page time, the mean over the leads there, each of equal weight; NaN where none."""
    length = max((round(s.start_s * rate_hz) + s.samples for s in strips), default=0)
    total, count = np.zeros(length), np.zeros(length)
    for strip, wave in zip(strips, waves, strict=True):
        if wave is None:
            continue
        known = np.isfinite(strip.millivolts)
        power = uniform_filter1d(wave**2, round(WINDOW_S * rate_hz))
        scale = float(np.quantile(power, 0.95))
        if scale <= 0:
            continue
        first = round(strip.start_s * rate_hz)
        total[first : first + strip.samples] += np.where(known, np.minimum(power / scale, 3.0), 0.0)
        count[first : first + strip.samples] += known
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), np.float64)


@cache
def _qrs_filter(rate_hz: int) -> Float64:
    return np.asarray(butter(2, QRS_HZ, btype="bandpass", fs=rate_hz, output="sos"), np.float64)
