"""Rows and columns from the points a network found: where leads begin and rows end, on a page laid flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.geometry import Float64, Landmarks
from pipeline.layout.columns import Columns, Spacing
from pipeline.layout.ends import Span
from pipeline.layout.rows import Row
from pipeline.recording import Float32

SAME_ROW_MM = 2.5  # the closest rows are 6.5 mm apart; a lead's own start is placed to about half a millimetre
ROW_MIN = 0.7  # summed scores of starts, ends and pulses that make a row
ROW_OWN = 0.3  # of it, that starts and ends must give: some devices print a pulse where no row is
SURE = 0.3  # of a point
IN_LINE_MM = 1.5  # of pulses below one another
LIKE_SIZE = 0.15  # of them, as measured by points
BAND_MM = 1.5  # above and below a row's level: where its leads begin
FINE_MM = 0.25
STEP_MM = 0.5  # of starts and pitches tried: the heat around a start is 2 mm wide, and the points found refine it
PITCH_MIN_MM, PITCH_MAX_MM = 18.0, 150.0  # of columns: 2.5 s at 12.5 mm/s is 31 mm, two columns at 50 mm/s are 250
TILT_POINTS = 5
TILT_MAX_DEG = 4.0
TILT_APART_MM = 40.0  # nearer points tell no direction
TILT_NEAR_MM = 0.8
NEAR_MM = 2.0  # how far a found start lies from its column's
BARE_BELOW = 0.15  # summed evidence of a row's starts
END_WORTH = 0.5  # an end is one of a row, and is worth half a start
NAMES_SLACK_MM, NAMES_PULL_PER_MM = 0.6, 0.15
USUAL_S, USUAL_PULL_PER_MM = 10.0, 0.02
AS_USUAL_MM = 0.45  # of a column, by which its measured distance from the next may be wrong
GAP_MOST_MM = 4.5  # of blank paper between two leads


@dataclass(frozen=True, eq=False)
class MarkedRow:
    """A row, the starts found in it, float64 (n, 2) of x mm and score, and how likely a lead begins along it.

    profile: float32 (n,), 0..1, every FINE_MM from x0_mm of the Marked it is in. seen: summed scores of its points.
    pulse: of the surest pulse that stands on it; 0 without one.
    """

    row: Row
    starts: Float64
    ends: Float64
    profile: Float32
    seen: float
    pulse: float = 0.0

    @property
    def borne_out(self) -> float:
        """0..1: how sure it is that this is a row of traces, by its points and its pulse."""
        return min(self.seen + self.pulse, 1.0)

    @property
    def end_mm(self) -> float:
        """The row's end; its point's, where ink goes on far behind a sure one, as a pulse's does."""
        x, score = max(self.ends.tolist(), key=lambda end: end[1], default=(self.row.end_mm, 0.0))
        return float(x) if score > SURE and self.row.end_mm - x > NEAR_MM else self.row.end_mm


@dataclass(frozen=True, eq=False)
class Marked:
    """All rows of a page from the top, those found by their ink alone among them (seen 0)."""

    rows: tuple[MarkedRow, ...]
    x0_mm: float

    def of(self, row: Row) -> MarkedRow:
        return next(m for m in self.rows if m.row is row)


def marked_rows(marks: Landmarks, inked: Sequence[Row]) -> Marked:
    """The rows that the points make, completed by those seen by their ink."""
    points, feet = np.concatenate([marks.starts, marks.ends]), _in_line(marks.pulses())
    left = min((row.start_mm for row in inked), default=float(points[:, 0].min()) if len(points) else 0.0)
    right = max((row.end_mm for row in inked), default=float(points[:, 0].max()) if len(points) else 0.0)
    rows: list[Row] = []
    for cluster in _clusters(points, feet):
        level = float(np.average(cluster[:, 1], weights=cluster[:, 2]))
        own = next((row for row in inked if abs(row.baseline_mm - level) <= SAME_ROW_MM), None)
        starts, ends = (_on(p, level) for p in (marks.starts, marks.ends))
        if own is None and not len(starts) and any(_next_to(row, level) for row in inked):
            continue  # the end of a trace that wandered off its row's level is no row beside it
        start = float(starts[starts[:, 1] > SURE][:, 0].min(initial=own.start_mm if own else left))
        end = own.end_mm if own else right
        if len(ends):
            end = float(ends[np.argmax(ends[:, 1]), 0])
        rows.append(Row(level, start, max(end, start + 1.0), own.coverage if own else 0.0))
    rows += [row for row in inked if not any(_next_to(row, r.baseline_mm) for r in rows)]
    return Marked(tuple(_marked(row, marks, feet) for row in _on_feet(rows, marks, feet)), marks.x0_mm)


