"""Rows and columns from the points of a network, as good as they come: late, missing, and beside the mark."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibration.pulse import Pulse, joined, marked_pulses
from pipeline.deadline import Deadline
from pipeline.errors import Unreadable
from pipeline.findings import UnreadableCode
from pipeline.geometry import Landmarks
from pipeline.layout import arrange, find_rows, names_of
from pipeline.layout.columns import Columns
from pipeline.layout.columns import gap_mm as measured_gap_mm
from pipeline.layout.ends import Span
from pipeline.layout.marked import as_printed, complete_rows, marked_rows, spans_of, tilt_deg
from pipeline.layout.rows import Row
from pipeline.layout.templates import templates
from pipeline.sheet import Sheet, lay_flat
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import PageSpec, render
from pipeline.synth.spec import Join, Print
from pipeline.synth.truth import PageTruth, Rendered

CELL_MM = 0.43
arrange_module = sys.modules["pipeline.layout.arrange"]  # the package gives its name to the function


def marks_of(truth: PageTruth, seed: int = 1, missed: float = 0.2, off_mm: float = 0.2, false: int = 4) -> Landmarks:
    """What a network of middling skill finds on a page."""
    rng = np.random.default_rng(seed)
    ends = {s.row: (max(t.end_mm for t in truth.segments if t.row == s.row), s.baseline_mm) for s in truth.segments}
    kinds = [
        [(s.start_mm, s.baseline_mm) for s in truth.segments],
        list(ends.values()),
        [(x0, y) for x0, _, y, _ in truth.pulses_mm],
        [(x1, y) for _, x1, y, _ in truth.pulses_mm],
        [((x0 + x1) / 2, y - tall) for x0, x1, y, tall in truth.pulses_mm],
    ]
    found = []
    for kind, points in enumerate(kinds):
        at = np.array(points, float).reshape(-1, 2)
        at = at[rng.random(len(at)) >= missed] if kind < 2 else at
        at = at + rng.normal(0, off_mm, at.shape)
        found.append(np.column_stack([at, np.clip(rng.normal(0.75, 0.1, len(at)), 0.3, 1.0)]))
    low, high = (np.array([m[i] for m in (truth.paper.x_mm, truth.paper.y_mm)]) for i in (0, -1))
    stray = np.column_stack([rng.uniform(low, high, (false, 2)), rng.uniform(0.2, 0.5, false)])
    starts = np.concatenate([found[0], stray])
    y = low[1] + np.arange(int((high - low)[1] / CELL_MM)) * CELL_MM
    x = low[0] + np.arange(int((high - low)[0] / CELL_MM)) * CELL_MM
    heat = np.zeros((len(y), len(x)), np.float32)
    for px, py, score in starts:
        heat = np.maximum(heat, score * np.exp(-((y[:, None] - py) ** 2 + (x - px) ** 2) / (2 * 0.87**2)))
    return Landmarks(starts, *found[1:], heat.astype(np.float32), float(low[0]), float(low[1]), CELL_MM)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("named", [True, False])
def test_leads_lie_where_they_were_printed_though_points_are_missed_and_strays_found(
    clean: Rendered, six_by_two: Rendered, seed: int, named: bool
) -> None:
    for page in (clean, six_by_two):
        truth = page.truth
        marks = marks_of(truth, seed)
        sheet = lay_flat(page.page.image, truth.paper)
        rows = complete_rows(marks, find_rows(sheet))
        names = names_of(truth.keypoints, truth.paper) if named else ()
        found = arrange(sheet, rows, names, [(x0, x1, y) for x0, x1, y, _ in truth.pulses_mm], 25.0, marks=marks)
        assert found.name == truth.recording.layout
        for one, true in zip(found.segments, truth.segments, strict=True):
            assert abs(one.start_mm - true.start_mm) < 0.35
            assert abs(one.baseline_mm - true.baseline_mm) < 1.0


def test_rows_are_found_without_any_ink(clean: Rendered) -> None:
    truth = clean.truth
    rows = complete_rows(marks_of(truth, false=0), ())
    levels = sorted({s.baseline_mm for s in truth.segments})
    assert [row.baseline_mm for row in rows] == pytest.approx(levels, abs=0.5)


def test_rows_seen_by_their_ink_alone_are_kept_and_known_as_such(clean: Rendered) -> None:
    truth = clean.truth
    inked = find_rows(lay_flat(clean.page.image, truth.paper))
    below = [row for row in inked if row.baseline_mm > 60]
    marks = marks_of(truth)
    kept = marks.starts[:, 1] < 60
    few = Landmarks(marks.starts[kept], *(p[p[:, 1] < 60] for p in (marks.ends, marks.rises, marks.falls, marks.tops)),
                marks.starting, marks.x0_mm, marks.y0_mm, marks.cell_mm)  # fmt: skip
    marked = marked_rows(few, inked)
    assert len(marked.rows) == len(inked)
    assert [m.seen > 0 for m in marked.rows] == [row not in below for row in inked]


def test_lines_of_text_taken_for_rows_are_left_over(clean: Rendered) -> None:
    truth = clean.truth
    sheet = lay_flat(clean.page.image, truth.paper)
    marks = marks_of(truth, missed=0.0)
    rows = find_rows(sheet)
    top = rows[0].baseline_mm
    text = [replace(rows[0], baseline_mm=top - away, coverage=0.7) for away in (18.0, 25.0, 32.0)]
    found = arrange(sheet, (*text, *rows), names_of(truth.keypoints, truth.paper), [], 25.0, marks=marks)
    assert found.name == truth.recording.layout
    assert found.segments[0].baseline_mm == pytest.approx(top, abs=1.0)


def test_lines_of_a_ruling_taken_for_rows_are_left_over_within_a_bounded_search(
    clean: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seventeen of them made a million placements, and the page took minutes."""
    truth = clean.truth
    sheet = lay_flat(clean.page.image, truth.paper)
    rows = find_rows(sheet)
    levels = [row.baseline_mm for row in rows]
    ruling = [replace(rows[0], baseline_mm=y, coverage=1.0) for y in np.linspace(levels[0] - 55, levels[-1] + 25, 17)]
    lines = [line for line in ruling if min(abs(line.baseline_mm - y) for y in levels) > 6.0]
    tried = []
    own = arrange_module._placements
    monkeypatch.setattr(arrange_module, "_placements", lambda *a: (tried.append(p) or p for p in own(*a)))
    names = names_of(truth.keypoints, truth.paper)
    found = arrange(sheet, (*lines, *rows), names, [], 25.0, marks=marks_of(truth, missed=0.0))
    assert found.name == truth.recording.layout
    assert found.segments[0].baseline_mm == pytest.approx(levels[0], abs=1.0)
    assert 0 < len(tried) <= arrange_module.PLACEMENTS_MOST


