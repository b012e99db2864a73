"""What may be wrong with a lead or with the gain: the figures that tell, and the chance of harm that was fitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from scipy.ndimage import uniform_filter1d

from pipeline.findings import FindingCode
from pipeline.judgement import fitted
from pipeline.quality.weakest import doubtful_s
from pipeline.recording import TWELVE, Doubt, Finding, Severity, Strip

HARM_DB = 6.0  # of a lead: below it half of its height is wrong; of a page it is what training calls wrong
HARM_SHARE = 10 ** (-HARM_DB / 20)  # the same as a share of its own deviation
HARM_MV = 0.05  # half a small square at the usual gain: a smaller error misleads nobody, however flat the lead
END_S, QRS_S = 0.1, 0.12
LEAST_MV = 0.005  # no trace is read better
CHANCE_LEAST = 0.1  # that a page's leads hold one that is wrong: on the cleanest pages it is no less


def lead_doubt(strip: Strip, rate_hz: int) -> Doubt:
    """That a lead is read wrongly, by the errors that the networks expect; its seconds are those of most of them."""
    figures = lead_figures(strip, rate_hz)
    chance = fitted().harm[FindingCode.SIGMA_LARGE].chance(figures)
    detail = f"up to {float(np.nanmax(strip.sigma_mv)):.2f} mV"
    at = doubtful_s(strip, rate_hz)
    finding = Finding(FindingCode.SIGMA_LARGE, fitted().severity(chance), strip.lead, *at, detail=detail)
    return Doubt(finding, chance, tuple(figures.items()))


def lead_figures(strip: Strip, rate_hz: int) -> dict[str, float]:
    """Of a strip that was read, without its ends, where readers hesitate at every separator: two logarithms.

    excess: of the root mean square of its sigma, over the least error that would mislead. beat: of the same of the
    worst stretch as long as a QRS complex, over the lead's own height.
    """
    inside = slice(round(END_S * rate_hz), max(strip.samples - round(END_S * rate_hz), round(END_S * rate_hz) + 1))
    power = np.nan_to_num(strip.sigma_mv.astype(np.float64), nan=0.0)[inside] ** 2
    lead = strip.millivolts.astype(np.float64)
    harmful = max(HARM_MV, HARM_SHARE * float(np.nanstd(lead)))
    height = max(float(np.nanmax(lead) - np.nanmin(lead)), 2 * HARM_MV)
    worst = float(uniform_filter1d(power, round(QRS_S * rate_hz), mode="constant").max())
    expected = float(np.sqrt(power.mean() + LEAST_MV**2))
    return {
        "excess": float(np.log(expected / harmful)),
        "beat": float(np.log(np.sqrt(worst + LEAST_MV**2) / height)),
    }


def gain_doubt(strips: Sequence[Strip]) -> Doubt:
    """That a gain which nothing tells is another one than was taken, by how tall the leads would be."""
    figures = gain_figures(strips)
    chance = fitted().harm[FindingCode.GAIN_ASSUMED].chance(figures)
    detail = f"the leads are {np.exp(figures['tall']):.1f} mV tall, if it is right"
    finding = Finding(FindingCode.GAIN_ASSUMED, fitted().severity(chance, len(TWELVE)), detail=detail)
    return Doubt(finding, chance, tuple(figures.items()))


def gain_figures(strips: Sequence[Strip]) -> dict[str, float]:
    """tall: logarithm of the median height of a lead in mV. tall2: its square, for both too tall and too low tell."""
    tall = [np.ptp(s.millivolts[np.isfinite(s.millivolts)]) for s in strips if np.isfinite(s.millivolts).any()]
    height = float(np.log(max(float(np.median(tall)), LEAST_MV)))
    return {"tall": height, "tall2": height**2}


def held_together(doubts: Sequence[Doubt]) -> tuple[Doubt, ...]:
    """The doubts, the told ones of leads as errors where they expect as many wrong leads together as hold a page."""
    told = {doubt for doubt in doubts if doubt.finding.lead is not None and doubt.chance >= fitted().told_from}
    if fitted().severity(sum(doubt.chance for doubt in told)) is not Severity.ERROR:
        return tuple(doubts)
    return tuple(
        replace(doubt, finding=replace(doubt.finding, severity=Severity.ERROR)) if doubt in told else doubt
        for doubt in doubts
    )


def unharmed(doubts: Iterable[Doubt]) -> float:
    """As of unharmed_by."""
    return unharmed_by(doubt.chance for doubt in doubts)


def unharmed_by(chances: Iterable[float]) -> float:
    """The chance that none of them harms, as a sign: 0..1, 1 the best, even steps of log-odds."""
    harmed = min(max(1.0 - prod(1.0 - chance for chance in chances), CHANCE_LEAST), 1.0 - CHANCE_LEAST)
    most = np.log((1.0 - CHANCE_LEAST) / CHANCE_LEAST)
    return float(np.log((1.0 - harmed) / harmed) / most + 1.0) / 2.0
