"""What a page shows and no strip holds: leads, spikes, and what people wrote over the traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.findings import FindingCode
from pipeline.geometry import Float64, Segment, Spike
from pipeline.recording import Finding, Severity
from pipeline.unread.extra import second_recording, undelivered
from pipeline.unread.printed import PrintedName, PrintedRow

__all__ = ["unread"]


def unread(
    names: Sequence[PrintedName],
    rows: Sequence[PrintedRow],
    starts: Float64,
    segments: Sequence[Segment],
    spikes: Sequence[Spike],
) -> tuple[Finding, ...]:
    """The findings; all places in millimetres of one paper. starts: float64 (n, 3), x, y and score of lead starts."""
    return *second_recording(names), *undelivered(names, rows, starts, segments), *_spikes_missed(spikes)


def _spikes_missed(spikes: Sequence[Spike]) -> Iterator[Finding]:
    """One finding a lead, from its first spike to its last."""
    for lead in dict.fromkeys(spike.lead for spike in spikes):
        own = [spike for spike in spikes if spike.lead is lead]
        at = [spike.at_s for spike in own]
        detail = f"{len(own)}, up to {max(abs(spike.height_mm) for spike in own):.0f} mm beyond what was read"
        yield Finding(FindingCode.SPIKES_NOT_READ, Severity.ERROR, lead, min(at), max(at), detail)
