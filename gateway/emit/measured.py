"""What is measured on a recording, each value with its error, in the words and units of observations.toml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from gateway.mapping import Measured, mappings
from pipeline.intervals import Intervals, Reason, measure_intervals
from pipeline.recording import Recording

_kept: WeakKeyDictionary[Recording, Intervals] = WeakKeyDictionary()  # every document of a page tells the same


@dataclass(frozen=True)
class Measurement:
    """A number that was measured on the recording, in the unit of observations.toml.

    error: its standard error in the same unit, None where it is not known. beats: how many it is the median of.
    """

    what: Measured
    value: float
    error: float | None = None
    beats: int = 0

    @property
    def number(self) -> str:
        """The value with the digits that observations.toml grants it."""
        return f"{self.value:.{mappings().measured[self.what].decimals}f}"

    @property
    def error_number(self) -> str:
        """The standard error likewise, but never 0: an error below the last digit is one of the last digit."""
        decimals = mappings().measured[self.what].decimals
        return "" if self.error is None else f"{max(self.error, 10.0**-decimals):.{decimals}f}"

    def as_text(self) -> str:
        """``P-R Interval 162 ± 9 ms``."""
        return self._called(mappings().measured[self.what].meaning)

    def in_short(self) -> str:
        """``PR 162 ± 9 ms``."""
        return self._called(mappings().measured[self.what].short)

    def _called(self, name: str) -> str:
        about = f" ± {self.error_number}" if self.error is not None else ""
        return f"{name} {self.number}{about} {mappings().units[mappings().measured[self.what].unit].ucum}"


@dataclass(frozen=True)
class NotMeasured:
    """What is not given, and why."""

    what: Measured
    reason: Reason

    def as_text(self) -> str:
        """``P-R Interval not given: no P waves before the beats``."""
        return f"{mappings().measured[self.what].meaning} not given: {self.reason.meaning}"


MeasurementResult = Measurement | NotMeasured


def measured(recording: Recording, *, intervals: bool = True) -> tuple[MeasurementResult, ...]:
    """Everything that is measured of a recording. intervals: False for the heart rate alone, where it is sure."""
    found = _kept.get(recording)
    if found is None:
        found = _kept[recording] = measure_intervals(recording)
    results: list[MeasurementResult] = []
    for each in found.measurements:
        what = Measured(each.quantity.value)
        if each.value is not None:
            results.append(Measurement(what, each.value, each.standard_error, each.beats))
        elif each.reason is not None:
            results.append(NotMeasured(what, each.reason))
    if intervals:
        return tuple(results)
    return tuple(each for each in values(results) if each.what is Measured.HEART_RATE)


def values(results: Sequence[MeasurementResult]) -> tuple[Measurement, ...]:
    """Those that were measured."""
    return tuple(each for each in results if isinstance(each, Measurement))


def reasons(results: Sequence[MeasurementResult]) -> tuple[NotMeasured, ...]:
    """Those that were not."""
    return tuple(each for each in results if isinstance(each, NotMeasured))


def reasons_text(results: Sequence[MeasurementResult], *, short: bool = False) -> tuple[str, ...]:
    """``P-R Interval, P wave axis not given: no P waves ...``, a line a reason. short: by the names of clinicians."""
    by_reason: dict[Reason, list[str]] = {}
    for each in reasons(results):
        row = mappings().measured[each.what]
        by_reason.setdefault(each.reason, []).append(row.short if short else row.meaning)
    return tuple(f"{', '.join(names)} not given: {reason.meaning}" for reason, names in by_reason.items())
