"""A lead printed twice, short in its column and long as rhythm strip, must look the same in both places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.geometry import Float64
from pipeline.recording import CHEST, Float32, Lead, Strip

LAG_MAX_S = 0.2
LONG = 1.8  # times the other strip's length: a rhythm strip
AGREES = 0.85  # correlation
BELONGS = 0.93  # correlation by which a long strip of unknown name is recognised
RARELY_LONG = frozenset({Lead.AVR, Lead.AVL, Lead.AVF})  # hardly a device prints them so, and aVF resembles II
RARE, RARE_MARGIN = 0.98, 0.05
BELONGS_MARGIN = 0.02
ALONE, ALONE_MARGIN, ALONE_RARE_MARGIN = 0.85, 0.12, 0.3  # or by this one, where no other lead comes near
BELIES = 0.97  # likeness to another lead by which a name that was read is given up, where its own lead disagrees
STROKES = frozenset({Lead.I, Lead.II, Lead.III})  # a trace over the name adds a stroke, a fold takes one
MISCOUNTED = ((0.93, 0.06), (0.85, 0.25))  # so such a name is given up at less: likeness to another, and how much more
SETTLED_S, LASTS_MIN_S = 0.8, 2.0  # machines that switch leads draw the beginning of a long enough one askew
OVERLAP_MIN_S, OVERLAP_MIN = 1.0, 0.7  # or that share of a short strip: at 50 mm/s one lasts 1.25 s
SIZE = 0.5  # power of the ratio of sizes: two readings of one lead differ by a tenth, where ink is thick


@dataclass(frozen=True)
class TwiceCheck:
    """correlation: of the two readings at the best shift, -1..1. start_s, end_s: where the short strip is."""

    lead: Lead
    correlation: float
    start_s: float
    end_s: float

    @property
    def bad(self) -> bool:
        return self.correlation < AGREES


def check_twice(strips: Sequence[Strip], rate_hz: int) -> tuple[TwiceCheck, ...]:
    """Every short strip against a long one of the same lead."""
    checks = []
    for long in strips:
        for short in strips:
            if short.lead == long.lead and long.samples > LONG * short.samples:
                found = (_agreement(long, part, rate_hz) for part in _parts(short, rate_hz))
                correlation = max((c for c in found if c is not None), default=None)
                if correlation is not None:
                    end = short.start_s + short.samples / rate_hz
                    checks.append(TwiceCheck(short.lead, correlation, short.start_s, end))
    return tuple(checks)


def recognise(long: Strip, strips: Sequence[Strip], rate_hz: int, limb_to_chest: float = 1.0) -> Lead | None:
    """Which lead a long strip shows, by the short strips printed above it; None where that is not clear.

    limb_to_chest: gain of the limb leads over that of the chest leads. Its millivolts are those of the name it has.
    """
    found = _alike(long, strips, rate_hz, limb_to_chest)
    return _clearest(found, BELONGS) or _alone(found)


def belies(long: Strip, strips: Sequence[Strip], rate_hz: int, limb_to_chest: float = 1.0) -> Lead | None:
    """The lead a long strip shows, where it clearly is another one than it is called; None where its name may be true.

    A lead whose own short strip was not read cannot be belied: its neighbours on the chest look too much like it.
    """
    found = _alike(long, strips, rate_hz, limb_to_chest)
    if long.lead in STROKES and long.lead in found:
        best = max(found, key=lambda lead: found[lead])
        more = found[best] - found[long.lead]
        if best in STROKES and any(found[best] >= least and more >= margin for least, margin in MISCOUNTED):
            return best
    if found.get(long.lead, 1.0) >= AGREES:
        return None
    return _clearest(found, BELIES)


def _alike(long: Strip, strips: Sequence[Strip], rate_hz: int, limb_to_chest: float) -> dict[Lead, float]:
    """How alike it is, in shape and in size, to every lead that is printed short."""
    found: dict[Lead, float] = {}
    for short in strips:
        if long.samples > LONG * short.samples:
            as_short = renamed(long, short.lead, limb_to_chest)
            for part in _parts(short, rate_hz):
                alike = _agreement(as_short, part, rate_hz, _likeness)
                if alike is not None:
                    found[short.lead] = max(alike, found.get(short.lead, -1.0))
    return found


def _parts(short: Strip, rate_hz: int) -> Iterator[Strip]:
    """The strip, and it without its beginning where enough is left."""
    yield short
    if short.samples >= LASTS_MIN_S * rate_hz:
        late = np.arange(short.samples) >= SETTLED_S * rate_hz
        yield replace(short, millivolts=np.where(late, short.millivolts, np.float32(np.nan)))


def _clearest(found: Mapping[Lead, float], least: float) -> Lead | None:
    """The lead that is most alike, where it is at least so much and clearly more than the next."""
    ranked = sorted(found, key=lambda lead: -found[lead])
    if not ranked or found[ranked[0]] < least:
        return None
    best, margin = ranked[0], found[ranked[0]] - (found[ranked[1]] if len(ranked) > 1 else 0.0)
    if best in RARELY_LONG and (found[best] < RARE or margin < RARE_MARGIN):
        return _clearest({lead: alike for lead, alike in found.items() if lead not in RARELY_LONG}, least)
    return best if margin >= BELONGS_MARGIN else None


def _alone(found: Mapping[Lead, float]) -> Lead | None:
    """The only lead that is alike: machines that still settle draw the two readings of one lead apart."""
    if len(found) < 2:
        return None
    best, next_best = sorted(found, key=lambda lead: -found[lead])[:2]
    margin = ALONE_RARE_MARGIN if best in RARELY_LONG else ALONE_MARGIN
    return best if found[best] >= ALONE and found[best] - found[next_best] >= margin else None


def renamed(strip: Strip, lead: Lead, limb_to_chest: float = 1.0) -> Strip:
    """The same ink under another name: at the gain that leads of that name are printed at."""
    times = np.float32(limb_to_chest ** ((lead in CHEST) - (strip.lead in CHEST)))
    return replace(strip, lead=lead, millivolts=strip.millivolts * times, sigma_mv=strip.sigma_mv * times)


def _agreement(
    long: Strip, short: Strip, rate_hz: int, of: Callable[[Float64, Float64], float | None] | None = None
) -> float | None:
    """The best correlation at the short strip's page time, or at the beginning where every column shows one time.

    Where columns stand apart, devices differ in whether the gaps take time: both are tried.

    of: what to find the best of instead, of two stretches without their means.
    """
    reach = round(LAG_MAX_S * rate_hz)
    best: float | None = None
    lasts_s = short.samples / rate_hz
    without_gaps_s = long.start_s + round((short.start_s - long.start_s) / lasts_s) * lasts_s
    for start_s in {short.start_s, long.start_s, without_gaps_s}:
        first = round((start_s - long.start_s) * rate_hz)
        for lag in range(-reach, reach + 1, 2):
            least = round(min(OVERLAP_MIN_S, OVERLAP_MIN * lasts_s) * rate_hz)
            correlation = _compared(long.millivolts, short.millivolts, first + lag, least, of or _correlation)
            if correlation is not None and (best is None or correlation > best):
                best = correlation
    return best


def _compared(
    long: Float32 | Float64,
    short: Float32 | Float64,
    first: int,
    least: int,
    of: Callable[[Float64, Float64], float | None],
) -> float | None:
    """Of the samples known in both, the short strip laid at index first of the long one."""
    a, b = max(0, first), min(len(long), first + len(short))
    if b - a < least:
        return None
    x, y = long[a:b].astype(np.float64), short[a - first : b - first].astype(np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < least:
        return None
    return of(x[known] - x[known].mean(), y[known] - y[known].mean())


def _correlation(x: Float64, y: Float64) -> float | None:
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 1e-6 else None


def _likeness(x: Float64, y: Float64) -> float | None:
    """The correlation, less by as much as one is smaller: neighbours on the chest differ in size before shape."""
    shape, sizes = _correlation(x, y), sorted((float(x @ x), float(y @ y)))
    return None if shape is None else shape * float(np.sqrt(sizes[0] / sizes[1])) ** SIZE