@pytest.mark.parametrize("found", range(2, 17))
@pytest.mark.parametrize("doubted", [0, 1, 4])
def test_placements_are_counted_before_they_are_made(found: int, doubted: int) -> None:
    for template in templates():
        made = list(arrange_module._placements(list(range(found)), template, doubted))
        assert len(made) == arrange_module._placement_count(found, template, doubted)


def test_a_search_ends_when_the_pages_time_is_up(clean: Rendered) -> None:
    sheet = lay_flat(clean.page.image, clean.truth.paper)
    with pytest.raises(Unreadable) as caught:
        arrange(sheet, find_rows(sheet), [], [], 25.0, deadline=Deadline.after(0.0))
    assert caught.value.code == UnreadableCode.TOOK_TOO_LONG


def test_a_row_that_ink_and_points_both_show_is_not_left_over(clean: Rendered) -> None:
    truth = clean.truth
    sheet = lay_flat(clean.page.image, truth.paper)
    rows = find_rows(sheet)
    last, apart = rows[-1], rows[-1].baseline_mm - rows[-2].baseline_mm
    below = replace(last, baseline_mm=last.baseline_mm + apart)
    marks = marks_of(truth, missed=0.0, false=0)
    start = np.array([[truth.segments[-1].start_mm, below.baseline_mm, 0.5]])
    end = np.array([[truth.segments[-1].end_mm, below.baseline_mm, 0.5]])
    more = replace(marks, starts=np.concatenate([marks.starts, start]), ends=np.concatenate([marks.ends, end]))
    found = arrange(sheet, (*rows, below), names_of(truth.keypoints, truth.paper), [], 25.0, marks=more)
    assert found.name == "3x4+2"


