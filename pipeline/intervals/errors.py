"""How far measured values are from the truth, as fitted by pipeline.training.fit.interval_errors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.intervals.pacing import PacingFit
from pipeline.intervals.rhythm import RhythmFit
from pipeline.intervals.values import AXES, TIMES, Quantity

TABLE = Path(__file__).with_name("errors.toml")


@dataclass(frozen=True)
class Growth:
    """A standard deviation that grows with how unsure a value says it is: the root of least^2 + (times * unsure)^2."""

    least: float
    times: float

    def at(self, unsure: float) -> float:
        return float(np.hypot(self.least, self.times * unsure))


@dataclass(frozen=True)
class Errors:
    """delineator, digitizing: of each of TIMES, milliseconds. axes: of each of AXES, degrees.

    rate_share: of the heart rate, and of its interval. time_error_max_ms, axis_error_max_deg: beyond it a value is not
    given.
    """

    delineator: Mapping[Quantity, Growth]
    digitizing: Mapping[Quantity, Growth]
    axes: Mapping[Quantity, Growth]
    time_error_max_ms: Mapping[Quantity, float]
    axis_error_max_deg: Mapping[Quantity, float]
    rate_share: float
    rhythm: RhythmFit
    pacing: PacingFit

    def of_time(self, quantity: Quantity, unsure_ms: float) -> float:
        """The standard error of a time, milliseconds."""
        return float(np.hypot(self.delineator[quantity].at(unsure_ms), self.digitizing[quantity].at(unsure_ms)))

    def of_axis(self, quantity: Quantity, unsure_deg: float) -> float:
        """The standard error of an axis, degrees."""
        return self.axes[quantity].at(unsure_deg)


@cache
def fitted() -> Errors:
    """The table that comes with this package."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return Errors(
        delineator={each: Growth(*table["delineator_ms"][each]) for each in TIMES},
        digitizing={each: Growth(*table["digitizing_ms"][each]) for each in TIMES},
        axes={each: Growth(*table["axis_deg"][each]) for each in AXES},
        time_error_max_ms={each: float(table["time_error_max_ms"][each]) for each in TIMES},
        axis_error_max_deg={each: float(table["axis_error_max_deg"][each]) for each in AXES},
        rate_share=float(table["rate_share"]),
        pacing=PacingFit(**table["pacing"]),
        rhythm=RhythmFit(**(table["rhythm"] | {"weights": tuple(table["rhythm"]["weights"])})),
    )
