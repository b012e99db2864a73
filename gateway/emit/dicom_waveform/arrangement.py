"""Which channels stand in which multiplex groups of an ECG object, and what stands where the page shows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom.uid import GeneralECGWaveformStorage, TwelveLeadECGWaveformStorage

from gateway.emit.channels import Channel, together, twelve
from gateway.errors import Refused
from pipeline.recording import Recording

Encoding = Literal["viewers", "padded", "groups", "general"]

PAD = -32768  # the one value of the whole range that no sample has
ZERO = 0  # what viewers that know no padding value draw as a flat line, on the scale of the trace beside it

# PS3.3 A.34.3.4.4 and A.34.3.4.6, A.34.4.4.4
TWELVE_LEAD_GROUPS = 5
TWELVE_LEAD_CHANNELS = 13
TWELVE_LEAD_SAMPLES = 16384
GENERAL_GROUP_CHANNELS = 24


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The multiplex groups of one object. whole_page: each group begins at the left end of the first printed trace.

    fill: the sample that stands where the page shows nothing, PAD or ZERO. left_out: printed, and in no group.
    """

    sop_class: str
    groups: tuple[tuple[Channel, ...], ...]
    whole_page: bool
    fill: int
    left_out: tuple[Channel, ...] = ()

    def span(self, group: tuple[Channel, ...]) -> tuple[int, int]:
        """First and last + 1 sample of page time of a group: of the whole page, else of its own strips."""
        return (0 if self.whole_page else min(c.start for c in group)), max(c.end for c in group)

    def zeros(self, channel: Channel, group: tuple[Channel, ...]) -> bool:
        """Whether the channel holds a zero that nobody printed."""
        start, end = self.span(group)
        return self.fill == ZERO and (channel.end - channel.start < end - start or not bool(channel.finite.all()))


def arrange(recording: Recording, all_channels: tuple[Channel, ...], encoding: Encoding) -> Arrangement:
    """The multiplex groups that hold these channels of a recording. Raises Refused(too_many_strips)."""
    if encoding == "viewers":
        leads = twelve(recording, all_channels)
        left_out = tuple(c for c in all_channels if all(c.strip is not lead.strip for lead in leads))
        return Arrangement(_sop_class(leads), (leads,), True, ZERO, left_out)
    if len(all_channels) > GENERAL_GROUP_CHANNELS:
        raise Refused("too_many_strips", f"{len(all_channels)} strips; one group of an ECG object holds 24")
    sop_class = GeneralECGWaveformStorage if encoding == "general" else _sop_class(all_channels)
    columns = together(all_channels)
    if encoding == "groups" and sop_class == TwelveLeadECGWaveformStorage and len(columns) <= TWELVE_LEAD_GROUPS:
        return Arrangement(sop_class, columns, len(columns) == 1, PAD)
    return Arrangement(sop_class, (all_channels,), True, PAD)


def _sop_class(in_one_object: tuple[Channel, ...]) -> str:
    """12-Lead ECG where it is large enough for these channels, else General ECG."""
    samples = max(c.end for c in in_one_object)
    fits = len(in_one_object) <= TWELVE_LEAD_CHANNELS and samples <= TWELVE_LEAD_SAMPLES
    return TwelveLeadECGWaveformStorage if fits else GeneralECGWaveformStorage
