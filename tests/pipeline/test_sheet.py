"""The page laid flat."""

from __future__ import annotations

import numpy as np

from pipeline.geometry import PaperMap
from pipeline.recording import Known
from pipeline.sheet import PX_PER_MM, lay_flat
from pipeline.synth.truth import Rendered


def test_the_grid_is_gone_and_the_trace_is_there(clean: Rendered) -> None:
    sheet = lay_flat(clean.page.image, clean.truth.paper)
    segment, strip = clean.truth.segments[0], clean.truth.recording.strips[0]
    at_s = np.arange(0.2, 2.3, 0.05)
    at = [
        (
            sheet.line(segment.baseline_mm - 10.0 * float(strip.millivolts[round(t * 500)])),
            sheet.column(segment.start_mm + 25.0 * t),
        )
        for t in at_s
    ]
    near = np.array([sheet.marks[y - 2 : y + 3, x - 1 : x + 2].any() for y, x in at])
    assert near.mean() > 0.97
    blank = sheet.ink[sheet.line(175.0) : sheet.line(195.0), sheet.column(150.0) : sheet.column(250.0)]
    assert (blank > 0.5).mean() < 0.001


def test_a_cut_where_a_grid_line_was_removed_is_closed() -> None:
    image = np.full((800, 1600, 3), 255, np.uint8)
    image[:, ::40] = image[:, 1::40] = 0  # black upright lines every 5 mm, two pixels wide
    image[400:403] = 0  # a trace that crosses them all
    paper = PaperMap.affine(np.array([[8.0, 0, 0], [0, 8.0, 0]]), (0, 0, 200, 100), Known.GRID)
    sheet = lay_flat(image, paper)
    y = sheet.line(401 / 8)
    assert sheet.marks[y, 80:-80].all()
    assert not sheet.marks[sheet.line(20.0)].any()


def test_places_on_the_sheet_are_paper_millimetres(clean: Rendered) -> None:
    sheet = lay_flat(clean.page.image, clean.truth.paper)
    assert sheet.x_mm(sheet.column(50.0)) == 50.0
    assert sheet.y_mm(sheet.line(60.0)) == 60.0
    assert sheet.width_mm == sheet.ink.shape[1] / PX_PER_MM


def test_a_wrong_scale_cannot_ask_for_an_endless_sheet() -> None:
    image = np.full((500, 700, 3), 255, np.uint8)
    paper = PaperMap.affine(np.array([[0.1, 0, 0], [0, 0.1, 0]]), (0, 0, 7000, 5000), Known.ASSUMED)
    sheet = lay_flat(image, paper)
    assert max(sheet.width_mm, sheet.height_mm) <= 600.0
