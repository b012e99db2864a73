"""A fax that was shrunk to fit its paper is measured by its rows and its pulses."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.calibration import Pulse
from pipeline.calibration.shrunk import printed_size
from pipeline.geometry import Landmarks

NOTHING = np.zeros((0, 3))


def rows(length_mm: float, count: int = 4, off_mm: float = 0.0) -> Landmarks:
    starts = np.array([(10.0, 30.0 * k, 0.8) for k in range(count)] + [(72.0, 30.0 * k, 0.8) for k in range(count)])
    ends = np.array([(10.0 + length_mm + off_mm * k, 30.0 * k, 0.7) for k in range(count)])
    return Landmarks(starts, ends, NOTHING, NOTHING, NOTHING, np.zeros((2, 2), np.float32), 0.0, 0.0, 0.4)


def pulses(size: float, count: int = 3, width: float = 5.0, height: float = 10.0) -> list[Pulse]:
    return [Pulse(2.0, 2.0 + width * size, 30.0 * k, height * size, 0.9) for k in range(count)]


@pytest.mark.parametrize("size", [0.92, 0.97, 1.03])
@pytest.mark.parametrize(("width", "height"), [(5.0, 10.0), (10.0, 10.0), (5.0, 20.0), (2.5, 5.0)])
def test_pulses_alone_tell_the_size(size: float, width: float, height: float) -> None:
    assert printed_size(pulses(size, width=width, height=height), None) == pytest.approx(size)


def test_rows_tell_it_better_where_the_pulses_agree() -> None:
    assert printed_size(pulses(0.93), rows(250 * 0.945)) == pytest.approx(0.945)
    assert printed_size((), rows(250 * 0.945)) == pytest.approx(0.945)


def test_pulses_win_over_rows_of_another_length() -> None:
    assert printed_size(pulses(0.96), rows(225.0)) == pytest.approx(0.96)


def test_pulses_of_the_right_height_outweigh_short_rows() -> None:
    """Their edges are blurred, so that they do not measure the page themselves; a row need not be of ten seconds."""
    blurred = [Pulse(2.0, 2.0 + width, 30.0 * k, 9.93, 0.9) for k, width in enumerate((4.5, 4.57, 4.73))]
    assert printed_size(blurred, rows(243.0)) is None
    assert printed_size(blurred, rows(243.0), heights_tell=False) == pytest.approx(0.972)
    assert printed_size(blurred[:2], rows(243.0)) == pytest.approx(0.972)
    short = [Pulse(p.x0_mm, p.x1_mm, p.baseline_mm, 9.7, p.score) for p in blurred]
    assert printed_size(short, rows(243.0)) == pytest.approx(0.972)


def test_a_page_of_its_own_size_is_left_alone() -> None:
    assert printed_size(pulses(1.0), rows(250.0)) is None
    assert printed_size((), rows(252.5)) is None


def test_rows_with_gaps_between_their_leads_are_no_larger_print() -> None:
    assert printed_size((), rows(258.5)) is None
    assert printed_size(pulses(1.01), rows(258.5)) is None


@pytest.mark.parametrize(
    ("seen", "marks"),
    [
        ((), None),
        (pulses(0.95, count=1), None),  # a letter may look like one
        ([*pulses(0.95, 1), *pulses(0.95, 1, width=4.0)], None),
        (pulses(0.95, width=5.6), None),  # not shrunk alike both ways
        ((), rows(250 * 0.945, count=1)),
        ((), rows(200.0)),
        ((), rows(240.0, off_mm=4.0)),  # rows that do not end together
    ],
)
def test_says_nothing_where_nothing_tells(seen: list[Pulse], marks: Landmarks | None) -> None:
    assert printed_size(seen, marks) is None
