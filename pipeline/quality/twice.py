"""A lead printed twice, short in its column and long as rhythm strip, must look the same in both places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
# power of the ratio of sizes: neighbours on the chest differ in size before shape, two readings of one lead by a tenth,
# where ink is thick
SIZE = 0.5


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
                alike = _agreement(as_short, part, rate_hz, SIZE)
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


def _agreement(long: Strip, short: Strip, rate_hz: int, size: float = 0.0) -> float | None:
    """The best correlation at the short strip's page time, or at the beginning where every column shows one time.

    Where columns stand apart, devices differ in whether the gaps take time: both are tried.

    size: power of the ratio of both sizes by which a correlation counts less.
    """
    reach = round(LAG_MAX_S * rate_hz)
    best: float | None = None
    lasts_s = short.samples / rate_hz
    without_gaps_s = long.start_s + round((short.start_s - long.start_s) / lasts_s) * lasts_s
    least = round(min(OVERLAP_MIN_S, OVERLAP_MIN * lasts_s) * rate_hz)
    for start_s in {short.start_s, long.start_s, without_gaps_s}:
        first = round((start_s - long.start_s) * rate_hz)
        beside = _between(long.millivolts, first - reach, first + reach + short.samples)
        found = _correlations(beside, short.millivolts, least, size)
        if len(found) and (best is None or found.max() > best):
            best = float(found.max())
    return best


def _between(values: Float32, first: int, last: int) -> Float32:
    """float32 (last - first,), NaN beyond the values."""
    out = np.full(last - first, np.nan, np.float32)
    a, b = max(0, first), min(len(values), last)
    if a < b:
        out[a - first : b - first] = values[a:b]
    return out


def _correlations(long: Float32, short: Float32, least: int, size: float) -> Float64:
    """The correlations, as of _agreement, of the short strip with every second stretch of the long one.

    Of the samples known in both; without those of stretches where these are fewer than least, or level.
    """
    (known_x, x), (known_y, y) = _centred(long), _centred(short)
    count = np.correlate(known_x, known_y, "valid")
    mean_x, mean_y = np.correlate(x, known_y, "valid"), np.correlate(known_x, y, "valid")
    mean_x, mean_y = mean_x / np.maximum(count, 1), mean_y / np.maximum(count, 1)
    size_x = np.correlate(x * x, known_y, "valid") - count * mean_x**2
    size_y = np.correlate(known_x, y * y, "valid") - count * mean_y**2
    norm = np.sqrt(np.maximum(size_x, 0.0) * np.maximum(size_y, 0.0))
    told = (count >= least) & (norm > 1e-6) & (np.arange(len(count)) % 2 == 0)
    shape = (np.correlate(x, y, "valid") - count * mean_x * mean_y)[told] / norm[told]
    smaller, larger = np.minimum(size_x, size_y)[told], np.maximum(size_x, size_y)[told]
    return np.asarray(shape * np.sqrt(smaller / larger) ** size, np.float64)


def _centred(values: Float32) -> tuple[Float64, Float64]:
    """Where the values are known, 1 or 0, and the values less their mean, 0 elsewhere: so their sums stay exact."""
    known = np.isfinite(values)
    mean = float(values[known].mean(dtype=np.float64)) if known.any() else 0.0
    return known.astype(np.float64), np.where(known, values.astype(np.float64) - mean, 0.0)
