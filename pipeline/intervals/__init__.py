"""PR, QRS, QT, QTc, RR, rate and axes of a recording, each with its error, or the reason why it is not given.

A beat is looked at in all leads that stand at the same page time: a column of a 3x4 page and the rhythm strip. A value
is the median over the beats. Its standard error is that of the delineator against cardiologists' marks and that of the
digitizing together, both fitted (`errors.toml`, by `pipeline.training.fit.interval_errors`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.constants import milli, minute
from scipy.stats import median_abs_deviation

from pipeline.findings import FindingCode
from pipeline.intervals import pacing
from pipeline.intervals.axes import axis
from pipeline.intervals.beats import delineate
from pipeline.intervals.errors import Errors, fitted
from pipeline.intervals.network import shipped
from pipeline.intervals.rhythm import has_p_waves, p_waves_lack, t_wave_share
from pipeline.intervals.values import (
    AXES,
    TIMES,
    Intervals,
    Measurement,
    Quantity,
    Reason,
    given,
    withheld,
)
from pipeline.measure import BEATS_MIN, beats_s, heart_rate
from pipeline.recording import Finding, Float32, Float64, Known, Recording, Strip

__all__ = ["Intervals", "Measurement", "Quantity", "Reason", "measure_intervals", "measure_strips"]

PACING = frozenset({FindingCode.SPIKES_NOT_READ})
WAVES = {
    Quantity.P_AXIS: ("p_on", "p_off"),
    Quantity.QRS_AXIS: ("qrs_on", "qrs_off"),
    Quantity.T_AXIS: ("t_on", "t_off"),
}
SPANS = {
    Quantity.PR_INTERVAL: ("p_on", "qrs_on"),
    Quantity.QRS_DURATION: ("qrs_on", "qrs_off"),
    Quantity.QT_INTERVAL: ("qrs_on", "t_off"),
}
BEAT_TIMES = frozenset(
    {Quantity.HEART_RATE, Quantity.RR_INTERVAL, *TIMES, Quantity.QTC_BAZETT, Quantity.QTC_FRIDERICIA}
)


def measure_intervals(recording: Recording) -> Intervals:
    """What the recording says of the heart's times and axes."""
    paced, timed = spikes_found(recording.findings), is_timed(recording)
    return measure_strips(recording.strips, recording.rate_hz, paced=paced, timed=timed)


def spikes_found(findings: Iterable[Finding]) -> bool:
    """Whether the page was found to show pacing spikes that were not read."""
    return any(finding.code in PACING for finding in findings)


def is_timed(recording: Recording) -> bool:
    """Whether the page tells its speed and the size of its millimetre, and nothing on it contradicts them.

    A heart of 120 a minute printed at 50 mm/s looks like one of 60 at the usual speed: beats do not tell a speed well
    enough to measure them by it. What the beats contradict is believed where a person gave it.
    """
    codes, known = {finding.code for finding in recording.findings}, recording.speed_mm_s.known
    if known is Known.ASSUMED or FindingCode.RULING_DOUBTED in codes:
        return False
    return known is Known.PERSON or FindingCode.SPEED_UNLIKE_BEATS not in codes


def measure_strips(
    strips: Sequence[Strip],
    rate_hz: int,
    *,
    paced: bool = False,
    timed: bool = True,
    weights: Mapping[str, Float32] | None = None,
    errors: Errors | None = None,
) -> Intervals:
    """The same of leads by themselves: simultaneous is what stands at the same page time.

    paced: pacing spikes are printed that are not in the leads. timed: the paper's speed is known. weights, errors:
    others than those that ship.
    """
    return _Measured(strips, rate_hz, paced, timed, weights or shipped(), errors or fitted()).intervals()


