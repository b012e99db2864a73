"""Numbers measured on a recording, in the words and units of observations.toml."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mapping import Measured, mappings
from pipeline.measure import measure
from pipeline.recording import Recording


@dataclass(frozen=True)
class Measurement:
    """A number that was measured on the recording, in the unit of observations.toml."""

    what: Measured
    value: float

    def in_words(self) -> str:
        """``Heart rate 72 /min``, with the digits that observations.toml grants it."""
        code = mappings().measured[self.what]
        return f"{code.meaning} {self.value:.{code.decimals}f} {mappings().units[code.unit].ucum}"


def measured(recording: Recording) -> tuple[Measurement, ...]:
    """What is sure about the recording; what is not is left out."""
    rate = measure(recording).heart_rate_bpm
    return () if rate is None else (Measurement(Measured.HEART_RATE, rate),)