def _in_line(pulses: Float64) -> Float64:
    """float64 (n, 3): x, level and score of the pulses, as of Marks.pulses, that have their like above or below them.

    Every row of a page has the same pulse at the same place, or one row alone has one; strokes that look like a pulse
    are anywhere and of any size.
    """
    x0, x1, level, roof, score = pulses.T
    in_line, apart = _between(x0) <= IN_LINE_MM, _between(level) > 2 * SAME_ROW_MM
    alike = (_between(np.log(x1 - x0)) < LIKE_SIZE) & (_between(np.log(level - roof)) < LIKE_SIZE)
    return np.stack([x0, level, score], axis=1)[(in_line & apart & alike).any(axis=1)]


def _between(values: Float64) -> Float64:
    """float64 (n, n): how far each of float64 (n,) is from each."""
    return np.asarray(np.abs(values[:, None] - values))


def _on_feet(rows: Sequence[Row], marks: Landmarks, feet: Float64) -> list[Row]:
    """The rows, from the top, each at the level of the pulse next to it where its own points say less than the pulse.

    A trace that wanders strays from its 0 mV. A pulse that stands on a row moves no other.
    """
    moved = sorted(rows, key=lambda row: row.baseline_mm)
    for _, level, score in feet:
        away = [abs(row.baseline_mm - level) for row in moved]
        nearest = int(np.argmin(away)) if away else -1
        if away and SAME_ROW_MM < away[nearest] <= 2 * SAME_ROW_MM and _seen(moved[nearest], marks) < score:
            moved[nearest] = replace(moved[nearest], baseline_mm=float(level))
    return sorted(moved, key=lambda row: row.baseline_mm)


def _seen(row: Row, marks: Landmarks) -> float:
    """Summed scores of a row's points."""
    return float(sum(_on(points, row.baseline_mm)[:, 1].sum() for points in (marks.starts, marks.ends)))


def _next_to(row: Row, level_mm: float) -> bool:
    return abs(row.baseline_mm - level_mm) <= 2 * SAME_ROW_MM


