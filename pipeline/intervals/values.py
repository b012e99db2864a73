"""What is measured on a recording: each value with its error, or the reason why it is not given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    """What is measured, in the order in which electrocardiographs print it."""

    HEART_RATE = "heart_rate"
    RR_INTERVAL = "rr_interval"
    PR_INTERVAL = "pr_interval"
    QRS_DURATION = "qrs_duration"
    QT_INTERVAL = "qt_interval"
    QTC_BAZETT = "qtc_interval"
    QTC_FRIDERICIA = "qtc_fridericia"
    P_AXIS = "p_axis"
    QRS_AXIS = "qrs_axis"
    T_AXIS = "t_axis"


TIMES = (Quantity.PR_INTERVAL, Quantity.QRS_DURATION, Quantity.QT_INTERVAL)
AXES = (Quantity.P_AXIS, Quantity.QRS_AXIS, Quantity.T_AXIS)
UNITS = {quantity: "deg" if quantity in AXES else "ms" for quantity in Quantity} | {Quantity.HEART_RATE: "/min"}


class Reason(StrEnum):
    """Why a value is not given, with the sentence that says it to a person."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    SPEED_ASSUMED = "speed_assumed", "nothing sure on the page tells the paper speed"
    RATE_UNSURE = "rate_unsure", "no sure succession of heart beats"
    TOO_FEW_BEATS = "too_few_beats", "too few beats show it whole"
    PACED = "paced", "the page shows pacing spikes"
    NO_P_WAVES = "no_p_waves", "no P waves before the beats"
    PR_VARIES = "pr_varies", "too few beats have a P wave at a steady distance before them"
    NO_T_WAVES = "no_t_waves", "no T wave was found"
    ERROR_LARGE = "error_large", "where the wave begins or ends is too unsure on this page"
    LIMB_LEADS_MISSING = "limb_leads_missing", "too few limb leads were read"


@dataclass(frozen=True)
class Measurement:
    """One quantity of a recording.

    value, standard_error: in unit (UCUM: ms, /min, deg), both None where reason says why none is given. beats: how many
    the value is the median of.
    """

    quantity: Quantity
    value: float | None
    standard_error: float | None
    beats: int
    reason: Reason | None = None

    @property
    def unit(self) -> str:
        return UNITS[self.quantity]


def given(quantity: Quantity, value: float, standard_error: float, beats: int) -> Measurement:
    """A quantity that was measured."""
    return Measurement(quantity, value, standard_error, beats)


def withheld(quantity: Quantity, reason: Reason, beats: int = 0) -> Measurement:
    """A quantity that is not given."""
    return Measurement(quantity, None, None, beats, reason)


@dataclass(frozen=True)
class Intervals:
    """Every Quantity of a recording, in their order."""

    measurements: tuple[Measurement, ...]

    def of(self, quantity: Quantity) -> Measurement:
        return next(each for each in self.measurements if each.quantity is quantity)
