"""How large a page's millimetre is, by all that tells it: one score that both chooses and doubts.

A ruling can be followed at a wrong multiple of its size: dark lines of one strength look the same four or five to a
square, and then every interval is a quarter too long. Where there is no ruling, the file's resolution can be wrong. The
candidates are the size as it was read, 4/5, 5/4, half and twice of it, and "none of these". Each witness is a term of
one log-likelihood, whose tolerances and weights are fitted (`pipeline.training.fit.scale_check`): the file's
resolution, the ruling's own lines, the calibration pulses' width and height, the printed words, and how long the leads
of a row are. Speed and gain are not known beforehand, so that each candidate is judged over all of them.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from pipeline.calibration import Calibration, PrintedScales, Pulse
from pipeline.findings import FindingCode
from pipeline.geometry import Float64
from pipeline.recording import Finding, Known, Severity

FITTED = Path(__file__).with_name("scale_check.toml")
FACTORS = (1.0, 4 / 5, 5 / 4, 1 / 2, 2.0)  # true millimetres of one that was read
SPEEDS_MM_S, GAINS_MM_MV = (12.5, 25.0, 50.0), (2.5, 5.0, 10.0, 20.0)
PULSES_S, PULSE_MV = (0.2, 0.1), 1.0
ROWS_S = (10.0, 5.0)
OTHER_ROWS_S = (4.0, 12.5)  # within which rows of other lengths are: two columns of 2 s, and what 31 cm of paper hold
LIKELIER = 0.5  # than all else together
RANGE = math.log(16.0)  # over which a witness that is astray may say anything: a quarter to four times
BOX, MINOR = 1 / 5, 1.0  # lines per millimetre
LINE_CAP = (-1.0, 4.0)  # log power beyond which a line proves no more
ALIKE = 0.08  # between the widths, and the heights, of equal pulses
NEAR = 1e-6  # of a product of FACTORS
PULSE_ENOUGH = 0.9  # summed scores: one clear pulse or two doubtful ones

# lines per true millimetre at which a ruling has power, and at which only one of twice the period would have it
LINES = {
    "minor": (MINOR,),
    "minor_half": (MINOR / 2,),
    "box": (BOX, 2 * BOX, 3 * BOX),
    "box_half": (BOX / 2, 1.5 * BOX),
}
LINES_PER_MM = tuple(sorted({round(f * d, 6) for f, group in product(FACTORS, LINES.values()) for d in group}))


@dataclass(frozen=True, eq=False)
class Witnesses:
    """What tells the size of a page's millimetre, measured in millimetres as they were read. None: it says nothing.

    resolution: pixels per mm over those that the file says. lines: float64 (n,), as of grid.lines_seen at LINES_PER_MM.
    pulse_mm: width and height of the pulses that are alike. words: what is printed, or what a person says.
    length_mm: what the leads of the longest row take together.
    """

    resolution: float | None = None
    lines: Float64 | None = None
    pulse_mm: tuple[float, float] | None = None
    speed_said: float | None = None
    gain_said: float | None = None
    length_mm: float | None = None


@dataclass(frozen=True)
class Witness:
    """Of one kind of witness: standard error of the logarithm, share that is astray, and weight beside the others."""

    sigma: float
    astray: float
    weight: float

    def of(self, ratio: float) -> float:
        """Log-likelihood ratio of a measured size over an expected one, against a witness that may say anything."""
        return self.weight * math.log(self.near(ratio) + self.astray)

    def near(self, ratio: float) -> float:
        """The share of the likelihood ratio that is of a size measured right."""
        z = math.log(ratio) / self.sigma
        return (1 - self.astray) * RANGE / (self.sigma * math.sqrt(2 * math.pi)) * math.exp(-z * z / 2)


@dataclass(frozen=True)
class Table:
    """The fitted table. The shares of each kind are in the order of the constants above; they sum to 1.

    wrong: how often the ruling is followed at one certain other of FACTORS; none: at a size that is none of them.
    sure: how likely the size must be; sure_again: one that was chosen and followed anew.
    """

    resolution: Witness
    pulse_width: Witness
    pulse_height: Witness
    length: Witness
    minor: float
    minor_half: float
    box: float
    box_half: float
    level: float
    speeds: tuple[float, ...]
    gains: tuple[float, ...]
    pulses: tuple[float, ...]
    rows: tuple[float, ...]
    said: float
    wrong: float
    none: float
    sure: float
    sure_again: float


@dataclass(frozen=True)
class Weighed:
    """The probability of each of FACTORS, and of none of them; against: what speaks against the size as read."""

    factors: tuple[float, ...]
    none: float
    against: tuple[str, ...]
    sure: float

    @property
    def best(self) -> float:
        """The likeliest of FACTORS."""
        return FACTORS[int(np.argmax(self.factors))]

    @property
    def choice(self) -> float | None:
        """Another factor than 1 that is likelier than all else together, None where there is none."""
        return self.best if self.best != 1.0 and max(self.factors) > LIKELIER else None

    def doubts(self, stated: bool = False) -> tuple[Finding, ...]:
        """The finding that holds the page where the millimetre as read is not sure.

        stated: it is the one that the file states, which is believed until something else is likelier.
        """
        if self.factors[0] >= (LIKELIER if stated else self.sure):
            return ()
        other = f"{self.best:g} times it" if self.choice else "another size"
        detail = f"read size {self.factors[0]:.0%} likely, {other} instead? " + "; ".join(self.against)
        return (Finding(FindingCode.RULING_DOUBTED, Severity.ERROR, detail=detail.strip()),)


def weigh(witnesses: Witnesses, table: Table | None = None, taken: float = 1.0) -> Weighed:
    """How likely each size of the millimetre is by all witnesses together. taken: as of score_each."""
    table = fitted() if table is None else table
    scores = score_each(witnesses, table, taken)
    p = np.exp(scores - scores.max())
    p /= p.sum()
    sure = table.sure if taken == 1.0 else table.sure_again
    return Weighed(tuple(p[:-1].tolist()), float(p[-1]), _against(witnesses, table), sure)


def score_each(w: Witnesses, table: Table, taken: float = 1.0) -> Float64:
    """float64 (6,): the log-likelihood of each of FACTORS, and of none of them.

    taken: the factor of the first reading's size at which the witnesses were measured, 1 for that size itself. What is
    usually right is the size of the first reading: the one that was chosen since is no likelier for having been chosen.
    """
    right = 1 - table.wrong * (len(FACTORS) - 1) - table.none
    prior = [right if abs(f * taken - 1) < NEAR else table.wrong for f in FACTORS]
    scores = [math.log(share) + _score(w, factor, table) for share, factor in zip(prior, FACTORS, strict=True)]
    return np.array([*scores, math.log(table.none)])


def _score(w: Witnesses, factor: float, table: Table) -> float:
    total = 0.0 if w.resolution is None else table.resolution.of(w.resolution / factor)
    return total + _lines(w, factor, table) + _time(w, factor, table) + _height(w, factor, table)


def _lines(w: Witnesses, factor: float, table: Table) -> float:
    """The ruling's own word: power where a ruling of this size has it, less where only a coarser one would."""
    if w.lines is None:
        return 0.0
    seen = dict(zip(LINES_PER_MM, np.clip(w.lines - table.level, *LINE_CAP).tolist(), strict=True))
    weights = {"minor": table.minor, "minor_half": table.minor_half, "box": table.box, "box_half": table.box_half}
    total = 0.0
    for name, group in LINES.items():
        told = [seen[round(factor * d, 6)] for d in group]
        total += weights[name] * sum(0.0 if math.isnan(t) else t for t in told) / len(told)
    return total


