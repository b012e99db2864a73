"""Rows of traces."""

from __future__ import annotations

import numpy as np

from pipeline.geometry import PaperMap
from pipeline.layout import find_rows
from pipeline.recording import Known
from pipeline.sheet import lay_flat
from pipeline.synth.truth import Rendered


def test_finds_every_row_at_its_level(clean: Rendered) -> None:
    rows = find_rows(lay_flat(clean.page.image, clean.truth.paper))
    printed = sorted({s.baseline_mm for s in clean.truth.segments})
    assert len(rows) == len(printed)
    assert np.allclose([row.baseline_mm for row in rows], printed, atol=1.5)


def test_a_row_ends_where_its_ink_ends(clean: Rendered) -> None:
    rows = find_rows(lay_flat(clean.page.image, clean.truth.paper))
    end = max(s.end_mm for s in clean.truth.segments)
    assert all(abs(row.end_mm - end) < 0.6 for row in rows)


def test_seven_close_rows_stay_seven(six_by_two: Rendered) -> None:
    assert len(find_rows(lay_flat(six_by_two.page.image, six_by_two.truth.paper))) == 7


def test_ruled_lines_are_no_rows() -> None:
    image = np.full((1000, 1600, 3), 255, np.uint8)
    image[300:303, 50:1550] = 0
    image[600:603, 50:1550] = 0
    paper = PaperMap.affine(np.array([[8.0, 0, 0], [0, 8.0, 0]]), (0, 0, 200, 125), Known.GRID)
    assert find_rows(lay_flat(image, paper)) == ()


def test_blank_paper_has_no_rows() -> None:
    image = np.full((1000, 1600, 3), 250, np.uint8)
    paper = PaperMap.affine(np.array([[8.0, 0, 0], [0, 8.0, 0]]), (0, 0, 200, 125), Known.GRID)
    assert find_rows(lay_flat(image, paper)) == ()
