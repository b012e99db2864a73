"""What a page shows and no strip holds: leads, spikes, and what people wrote over the traces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log1p

from pipeline.findings import FindingCode
from pipeline.geometry import Float64, Segment, Spike
from pipeline.judgement import Judgement, fitted
from pipeline.recording import Doubt, Finding, Float32, Severity
from pipeline.sheet import Sheet
from pipeline.unread.extra import second_recording, undelivered
from pipeline.unread.named import further_leads
from pipeline.unread.pens import Curve, Mark, marks_over, share_along
from pipeline.unread.printed import Place, PrintedName, PrintedPulse, PrintedRow

__all__ = ["Curve", "further_leads", "ink_figures", "unread", "written_over"]


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


def written_over(
    sheet: Sheet,
    colour: Float32,
    curves: Sequence[Curve],
    names: Sequence[PrintedName],
    pulses: Sequence[PrintedPulse],
    speed_mm_s: float,
    measured: bool,
    judgement: Judgement | None = None,
) -> Iterator[Doubt]:
    """One doubt for each segment over which something is written or spilt, with its seconds.

    Its finding is an error where it is likely enough that the lead is wrong, as fitted to its marks, or where pen
    strokes run along so much of the lead: nobody can tell there what was read. sheet, colour: as of
    pipeline.sheet.lay_flat_coloured. curves: what was read, on the sheet's paper. measured: the millimetre is that of
    a ruling; what is left of a ruling of another size looks written, and is told without a chance.
    """
    judgement = fitted() if judgement is None else judgement
    marks = marks_over(sheet, colour, curves, [Place(name.x_mm, name.y_mm) for name in names], pulses)
    for segment in dict.fromkeys(mark.segment for mark in marks):
        own = [mark for mark in marks if mark.segment == segment]
        start_mm, end_mm = min(mark.start_mm for mark in own), max(mark.end_mm for mark in own)
        start_s, end_s = (segment.start_s + (x - segment.start_mm) / speed_mm_s for x in (start_mm, end_mm))
        along = share_along(own)
        wide, tall = max((mark.size_mm for mark in own), key=max)
        detail = f"{len(own)} beside the trace, up to {wide:.0f} x {tall:.0f} mm, along {along:.0%} of the lead"
        figures = ink_figures(own) if measured else {}
        chance = judgement.harm[FindingCode.INK_OVER_LEAD].chance(figures) if measured else 0.0
        if measured and judgement.severity(along) is Severity.ERROR:
            chance = max(chance, along)
        severity = judgement.severity(chance)
        finding = Finding(FindingCode.INK_OVER_LEAD, severity, segment.lead, start_s, end_s, detail)
        yield Doubt(finding, chance, tuple(figures.items()))


def ink_figures(marks: Sequence[Mark]) -> Mapping[str, float]:
    """What tells whether the marks over one lead harm it.

    touch: logarithm of 1 and the mm2 beside the trace. drawn: the same of the mm by which a mark is broad, the most of
    a mark, as far as it is of strokes: mould and folds are narrow. unsure: the most of a mark.
    """
    return {
        "touch": log1p(sum(mark.touch_mm2 for mark in marks)),
        "drawn": max(mark.strokes * log1p(min(mark.size_mm)) for mark in marks),
        "unsure": max(mark.unsure for mark in marks),
    }
