"""Where leads are printed, and how large the page is by them."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from pipeline.geometry import PaperMap, Segment
from pipeline.layout import Layout
from pipeline.leads import Arranged
from pipeline.recording import Known, Lead


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
