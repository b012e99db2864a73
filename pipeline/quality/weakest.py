"""What counts most against a page: the term of the confidence that cost most, with its lead and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.findings import FindingCode
from pipeline.quality.confidence import Features, costliest
from pipeline.quality.limb import LimbCheck
from pipeline.quality.twice import TwiceCheck
from pipeline.recording import Doubt, Finding, Seen, Severity, Strip

MOST_DOUBT = (0.1, 0.9)  # of a lead's expected squared error: between them lies what a person must look at


@dataclass(frozen=True, eq=False)
class Checked:
    """A page's strips, what was checked and doubted about them, and the features that came of it."""

    strips: Sequence[Strip]
    rate_hz: int
    limbs: Sequence[LimbCheck]
    twice: Sequence[TwiceCheck]
    features: Features
    doubts: Sequence[Doubt] = ()


def weakest(page: Checked) -> Finding | None:
    """The finding that names what cost most of the confidence; None where nothing cost any.

    It is of severity info: whether the page is held is for the confidence to say.
    """
    name = costliest(page.features)
    return None if name is None else _TOLD[name](page)


def doubtful_s(strip: Strip, rate_hz: int) -> tuple[float, float]:
    """Page seconds (start, end) between which most of the error lies that the reader expects in a strip."""
    power = np.cumsum(np.nan_to_num(strip.sigma_mv, nan=0.0).astype(np.float64) ** 2)
    first, stop = (int(np.searchsorted(power, share * power[-1])) for share in MOST_DOUBT)
    return strip.start_s + first / rate_hz, strip.start_s + (stop + 1) / rate_hz


def _about(detail: str, strip: Strip | None = None, at: tuple[float, float] | None = None) -> Finding:
    lead = None if strip is None else strip.lead
    start_s, end_s = at or (None, None)
    return Finding(FindingCode.LEAST_SURE, Severity.INFO, lead, start_s, end_s, detail)


def _unread(page: Checked) -> Finding:
    """The longest stretch that was not read, of the strip of which least was."""
    strip = min(page.strips, key=lambda s: float(np.mean(s.seen == Seen.READ)) if s.samples else 0.0)
    if not strip.samples:
        return _about("nothing of it was read", strip)
    edges = np.flatnonzero(np.diff(np.pad((strip.seen != Seen.READ).astype(np.int8), 1)))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    first, stop = max(runs, key=lambda run: run[1] - run[0], default=(0, strip.samples))
    at = strip.start_s + first / page.rate_hz, strip.start_s + stop / page.rate_hz
    return _about(f"{float(np.mean(strip.seen == Seen.READ)):.0%} of it was read", strip, at)


def _blurred(page: Checked) -> Finding:
    known = [s for s in page.strips if np.isfinite(s.sigma_mv).any()]
    if not known:
        return _unread(page)
    strip = max(known, key=lambda s: float(np.nanmedian(s.sigma_mv)) / max(float(np.nanstd(s.millivolts)), 0.1))
    detail = f"read to within {float(np.nanmedian(strip.sigma_mv)):.2f} mV, beside a spread of"
    detail += f" {float(np.nanstd(strip.millivolts)):.2f} mV"
    return _about(detail, strip, doubtful_s(strip, page.rate_hz))


def _unlawful(page: Checked) -> Finding:
    if not page.limbs:
        return _unchecked(page)
    check = max(page.limbs, key=lambda c: c.residual)
    leads = ", ".join(check.leads)
    detail = f"{leads} contradict one another by {check.residual_mv:.2f} mV, {check.residual:.0%} of the leads"
    return Finding(FindingCode.LEAST_SURE, Severity.INFO, check.worst, check.start_s, check.end_s, detail)


def _unlike(page: Checked) -> Finding:
    if not page.twice:
        return _unchecked(page)
    check = min(page.twice, key=lambda c: c.correlation)
    detail = f"its two printed strips correlate by {check.correlation:.2f}"
    return Finding(FindingCode.LEAST_SURE, Severity.INFO, check.lead, check.start_s, check.end_s, detail)


def _doubted(code: FindingCode, words: str) -> Callable[[Checked], Finding]:
    """Where the likeliest doubt of a code says."""

    def tell(page: Checked) -> Finding:
        own = [doubt for doubt in page.doubts if doubt.finding.code == code]
        if not own:
            return _about(words)
        worst = max(own, key=lambda doubt: doubt.chance)
        detail = f"{words} ({worst.chance:.0%} likely): {worst.finding.detail}"
        return replace(worst.finding, code=FindingCode.LEAST_SURE, severity=Severity.INFO, detail=detail)

    return tell


def _unchecked(page: Checked) -> Finding:
    if page.limbs:
        return _about("no lead is printed twice, so that none could be compared")
    if page.twice:
        return _about("no three limb leads are printed side by side, so that none could be checked")
    return _about("no leads are printed so that they check one another")


def _page(words: str) -> Callable[[Checked], Finding]:
    return lambda page: _about(words)


_TOLD: dict[str, Callable[[Checked], Finding]] = {
    "read": _unread,
    "least_read": _unread,
    "sharp": _blurred,
    "limbs": _unlawful,
    "twice": _unlike,
    "beats": _page("neighbouring beats look less alike than a heart's do"),
    "names": _page("few of the printed lead names were read"),
    "borders": _page("the borders between leads were seen badly: compare where each lead begins and ends"),
    "starts": _page("few of the layout's lead starts were seen, or starts where it has none: compare the layout"),
    "margin": _page("another layout fits the page nearly as well: compare the names of the leads"),
    "grid": _page("the paper grid was seen badly: compare the length of a second and the height of a pulse"),
    "scale": _page("speed or gain is not known for sure: compare both with what is printed"),
    "timed": _page("nothing tells how long the page lasts: compare the length of a second"),
    "begun": _page("the rows do not begin together: compare where each of them begins"),
    "checked": _unchecked,
    "leads": _doubted(FindingCode.SIGMA_LARGE, "this lead may be read wrongly"),
    "gain": _doubted(FindingCode.GAIN_ASSUMED, "the gain may be another one"),
    "unmarked": _doubted(FindingCode.INK_OVER_LEAD, "what is written over this lead may be read as the lead"),
}
