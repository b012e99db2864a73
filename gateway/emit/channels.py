"""A recording's strips as channels of whole microvolts, with an honest status each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pipeline.findings import FindingCode
from pipeline.recording import TWELVE, Finding, Known, Lead, Recording, Seen, Severity, Strip

Int16 = npt.NDArray[np.int16]

MICROVOLTS_PER_MV = 1000.0
REACH = 32767  # microvolts either way; -32768 is kept free for padding
SIGMA_QUESTIONABLE_MV = 0.1  # one millimetre of paper at 10 mm/mV: what a reader of paper calls a deviation
UNREAD_QUESTIONABLE = 0.1  # of a strip's samples bridged or not read
TOGETHER = 0.8  # of the shorter strip's time within the longer one's, from which on they are printed side by side
CUT_SHORT = (
    2.5  # times the shorter strip's length; a strip four times as long is a rhythm strip whose column is missing
)

_CHEST = frozenset(TWELVE[6:])
# findings of severity error that hold a page, but say no more of its lead than that it must be looked at: what goes out
# was approved by who looked, and is doubtful, not invalid
_DOUBTS = frozenset({FindingCode.SIGMA_LARGE, FindingCode.SPIKES_NOT_READ, FindingCode.INK_OVER_LEAD})


class Status(StrEnum):
    """Defined terms of Channel Status (003A,0205), PS3.3 C.10.9."""

    OK = "OK"
    QUESTIONABLE = "QUESTIONABLE"
    INVALID = "INVALID"
    UNCALIBRATED = "UNCALIBRATED"


class Doubt(StrEnum):
    """What a reader is told beside a lead's name, for what is known of this lead alone.

    What is known of the whole page is told once, with its findings; beside every lead it would hide the doubtful one.
    """

    NONE = ""
    DOUBTFUL = "?"
    NOT_VALID = "not valid"


@dataclass(frozen=True, eq=False)
class Channel:
    """One strip, ready for a format of 16-bit samples. strip: the same as it was read, for a format of reals.

    start: samples from the left end of the first printed trace. label: such as ``II`` or ``II rhythm``.
    microvolts: int16 (n,), within +-32767, 0 where known is False. known: bool (n,), the page shows something there.
    clipped: samples beyond +-32.767 mV, held at that limit. sigma_mv: median standard deviation, NaN if none known.
    read, bridged: parts of the n samples, 0..1. status: at least one. doubt: for a person, beside the lead's name.
    """

    lead: Lead
    strip: Strip
    label: str
    rhythm: bool
    start: int
    microvolts: Int16
    finite: npt.NDArray[np.bool_]
    clipped: int
    sigma_mv: float
    read: float
    bridged: float
    status: tuple[Status, ...]
    doubt: Doubt

    @property
    def end(self) -> int:
        return self.start + len(self.microvolts)

    def placed(self, start: int, end: int, pad: int) -> Int16:
        """int16 (end - start,) microvolts over that span of page time, pad wherever the page shows nothing."""
        out = np.full(end - start, pad, np.int16)
        inside = out[self.start - start : self.end - start]
        inside[self.finite] = self.microvolts[self.finite]
        return out

    def within(self, start: int, end: int) -> Int16:
        """int16 (end - start,) microvolts over that span of page time, 0 wherever the page shows nothing."""
        wide = self.placed(min(start, self.start), max(end, self.end), 0)
        offset = start - min(start, self.start)
        return wide[offset : offset + end - start]

    def runs(self) -> tuple[tuple[int, int], ...]:
        """The unbroken stretches of known samples, as (first, last + 1) in samples of page time."""
        return _stretches(self.finite, self.start)

    def holes(self) -> tuple[tuple[int, int], ...]:
        """The unbroken stretches that were printed and not read, as (first, last + 1) in samples of page time."""
        return _stretches(~self.finite, self.start)


def _stretches(where: npt.NDArray[np.bool_], start: int) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    return tuple((start + int(a), start + int(b)) for a, b in edges.reshape(-1, 2))


def channels(recording: Recording) -> tuple[Channel, ...]:
    """Every strip: first one of each lead in the order I II III aVR aVL aVF V1..V6, then those printed again.

    Of a lead printed twice the shorter strip comes first: it stands in its column, the other is the rhythm strip.
    """
    ranked = {lead: sorted((s for s in recording.strips if s.lead == lead), key=lambda s: s.samples) for lead in TWELVE}
    first = min((s.start_s for s in recording.strips), default=0.0)
    origin_s = min(0.0, first)
    out = [_channel(recording, strips[0], lead, False, origin_s) for lead, strips in ranked.items() if strips]
    for lead, strips in ranked.items():
        for number, strip in enumerate(strips[1:], start=2):
            rhythm = strip.samples > strips[0].samples
            out.append(
                _channel(recording, strip, f"{lead} rhythm" if rhythm else f"{lead} ({number})", rhythm, origin_s)
            )
    return tuple(out)


def longest(all_channels: Sequence[Channel]) -> tuple[Channel, ...]:
    """The longest strip of each lead that the page shows anything of, in the order I II III aVR aVL aVF V1..V6."""
    shown = [channel for channel in all_channels if channel.finite.any()]
    best = (max((c for c in shown if c.lead == lead), key=lambda c: len(c.finite), default=None) for lead in TWELVE)
    return tuple(channel for channel in best if channel is not None)


def twelve(recording: Recording, all_channels: Sequence[Channel]) -> tuple[Channel, ...]:
    """Exactly twelve channels under the names of their leads: the longest strips, and empty ones for the others."""
    found = {channel.lead: channel for channel in longest(all_channels)}
    unread = {channel.lead: channel for channel in all_channels}  # of a lead that is printed and was not read
    chosen = (found.get(lead) or unread.get(lead) or _absent(recording, lead) for lead in TWELVE)
    return tuple(replace(channel, label=channel.lead.value) for channel in chosen)


def _absent(recording: Recording, lead: Lead) -> Channel:
    """The channel of a lead that is not on the page: no sample, and not valid."""
    nothing = np.empty(0, np.float32)
    return _channel(recording, Strip(lead, 0.0, nothing, nothing, np.empty(0, np.uint8)), lead, False, 0.0)


def _channel(recording: Recording, strip: Strip, label: str, rhythm: bool, origin_s: float) -> Channel:
    finite = np.isfinite(strip.millivolts)
    wide = np.rint(np.where(finite, strip.millivolts, 0.0).astype(np.float64) * MICROVOLTS_PER_MV)
    clipped = int(np.count_nonzero(np.abs(wide) > REACH))
    sigma = strip.sigma_mv[finite & np.isfinite(strip.sigma_mv)]
    n = max(strip.samples, 1)
    sigma_mv = float(np.median(sigma)) if sigma.size else float("nan")
    read = np.count_nonzero(finite & (strip.seen == Seen.READ)) / n
    return Channel(
        lead=strip.lead,
        strip=strip,
        label=label,
        rhythm=rhythm,
        start=round((strip.start_s - origin_s) * recording.rate_hz),
        microvolts=np.clip(wide, -REACH, REACH).astype(np.int16),
        finite=finite,
        clipped=clipped,
        sigma_mv=sigma_mv,
        read=read,
        bridged=np.count_nonzero(finite & (strip.seen == Seen.BRIDGED)) / n,
        status=_status(recording, strip, bool(finite.any()), clipped, sigma_mv, read),
        doubt=_doubt(recording, strip, bool(finite.any()), clipped, sigma_mv, read),
    )


def _status(
    recording: Recording, strip: Strip, anything: bool, clipped: int, sigma_mv: float, read: float
) -> tuple[Status, ...]:
    concerning = [f for f in recording.findings if concerns(f, strip, recording.rate_hz)]
    doubt = _doubt(recording, strip, anything, clipped, sigma_mv, read)
    questionable = doubt is Doubt.DOUBTFUL or any(f.severity != Severity.INFO for f in concerning)
    chest = strip.lead in _CHEST and recording.chest_gain_mm_mv is not None
    gain = recording.chest_gain_mm_mv if chest else recording.gain_mm_mv
    out = [Status.INVALID] if doubt is Doubt.NOT_VALID else [Status.QUESTIONABLE] if questionable else []
    if gain is not None and gain.known == Known.ASSUMED:
        out.append(Status.UNCALIBRATED)
    return tuple(out) or (Status.OK,)


def _doubt(recording: Recording, strip: Strip, anything: bool, clipped: int, sigma_mv: float, read: float) -> Doubt:
    own = [f for f in recording.findings if f.lead == strip.lead and concerns(f, strip, recording.rate_hz)]
    if not anything or clipped or any(f.severity == Severity.ERROR and f.code not in _DOUBTS for f in own):
        return Doubt.NOT_VALID
    doubtful = any(f.severity != Severity.INFO for f in own)
    unsure = sigma_mv > SIGMA_QUESTIONABLE_MV or read < 1.0 - UNREAD_QUESTIONABLE
    return Doubt.DOUBTFUL if doubtful or unsure else Doubt.NONE


def concerns(finding: Finding, strip: Strip, rate_hz: int) -> bool:
    """Whether a finding is about this strip: about its lead or all leads, and not about another time."""
    if finding.lead not in (None, strip.lead):
        return False
    end_s = strip.start_s + strip.samples / rate_hz
    after = finding.start_s is not None and finding.start_s >= end_s
    before = finding.end_s is not None and finding.end_s <= strip.start_s
    return not (after or before)


def together(all_channels: Sequence[Channel]) -> tuple[tuple[Channel, ...], ...]:
    """Channels printed side by side, column by column from the left, the long strips last."""
    groups: list[list[Channel]] = []
    for channel in sorted(all_channels, key=lambda c: c.start - c.end):  # the longest first: they span their column
        group = next((g for g in groups if _side_by_side(g[0], channel)), None)
        if group is None:
            groups.append([channel])
        else:
            group.append(channel)
    shortest = min((group[0].end - group[0].start for group in groups), default=0)

    def place(group: list[Channel]) -> tuple[bool, int]:
        return group[0].end - group[0].start > 1.5 * shortest, group[0].start  # a rhythm strip spans whole columns

    number = {id(channel): n for n, channel in enumerate(all_channels)}
    return tuple(tuple(sorted(group, key=lambda c: number[id(c)])) for group in sorted(groups, key=place))


def _side_by_side(long: Channel, short: Channel) -> bool:
    """Whether two strips stand in one column, though one may end early. A rhythm strip stands in none."""
    length = max(short.end - short.start, 1)
    shared = min(long.end, short.end) - max(long.start, short.start)
    return long.rhythm == short.rhythm and shared >= TOGETHER * length and long.end - long.start <= CUT_SHORT * length