def _time(w: Witnesses, factor: float, table: Table) -> float:
    """Pulse width and length of the rows, over all speeds."""
    shares = _shares(SPEEDS_MM_S, table.speeds, w.speed_said, table.said)
    return _log_sum(
        [math.log(share) + _at_speed(w, factor, v, table) for v, share in zip(SPEEDS_MM_S, shares, strict=True)]
    )


def _at_speed(w: Witnesses, factor: float, speed_mm_s: float, table: Table) -> float:
    total = 0.0
    if w.pulse_mm is not None:
        wide = w.pulse_mm[0] * factor
        total += _mixed(table.pulse_width, wide, [s * speed_mm_s for s in PULSES_S], table.pulses)
    if w.length_mm is not None:
        total += _of_rows(w.length_mm * factor / speed_mm_s, table)
    return total


def _of_rows(seconds: float, table: Table) -> float:
    """Rows of 10 or 5 s, or of any other usual length: of 8 s, they are no proof that they should be 10."""
    near = sum(share * table.length.near(seconds / s) for share, s in zip(table.rows, ROWS_S, strict=True))
    shortest, longest = OTHER_ROWS_S
    usual = RANGE / math.log(longest / shortest) if shortest <= seconds <= longest else 1.0
    return table.length.weight * math.log(near + table.length.astray * usual)


