"""The seeded suite of pages that judges the digitizer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.recording import Lead
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import PageSpec, render
from pipeline.synth.spec import Place, Print
from pipeline.training.data import suite
from pipeline.training.data.suite import cases, draw, shown_layout, tells_chest_gain


def test_the_same_case_is_the_same_page() -> None:
    (case,) = cases(1, 7)
    once, again = draw(case, None), draw(case, None)
    assert np.array_equal(once.rendered.page.image, again.rendered.page.image)
    assert np.array_equal(once.label, again.label, equal_nan=True)


@pytest.mark.parametrize(("layout", "left"), [("3x4+1", "3x4"), ("3x4+1-cabrera", "3x4-cabrera"), ("3x4+3", "3x4+2")])
def test_a_rhythm_row_cut_off_with_the_foot_of_the_page_is_not_in_the_layout_shown(layout: str, left: str) -> None:
    signals = synthetic_ecg(np.random.default_rng(1), 10.0, 500)
    page = render(
        signals, 500, PageSpec(print=Print(layout=layout, row_mm=24.0, rhythms=(Lead.II, Lead.V1, Lead.V5))), 1
    )
    assert shown_layout(page) == layout
    last = max(page.truth.segments, key=lambda s: s.baseline_mm)
    foot_px = page.truth.paper.to_px(np.array([[last.start_mm, last.baseline_mm - 16.0]]))[0, 1]
    cut = replace(page, page=replace(page.page, image=page.page.image[: int(foot_px)]))
    assert shown_layout(cut) == left


@pytest.mark.parametrize(("layout", "pulse"), [("3x4", Place.LEFT), ("12x1", Place.LEFT), ("12x1", Place.NONE)])
def test_a_chest_gain_is_told_by_the_words_at_the_foot_or_a_pulse_of_the_chest_leads(layout: str, pulse: Place) -> None:
    signals = synthetic_ecg(np.random.default_rng(1), 10.0, 500)
    printed = Print(layout=layout, row_mm=13.0, top_mm=40.0, chest_gain_mm_mv=5.0, pulse=pulse)
    page = render(signals, 500, PageSpec(print=printed), 1)
    assert tells_chest_gain(page)
    foot_px = page.truth.paper.to_px(np.array(page.truth.scales_mm))[:, 1].min()
    footless = replace(page, page=replace(page.page, image=page.page.image[: int(foot_px) - 5]))
    assert tells_chest_gain(footless) == (layout == "12x1" and pulse is Place.LEFT)


@pytest.mark.parametrize("told", [True, False])
def test_a_page_is_printed_at_one_gain_where_its_picture_would_not_tell_of_two(
    told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = PageSpec(print=Print(chest_gain_mm_mv=5.0))
    monkeypatch.setattr(suite, "random_spec", lambda rng, **_: spec)
    monkeypatch.setattr(suite, "tells_chest_gain", lambda _: told)
    (case,) = cases(1)
    drawn = draw(case, None)
    printed = drawn.rendered.truth.recording.chest_gain_mm_mv
    assert (printed is not None) == told
