"""Which lead is printed where: the known layout that best explains rows, borders and lead names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb, log

import numpy as np

from pipeline.deadline import NO_DEADLINE, Deadline
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.geometry import Landmarks, Segment
from pipeline.layout.borders import Borders, find_borders
from pipeline.layout.columns import Columns, Spacing, fit_columns, gap_mm
from pipeline.layout.ends import Span, row_spans
from pipeline.layout.marked import (
    Marked,
    MarkedRow,
    as_printed,
    coarse_columns,
    explained,
    marked_columns,
    marked_rows,
    spans_of,
)
from pipeline.layout.names import Agreement, Name, agree, name_at, spacing, stands
from pipeline.layout.rows import Row
from pipeline.layout.templates import Template, templates
from pipeline.recording import Finding, Lead, Severity
from pipeline.sheet import Sheet

MISSING_ROW = 2.0  # what a printed row that was not found costs, in names
MISSING_RHYTHM = 1.2
EXTRA_ROW = 2.0  # what a found row that the layout does not have costs
UNEVEN = 6.0  # per unit of rms deviation from even spacing, in row distances
UNREAD_NAME = 0.4  # what a name costs that the layout prints and that was not read, on a page whose names are read
LONGER_MM = 1.0
START = 0.6  # what a lead's start that the network saw is worth, and what one costs that the layout does not explain
UNSEEN_ROW = 1.0  # what a row costs in which the network saw no start where the layout has one
UNUSED_ROW = 2.0  # what a row costs that the layout does not have, where points and ink, or a pulse, show one
SEEN_ROW = 0.3  # summed scores of a row's points and its pulse, below which its ink may be a line of text
BORDER = 4.0  # what fully seen borders are worth
CHANCE = {2: 0.7, 3: 0.55, 4: 0.45}  # evidence that beats alone reach, by number of columns
NO_BORDERS = 0.3  # what a layout that has none is given
USUAL = 0.7  # per factor e of how usual the layout is
NAMES_FEW = 1.5  # summed name score below which the names say nothing
GAPS_UNSURE = 0.01  # of a page's size: half a millimetre of each gap
GAPS_MOST = 0.03  # of it, by which gaps of some millimetres are measured wrong at worst
SHRUNK_MOST = 0.1  # by which a page is printed smaller or larger than it is
RHYTHM_SURE = 0.85  # of a name that renames a long strip; with less, its likeness to the short strips tells
NAME_SURE = 0.75  # of a name that no other supports
PLACEMENTS_MOST = 4000  # of all layouts together, a millisecond each: pages without a ruling taken for rows stay below
AMBIGUOUS = 0.7  # lead over the next best layout below which the choice is told


@dataclass(frozen=True)
class Layout:
    """name: of layouts.toml. segments: row by row from the left. score: in names' worth; margin: over the next best.

    names_read: how many of its leads have their name in place. border_evidence: 0..1, 1 for a single column.
    starts_met: 0..1, the share of lead starts, expected or found by a network, that are both; None without a network.
    unnamed: the usual leads given to long strips whose own name was not read. names: those that stand where this layout
    prints them, whatever they say; the others are words of a header, or strokes of a trace. columns, pitch_mm: how
    many, and how far apart their starts lie. rhythm_mm: how long the ink of the long strips is, where the leads above
    go on behind it, so that it is of ten seconds and not as long as the page is wide; else None.
    """

    name: str
    segments: tuple[Segment, ...]
    score: float
    margin: float
    names_read: int
    border_evidence: float
    starts_met: float | None
    unnamed: frozenset[Lead]
    findings: tuple[Finding, ...]
    names: tuple[Name, ...]
    columns: int
    pitch_mm: float
    rhythm_mm: float | None = None

    def size(self, speed_mm_s: float) -> float | None:
        """What its columns say a millimetre of the map is of a printed one, if they were printed as most are.

        Ten seconds, or the 250 mm that pages are wide for, are shared out among the columns: a dozen starts together
        measure them to a thousandth. None for a single column, and where no usual width is near. Where leads stand
        apart the gaps are taken off, and blank paper is measured worse, by ticks in it above all: a long strip of ten
        seconds then says it better, and without one less than GAPS_UNSURE says nothing.
        """
        if self.columns < 2:
            return None
        lead = next(s for s in self.segments if not s.rhythm)
        wide = self.columns * (lead.end_mm - lead.start_mm)
        apart = self.columns * self.pitch_mm - wide
        size = next((wide / n for n in (10 * speed_mm_s, 250.0) if abs(wide / n - 1) < SHRUNK_MOST), None)
        if size is None or apart <= 0:
            return size
        if self.rhythm_mm is not None and abs(self.rhythm_mm / (10 * speed_mm_s) / size - 1) < GAPS_MOST:
            return self.rhythm_mm / (10 * speed_mm_s)
        return None if abs(size - 1) < GAPS_UNSURE else size

    def shortened(self, speed_mm_s: float) -> Layout:
        """The same layout with ten seconds shared out among its columns, and what is left of them blank."""
        lead_mm = 10 * speed_mm_s / self.columns
        segments = tuple(
            s if s.rhythm else replace(s, end_mm=min(s.end_mm, s.start_mm + lead_mm)) for s in self.segments
        )
        return replace(self, segments=segments)

    def resized(self, across: float, down: float) -> Layout:
        """The same layout on a map whose millimetres are so many times larger."""

        def moved(s: Segment) -> Segment:
            return replace(
                s,
                start_mm=s.start_mm * across,
                end_mm=s.end_mm * across,
                baseline_mm=s.baseline_mm * down,
                start_s=s.start_s * across,
            )

        names = tuple(replace(n, x_mm=n.x_mm * across, y_mm=n.y_mm * down) for n in self.names)
        segments = tuple(moved(s) for s in self.segments)
        rhythm_mm = None if self.rhythm_mm is None else self.rhythm_mm * across
        return replace(self, segments=segments, names=names, pitch_mm=self.pitch_mm * across, rhythm_mm=rhythm_mm)


@dataclass(frozen=True)
class _Fit:
    template: Template
    rows: tuple[Row | None, ...]
    columns: Columns
    agreement: Agreement
    score: float
    starts_met: float = 0.0


def arrange(
    sheet: Sheet,
    rows: Sequence[Row],
    names: Sequence[Name],
    pulses_mm: Sequence[tuple[float, float, float]],
    speed_mm_s: float,
    only: str | None = None,
    marks: Landmarks | None = None,
    measured: bool = True,
    deadline: Deadline = NO_DEADLINE,
) -> Layout:
    """The best layout. pulses_mm: (x0, x1, baseline) of every calibration pulse. only: the layout a person named.

    marks: the points that a network found; rows and columns then come from them first, and from the ink where they
    are silent. measured: a grid measures the paper, so that ten seconds have a known length on it.

    Raises Unreadable: no_layout when no known layout, or not the one named, has about as many rows; took_too_long.
    """
    marked = None if marks is None else marked_rows(marks, rows)
    if marked is not None:
        rows = tuple(m.row for m in marked.rows)
    spans = row_spans(sheet, rows, pulses_mm)
    if marked is not None:
        spans = spans_of(marked, spans)
    known = [t for t in templates() if only in (None, t.name)]
    ends_sure = len(pulses_mm) > 1
    candidates = _fits(sheet, rows, spans, names, speed_mm_s, ends_sure, known, marked, deadline)
    fits = sorted(candidates, key=lambda fit: -fit.score)
    if not fits:
        raise Unreadable(UnreadableCode.NO_LAYOUT, f"{len(rows)} rows of traces fit no known arrangement of leads")
    best = fits[0]
    if marked is not None and best.columns.count > 1:
        lead_rows = [row for row in best.rows[: len(best.template.rows)] if row is not None]
        gap = gap_mm(sheet, find_borders(sheet, lead_rows).blanks, best.columns)
        columns = replace(best.columns, gap_mm=gap)
        best = replace(best, columns=as_printed(marked, lead_rows, columns, speed_mm_s) if measured else columns)
    other = next((fit for fit in fits if fit.template.name != best.template.name), None)
    margin = best.score - other.score if other else best.score
    segments, findings, unnamed = _segments(best, spans, rows, names, speed_mm_s)
    return Layout(
        best.template.name,
        segments,
        best.score,
        margin,
        len(best.agreement.read),
        1.0 if best.columns.count == 1 else min(1.0, best.columns.evidence),
        None if marked is None else best.starts_met,
        unnamed,
        (*findings, *_findings(best, margin)),
        tuple(_in_place(best, segments, names)),
        best.columns.count,
        best.columns.pitch_mm,
        _rhythm_mm(best, spans, rows),
    )


def _inked_to_mm(row: Row, spans: Sequence[Span], rows: Sequence[Row]) -> float:
    return spans[list(rows).index(row)].end_mm


def _rhythm_mm(fit: _Fit, spans: Sequence[Span], rows: Sequence[Row]) -> float | None:
    ends = [None if row is None else _inked_to_mm(row, spans, rows) for row in fit.rows]
    lead_rows = len(fit.template.rows)
    above, long = ([end for end in part if end is not None] for part in (ends[:lead_rows], ends[lead_rows:]))
    if not above or not long or float(np.median(above)) < float(np.median(long)) + LONGER_MM:
        return None
    return float(np.median(long)) - fit.columns.start_mm


def _fits(
    sheet: Sheet,
    rows: Sequence[Row],
    spans: Sequence[Span],
    names: Sequence[Name],
    speed_mm_s: float,
    ends_sure: bool,
    known: Sequence[Template],
    marked: Marked | None,
    deadline: Deadline,
) -> Iterator[_Fit]:
    borders: dict[tuple[Row, ...], Borders] = {}
    coarse: dict[tuple[int, Spacing | None], tuple[float, float]] = {}
    combs: dict[tuple[tuple[Row, ...], tuple[Row, ...], int, Spacing | None], Columns] = {}
    placeable, doubted = (list(range(len(rows))), 0) if marked is None else _placeable(marked.rows, known)
    for template in known:
        apart = spacing(names, template)
        for placed in _placements(placeable, template, doubted):
            deadline.check()
            here = tuple(None if k is None else rows[k] for k in placed)
            lead_rows = tuple(row for row in here[: len(template.rows)] if row is not None)
            if not lead_rows:
                continue
            rhythms = tuple(row for row in here[len(template.rows) :] if row is not None)
            key = (lead_rows, rhythms if marked else (), template.columns, apart)
            if key not in combs and marked is not None:
                at = (template.columns, apart)
                if at not in coarse:
                    coarse[at] = coarse_columns(marked, template.columns, speed_mm_s, apart)
                combs[key] = marked_columns(marked, lead_rows, rhythms, template.columns, coarse[at])
            if key not in combs:
                if lead_rows not in borders:
                    borders[lead_rows] = find_borders(sheet, lead_rows)
                used = [spans[k] for k in placed if k is not None]
                ends = float(np.median([s.start_mm for s in used])), float(np.median([s.end_mm for s in used]))
                combs[key] = fit_columns(
                    sheet, borders[lead_rows], template.columns, ends, speed_mm_s, apart, ends_sure
                )
            columns = combs[key]
            baselines = [row.baseline_mm if row else None for row in here]
            agreement = agree(names, template, baselines, columns)
            score, share = agreement.score, 0.0
            if marked is None:
                score += BORDER * _borders_beyond_chance(columns)
            else:
                met, spare, bare = explained(marked, here, len(template.rows), columns)
                share = met / (sum(map(len, template.rows)) + len(template.rhythm) + spare)
                score += START * (met - spare) - UNSEEN_ROW * bare
                left = [m for m in marked.rows if m.row not in here]
                score -= UNUSED_ROW * sum(m.borne_out * max(m.row.coverage, m.pulse) for m in left)
            score += USUAL * log(template.usual) - _row_cost(here, template, len(rows) if marked is None else 0)
            if agreement.score >= NAMES_FEW:
                expected = sum(len(leads) for leads, row in zip(template.rows, here, strict=False) if row is not None)
                unread = UNREAD_NAME * max(0, expected - len(agreement.read))
                score -= min(unread, agreement.score - NAMES_FEW)  # two names in place are no worse than none
            yield _Fit(template, here, columns, agreement, score, share)


def _borders_beyond_chance(columns: Columns) -> float:
    """0..1, what the borders say for these columns: a single one is easily met by beats that all rows share."""
    if columns.count == 1:
        return NO_BORDERS
    chance = CHANCE.get(columns.count, 0.45)
    return min(max((columns.evidence - chance) / (0.95 - chance), 0.0), 1.0)


def _placeable(rows: Sequence[MarkedRow], known: Sequence[Template]) -> tuple[list[int], int]:
    """The numbers of the rows that layouts are laid onto, and how many of them are doubted.

    The rows that least bears out are left out while there are more than PLACEMENTS_MOST placements: lines of a ruling
    that were taken for rows made a million.
    """
    kept = sorted(range(len(rows)), key=lambda k: (-rows[k].borne_out, -rows[k].row.coverage))
    while True:
        doubted = sum(rows[k].borne_out < SEEN_ROW for k in kept)
        if not doubted or sum(_placement_count(len(kept), t, doubted) for t in known) <= PLACEMENTS_MOST:
            return sorted(kept), doubted
        kept.pop()


def _placement_count(found: int, template: Template, doubted: int) -> int:
    """How many placements _placements gives."""
    wanted = template.row_count
    if found <= wanted:
        return comb(wanted, found) if wanted - found <= 2 else 0
    return comb(found, wanted) if found - wanted <= 2 + doubted else 0


def _placements(found: Sequence[int], template: Template, doubted: int = 0) -> Iterator[tuple[int | None, ...]]:
    """Every order-keeping way to lay the template's rows onto the found: per template row its found row or None.

    Two rows of the found may be left over, and as many more as are doubted.
    """
    wanted = template.row_count
    if len(found) <= wanted:
        if wanted - len(found) > 2:
            return
        for filled in combinations(range(wanted), len(found)):
            yield tuple(found[filled.index(k)] if k in filled else None for k in range(wanted))
    elif len(found) - wanted <= 2 + doubted:
        yield from combinations(found, wanted)


def _row_cost(rows: Sequence[Row | None], template: Template, found: int) -> float:
    lead_rows = len(template.rows)
    cost = MISSING_ROW * sum(row is None for row in rows[:lead_rows])
    cost += MISSING_RHYTHM * sum(row is None for row in rows[lead_rows:])
    cost += EXTRA_ROW * max(0, found - template.row_count)
    places = [(k, row.baseline_mm) for k, row in enumerate(rows) if row]
    if len(places) > 2:
        index, y = np.array(places, np.float64).T
        slope, intercept = np.polyfit(index, y, 1)
        cost += UNEVEN * float(np.sqrt(np.mean((y - slope * index - intercept) ** 2)) / max(slope, 1.0))
    return cost


def _segments(
    fit: _Fit, spans: Sequence[Span], rows: Sequence[Row], names: Sequence[Name], speed_mm_s: float
) -> tuple[tuple[Segment, ...], tuple[Finding, ...], frozenset[Lead]]:
    columns, template = fit.columns, fit.template
    segments: list[Segment] = []
    findings: list[Finding] = []
    unnamed: set[Lead] = set()
    for r, row in enumerate(fit.rows):
        rhythm = r >= len(template.rows)
        leads = (template.rhythm[r - len(template.rows)],) if rhythm else template.rows[r]
        if row is None:
            findings += [Finding(FindingCode.LEAD_MISSING, Severity.ERROR, lead) for lead in leads if not rhythm]
            continue
        if rhythm:
            name = _rhythm_name(fit, row, names)
            lead = leads[0] if name is None else name
            if name is None:
                unnamed.add(lead)
            # ink ends half a pen behind its last sample: only a strip that is longer than the columns is measured
            inked = _inked_to_mm(row, spans, rows)
            end = inked if inked > columns.end_mm + LONGER_MM else columns.end_mm
            segments.append(Segment(lead, r, columns.start_mm, end, row.baseline_mm, 0.0, True))
            continue
        for c, lead in enumerate(leads):
            start = columns.start_mm + c * columns.pitch_mm
            end = start + columns.pitch_mm - columns.gap_mm
            at_s = (start - columns.start_mm) / speed_mm_s
            segments.append(Segment(lead, r, start, end, row.baseline_mm, at_s))
    return tuple(segments), tuple(findings), frozenset(unnamed)


def _rhythm_name(fit: _Fit, row: Row, names: Sequence[Name]) -> Lead | None:
    """The name surely read at the start of a long strip, None where there is none or names say nothing on this page."""
    if fit.agreement.score < NAMES_FEW:
        return None
    dx, dy = fit.agreement.offset_mm
    found = name_at(names, fit.columns.start_mm + dx, row.baseline_mm + dy)
    return None if found is None or found.score < RHYTHM_SURE else found.lead


def _in_place(fit: _Fit, segments: Sequence[Segment], names: Sequence[Name]) -> Iterator[Name]:
    """Names that stand to the start of a segment as most names of the page do; the sure ones where none agree."""
    dx, dy = fit.agreement.offset_mm
    for name in names:
        if fit.agreement.score < NAMES_FEW:
            if name.score >= NAME_SURE:
                yield name
        elif any(stands(name, s.start_mm + dx, s.baseline_mm + dy) for s in segments):
            yield name


def _findings(fit: _Fit, margin: float) -> Iterator[Finding]:
    if fit.agreement.score < NAMES_FEW:
        yield Finding(FindingCode.LEAD_NAMES_NOT_READ, Severity.WARNING)
        yield Finding(FindingCode.LAYOUT_ASSUMED, Severity.WARNING, detail=fit.template.name)
    elif margin < AMBIGUOUS:
        yield Finding(FindingCode.LAYOUT_AMBIGUOUS, Severity.WARNING, detail=fit.template.name)
    for lead in sorted(fit.agreement.contradicted, key=list(Lead).index):
        if fit.agreement.score >= NAMES_FEW:
            yield Finding(FindingCode.LEAD_NAME_UNSURE, Severity.WARNING, lead)
    if not fit.columns.seen:
        yield Finding(FindingCode.BOUNDARY_ASSUMED, Severity.INFO)