def complete_rows(marks: Landmarks | None, inked: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of a page by its points and its ink; by its ink alone where no points were looked for."""
    return tuple(inked) if marks is None else tuple(m.row for m in marked_rows(marks, inked).rows)


def _clusters(points: Float64, feet: Float64) -> list[Float64]:
    """Points (x, y, score) grouped by height, strongest first; groups too weak for a row left out.

    feet: of pulses, float64 (n, 3) alike, which bear out a row that points alone would not make.
    """
    left = points[np.argsort(-points[:, 2])]
    groups: list[Float64] = []
    while len(left):
        support = np.array([float(left[np.abs(left[:, 1] - y) <= SAME_ROW_MM, 2].sum()) for y in left[:, 1]])
        pulses = np.array([_surest(feet, y) for y in left[:, 1]])
        support = np.where(support >= ROW_MIN, support, np.minimum(support + pulses * (support >= ROW_OWN), ROW_MIN))
        best = int(np.argmax(support))
        if support[best] < ROW_MIN:
            break
        near = np.abs(left[:, 1] - left[best, 1]) <= SAME_ROW_MM
        groups.append(left[near])
        # what lies between two rows belongs to neither
        left = left[np.abs(left[:, 1] - left[best, 1]) > 2 * SAME_ROW_MM]
    return groups


def _surest(feet: Float64, level_mm: float) -> float:
    """The score of the surest pulse that stands at a level, 0 without one."""
    return float(feet[np.abs(feet[:, 1] - level_mm) <= SAME_ROW_MM, 2].max(initial=0.0))


def _on(points: Float64, level_mm: float) -> Float64:
    """float64 (n, 2): x and score of the points at a level."""
    return np.asarray(points[np.abs(points[:, 1] - level_mm) <= SAME_ROW_MM][:, [0, 2]])


def _marked(row: Row, marks: Landmarks, feet: Float64) -> MarkedRow:
    lines = np.arange(len(marks.starting))
    near = np.abs(marks.y0_mm + lines * marks.cell_mm - row.baseline_mm) <= BAND_MM
    cells = marks.starting[near].max(axis=0) if near.any() else np.zeros(marks.starting.shape[1], np.float32)
    at = np.arange(0, len(cells) * marks.cell_mm, FINE_MM) / marks.cell_mm
    profile = np.interp(at, np.arange(len(cells)), cells).astype(np.float32)
    starts, ends = _on(marks.starts, row.baseline_mm), _on(marks.ends, row.baseline_mm)
    return MarkedRow(row, starts, ends, profile, _seen(row, marks), _surest(feet, row.baseline_mm))


def tilt_deg(marks: Landmarks) -> float:
    """How far rows fall to the right on a map that is not sure of its direction: where starts and ends line up best.

    0.0 where there are too few points to tell.
    """
    points = np.concatenate([marks.starts, marks.ends])
    points = points[points[:, 2] >= SURE]
    if len(points) < TILT_POINTS:
        return 0.0
    dx, dy = (points[:, k][:, None] - points[:, k] for k in (0, 1))
    pairs = (dx > TILT_APART_MM) & (np.abs(dy) < dx * np.tan(np.radians(TILT_MAX_DEG)) + 2.0)
    if pairs.sum() < TILT_POINTS:
        return 0.0
    dx, dy = dx[pairs], dy[pairs]
    weight = (points[:, 2][:, None] * points[:, 2])[pairs]
    angles = np.linspace(-TILT_MAX_DEG, TILT_MAX_DEG, 201)
    off = dy - dx * np.tan(np.radians(angles))[:, None]
    met = (weight * np.exp(-((off / TILT_NEAR_MM) ** 2))).sum(axis=1)
    return float(angles[int(np.argmax(met))])


def spans_of(marked: Marked, inked: Sequence[Span]) -> tuple[Span, ...]:
    """Where the signal of every row begins and ends: by its points, else by those of the other rows, else by its ink.

    Ink goes on behind the last lead where a pulse is printed there, and the rows of a page end together.
    """
    seen = np.concatenate([m.ends for m in marked.rows])
    usual = float(np.median(seen[:, 0])) if len(seen) > 1 else None
    spans = []
    for m, span in zip(marked.rows, inked, strict=True):
        start = m.row.start_mm if len(m.starts) and m.starts[:, 1].max() > SURE else span.start_mm
        end = m.end_mm if len(m.ends) else span.end_mm if usual is None else usual
        spans.append(Span(start, max(end, start + 1.0)))
    return tuple(spans)


def coarse_columns(marked: Marked, count: int, speed_mm_s: float, names: Spacing | None) -> tuple[float, float]:
    """Start and pitch of count equal columns, to STEP_MM, by the starts seen along all rows of a page."""
    rows = [m for m in marked.rows if m.seen] or list(marked.rows)
    ends = np.concatenate([m.ends for m in rows])
    profile = np.asarray(np.mean([m.profile for m in rows], axis=0), np.float32)
    return _best(profile, marked.x0_mm, ends, count, speed_mm_s, names, rows)


def marked_columns(
    marked: Marked, lead_rows: Sequence[Row], rhythms: Sequence[Row], count: int, coarse: tuple[float, float]
) -> Columns:
    """The columns of some of the rows, from about where coarse has them, by the points found at their starts."""
    rows = [marked.of(row) for row in lead_rows]
    ends = np.concatenate([m.ends for m in (*rows, *(marked.of(row) for row in rhythms))])
    profile = np.asarray(np.mean([m.profile for m in rows], axis=0), np.float32)
    start, pitch = _fitted(*coarse, count, rows)
    evidence = float(np.mean([_at(profile, marked.x0_mm, start + k * pitch) for k in range(count)]))
    if count == 1 and len(ends):
        return Columns(1, start, max(float(np.average(ends[:, 0], weights=ends[:, 1])) - start, 1.0), 0.0, evidence)
    return Columns(count, start, pitch, 0.0, evidence)


def _best(
    profile: Float32,
    x0_mm: float,
    ends: Float64,
    count: int,
    speed_mm_s: float,
    names: Spacing | None,
    rows: Sequence[MarkedRow],
) -> tuple[float, float]:
    """Start and pitch, to STEP_MM, by the profile at all starts and the ends found."""
    first = min(m.row.start_mm for m in rows)
    last = max(m.row.end_mm for m in rows)
    starts = np.arange(first - 6.0, first + 40.0, STEP_MM)
    if count == 1:
        value = _at(profile, x0_mm, starts) - 0.01 * np.abs(starts - first)
        start = float(starts[int(np.argmax(value))])
        return start, max(last - start, 1.0)
    pitches = np.arange(PITCH_MIN_MM, min(PITCH_MAX_MM, (last - first + 15.0) / count), STEP_MM)
    if not len(pitches):
        return first, max((last - first) / count, 1.0)
    s, p = np.meshgrid(starts, pitches, indexing="ij")
    value = np.mean([_at(profile, x0_mm, s + k * p) for k in range(count)], axis=0)
    if len(ends):
        off = np.abs((s + count * p)[..., None] - ends[:, 0])
        value = value + END_WORTH / count * (ends[:, 1] * np.exp(-((off / NEAR_MM) ** 2))).sum(axis=-1) / len(rows)
    value = value - USUAL_PULL_PER_MM * np.minimum(np.abs(count * p - USUAL_S * speed_mm_s), 3.0)
    if names is not None:
        value = value - NAMES_PULL_PER_MM * np.clip(np.abs(p - names.pitch_mm) - NAMES_SLACK_MM, 0.0, 4.0)
    i, j = (int(k) for k in np.unravel_index(int(np.argmax(value)), value.shape))
    return float(starts[i]), float(pitches[j])


def _at(profile: Float32, x0_mm: float, x_mm: Float64 | float) -> Float64:
    """The profile at places of the paper, 0 beyond it."""
    at = (np.asarray(x_mm, np.float64) - x0_mm) / FINE_MM
    return np.asarray(np.interp(at, np.arange(len(profile)), profile, left=0.0, right=0.0), np.float64)


def _fitted(start: float, pitch: float, count: int, rows: Sequence[MarkedRow]) -> tuple[float, float]:
    """The same, through the points found at the columns' starts, each row's strongest, by weighted least squares."""
    found = _found_at(start, pitch, count, rows)
    if not len(found):
        return start, pitch
    k, x, weight = found.T
    if count == 1 or len(np.unique(k)) < 2:
        return float(np.average(x - k * pitch, weights=weight)), pitch
    for _ in range(3):  # the farthest weigh less each time: a start that was found beside its place
        design = np.stack([np.ones_like(k), k], axis=1) * np.sqrt(weight)[:, None]
        (start, pitch), *_ = np.linalg.lstsq(design, x * np.sqrt(weight), rcond=None)
        weight = weight / (1.0 + ((x - start - k * pitch) / 0.5) ** 2)
    return float(start), float(pitch)


def _found_at(start: float, pitch: float, count: int, rows: Sequence[MarkedRow]) -> Float64:
    """float64 (n, 3): column, x mm and score of every row's point nearest to each column's start."""
    found: list[tuple[int, float, float]] = []
    for m in rows:
        for k in range(count):
            off = np.abs(m.starts[:, 0] - start - k * pitch)
            if len(off) and off.min() <= NEAR_MM:
                nearest = int(np.argmin(off))
                found.append((k, float(m.starts[nearest, 0]), float(m.starts[nearest, 1])))
    return np.array(found, np.float64).reshape(-1, 3)


def as_printed(marked: Marked, lead_rows: Sequence[Row], columns: Columns, speed_mm_s: float) -> Columns:
    """Columns that nearly are as long as devices print them, exactly so: ten seconds shared out, and perhaps a gap.

    A dozen points measure the distance of columns to 0.1 mm or worse; where a grid measures the paper, ten seconds are
    known far better, and half a millimetre of it is 20 ms. A gap is what the distance leaves over.
    """
    usual = USUAL_S * speed_mm_s / columns.count
    over = columns.pitch_mm - usual
    if columns.count == 1 or not -AS_USUAL_MM <= over <= GAP_MOST_MM:
        return columns
    if over > AS_USUAL_MM:
        return replace(columns, gap_mm=over) if columns.gap_mm else columns
    found = _found_at(columns.start_mm, columns.pitch_mm, columns.count, [marked.of(row) for row in lead_rows])
    start = columns.start_mm - over * (columns.count - 1) / 2 if not len(found) else columns.start_mm
    if len(found):
        k, x, weight = found.T
        for _ in range(3):
            start = float(np.average(x - k * usual, weights=weight))
            weight = weight / (1.0 + ((x - k * usual - start) / 0.5) ** 2)
    return replace(columns, start_mm=start, pitch_mm=usual, gap_mm=0.0)


def explained(
    marked: Marked, chosen: Sequence[Row | None], lead_rows: int, columns: Columns
) -> tuple[float, float, float]:
    """(met, spare, bare): how a layout agrees with the starts that were seen.

    met: of the starts it expects, the summed evidence. spare: of those found, what it leaves over. bare: how many of
    its rows stand where nothing begins, those with a trace's ink or a pulse counted half.

    chosen: the row of every printed row of the layout, of which the first lead_rows have columns, the others one lead.
    """
    met, spare, bare = 0.0, 0.0, 0.0
    taken = {id(row) for row in chosen if row is not None}
    for r, row in enumerate(chosen):
        if row is None:
            continue
        m = marked.of(row)
        index = np.arange(columns.count if r < lead_rows else 1, dtype=np.float64)
        at = np.asarray(columns.start_mm + columns.pitch_mm * index, np.float64)
        own = float(_near(m.profile, marked.x0_mm, at).sum())
        met += own
        bare += float(own < BARE_BELOW) * (1.0 - max(row.coverage, m.pulse) / 2)
        for x, score in m.starts:
            spare += float(score) if np.abs(at - x).min() > NEAR_MM else 0.0
    for m in marked.rows:
        if id(m.row) not in taken:
            spare += float(m.starts[:, 1].sum())
    return met, spare, bare


def _near(profile: Float32, x0_mm: float, at_mm: Float64) -> Float64:
    """The profile's highest value within a millimetre of each place."""
    around = at_mm[:, None] + np.linspace(-1.0, 1.0, 9)
    return np.asarray(_at(profile, x0_mm, around).max(axis=1), np.float64)
