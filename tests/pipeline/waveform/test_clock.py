"""The page's clock: start, shear and length by the ends of the rows' ink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry import Segment
from pipeline.recording import Lead
from pipeline.waveform.clock import Believed, Clock, RowInk, Spread, fitted, page_clock

ENDS = Spread(0.0, 0.1, 0.1, 1.0)
BELIEVED = Believed(Spread(0.0, 0.2, 0.3, 0.8), 0.05, 0.005, 0.006, 0.6, 0.01, 4.0, ENDS, ENDS)
RULED = Believed(Spread(0.0, 0.1, 0.2, 0.5), 0.05, 0.002, 0.001, 0.0, 0.01, 4.0, ENDS, ENDS)


def rows(first_mm, last_mm=(0.0,) * 4, laid_out_mm=250.0, leads=4):
    """Rows 40 mm apart laid out from 10 mm on, whose ink begins and ends by so much farther right."""
    return [
        RowInk(10.0, 10.0 + laid_out_mm, 40.0 * k, 10.0 + a, 10.0 + laid_out_mm + b, leads)
        for k, (a, b) in enumerate(zip(first_mm, last_mm, strict=True))
    ]


def starts(clock):
    return [clock.moved(Segment(Lead.I, 0, 10.0, 260.0, 40.0 * k, 0.0)).start_mm - 10.0 for k in range(4)]


def test_rows_that_begin_together_later_than_laid_out_move_the_page():
    clock = page_clock(rows([0.5, 0.52, 0.48, 0.5]), 25.0, RULED, True)
    assert starts(clock) == pytest.approx([0.5] * 4, abs=0.05)
    assert (clock.across, clock.seconds) == (1.0, 1.0)


def test_rows_that_begin_later_the_farther_down_are_sheared():
    clock = page_clock(rows([-0.25, 0.12, 0.5, 0.88]), 25.0, BELIEVED, True)
    assert starts(clock) == pytest.approx([-0.25, 0.12, 0.5, 0.88], abs=0.05)


@pytest.mark.parametrize("stray", range(4))
def test_one_row_that_lost_its_beginning_moves_nothing(stray):
    first = [0.3] * 4
    first[stray] = 2.4
    assert starts(page_clock(rows(first), 25.0, RULED, True)) == pytest.approx([0.3] * 4, abs=0.06)


def test_what_was_laid_out_weighs_as_much_as_one_unsure_row():
    alone = [RowInk(10.0, 260.0, 0.0, 10.2, 260.0, 4)]
    assert 0.1 < page_clock(alone, 25.0, RULED, True).late_mm < 0.19


def test_rows_without_ink_tell_nothing():
    nowhere = [RowInk(10.0, 260.0, 40.0 * k, -np.inf, np.inf, 4) for k in range(4)]
    clock = page_clock(nowhere, 25.0, BELIEVED, True)
    assert starts(clock) == [0.0] * 4
    assert page_clock([], 25.0, BELIEVED, True) == Clock()


def test_a_page_without_a_ruling_that_nearly_shows_ten_seconds_shows_ten():
    """Laid out as 9.968 s, of which the ink is 0.04 s short: the paper's millimetre is half a per cent too large."""
    clock = page_clock(rows([0.0] * 4, [-1.0] * 4, 249.2), 25.0, BELIEVED, True)
    moved = clock.moved(Segment(Lead.I, 0, 10.0 + 249.2 / 4, 10.0 + 249.2 / 2, 0.0, 249.2 / 100))
    assert moved.start_s == pytest.approx(2.5, abs=0.001)
    assert (moved.end_mm - moved.start_mm) / clock.speed_mm_s(25.0) == pytest.approx(2.5, abs=0.001)
    assert clock.speed_mm_s(25.0) == pytest.approx(24.82, abs=0.02)


def test_what_lasts_clearly_longer_or_shorter_is_left():
    for laid_out_mm in (220.0, 256.5):
        clock = page_clock(rows([0.0] * 4, laid_out_mm=laid_out_mm), 25.0, BELIEVED, True)
        assert (clock.across, clock.seconds) == (1.0, 1.0)


def test_a_ruling_tells_the_length_better_than_what_is_usual():
    clock = page_clock(rows([0.0] * 4, laid_out_mm=249.0), 25.0, RULED, True)
    assert clock.speed_mm_s(25.0) == 25.0


def test_gaps_between_leads_are_no_time_of_the_row_but_of_the_long_strip():
    """Leads 0.08 s apart: the rows of four are longer than ten seconds, the strip of one below is not."""
    four, strip = rows([0.0] * 3, [0.0] * 3, 250.98), [RowInk(10.0, 260.98, 120.0, 10.0, 258.88, 1)]
    assert page_clock(four, 25.0, BELIEVED, False).seconds == 1.0
    clock = page_clock([*four, *strip], 25.0, BELIEVED, True)
    assert clock.speed_mm_s(25.0) == pytest.approx(24.89, abs=0.01)
    assert clock.across == pytest.approx(1.0, abs=0.0005)


@given(
    late=st.floats(-1.0, 1.0),
    lean=st.floats(-0.01, 0.01),
    noise=st.lists(st.floats(-0.1, 0.1), min_size=4, max_size=4),
)
def test_is_never_farther_from_the_ink_than_the_layout_was(late, lean, noise):
    true = np.array([late + lean * (40.0 * k - 60.0) for k in range(4)])
    clock = page_clock(rows(true + noise), 25.0, BELIEVED, True)
    assert np.abs(np.array(starts(clock)) - true).max() <= max(np.abs(true).max(), 0.3) + 1e-9


def test_the_table_believes_a_ruling_more_than_none():
    table = fitted()
    assert table[True].lean < table[False].lean
    assert table[True].stretch < table[False].stretch
    assert table[True].ten == 0.0
    assert 0.0 < table[False].ten < 1.0


def test_a_second_is_known_by_a_ruling_or_by_ten_of_them():
    assert page_clock(rows([0.0] * 4), 25.0, RULED, True).timed == 1.0
    assert page_clock(rows([0.0] * 4), 25.0, BELIEVED, True).timed > 0.9
    assert page_clock(rows([0.0] * 4, laid_out_mm=220.0), 25.0, BELIEVED, True).timed == 0.0


def test_as_many_rows_as_begin_together_tell_where_the_page_begins():
    assert page_clock(rows([0.3] * 4), 25.0, RULED, True).begun > 0.9
    assert 0.6 < page_clock(rows([0.3, 0.3, 0.3, 2.4]), 25.0, RULED, True).begun < 0.8
    nowhere = [RowInk(10.0, 260.0, 40.0 * k, -np.inf, np.inf, 4) for k in range(4)]
    assert page_clock(nowhere, 25.0, RULED, True).begun == 0.0