@pytest.mark.parametrize("seed", range(6))
def test_columns_of_ten_seconds_are_measured_by_the_paper_and_not_by_the_points(clean: Rendered, seed: int) -> None:
    truth = clean.truth
    sheet = lay_flat(clean.page.image, truth.paper)
    marks = marks_of(truth, seed, off_mm=0.4)
    names = names_of(truth.keypoints, truth.paper)
    rows = find_rows(sheet)
    exact = arrange(sheet, rows, names, [], 25.0, marks=marks)
    assert exact.pitch_mm == 62.5
    assert exact.segments[0].end_mm - exact.segments[0].start_mm == pytest.approx(62.5)
    assert abs(exact.segments[0].start_mm - truth.segments[0].start_mm) < 0.4
    unmeasured = arrange(sheet, rows, names, [], 25.0, marks=marks, measured=False)
    assert unmeasured.pitch_mm != 62.5


@pytest.mark.parametrize(
    ("pitch_mm", "gap_mm", "so"),
    [(62.2, 3.0, (62.5, 0.0)), (65.0, 1.2, (65.0, 2.5)), (65.0, 0.0, (65.0, 0.0)), (55.0, 2.0, (55.0, 2.0))],
)
def test_a_gap_is_what_the_columns_leave_over_of_ten_seconds(
    clean: Rendered, pitch_mm: float, gap_mm: float, so: tuple[float, float]
) -> None:
    marked = marked_rows(marks_of(clean.truth), ())
    found = as_printed(marked, [m.row for m in marked.rows], Columns(4, 10.0, pitch_mm, gap_mm, 1.0), 25.0)
    assert (found.pitch_mm, found.gap_mm) == pytest.approx(so)


@pytest.mark.parametrize(
    ("pitch_mm", "lead_mm", "size"), [(60.0, 60.0, 0.96), (65.0, 62.5, None), (63.5, 60.0, 0.96), (62.5, 62.5, 1.0)]
)
def test_the_size_of_a_page_is_told_by_its_leads_and_not_by_the_gaps_between_them(
    clean: Rendered, pitch_mm: float, lead_mm: float, size: float | None
) -> None:
    sheet = lay_flat(clean.page.image, clean.truth.paper)
    found = arrange(sheet, find_rows(sheet), (), [], 25.0, marks=marks_of(clean.truth))
    segments = tuple(replace(s, end_mm=s.start_mm + lead_mm) for s in found.segments if not s.rhythm)
    told = replace(found, segments=segments, pitch_mm=pitch_mm).size(25.0)
    assert told == (None if size is None else pytest.approx(size))


@pytest.mark.parametrize(
    ("rhythm_mm", "size"),
    [(248.0, 0.992), (None, 1.0176), (265.0, 1.0176)],  # of ten seconds; not told; as long as the page is wide
)
def test_where_leads_stand_apart_a_strip_of_ten_seconds_tells_the_size_best(
    clean: Rendered, rhythm_mm: float | None, size: float
) -> None:
    sheet = lay_flat(clean.page.image, clean.truth.paper)
    found = arrange(sheet, find_rows(sheet), (), [], 25.0, marks=marks_of(clean.truth))
    segments = tuple(replace(s, end_mm=s.start_mm + 63.6) for s in found.segments if not s.rhythm)
    apart = replace(found, segments=segments, pitch_mm=64.9, rhythm_mm=rhythm_mm)
    assert apart.size(25.0) == pytest.approx(size)
    assert replace(apart, pitch_mm=63.6).size(25.0) == pytest.approx(1.0176)  # without gaps columns know it best


def test_a_long_strip_is_of_ten_seconds_where_the_leads_go_on_behind_it() -> None:
    def told(gap_mm: float) -> tuple[float | None, float]:
        printed = Print(gap_mm=gap_mm, join=Join.GAP if gap_mm else Join.ABUTTING)
        page = render(synthetic_ecg(np.random.default_rng(3), 10.0, 500), 500, PageSpec(print=printed), 3)
        sheet, long = lay_flat(page.page.image, page.truth.paper), page.truth.segments[-1]
        found = arrange(sheet, find_rows(sheet), (), [], 25.0, marks=marks_of(page.truth))
        return found.rhythm_mm, long.end_mm - long.start_mm

    found_mm, true_mm = told(3.0)
    assert found_mm == pytest.approx(true_mm, abs=0.4)
    assert told(0.0)[0] is None


def test_without_points_the_rows_are_those_of_the_ink(clean: Rendered) -> None:
    inked = find_rows(lay_flat(clean.page.image, clean.truth.paper))
    assert complete_rows(None, inked) == tuple(inked)


