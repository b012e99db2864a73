"""How near digitized leads come to the truth, by the rule of the PhysioNet digitization contest and by plainer figures.

The rule: each lead is shifted by its best lag within 0.2 s, then by one constant; samples that were not read, or were
shifted out, count as zero; powers are pooled over the leads, and the ratio is capped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import correlate

from pipeline.geometry import Float64
from pipeline.recording import Float32

LONGEST_LAG_S = 0.2
BEST_RATIO = 384.0  # 25.84 dB: the contest's cap


@dataclass(frozen=True)
class Score:
    """ratio: signal power over noise power, pooled over the leads, capped; kaggle_db is its decibel.

    lead_db: mean of the leads' own decibels, each capped alike. r: mean Pearson correlation of the aligned leads.
    rmse_mv: pooled over all label samples. lag_ms: median shift that aligned a lead, positive where it was read late.
    leads: how many the truth shows.
    """

    ratio: float
    kaggle_db: float
    lead_db: float
    r: float
    rmse_mv: float
    lag_ms: float
    leads: int


def kaggle_db(label: Float32, found: Float32, rate_hz: int = 500) -> float:
    """The contest's figure for one page; see `score`."""
    return score(label, found, rate_hz).kaggle_db


@dataclass(frozen=True)
class LeadScore:
    """One lead that the truth shows. power, error: sums of squares, mV^2, over its label samples.

    r: Pearson correlation once aligned. lag_ms: the shift that aligned it, positive where it was read late.
    """

    power: float
    error: float
    samples: int
    r: float
    lag_ms: float

    @property
    def db(self) -> float:
        """Its decibel, capped above as the contest does, and below at the same distance."""
        return _decibel(self.power, self.error)

    @property
    def rmse_mv(self) -> float:
        return float(np.sqrt(self.error / self.samples))


def score(label: Float32, found: Float32, rate_hz: int) -> Score:
    """label, found: float32 (leads, n) and (leads, m) mV at rate_hz on one time axis, NaN where nothing is printed.

    Raises ValueError when the label shows no lead.
    """
    leads = [lead for lead in score_leads(label, found, rate_hz) if lead is not None]
    signal, noise = sum(lead.power for lead in leads), sum(lead.error for lead in leads)
    samples = sum(lead.samples for lead in leads)
    if not samples:
        raise ValueError("the label shows no lead")
    return Score(
        min(signal / noise, BEST_RATIO) if noise > 0 else BEST_RATIO,
        _decibel(signal, noise),
        float(np.mean([lead.db for lead in leads])),
        float(np.mean([lead.r for lead in leads])),
        float(np.sqrt(noise / samples)),
        float(np.median([lead.lag_ms for lead in leads])),
        len(leads),
    )


def score_leads(label: Float32, found: Float32, rate_hz: int) -> list[LeadScore | None]:
    """One score for each lead, None where the truth does not show it; label and found as of `score`."""
    return [_score_lead(truth, guess, rate_hz) for truth, guess in zip(label, found, strict=True)]


def _score_lead(truth: Float32, guess: Float32, rate_hz: int) -> LeadScore | None:
    printed = np.flatnonzero(np.isfinite(truth))
    if not len(printed):
        return None
    wanted = np.asarray(truth[printed[0] : printed[-1] + 1], np.float64)
    read = np.full(len(wanted), np.nan)
    there = guess[printed[0] : printed[-1] + 1]
    read[: len(there)] = there
    shown = np.isfinite(wanted)  # a crop may have cut a peak away: what the page does not show is not asked for
    label_whole, read = _across(wanted, shown), np.where(shown, read, _across(read, shown & np.isfinite(read)))
    aligned, lag = align(label_whole, read, int(rate_hz * LONGEST_LAG_S))
    wanted, aligned = wanted[shown], aligned[shown]
    power, error = float((wanted**2).sum()), float(((wanted - aligned) ** 2).sum())
    return LeadScore(power, error, len(wanted), _pearson(wanted, aligned), lag / rate_hz * 1000)


def align(label: Float64, found: Float64, longest: int) -> tuple[Float64, int]:
    """found moved by its best lag and offset, zero where it has no value; and the lag in samples it was read late.

    Both float64 (n,), label finite, found NaN where nothing was read. Of equal correlations the smallest lag wins.
    """
    finite = np.isfinite(found)
    if not finite.any():
        return np.zeros(len(label)), 0
    centred = np.where(finite, found - found[finite].mean(), 0.0)
    fit = correlate(centred, label - label.mean(), mode="full")
    lags = np.arange(1 - len(label), len(label))
    within = np.abs(lags) <= longest
    fit, lags = fit[within], lags[within]
    best = np.flatnonzero(fit >= fit.max() - 1e-12 * max(abs(fit.max()), 1e-12))
    lag = int(lags[best[np.argmin(np.abs(lags[best]))]])
    moved = np.full(len(label), np.nan)
    if lag >= 0:
        moved[: len(label) - lag] = found[lag:]
    else:
        moved[-lag:] = found[:lag]
    kept = np.isfinite(moved)
    if kept.any():
        moved += (label[kept] - moved[kept]).mean()
    return np.where(kept, moved, 0.0), lag


def _across(values: Float64, known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Float64:
    """The values with straight lines where they are not known; all NaN where none is."""
    if not known.any():
        return np.full(len(values), np.nan)
    at = np.arange(len(values))
    return np.interp(at, at[known], values[known])


def _decibel(signal: float, noise: float) -> float:
    """Capped above as the contest does, and below at the same distance, so that an empty label stays finite."""
    if signal == 0:
        return float(-10 * np.log10(BEST_RATIO))
    ratio = signal / noise if noise > 0 else BEST_RATIO
    return float(10 * np.log10(np.clip(ratio, 1 / BEST_RATIO, BEST_RATIO)))


def _pearson(a: Float64, b: Float64) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