def _height(w: Witnesses, factor: float, table: Table) -> float:
    if w.pulse_mm is None:
        return 0.0
    shares = _shares(GAINS_MM_MV, table.gains, w.gain_said, table.said)
    return _mixed(table.pulse_height, w.pulse_mm[1] * factor, [g * PULSE_MV for g in GAINS_MM_MV], shares)


def _mixed(told: Witness, size_mm: float, nominal_mm: Sequence[float], shares: Sequence[float]) -> float:
    """Of a size that is one of several nominal ones, each with its share."""
    return _log_sum([math.log(s) + told.of(size_mm / n) for n, s in zip(nominal_mm, shares, strict=True)])


def _shares(values: Sequence[float], usual: Sequence[float], said: float | None, trusted: float) -> list[float]:
    """How likely each value is: as usual, or nearly surely the one that is said."""
    if said not in values:
        return list(usual)
    return [trusted if v == said else (1 - trusted) / (len(values) - 1) for v in values]


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs))


def pulse_of(seen: Sequence[Pulse]) -> tuple[float, float] | None:
    """Width and height of the pulses that most are like, mm; None without a clear one."""
    best: list[Pulse] = []
    for p in seen:
        alike = [q for q in seen if _alike(p.width_mm, q.width_mm) and _alike(p.height_mm, q.height_mm)]
        if sum(q.score for q in alike) > sum(q.score for q in best):
            best = alike
    if sum(q.score for q in best) < PULSE_ENOUGH:
        return None
    return float(np.median([q.width_mm for q in best])), float(np.median([q.height_mm for q in best]))


def _alike(a: float, b: float) -> bool:
    return abs(a / b - 1) < ALIKE


def said(scale: Calibration, printed: PrintedScales) -> tuple[float | None, float | None]:
    """Speed and gain as a person says them, or else the page's words."""
    by_person = [s.value if s.known is Known.PERSON else None for s in (scale.speed_mm_s, scale.gain_mm_mv)]
    words = [None if p is None else p.value for p in (printed.speed_mm_s, printed.gain_mm_mv)]
    speed, gain = (w if p is None else p for p, w in zip(by_person, words, strict=True))
    return speed, gain


def _against(w: Witnesses, table: Table) -> tuple[str, ...]:
    """In words, each witness that is not of the size as read."""
    told = []
    if w.resolution is not None and table.resolution.of(w.resolution) < 0:
        told.append(f"the file's resolution makes it {1 / w.resolution:.2f} times as large")
    if w.pulse_mm is not None and min(_at_speeds_width(w, table), _height(w, 1.0, table)) < 0:
        told.append(f"pulses are {w.pulse_mm[0]:.1f} x {w.pulse_mm[1]:.1f} mm")
    if w.length_mm is not None and _at_speeds_length(w, table) < 0:
        told.append(f"rows are {w.length_mm:.0f} mm long")
    return tuple(told)


def _at_speeds_width(w: Witnesses, table: Table) -> float:
    return _time(Witnesses(pulse_mm=w.pulse_mm, speed_said=w.speed_said), 1.0, table)


def _at_speeds_length(w: Witnesses, table: Table) -> float:
    return _time(Witnesses(length_mm=w.length_mm, speed_said=w.speed_said), 1.0, table)


@cache
def fitted() -> Table:
    """The table beside this module."""
    return table_of(tomllib.loads(FITTED.read_text(encoding="utf-8")))


def table_of(entries: Mapping[str, object]) -> Table:
    """The table that a file holds."""
    values: dict[str, object] = {}
    for name, value in entries.items():
        values[name] = (
            Witness(**value) if isinstance(value, dict) else tuple(value) if isinstance(value, list) else value
        )
    return Table(**values)  # type: ignore[arg-type]  # checked by the dataclass's own names
