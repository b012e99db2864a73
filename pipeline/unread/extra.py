"""Leads that are printed and that no strip holds: a second recording, a row or a column beyond the layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.findings import FindingCode
from pipeline.geometry import Float64, Segment
from pipeline.recording import Finding, Lead, Severity
from pipeline.unread.printed import Place, PrintedName, PrintedRow

NEAR_MM = 4.0  # of a name, a start or a row from where the layout has it: half the distance of the closest rows
SURE = 0.5  # of a name or a start, as a network scores it
AT_START_MM = 15.0  # of a lead's start: there its own name stands
LEADS_TWICE = 6  # of the twelve, named twice: a rhythm strip repeats three names at most, misread names four
ROWS_ALIKE = 2  # rows that say so: a single start may be a tick


def second_recording(names: Sequence[PrintedName]) -> Iterator[Finding]:
    """That the names of most leads stand on the page twice, the second set as a whole beside or below the first."""
    moves = [
        (one.lead, other.x_mm - one.x_mm, other.y_mm - one.y_mm)
        for one in names
        for other in names
        if one.lead is other.lead and (one.y_mm, one.x_mm) < (other.y_mm, other.x_mm) and _sure(one, other)
    ]
    best: frozenset[Lead] = frozenset()
    for _, dx, dy in moves:
        if np.hypot(dx, dy) > 2 * NEAR_MM:  # else it is one name, found twice
            leads = frozenset(lead for lead, x, y in moves if abs(x - dx) < NEAR_MM and abs(y - dy) < NEAR_MM)
            best = max(best, leads, key=len)
    if len(best) >= LEADS_TWICE:
        detail = f"{len(best)} lead names are printed twice"
        yield Finding(FindingCode.TWO_RECORDINGS, Severity.ERROR, detail=detail)


def _sure(one: PrintedName, other: PrintedName) -> bool:
    return min(one.score, other.score) >= SURE


def undelivered(
    names: Sequence[PrintedName], rows: Sequence[PrintedRow], starts: Float64, segments: Sequence[Segment]
) -> Iterator[Finding]:
    """That leads begin on the page where no strip begins, and ink goes on from there.

    starts: float64 (n, 3), paper x and y in mm and a score, of the lead starts that a network found.
    """
    sure = [Place(x, y) for x, y, score in starts.tolist() if score >= SURE]
    whole = [row for row in rows if not any(_stands(row, s.baseline_mm) for s in segments)]
    below = [row for row in whole if sum(_stands(row, start.y_mm) for start in sure) >= ROWS_ALIKE]
    if below:
        at = ", ".join(f"{row.baseline_mm:.0f}" for row in below)
        detail = f"{len(below)} rows of traces at {at} mm from the top of the paper"
        yield Finding(FindingCode.LEADS_NOT_DELIVERED, Severity.ERROR, detail=detail)
    behind = [row for row in rows if row not in whole and _goes_on(row, segments, names, sure)]
    if len(behind) >= ROWS_ALIKE:
        detail = f"a further column of traces in {len(behind)} rows"
        yield Finding(FindingCode.LEADS_NOT_DELIVERED, Severity.ERROR, detail=detail)
    for strip in segments:
        inside = [name for name in names if strip.rhythm and _is_inside(name, strip, names)]
        if len(inside) >= ROWS_ALIKE:
            detail = f"{len(inside) + 1} leads are named in the row of this strip"
            yield Finding(FindingCode.LEADS_NOT_DELIVERED, Severity.ERROR, strip.lead, detail=detail)


def _stands(row: PrintedRow, y_mm: float) -> bool:
    return abs(row.baseline_mm - y_mm) < NEAR_MM


def _goes_on(
    row: PrintedRow, segments: Sequence[Segment], names: Sequence[PrintedName], starts: Sequence[Place]
) -> bool:
    """Whether a lead begins, or is named, at the end of a row's last strip or behind it, and ink goes on from there."""
    end_mm = max(s.end_mm for s in segments if _stands(row, s.baseline_mm))
    begun = [start.x_mm for start in starts if _stands(row, start.y_mm)]
    lines = [n.y_mm for n in names for s in segments if n.lead is s.lead and _stands(row, s.baseline_mm)]
    named = [n.x_mm for n in names if n.score >= SURE and any(abs(n.y_mm - line) < NEAR_MM for line in lines)]
    return any(end_mm - NEAR_MM < x < row.end_mm - 2 * NEAR_MM for x in (*begun, *named))


def _is_inside(name: PrintedName, strip: Segment, names: Sequence[PrintedName]) -> bool:
    """Whether a name stands in line with that of a long strip, neither at the strip's start nor at its end.

    Starts do not tell: the spikes of a pacemaker look like them to the network.
    """
    own = [n for n in names if n.lead is strip.lead and abs(n.x_mm - strip.start_mm) < 2 * AT_START_MM]
    in_line = any(abs(name.y_mm - n.y_mm) < NEAR_MM and _stands_by(n, strip) for n in own)
    return in_line and name.score >= SURE and strip.start_mm + AT_START_MM < name.x_mm < strip.end_mm - 2 * NEAR_MM


def _stands_by(name: PrintedName, strip: Segment) -> bool:
    return abs(name.y_mm - strip.baseline_mm) < AT_START_MM
