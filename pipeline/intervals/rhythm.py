"""Whether beats follow P waves steadily: by what the delineator saw before them, where, and how regularly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit
from scipy.stats import median_abs_deviation

from pipeline.intervals.beats import Beats
from pipeline.intervals.network import BOUNDARIES
from pipeline.intervals.values import Reason
from pipeline.measure import BEATS_MIN
from pipeline.recording import Float64

P_ON, QRS_ON, T_ON = (BOUNDARIES.index(name) for name in ("p_on", "qrs_on", "t_on"))


@dataclass(frozen=True)
class RhythmFit:
    """The logarithm of the odds that beats follow P waves is constant + weights @ features.

    odds_max: natural logarithm; a beat in which the network is surer counts no more. uneven_min: of an interval; beats
    are placed no better. scatter_min_s: as of a cell of the network; no place is known better. share_min: of the
    beats that are read whole, those with a P wave. varies_max_s: the standard deviation of PR from beat to beat. Beyond
    both P waves run by themselves, as in a complete AV block, or PR lengthens from beat to beat.
    """

    constant: float
    weights: tuple[float, float, float]
    odds_max: float
    uneven_min: float
    scatter_min_s: float
    share_min: float
    varies_max_s: float


def has_p_waves(beats: Beats, centres_s: Float64, fit: RhythmFit) -> bool:
    """Whether the rhythm is one with P waves; False where no beat shows what is before it."""
    seen = features(beats, centres_s, fit)
    return seen is not None and fit.constant + float(np.dot(fit.weights, seen)) > 0


def p_waves_lack(beats: Beats, centres_s: Float64, fit: RhythmFit) -> Reason | None:
    """Why there is no PR interval; None where P waves stand at a steady distance before the beats."""
    seen = features(beats, centres_s, fit)
    if seen is None:
        return Reason.TOO_FEW_BEATS
    if not has_p_waves(beats, centres_s, fit):
        return Reason.NO_P_WAVES if seen[0] < 0 else Reason.PR_VARIES
    share, varies_s = steadiness(beats)
    return Reason.PR_VARIES if share < fit.share_min or varies_s > fit.varies_max_s else None


def steadiness(beats: Beats) -> tuple[float, float]:
    """The share of the beats read whole that have a P wave, and the standard deviation of PR over all, seconds.

    The deviation is the median one, scaled to that of normal errors; 0 and 0 where nothing is read.
    """
    odds = beats.present[:, P_ON]
    whole = odds[np.isfinite(odds)]
    lasts_s, _ = beats.duration_s("p_on", "qrs_on")
    lasts_s = lasts_s[np.isfinite(lasts_s)]
    share = float((whole > 0.5).mean()) if len(whole) else 0.0
    return share, float(median_abs_deviation(lasts_s, scale="normal")) if len(lasts_s) else 0.0


def features(beats: Beats, centres_s: Float64, fit: RhythmFit) -> tuple[float, float, float] | None:
    """What tells P waves; None without beats. Of fit only the limits count.

    The mean log-odds of a P wave over the beats; the natural logarithms of how unevenly beats follow one another, as a
    share of their interval, and of how the PR interval scatters over them, in seconds.
    """
    odds = beats.present[:, P_ON]
    odds = odds[np.isfinite(odds)]
    before_s = beats.at_s[:, QRS_ON] - beats.at_s[:, P_ON]
    before_s = before_s[np.isfinite(before_s)]
    if not len(odds) or len(before_s) < 2 or len(centres_s) < BEATS_MIN:
        return None
    seen = float(np.clip(logit(odds), -fit.odds_max, fit.odds_max).mean())
    between = np.diff(centres_s)
    uneven = float(np.median(np.abs(np.diff(between)))) / float(np.median(between))
    scatter_s = float(np.median(np.abs(before_s - np.median(before_s))))
    return seen, float(np.log(max(uneven, fit.uneven_min))), float(np.log(max(scatter_s, fit.scatter_min_s)))


def t_wave_share(beats: Beats) -> float:
    """The part of the beats that are read whole and in which a T wave was found; 1 where none is read whole."""
    seen = beats.present[:, T_ON]
    seen = seen[np.isfinite(seen)]
    return float((seen > 0.5).mean()) if len(seen) else 1.0