def weak(marks: Landmarks, level_mm: float, score: float) -> Landmarks:
    """One start of this score, and no end, is all that was found of the row at a level."""
    near = np.abs(marks.starts[:, 1] - level_mm) < 3.0
    starts = np.concatenate([marks.starts[~near], marks.starts[near][:1]])
    starts[-1, 2] = score
    return replace(marks, starts=starts, ends=marks.ends[np.abs(marks.ends[:, 1] - level_mm) >= 3.0])


def test_a_pulse_bears_out_a_row_of_which_hardly_a_point_was_found(clean: Rendered) -> None:
    truth = clean.truth
    levels = sorted({s.baseline_mm for s in truth.segments})
    assert sorted(y for _, _, y, _ in truth.pulses_mm) == pytest.approx(levels)
    for score, pulsed, rows in ((0.5, True, 4), (0.5, False, 3), (0.2, True, 3)):
        marks = weak(marks_of(truth, missed=0.0, false=0), levels[-1], score)
        if not pulsed:
            marks = replace(marks, tops=marks.tops[:0])
        assert len(complete_rows(marks, ())) == rows


def test_a_row_whose_ink_wanders_is_where_its_pulse_stands(clean: Rendered) -> None:
    truth = clean.truth
    levels = sorted({s.baseline_mm for s in truth.segments})
    marks = weak(marks_of(truth, missed=0.0, off_mm=0.0, false=0), levels[-1], 0.2)
    inked = [Row(level, 20.0, 270.0, 0.9) for level in (*levels[:-1], levels[-1] - 3.5)]
    assert [row.baseline_mm for row in complete_rows(marks, inked)] == pytest.approx(levels, abs=0.6)
    alone = replace(marks, tops=marks.tops[:0])
    assert complete_rows(alone, inked)[-1].baseline_mm == pytest.approx(levels[-1] - 3.5)


def test_a_pulse_moves_no_row_that_its_own_points_make_and_no_two_to_one_level(clean: Rendered) -> None:
    truth = clean.truth
    marks = marks_of(truth, missed=0.0, off_mm=0.0, false=0)
    levels = sorted({s.baseline_mm for s in truth.segments})
    drifted = replace(marks, **{name: getattr(marks, name) + [0.0, 3.2, 0.0] for name in ("rises", "falls", "tops")})
    once = complete_rows(drifted, ())
    assert [row.baseline_mm for row in once] == pytest.approx(levels, abs=0.1)
    assert complete_rows(drifted, once) == once
    none = replace(marks, starts=marks.starts[:0], ends=marks.ends[:0])
    beside = [Row(levels[1] + off, 20.0, 270.0, 0.9) for off in (-3.4, 3.6)]
    found = [row.baseline_mm for row in complete_rows(none, beside)]
    assert found == pytest.approx([levels[1], levels[1] + 3.6])


def test_a_pulse_without_its_like_bears_out_nothing(clean: Rendered) -> None:
    truth = clean.truth
    levels = sorted({s.baseline_mm for s in truth.segments})
    marks = weak(marks_of(truth, missed=0.0, off_mm=0.0, false=0), levels[-1], 0.5)
    mine = np.abs(marks.rises[:, 1] - levels[-1]) < 3.0
    for moved_mm in ([30.0, 0.0, 0.0], [0.0, 0.0, 0.0]):
        points = {name: getattr(marks, name) + mine[:, None] * moved_mm for name in ("rises", "falls", "tops")}
        assert len(complete_rows(replace(marks, **points), ())) == (3 if any(moved_mm) else 4)
    lower = replace(marks, tops=marks.tops + mine[:, None] * [0.0, 4.0, 0.0])
    assert len(complete_rows(lower, ())) == 3


def test_a_row_ends_at_its_point_where_the_ink_of_a_pulse_goes_on(clean: Rendered) -> None:
    truth = clean.truth
    levels = sorted({s.baseline_mm for s in truth.segments})
    ends_mm = max(s.end_mm for s in truth.segments)
    marks = weak(marks_of(truth, missed=0.0, off_mm=0.0, false=0), levels[-1], 0.2)
    marks = replace(marks, tops=marks.tops[:0])
    inked = [Row(level, 20.0, ends_mm, 0.9) for level in (*levels[:-1], levels[-1])]
    for beyond_mm, score, end_mm in ((7.0, 0.45, ends_mm), (1.0, 0.45, ends_mm + 1.0), (7.0, 0.2, ends_mm + 7.0)):
        ends = np.concatenate([marks.ends, [[ends_mm, levels[-1], score]]])
        rows = [*inked[:-1], replace(inked[-1], end_mm=ends_mm + beyond_mm)]
        marked = marked_rows(replace(marks, ends=ends), rows)
        spans = spans_of(marked, [Span(m.row.start_mm, m.row.end_mm) for m in marked.rows])
        assert spans[-1].end_mm == pytest.approx(end_mm)