class _Measured:
    """What every quantity is measured from: the beats and their waves."""

    def __init__(
        self,
        strips: Sequence[Strip],
        rate_hz: int,
        paced: bool,
        timed: bool,
        weights: Mapping[str, Float32],
        errors: Errors,
    ) -> None:
        self.strips, self.rate_hz, self.timed, self.errors = strips, rate_hz, timed, errors
        centres_s = beats_s(strips, rate_hz)
        self.paced = paced or pacing.is_paced(strips, rate_hz, centres_s, errors.pacing)
        self.rate = heart_rate(strips, rate_hz)
        self.beats = delineate(strips, rate_hz, centres_s if self.rate is not None else np.empty(0), weights)
        self.p_waves_lack = p_waves_lack(self.beats, centres_s, errors.rhythm)
        self.rate_share = errors.rate_share
        if self.rate is not None:
            between_s = np.diff(centres_s)
            if not has_p_waves(self.beats, centres_s, errors.rhythm):
                # of an irregular heart the rate is what is counted over the page, not the usual distance of two beats
                self.rate = minute / _mean_between_s(between_s)
            self.rate_share = float(np.hypot(errors.rate_share, _mean_unsure(between_s)))
        self.counted = len(centres_s)

    def intervals(self) -> Intervals:
        return Intervals(tuple(self._measurement(quantity) for quantity in Quantity))

    def _measurement(self, quantity: Quantity) -> Measurement:
        if quantity in BEAT_TIMES and not self.timed:
            return withheld(quantity, Reason.SPEED_ASSUMED)
        if self.rate is None:
            return withheld(quantity, Reason.RATE_UNSURE)
        if quantity in AXES:
            return self._axis(quantity)
        if quantity in TIMES:
            return self._time(quantity)
        if quantity in (Quantity.QTC_BAZETT, Quantity.QTC_FRIDERICIA):
            return self._corrected(quantity, minute / self.rate)
        value = self.rate if quantity is Quantity.HEART_RATE else minute / self.rate / milli
        return given(quantity, value, value * self.rate_share, self.counted)

    def _absent(self, quantity: Quantity) -> Reason | None:
        """Why a wave that this quantity needs is not to be believed."""
        needs_p = quantity in (Quantity.PR_INTERVAL, Quantity.P_AXIS)
        needs_t = quantity in (Quantity.QT_INTERVAL, Quantity.T_AXIS)
        if self.paced and quantity is not Quantity.QRS_AXIS:
            return Reason.PACED
        if needs_p and self.p_waves_lack is not None:
            return self.p_waves_lack
        return Reason.NO_T_WAVES if needs_t and t_wave_share(self.beats) < 0.5 else None

    def _time(self, quantity: Quantity) -> Measurement:
        reason = self._absent(quantity)
        if reason is not None:
            return withheld(quantity, reason)
        lasts_s, spread_s = self.beats.duration_s(*SPANS[quantity])
        known = np.isfinite(lasts_s)
        beats = int(known.sum())
        if beats < BEATS_MIN:
            return withheld(quantity, Reason.TOO_FEW_BEATS, beats)
        value = float(np.median(lasts_s[known])) / milli
        error = self.errors.of_time(quantity, unsure_s(lasts_s[known], spread_s[known]) / milli)
        if error > self.errors.time_error_max_ms[quantity]:
            return withheld(quantity, Reason.ERROR_LARGE, beats)
        return given(quantity, value, error, beats)

    def _corrected(self, quantity: Quantity, rr_s: float) -> Measurement:
        """QT as at 60 beats a minute: over the square (Bazett) or cubic (Fridericia) root of RR in seconds."""
        measured = self._time(Quantity.QT_INTERVAL)
        if measured.value is None or measured.standard_error is None:
            assert measured.reason is not None
            return withheld(quantity, measured.reason, measured.beats)
        root = np.sqrt if quantity is Quantity.QTC_BAZETT else np.cbrt
        value = measured.value / float(root(rr_s))
        by_rate = value - measured.value / float(root(rr_s * (1 + self.rate_share)))
        error = float(np.hypot(measured.standard_error / float(root(rr_s)), by_rate))
        return given(quantity, value, error, measured.beats)

    def _axis(self, quantity: Quantity) -> Measurement:
        reason = self._absent(quantity)
        if reason is not None:
            return withheld(quantity, reason)
        found = axis(self.strips, self.rate_hz, self.beats, *WAVES[quantity])
        if found is None:
            return withheld(quantity, Reason.LIMB_LEADS_MISSING)
        error = self.errors.of_axis(quantity, found.unsure_deg)
        if error > self.errors.axis_error_max_deg[quantity]:
            return withheld(quantity, Reason.ERROR_LARGE, found.beats)
        return given(quantity, found.degrees, error, found.beats)


def _mean_between_s(between_s: Float64) -> float:
    """The interquartile mean of the intervals between beats."""
    between = np.sort(between_s)
    left_out = (len(between) + 1) // 2 // 2
    return float(between[left_out : len(between) - left_out].mean())


def _mean_unsure(between_s: Float64) -> float:
    """How unsure the mean interval is by how the intervals differ, as a share of it."""
    spread_s = float(median_abs_deviation(between_s, scale="normal"))
    return spread_s / float(np.median(between_s)) / float(np.sqrt(len(between_s)))


def unsure_s(lasts_s: Float64, spread_s: Float64) -> float:
    """How unsure a median over beats is, seconds: by the network's own spread and by how the beats differ."""
    differ = float(np.median(np.abs(lasts_s - np.median(lasts_s)))) / np.sqrt(len(lasts_s))
    return float(np.hypot(np.median(spread_s), differ))
