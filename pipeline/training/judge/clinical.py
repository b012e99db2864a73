"""Judges readings as clinicians do: is the heart rate within 3 a minute, does the axis lie in the right quadrant?

Run as: python -m pipeline.training.judge.clinical --pages DIR, what pipeline.training.data.read_pages wrote.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.intervals import Intervals, Quantity, measure_intervals, measure_strips
from pipeline.recording import Recording, Severity
from pipeline.training.data.read_pages import ReadPage, load

RATE_OFF_BPM = 3.0
CONFIDENCE_MIN = 0.9  # as the gateway ships: what is below is looked at by a person


class Verdict(StrEnum):
    """What became of one value of one page."""

    RIGHT = "right"
    NOT_GIVEN = "not given"
    WRONG = "wrong"
    NO_TRUTH = "no truth"  # the signal that was printed does not give it either


@dataclass(frozen=True)
class Judged:
    """held: refused, or a person looks at it before it goes on."""

    held: bool
    rate: Verdict
    axis: Verdict

    @property
    def safe(self) -> bool:
        """Nothing wrong goes on."""
        return self.held or Verdict.WRONG not in (self.rate, self.axis)


def judge(page: ReadPage) -> Judged:
    """One page's rate and QRS axis against those of the signal that was printed."""
    if page.read is None:
        return Judged(True, Verdict.NOT_GIVEN, Verdict.NOT_GIVEN)
    true = measure_strips(page.truth.strips, page.truth.rate_hz)
    read = measure_intervals(page.read)
    return Judged(is_held(page.read), _rate(true, read), _axis(true, read))


def is_held(recording: Recording) -> bool:
    """Whether the page waits for a person."""
    error = any(finding.severity is Severity.ERROR for finding in recording.findings)
    return error or recording.confidence < CONFIDENCE_MIN


def _rate(true: Intervals, read: Intervals) -> Verdict:
    a, b = (each.of(Quantity.HEART_RATE).value for each in (true, read))
    if b is None:
        return Verdict.NOT_GIVEN
    if a is None:
        return Verdict.NO_TRUTH
    return Verdict.RIGHT if abs(a - b) <= RATE_OFF_BPM else Verdict.WRONG


def _axis(true: Intervals, read: Intervals) -> Verdict:
    a, b = (each.of(Quantity.QRS_AXIS).value for each in (true, read))
    if b is None:
        return Verdict.NOT_GIVEN
    if a is None:
        return Verdict.NO_TRUTH
    return Verdict.RIGHT if quadrant(a) == quadrant(b) else Verdict.WRONG


def quadrant(degrees: float) -> int:
    """Of the frontal plane: 0 from 0 to 90 degrees, 1 from 90 to 180, 2 and 3 beyond."""
    return int(degrees % 360 // 90)


def table(judged: list[Judged]) -> str:
    """How many pages go on and are held, with what each value came to."""
    lines = []
    for name, held in (("goes on", False), ("held", True)):
        pages = [each for each in judged if each.held is held]
        rate, axis = (Counter(getattr(each, value) for each in pages) for value in ("rate", "axis"))
        told = "; ".join(
            f"{value} " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
            for value, counts in (("rate", rate), ("axis", axis))
        )
        lines.append(f"{name}: {len(pages)} of {len(judged)} pages: {told}")
    safe = sum(each.safe for each in judged)
    lines.append(f"rate and axis right, not given or held: {safe} of {len(judged)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=Path, required=True)
    print(table([judge(page) for page in load(parser.parse_args().pages)]))


if __name__ == "__main__":
    main()
