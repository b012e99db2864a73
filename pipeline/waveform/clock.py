"""When a page's columns of paper were recorded, by where the ink of its rows begins and ends.

Earlier stages know the start of the traces to a few tenths of a millimetre, the ink of each row shows it to one, and
page time is counted from there: half a millimetre is 20 ms. Rows that begin farther right the farther down they stand
are sheared, by a feeder or a print askew on its paper. Without a ruling the length of a millimetre is known to half a
per cent, and nearly every page shows ten seconds across. What is believed how far is fitted to pages whose truth is
known, by `pipeline.training.fit.clock`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.geometry import Float64, Segment

FITTED = Path(__file__).with_name("clock.toml")
TEN_S = 10.0  # what nearly every page shows across
WHOLE = 0.98  # of the longest row: such rows end where the page does
ROUNDS = 30  # of weighing and fitting anew: settled to a thousandth of a millimetre after ten


@dataclass(frozen=True)
class Spread:
    """How measured ends of ink lie about the true ones.

    bias_mm: of those that are right; sd_mm: their standard deviation. stray: share of those that are not right, which
    have the standard deviation stray_mm.
    """

    bias_mm: float
    sd_mm: float
    stray: float
    stray_mm: float

    def sure(self, off_mm: Float64) -> Float64:
        """float64, 0..1: how likely each is one of those that are right, bias taken off."""
        right = (1 - self.stray) * _normal(off_mm, self.sd_mm)
        other = self.stray * _normal(off_mm, self.stray_mm)
        return np.divide(right, right + other, out=np.zeros_like(right), where=right > 0)


@dataclass(frozen=True)
class Believed:
    """What is known before the ink is asked, of pages whose ruling was found or of those whose was not.

    late: of the traces' start. common_mm: standard deviation of what moves the ink of all rows' beginnings alike, as a
    wide or a blurred pen does. lean: of the mm by which rows are sheared for each mm down. stretch: of the size of the
    paper's millimetre. ten: share of pages that show ten seconds across, to ten_s; the others show anything over a
    range of other_s. first, last: the ends of ink.
    """

    late: Spread
    common_mm: float
    lean: float
    stretch: float
    ten: float
    ten_s: float
    other_s: float
    first: Spread
    last: Spread


@dataclass(frozen=True)
class RowInk:
    """A row as it was laid out and as its ink was read; paper mm. first_mm, last_mm: infinite where none was read.

    leads: how many stand in it.
    """

    start_mm: float
    end_mm: float
    baseline_mm: float
    first_mm: float
    last_mm: float
    leads: int


@dataclass(frozen=True)
class Clock:
    """Where and when what was laid out is printed.

    At level_mm down the page the traces begin late_mm right of origin_mm, where they were laid out to begin, and lean
    more for every mm farther down. across: mm of paper for each that was laid out. seconds: the same of time.
    timed: 0..1, how likely the length of a second is known; begun: the same of where the traces begin, by how many rows
    say so.
    """

    origin_mm: float = 0.0
    level_mm: float = 0.0
    late_mm: float = 0.0
    lean: float = 0.0
    across: float = 1.0
    seconds: float = 1.0
    timed: float = 0.0
    begun: float = 0.0

    def moved(self, segment: Segment) -> Segment:
        """The segment where and when it is printed."""
        begins_mm = self.origin_mm + self.late_mm + self.lean * (segment.baseline_mm - self.level_mm)
        start_mm, end_mm = (begins_mm + self.across * (x - self.origin_mm) for x in (segment.start_mm, segment.end_mm))
        return replace(segment, start_mm=start_mm, end_mm=end_mm, start_s=segment.start_s * self.seconds)

    def speed_mm_s(self, laid_out_mm_s: float) -> float:
        """Of the paper, where it was laid out for another."""
        return laid_out_mm_s * self.across / self.seconds


def are_gapless(rows: Iterable[Sequence[tuple[float, float]]]) -> bool:
    """Whether every lead of the rows begins where the one before it ends. rows: (start, end) of their leads, mm."""
    pairs = (pair for row in rows for pair in pairwise(sorted(row)))
    return all(bool(np.isclose(later[0], earlier[1])) for earlier, later in pairs)


@cache
def fitted() -> Mapping[bool, Believed]:
    """The table beside this module, by whether the page's ruling was found."""
    entries = tomllib.loads(FITTED.read_text(encoding="utf-8"))
    return {ruled: believed_of(entries[name]) for ruled, name in ((True, "ruled"), (False, "unruled"))}


def believed_of(entries: Mapping[str, Any]) -> Believed:
    """One part of the table. Raises TypeError where it lacks an entry or has another."""
    spreads = {name: Spread(**entries[name]) for name in ("late", "first", "last")}
    return Believed(**{**entries, **spreads})