def test_points_make_a_pulse_only_together(clean: Rendered) -> None:
    truth = clean.truth
    marks = marks_of(truth, off_mm=0.05)
    pulses = marked_pulses(marks)
    assert len(pulses) == len(truth.pulses_mm)
    assert [p.width_mm for p in pulses] == pytest.approx([5.0] * len(pulses), abs=0.4)
    assert [p.height_mm for p in pulses] == pytest.approx([10.0] * len(pulses), abs=0.4)
    roofless = Landmarks(marks.starts, marks.ends, marks.rises, marks.falls, marks.tops[:0],
                     marks.starting, marks.x0_mm, marks.y0_mm, marks.cell_mm)  # fmt: skip
    assert marked_pulses(roofless) == ()


def test_a_pulse_seen_twice_is_surer_and_measured_in_the_ink() -> None:
    seen, marked = Pulse(10, 15, 50, 10, 0.5), Pulse(10.2, 15.1, 50.2, 9.7, 0.4)
    other = Pulse(10, 15, 90, 10, 0.3)
    both = joined([seen], [marked, other])
    assert both == (Pulse(10, 15, 50, 10, 0.9), other)


@pytest.mark.parametrize("degrees", [-2.5, -0.6, 0.0, 0.8])
def test_rows_tell_how_far_a_map_is_turned_and_the_map_turned_back_has_them_level(
    clean: Rendered, degrees: float
) -> None:
    truth = clean.truth
    tilted = truth.paper.turned(-degrees)
    marks = marks_of(truth, seed=3, false=2)
    starts, ends = (
        np.column_stack([tilted.to_mm(truth.paper.to_px(points[:, :2])), points[:, 2]])
        for points in (marks.starts, marks.ends)
    )
    found = tilt_deg(replace(marks, starts=starts, ends=ends))
    assert found == pytest.approx(degrees, abs=0.12)
    level = truth.paper.to_mm(tilted.turned(degrees).to_px(np.array([[50.0, 60.0], [200.0, 60.0]])))
    assert level[0, 1] == pytest.approx(level[1, 1], abs=0.01)


def test_too_few_points_tell_no_tilt(clean: Rendered) -> None:
    marks = marks_of(clean.truth)
    assert tilt_deg(replace(marks, starts=marks.starts[:2], ends=marks.ends[:0])) == 0.0


def test_the_end_of_a_trace_that_wandered_off_makes_no_row_beside_its_own(clean: Rendered) -> None:
    truth = clean.truth
    marks = marks_of(truth, missed=0.0, off_mm=0.0, false=0)
    inked = find_rows(lay_flat(clean.page.image, truth.paper))
    last = max(row.baseline_mm for row in inked)
    starts = marks.starts[np.abs(marks.starts[:, 1] - last) > 5.0]  # a drifting lead's start was not recognised
    ends = marks.ends.copy()
    ends[np.abs(ends[:, 1] - last) < 2.0, 1] -= 4.0
    rows = complete_rows(replace(marks, starts=starts, ends=ends), inked)
    assert [row.baseline_mm for row in rows] == pytest.approx([row.baseline_mm for row in inked], abs=1.0)


@pytest.mark.parametrize(("faint", "gap_mm"), [(0.0, 3.0), (0.6, 0.0), (1.0, 0.0)])
def test_no_gap_is_told_where_too_little_ink_is_seen(faint: float, gap_mm: float) -> None:
    """Of the columns between the gaps a share of this is as blank as they are: faded traces that the ink lacks."""
    sheet = Sheet(*(np.zeros((400, 2300), kind) for kind in (np.float32, np.uint8, np.bool_)), 0.0, 0.0)
    columns = Columns(4, 10.0, 62.5, 0.0, 1.0)
    blanks = np.zeros(2300, np.float32)
    for k in range(4):
        start = sheet.column(10.0 + 62.5 * k)
        blanks[start + 100 : start + 100 + round(faint * 380)] = 1.0
        blanks[start - 12 : start + 12] = 1.0
    assert measured_gap_mm(sheet, blanks, columns) == pytest.approx(gap_mm, abs=0.2)
