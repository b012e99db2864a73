"""Which lead is printed where."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import Unreadable
from pipeline.findings import FindingCode
from pipeline.geometry import Keypoint
from pipeline.layout import Layout, Row, arrange, find_rows, names_of
from pipeline.layout.templates import templates
from pipeline.recording import TWELVE, Lead
from pipeline.sheet import lay_flat
from pipeline.synth.truth import Rendered


def arranged(page: Rendered, keypoints: tuple[Keypoint, ...] | None = None) -> Layout:
    """With the true pulses and, unless others are given, the true names."""
    truth = page.truth
    sheet = lay_flat(page.page.image, truth.paper)
    names = names_of(truth.keypoints if keypoints is None else keypoints, truth.paper)
    pulses = [(x0, x1, y) for x0, x1, y, _ in truth.pulses_mm]
    return arrange(sheet, find_rows(sheet), names, pulses, truth.recording.speed_mm_s.value)


def codes(layout: Layout) -> set[str]:
    return {finding.code for finding in layout.findings}


def assert_in_place(layout: Layout, page: Rendered, within_mm: float = 0.5) -> None:
    assert layout.name == page.truth.recording.layout
    for found, printed in zip(layout.segments, page.truth.segments, strict=True):
        assert found.lead == printed.lead
        assert found.rhythm == printed.rhythm
        assert found.start_mm == pytest.approx(printed.start_mm, abs=within_mm)
        assert found.end_mm == pytest.approx(printed.end_mm, abs=within_mm)
        assert found.start_s == pytest.approx(printed.start_s, abs=within_mm / 25)


def test_puts_every_lead_where_it_is_printed(clean: Rendered) -> None:
    layout = arranged(clean)
    assert_in_place(layout, clean)
    assert layout.names_read == 12
    assert codes(layout) == set()


def test_six_rows_and_a_rhythm_strip(six_by_two: Rendered) -> None:
    assert_in_place(arranged(six_by_two), six_by_two)


def test_without_names_the_layout_follows_from_rows_and_borders_and_says_so(nameless: Rendered) -> None:
    layout = arranged(nameless, ())
    assert_in_place(layout, nameless)
    assert {FindingCode.LEAD_NAMES_NOT_READ, FindingCode.LAYOUT_ASSUMED} <= codes(layout)
    assert layout.unnamed == {Lead.II}


def test_survives_missing_and_false_names(clean: Rendered) -> None:
    true = clean.truth.keypoints
    false = [Keypoint(Lead.I, 150.0 + 230 * k, 700.0, 0.8) for k in range(6)]
    assert_in_place(arranged(clean, (*true[::3], *false)), clean)


def test_a_wrong_name_in_a_leads_place_is_told_and_not_believed(clean: Rendered) -> None:
    swapped = tuple(
        Keypoint(Lead.V3, k.x_px, k.y_px, k.score) if k.lead is Lead.V1 else k for k in clean.truth.keypoints
    )
    layout = arranged(clean, swapped)
    assert_in_place(layout, clean)
    assert (FindingCode.LEAD_NAME_UNSURE, Lead.V1) in {(f.code, f.lead) for f in layout.findings}


def test_the_dashes_of_a_separator_are_no_names(clean: Rendered) -> None:
    true = clean.truth.keypoints
    dashes = [Keypoint(Lead.I, 640.0, 90.0 + 30 * k, 0.95) for k in range(5)]
    named = names_of((*true, *dashes), clean.truth.paper)
    assert len(named) == len(true)
    assert {n.lead for n in named} == {k.lead for k in true}
    assert len(names_of((*true, *dashes[:2]), clean.truth.paper)) == len(true) + 2


def test_two_names_in_place_speak_no_less_for_a_layout_than_none(clean: Rendered) -> None:
    """They did: what was not read counted against the layout that explained both, and against no other."""
    two = [k for k in clean.truth.keypoints[:12] if k.lead in (Lead.I, Lead.V2)]
    layout = arranged(clean, tuple(two))
    assert layout.name == "3x4+1"
    assert layout.names_read == 2


def test_the_names_tell_cabrera_from_the_standard_order(clean: Rendered) -> None:
    cabrera = {
        Lead.I: Lead.AVL, Lead.II: Lead.I, Lead.III: Lead.AVR,
        Lead.AVR: Lead.II, Lead.AVL: Lead.AVF, Lead.AVF: Lead.III,
    }  # fmt: skip
    names = tuple(Keypoint(cabrera.get(k.lead, k.lead), k.x_px, k.y_px, 1.0) for k in clean.truth.keypoints[:12])
    assert arranged(clean, names).name == "3x4+1-cabrera"


def test_a_rhythm_strip_takes_the_name_that_stands_at_it(clean: Rendered) -> None:
    names = (*clean.truth.keypoints[:12], *(Keypoint(Lead.V5, k.x_px, k.y_px, 1.0) for k in clean.truth.keypoints[12:]))
    layout = arranged(clean, names)
    assert [s.lead for s in layout.segments if s.rhythm] == [Lead.V5]
    assert layout.unnamed == frozenset()


def test_a_row_that_was_not_found_is_told_lead_by_lead(clean: Rendered) -> None:
    truth = clean.truth
    sheet = lay_flat(clean.page.image, truth.paper)
    rows = [row for k, row in enumerate(find_rows(sheet)) if k != 1]
    pulses = [(x0, x1, y) for x0, x1, y, _ in truth.pulses_mm]
    layout = arrange(sheet, rows, names_of(truth.keypoints, truth.paper), pulses, 25.0)
    missing = {f.lead for f in layout.findings if f.code == FindingCode.LEAD_MISSING}
    assert layout.name == "3x4+1"
    assert missing == {Lead.II, Lead.AVL, Lead.V2, Lead.V5}


def test_refuses_rows_that_fit_no_layout(clean: Rendered) -> None:
    sheet = lay_flat(clean.page.image, clean.truth.paper)
    rows = [Row(8.0 * k, 10.0, 250.0, 1.0) for k in range(1, 25)]
    with pytest.raises(Unreadable) as refusal:
        arrange(sheet, rows, (), (), 25.0)
    assert refusal.value.code == "no_layout"


def test_every_layout_names_each_lead_once_in_rows_of_equal_length() -> None:
    for template in templates():
        assert len({len(row) for row in template.rows}) == 1, template.name
        leads = [lead for row in template.rows for lead in row]
        assert len(leads) == len(set(leads)), template.name
        if len(leads) == 12:
            assert set(leads) == set(TWELVE), template.name
    names = [template.name for template in templates()]
    assert len(names) == len(set(names))


def test_the_renderer_and_the_reader_know_the_same_layouts() -> None:
    from pipeline.synth.layouts import LAYOUTS

    read = {t.name: (t.rows, len(t.rhythm)) for t in templates()}
    for name, layout in LAYOUTS.items():
        assert read[name] == (layout.rows, layout.rhythms), name


def test_borders_lie_within_half_a_millimetre_under_a_little_skew(clean: Rendered) -> None:
    """The rows' own errors: levels off by half a millimetre must not move the columns."""
    truth = clean.truth
    sheet = lay_flat(clean.page.image, truth.paper)
    rng = np.random.default_rng(3)
    rows = [Row(r.baseline_mm + float(rng.normal(0, 0.5)), r.start_mm, r.end_mm, 1.0) for r in find_rows(sheet)]
    pulses = [(x0, x1, y) for x0, x1, y, _ in truth.pulses_mm]
    assert_in_place(arrange(sheet, rows, names_of(truth.keypoints, truth.paper), pulses, 25.0), clean)
