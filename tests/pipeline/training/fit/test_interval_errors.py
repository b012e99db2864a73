"""pipeline/training: what fits the errors of intervals, and what judges readings as clinicians do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.intervals.errors import Growth, fitted
from pipeline.intervals.rhythm import has_p_waves
from pipeline.intervals.values import Quantity
from pipeline.recording import Finding, Severity
from pipeline.training.data.read_pages import ReadPage
from pipeline.training.fit.interval_errors import (
    LIMITS,
    Off,
    RhythmRow,
    coverage,
    fit_rhythm,
    growth,
    on_pages,
    toml,
    view,
)
from pipeline.training.judge.clinical import Judged, Verdict, judge, quadrant, table
from pipeline.training.train.delineator import _beats, targets

sys.path.insert(0, str(Path(__file__).parents[2] / "intervals"))
from known_hearts import RATE_HZ, Heart, in_columns, recording

PAGE = recording(in_columns(Heart().leads()))


def test_a_growth_is_found_again() -> None:
    rng = np.random.default_rng(0)
    unsure = rng.uniform(2, 30, 4000)
    off = rng.normal(0, np.hypot(4.0, 0.5 * unsure))
    offs = [Off(Quantity.QT_INTERVAL, float(a), float(b), 400.0) for a, b in zip(off, unsure, strict=True)]
    found = growth(offs)
    assert found.least == pytest.approx(4.0, abs=0.5)
    assert found.times == pytest.approx(0.5, abs=0.05)
    assert "68%, 95%" in coverage(offs, {Quantity.QT_INTERVAL: found}).replace("67%", "68%").replace("69%", "68%")


def test_outliers_do_not_widen_all_errors() -> None:
    off = np.concatenate([np.random.default_rng(1).normal(0, 3, 200), np.full(6, 200.0)])
    found = growth([Off(Quantity.QT_INTERVAL, float(each), 1.0, 400.0) for each in off])
    assert found.at(1.0) < 5


def test_the_rhythm_fit_keeps_as_many_p_waves_as_it_is_told_to() -> None:
    rng = np.random.default_rng(2)

    def row(seen: tuple[float, float, float], p_waves: bool) -> RhythmRow:
        steady = (1 - 0.1 * rng.random(), 0.01 * rng.random()) if p_waves else (0.2, 0.05)
        return RhythmRow(seen, steady, p_waves, True)

    p = [row((3 + rng.normal(), -4 + rng.normal(), -4.5 + rng.normal() / 3), True) for _ in range(400)]
    none = [row((-1 + rng.normal(), -1 + rng.normal(), -3 + rng.normal() / 3), False) for _ in range(100)]
    fit = fit_rhythm([*p, *none])
    told = np.array([fit.constant + np.dot(fit.weights, row.seen) > 0 for row in (*p, *none)])
    assert told[:400].mean() == pytest.approx(0.975, abs=0.01)
    assert told[400:].mean() < 0.1
    assert fit.weights[0] > 0 > fit.weights[1]
    assert fit.odds_max == LIMITS.odds_max
    assert fit.share_min == pytest.approx(0.9025, abs=0.002)
    assert fit.varies_max_s == pytest.approx(0.00975, abs=0.0002)
    assert has_p_waves.__doc__


def test_the_table_is_read_back_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.intervals import errors

    told = replace(fitted(), delineator={q: Growth(1.5, 0.25) for q in fitted().delineator}, rate_share=0.0123)
    (tmp_path / "errors.toml").write_text(toml(told, "a note\nof two lines"), encoding="utf-8")
    monkeypatch.setattr(errors, "TABLE", tmp_path / "errors.toml")
    assert errors.fitted.__wrapped__() == told


def test_targets_stand_at_the_marks_and_say_where_there_is_no_wave() -> None:
    found = targets(np.array([-0.196, -0.1, -0.04, 0.05, np.nan, np.nan]))
    assert found.sum(1) == pytest.approx(1)
    assert found[0, :-1].argmax() == 38  # cells of 8 ms from half a second before the beat
    assert found[4:, -1].tolist() == [1.0, 1.0]


def test_a_beat_has_the_medians_of_its_leads_marks_and_no_wave_that_few_leads_show() -> None:
    def lead(late: int, p: bool) -> list[tuple[int, str]]:
        waves = [(200 + late, "("), (205 + late, "N"), (212 + late, ")"), (300, "("), (330, "t"), (360, ")")]
        return [*([(140, "("), (150, "p"), (160, ")")] if p else []), *waves]

    marks = {f"lead {k}": lead(k, k < 4) for k in range(9)}
    (beat,) = _beats(0, marks, 500.0)
    assert beat.centre_s == pytest.approx(209 / 500)
    assert beat.marks_s[2:4] == pytest.approx([204 / 500, 216 / 500])
    assert beat.marks_s[4:] == pytest.approx([0.6, 0.72])
    assert np.isnan(beat.marks_s[:2]).all()


def test_a_view_prints_every_lead_once_and_the_rhythm_lead_along_the_page() -> None:
    leads = Heart().leads()
    strips = view(leads, RATE_HZ, "3x4+1")
    assert len(strips) == 13
    assert [strip.start_s for strip in strips[::3]] == [0.0, 2.5, 5.0, 7.5, 0.0]
    assert np.array_equal(strips[7].millivolts, leads[7, 2500:3750])


def test_a_reading_is_compared_with_its_truth() -> None:
    later = recording(in_columns(Heart(pr_s=0.19).leads()))
    from pipeline.intervals.network import shipped

    offs = {each.quantity: each for each in on_pages([ReadPage(PAGE, later, "")], shipped(), fitted())}
    assert offs[Quantity.PR_INTERVAL].off == pytest.approx(30, abs=8)
    assert offs[Quantity.HEART_RATE].off == pytest.approx(0, abs=0.5)
    assert on_pages([ReadPage(PAGE, None, "no_grid")], shipped(), fitted()) == []


def test_clinicians_judge_rate_and_quadrant() -> None:
    assert judge(ReadPage(PAGE, PAGE, "")) == Judged(False, Verdict.RIGHT, Verdict.RIGHT)
    other = recording(in_columns(Heart(per_minute=85.0, axis_deg=-40.0).leads()))
    assert judge(ReadPage(PAGE, other, "")) == Judged(False, Verdict.WRONG, Verdict.WRONG)
    assert not judge(ReadPage(PAGE, other, "")).safe
    doubted = replace(other, findings=(Finding("sigma_large", Severity.ERROR),))
    assert judge(ReadPage(PAGE, doubted, "")).held
    assert judge(ReadPage(PAGE, doubted, "")).safe
    assert judge(ReadPage(PAGE, None, "no_grid")).safe
    assert [quadrant(degrees) for degrees in (10, 100, -170, -10)] == [0, 1, 2, 3]
    said = table([judge(ReadPage(PAGE, PAGE, "")), judge(ReadPage(PAGE, doubted, ""))])
    assert "goes on: 1 of 2 pages: rate 1 right; axis 1 right" in said
    assert said.endswith("2 of 2")
