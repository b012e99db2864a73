"""Where the error of a reading lies: in the QRS complexes, at the ends of leads, where nothing was read; and the peaks.

The places follow from the true signal, so that two readings of a page are asked about the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, uniform_filter1d
from scipy.signal import find_peaks

from pipeline.geometry import Float64
from pipeline.recording import Float32
from pipeline.score import align

Bool = npt.NDArray[np.bool_]

QRS_S = 0.06  # to either side of the steepest place: a complex lasts 80 to 120 ms
END_S = 0.06
SHORTEST_RR_S = 0.25  # 240 beats a minute
STEEP_SHARE = 0.35  # of the steepest place of a lead: T waves reach a fifth of it
PEAK_REACH_S = 0.02
LAG_S = 0.2


@dataclass(frozen=True)
class ErrorPower:
    """Sums of squared error in mV² over a page's strips, each in disjoint places, and the heights of largest peaks.

    not_read counts the true signal's power there, for nothing was said. peaks: of each strip's largest deflection the
    height read over the true height.
    """

    qrs: float
    ends: float
    not_read: float
    elsewhere: float
    peaks: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.qrs + self.ends + self.not_read + self.elsewhere


def error_power(label: Float32, found: Float32, rate_hz: int) -> ErrorPower:
    """label, found: float32 (strips, n) mV at rate_hz, NaN where nothing is printed or was read."""
    sums = np.zeros(4)
    peaks = []
    for truth, guess in zip(label, found, strict=True):
        printed = np.isfinite(truth)
        wanted = np.asarray(truth[printed], np.float64)
        read, _ = align(wanted, np.asarray(guess[printed], np.float64), int(rate_hz * LAG_S))
        missing = ~np.isfinite(guess[printed])
        error = np.where(missing, wanted - wanted.mean(), read - wanted) ** 2
        ends = np.zeros(len(wanted), bool)
        edge = round(rate_hz * END_S)
        ends[:edge] = ends[-edge:] = True
        steep = qrs_places(wanted, rate_hz) & ~ends
        for place, where in enumerate((steep & ~missing, ends & ~missing, missing)):
            sums[place] += error[where].sum()
        sums[3] += error[~(steep | ends | missing)].sum()
        peaks.append(_largest_peak(wanted, np.where(missing, np.nan, read), rate_hz))
    in_qrs, at_ends, not_read, elsewhere = (float(power) for power in sums)
    return ErrorPower(in_qrs, at_ends, not_read, elsewhere, tuple(p for p in peaks if np.isfinite(p)))


def qrs_places(signal: Float64, rate_hz: int) -> Bool:
    """bool (n,): within QRS_S of where the signal, float64 (n,) mV, is steepest beat for beat."""
    steep = uniform_filter1d(np.abs(np.gradient(signal)), max(1, round(0.02 * rate_hz)))
    if steep.max(initial=0.0) <= 0:
        return np.zeros(len(signal), bool)
    at, _ = find_peaks(steep, height=STEEP_SHARE * steep.max(), distance=max(1, round(SHORTEST_RR_S * rate_hz)))
    beats = np.zeros(len(signal), bool)
    beats[at] = True
    return np.asarray(binary_dilation(beats, iterations=max(1, round(QRS_S * rate_hz))), bool)


def shares(pages: Sequence[ErrorPower]) -> str:
    """In words: what share of the error's power lies where, page by page in the mean, and how high peaks are read."""
    parts = np.array([[p.qrs, p.ends, p.not_read, p.elsewhere] for p in pages if p.total > 0])
    share = (parts / parts.sum(axis=1, keepdims=True)).mean(axis=0)
    heights = np.concatenate([p.peaks for p in pages])
    qrs, ends, not_read, elsewhere = (f"{100 * s:.0f} %" for s in share)
    return (
        f"error power: QRS {qrs}, lead ends {ends}, not read {not_read}, elsewhere {elsewhere}; "
        f"largest peaks read at {np.median(heights):.3f} of their height, "
        f"10th percentile {np.quantile(heights, 0.1):.3f}"
    )


def _largest_peak(wanted: Float64, read: Float64, rate_hz: int) -> float:
    """Height read over true height of the largest deflection; NaN where nothing was read there."""
    middle = float(np.median(wanted))
    at = int(np.abs(wanted - middle).argmax())
    height = wanted[at] - middle
    reach = round(PEAK_REACH_S * rate_hz)
    near = (read[max(0, at - reach) : at + reach + 1] - middle) * np.sign(height)
    return float(np.nanmax(near) / abs(height)) if height != 0 and np.isfinite(near).any() else float("nan")
