"""Where leads are printed, and how large the page is by them."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from pipeline.calibration import Calibration, Pulse
from pipeline.geometry import PaperMap, Segment
from pipeline.layout import Layout
from pipeline.leads import Arranged, _measured_by_columns
from pipeline.recording import Known, Lead, Scale


def arranged(known: Known) -> Arranged:
    """Two columns of 60 mm, 2.5 mm apart, in a row, and a rhythm strip of 118 mm below."""
    segments = (
        Segment(Lead.I, 0, 10.0, 70.0, 30.0, 0.0),
        Segment(Lead.V1, 0, 72.5, 132.5, 30.0, 2.5),
        Segment(Lead.II, 1, 10.0, 128.0, 60.0, 0.0, True),
    )
    paper = PaperMap.affine(np.array([[8.0, 0, 0], [0, 8.0, 0]]), (0.0, 0.0, 200.0, 100.0), known)
    return Arranged(cast(Layout, None), paper, segments)


@pytest.mark.parametrize("known", [Known.GRID, Known.DPI])
def test_the_longest_row_tells_how_wide_the_leads_are_printed_without_the_gaps(known: Known) -> None:
    assert arranged(known).across_mm == 120.0


def test_on_millimetres_that_nothing_measured_no_width_is_told() -> None:
    assert arranged(Known.ASSUMED).across_mm is None


@pytest.mark.parametrize(
    "segments", [(), (Segment(Lead.I, 0, 70.0, 70.0, 30.0, 0.0),), (Segment(Lead.I, 0, 70.0, 60.0, 30.0, 0.0),)]
)
def test_rows_without_a_length_tell_no_width(segments: tuple[Segment, ...]) -> None:
    assert replace(arranged(Known.GRID), segments=segments).across_mm is None


def faxed(lead_mm: float, pitch_mm: float, down_px_mm: float) -> tuple[Layout, PaperMap]:
    """Four columns of one row."""
    leads = (Lead.I, Lead.AVR, Lead.V1, Lead.V4)
    starts = [10.0 + pitch_mm * c for c in range(4)]
    segments = tuple(
        Segment(lead, 0, x, x + lead_mm, 30.0, (x - 10.0) / 25) for lead, x in zip(leads, starts, strict=True)
    )
    layout = Layout("3x4", segments, 9.0, 2.0, 4, 1.0, 1.0, frozenset(), (), (), 4, pitch_mm)
    return layout, PaperMap.affine(np.array([[8.0, 0, 0], [0, down_px_mm, 0]]), (0.0, 0.0, 300.0, 100.0), Known.DPI)


def scale(paper: PaperMap, heights_mm: tuple[float, ...]) -> Calibration:
    pulses = tuple(Pulse(2.0, 7.0, 30.0 * k, height, 0.9) for k, height in enumerate(heights_mm))
    pulse = Known.PULSE
    return Calibration(Scale(25.0, pulse), Scale(10.0, pulse), None, (), pulses, paper, (1.0, 1.0), ())


def resized(
    lead_mm: float, pitch_mm: float, heights_mm: tuple[float, ...] = (), down_px_mm: float = 7.7
) -> tuple[float, float, float]:
    """How much larger the map's millimetre became, and the length and the distance of leads on it."""
    layout, paper = faxed(lead_mm, pitch_mm, down_px_mm)
    printed, after = _measured_by_columns(layout, paper, scale(paper, heights_mm))
    (first, second), grown = printed.segments[:2], after.x_mm[-1] / paper.x_mm[-1]
    return float(grown), first.end_mm - first.start_mm, second.start_mm - first.start_mm


def test_columns_of_ten_seconds_measure_a_shrunk_fax() -> None:
    assert resized(60.0, 60.0) == pytest.approx((62.5 / 60, 62.5, 62.5))
    assert resized(60.0, 60.0, (9.6, 9.58, 9.63)) == pytest.approx((62.5 / 60, 62.5, 62.5))


def test_columns_of_less_than_ten_seconds_do_not_shrink_what_the_pulses_show_in_its_size() -> None:
    assert resized(59.0, 60.0, (9.93, 9.9, 9.98)) == pytest.approx((1.0, 59.0, 60.0))
    assert resized(59.0, 60.0, (9.93, 9.9)) == pytest.approx((62.5 / 59, 62.5, 62.5 * 60 / 59))
    # of a standard fax a pixel is a quarter of a millimetre
    assert resized(59.0, 60.0, (9.93, 9.9, 9.98), 3.86) == pytest.approx((62.5 / 59, 62.5, 62.5 * 60 / 59))
    # pulses found too high say nothing about the page
    assert resized(59.0, 60.0, (11.0, 11.1, 11.0)) == pytest.approx((62.5 / 59, 62.5, 62.5 * 60 / 59))


def test_no_fax_prints_larger_so_that_columns_farther_apart_have_gaps() -> None:
    assert resized(63.4, 63.4) == pytest.approx((1.0, 62.5, 63.4))
