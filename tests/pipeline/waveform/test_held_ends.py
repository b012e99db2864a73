"""Ends of leads."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.waveform.ends import HELD_MM, hold_ends
from pipeline.waveform.strip import COLUMNS_PER_MM
from pipeline.waveform.strip_reading import Reading

SPANS = [(10.0, 30.0), (30.0, 50.0)]


def reading(unread: list[slice]) -> Reading:
    columns = 60 * COLUMNS_PER_MM
    rise = np.linspace(0, 6, columns, dtype=np.float32)
    present = np.ones(columns, np.float32)
    for part in unread:
        present[part] = 0.1
    return Reading(rise, np.full(columns, 0.2, np.float32), present, 20.0)


def at(mm: float) -> int:
    return round(mm * COLUMNS_PER_MM)


def test_a_hair_without_ink_at_an_end_takes_the_height_beside_it_and_says_so() -> None:
    given = reading([slice(at(0), at(10.25)), slice(at(49.75), at(60))])
    found = hold_ends(given, 0.0, SPANS, 0.5)
    first, last = at(10.25), at(49.75) - 1
    assert found.reading.rise_mm[at(10)] == given.rise_mm[first]
    assert found.reading.rise_mm[at(50) - 1] == given.rise_mm[last]
    assert np.flatnonzero(found.held).tolist() == [*range(at(10), first), *range(last + 1, at(50) + 1)]
    assert (found.reading.present[found.held] >= 0.5).all()
    assert found.reading.sigma_mm[at(10)] == pytest.approx(0.2 + 0.2)
    assert found.reading.sigma_mm[at(10) + 1] == pytest.approx(0.2 + 0.2 - 0.8 / COLUMNS_PER_MM)


def test_an_end_that_was_not_read_for_longer_stays_empty() -> None:
    found = hold_ends(reading([slice(at(10), at(10 + HELD_MM + 0.5))]), 0.0, SPANS, 0.5)
    assert not found.held.any()
    assert found.reading.present[at(10)] < 0.5


def test_what_was_read_is_left_alone() -> None:
    given = reading([slice(at(20), at(20.3))])
    found = hold_ends(given, 0.0, SPANS, 0.5)
    assert not found.held.any()
    np.testing.assert_array_equal(found.reading.present, given.present)


def test_a_lead_without_ink_at_its_end_takes_nothing_of_the_next_leads_border_column() -> None:
    columns, border = 40 * COLUMNS_PER_MM, 20.1
    own = int(np.ceil(border * COLUMNS_PER_MM))  # the first column whose centre is the right lead's
    rise = np.where(np.arange(columns) < own, 1.0, 9.0).astype(np.float32)
    present = np.ones(columns, np.float32)
    present[own - 2 : own] = 0.1
    given = Reading(rise, np.full(columns, 0.2, np.float32), present, 20.0)
    found = hold_ends(given, 0.0, [(5.0, border), (border, 35.0)], 0.5)
    assert np.flatnonzero(found.held).tolist() == [own - 2, own - 1]
    assert found.reading.rise_mm[own - 3 : own + 1].tolist() == [1.0, 1.0, 1.0, 9.0]