def page_clock(rows: Sequence[RowInk], speed_mm_s: float, believed: Believed, gapless: bool) -> Clock:
    """The likeliest clock of the rows of a page laid out at a speed.

    gapless: no blank paper was laid out between the leads of a row, so that its length is its time. That of a row of
    one lead is in any case, and tells it better: narrow gaps are overlooked.
    """
    if not rows:
        return Clock()
    start, end, level = (np.array([getattr(r, k) for r in rows]) for k in ("start_mm", "end_mm", "baseline_mm"))
    first, last = (np.array([getattr(r, k) for r in rows]) for k in ("first_mm", "last_mm"))
    origin_mm, middle_mm = float(start.min()), float(level.mean())
    down = level - middle_mm
    prior = np.array([math.hypot(believed.late.stray_mm, believed.common_mm), believed.lean])
    ink_mm, lean = _line(first - start, down, believed.first, prior)
    late_mm = _of_the_traces(ink_mm, believed)
    begun = believed.first.sure(first - start - ink_mm - lean * down - believed.first.bias_mm).mean()
    timed = 1.0 if believed.ten == 0.0 else 0.0  # by a ruling
    clock = Clock(origin_mm, middle_mm, late_mm, lean, timed=timed, begun=float(begun))
    whole = (end - start) / (end - start).max() > WHOLE
    single = whole & np.array([r.leads == 1 for r in rows])
    if not gapless and not single.any():
        return clock
    beyond_mm = last - end - lean * down
    laid_out_mm = float(end[whole].mean()) - origin_mm
    printed_mm, timed_mm = (
        laid_out_mm - late_mm + _line(beyond_mm[these], None, believed.last, np.array([believed.last.stray_mm]))[0]
        for these in (whole, single if single.any() else whole)
    )
    ten = _of_ten_seconds(timed_mm / speed_mm_s, believed)
    if ten < 1 - ten:
        return clock
    across = printed_mm / laid_out_mm
    return replace(clock, across=across, seconds=across * speed_mm_s * TEN_S / timed_mm, timed=ten)


def _of_the_traces(ink_mm: float, believed: Believed) -> float:
    """What is to be expected of the traces where the ink begins so late: the rest is the ink's own."""
    late, common = believed.late, believed.common_mm
    chances, shares = [], []
    for chance, sd_mm in ((1 - late.stray, late.sd_mm), (late.stray, late.stray_mm)):
        chances.append(chance * float(_normal(np.array(ink_mm), math.hypot(sd_mm, common))))
        shares.append(sd_mm**2 / (sd_mm**2 + common**2))
    return ink_mm * float(np.average(shares, weights=chances))


def _line(off_mm: Float64, down_mm: Float64 | None, spread: Spread, prior: Float64) -> tuple[float, ...]:
    """What is likeliest to have moved the ends of ink by off_mm: a distance, and with down_mm one for every mm down.

    prior: standard deviation of each, about nothing.
    """
    there = np.isfinite(off_mm)
    off = off_mm[there] - spread.bias_mm
    if not len(off):
        return tuple(0.0 for _ in prior)
    design = np.ones((len(off), 1)) if down_mm is None else np.column_stack([np.ones(len(off)), down_mm[there]])
    begin = max(_beginnings(off, design), key=lambda at: _log_posterior(at, off, design, spread, prior))
    return tuple(_settled(begin, off, design, spread, prior).tolist())


def _beginnings(off: Float64, design: Float64) -> list[Float64]:
    """Where to begin to weigh: at nothing, in the middle, and on the lines through two ends each."""
    out = [np.zeros(design.shape[1]), np.eye(design.shape[1])[0] * np.median(off)]
    if design.shape[1] == 2:
        for i in range(len(off)):
            for j in range(i):
                apart = design[i, 1] - design[j, 1]
                if apart:
                    lean = (off[i] - off[j]) / apart
                    out.append(np.array([off[i] - lean * design[i, 1], lean]))
    return out


def _settled(at: Float64, off: Float64, design: Float64, spread: Spread, prior: Float64) -> Float64:
    """Weighing the ends by how likely they are right, and fitting anew, until it settles."""
    for _ in range(ROUNDS):
        sure = spread.sure(off - design @ at)
        weight = sure / spread.sd_mm**2 + (1 - sure) / spread.stray_mm**2
        known = (design.T * weight) @ design + np.diag(prior**-2.0)
        at = np.asarray(np.linalg.solve(known, (design.T * weight) @ off), np.float64)
    return at


def _log_posterior(at: Float64, off: Float64, design: Float64, spread: Spread, prior: Float64) -> float:
    away = off - design @ at
    p = (1 - spread.stray) * _normal(away, spread.sd_mm) + spread.stray * _normal(away, spread.stray_mm)
    return float(np.log(p).sum() - 0.5 * ((at / prior) ** 2).sum())


def _of_ten_seconds(seconds: float, believed: Believed) -> float:
    """0..1: how likely rows that seem to last so long are of ten seconds."""
    sd_s = math.hypot(believed.stretch * TEN_S, believed.ten_s)
    ten = believed.ten * float(_normal(np.array(seconds - TEN_S), sd_s))
    return ten / (ten + (1 - believed.ten) / believed.other_s)


def _normal(off: Float64, sd: float) -> Float64:
    return np.asarray(np.exp(-((off / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi)))
