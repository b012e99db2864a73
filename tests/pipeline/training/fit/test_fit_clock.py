"""Fitting how far the page's clock is believed."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from pipeline.training.fit.clock import ClockRow, TrueRow, fit, rows_in, text_of, to_json
from pipeline.waveform.clock import RowInk, believed_of, page_clock


def pages(count, ruled, late_mm, lean, rng):
    """Pages of ten seconds, one row in eight of which lost its beginning; some last less."""
    for number in range(count):
        late, shear, size = rng.normal(0, late_mm), rng.normal(0, lean), 1 + rng.normal(0, 0.005)
        seconds = 10.0 if rng.random() < 0.7 else float(rng.uniform(7, 9.5))
        rows = []
        for level in (20.0, 60.0, 100.0, 140.0):
            start = 10 + late + shear * (level - 80)
            end = start + seconds * 25 * size
            first = start + rng.normal(0.02, 0.08) + (rng.normal(0, 1.2) if rng.random() < 0.125 else 0.0)
            ink = RowInk(10.0, 10 + seconds * 25, level, first, end + rng.normal(0.05, 0.1), 4)
            rows.append(TrueRow(ink, start, end, seconds))
        yield ClockRow(number, ruled, True, 25.0, tuple(rows))


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(3)
    return fit([*pages(150, True, 0.2, 0.002, rng), *pages(150, False, 0.5, 0.01, rng), ClockRow(900)])


def test_finds_the_errors_that_the_pages_were_made_with(found):
    assert found["ruled"].late.sd_mm < found["unruled"].late.stray_mm
    assert found["ruled"].lean == pytest.approx(0.002, rel=0.25)
    assert found["unruled"].stretch == pytest.approx(0.005, rel=0.25)
    assert found["unruled"].ten == pytest.approx(0.7, abs=0.1)
    assert found["unruled"].first.sd_mm == pytest.approx(0.08, rel=0.25)
    assert found["unruled"].first.bias_mm == pytest.approx(0.02, abs=0.02)
    assert found["unruled"].first.stray == pytest.approx(0.125, abs=0.06)


def test_never_takes_a_ruling_for_less_than_what_is_usual(found):
    assert found["ruled"].ten == 0.0


def test_a_page_is_read_nearer_to_its_truth_with_what_was_fitted(found):
    rng = np.random.default_rng(4)
    before, after = [], []
    for page in pages(40, False, 0.5, 0.01, rng):
        clock = page_clock([row.ink for row in page.rows], 25.0, found["unruled"], True)
        for row in page.rows:
            begins = clock.origin_mm + clock.late_mm + clock.lean * (row.ink.baseline_mm - clock.level_mm)
            before.append(row.ink.start_mm - row.start_mm)
            after.append(begins - row.start_mm)
    assert np.std(after) < 0.3 * np.std(before)


def test_the_table_is_read_as_it_was_written(found):
    entries = tomllib.loads(text_of(found))
    assert believed_of(entries["unruled"]).late.stray_mm == pytest.approx(found["unruled"].late.stray_mm, abs=1e-4)


def test_rows_are_kept_even_without_ink(tmp_path):
    nowhere = TrueRow(RowInk(10.0, 260.0, 20.0, -np.inf, np.inf, 4), 10.0, 260.0, 10.0)
    kept = ClockRow(7, False, True, 25.0, (nowhere,))
    path = tmp_path / "rows"
    path.write_text(to_json(kept) + "\n", encoding="utf-8")
    assert rows_in(path) == [kept]
    assert rows_in(tmp_path / "none") == []
