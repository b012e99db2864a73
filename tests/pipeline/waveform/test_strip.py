"""Cutting strips: the geometry must be right to a hundredth of a millimetre."""

import numpy as np
import pytest
from waveform_drawing import PAPER, PX_PER_MM

from pipeline.geometry import PaperMap
from pipeline.recording import Known
from pipeline.waveform import COLUMNS_PER_MM, ROWS_PER_MM, cut_strip


def centroid(strip, axis):
    """Where the ink lies: (x_mm, or rise_mm) weighted by darkness."""
    dark = 1 - strip.pixels.mean(axis=2)
    at = strip.x_mm[None, :] if axis == "x" else strip.rise_mm[:, None]
    return float((dark * at).sum() / dark.sum())


def blob(x_px, y_px, size=(800, 1400), sigma=3.0):
    y, x = np.mgrid[: size[0], : size[1]]
    grey = 255 * (1 - np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / 2 / sigma**2))
    return np.repeat(grey[..., None], 3, axis=2).round().astype(np.uint8)


def test_has_the_size_of_its_span():
    strip = cut_strip(np.full((800, 1400, 3), 255, np.uint8), PAPER, 10.0, 74.0, 50.0)
    assert strip.pixels.shape == (320, 64 * COLUMNS_PER_MM, 3)
    assert strip.x_mm[0] == 10.0
    assert strip.rise_mm[0] == pytest.approx(32 - 0.5 / ROWS_PER_MM)


def test_ink_keeps_its_place_in_millimetres():
    strip = cut_strip(blob(403.0, 371.0), PAPER, 30.0, 70.0, 50.0)
    assert centroid(strip, "x") == pytest.approx(403.0 / PX_PER_MM, abs=0.01)
    assert centroid(strip, "y") == pytest.approx(50.0 - 371.0 / PX_PER_MM, abs=0.01)


@pytest.mark.parametrize("px_per_mm", [3.0, 5.0, 12.0, 24.0])
def test_ink_keeps_its_place_at_any_resolution(px_per_mm):
    paper = PaperMap.affine(np.array([[px_per_mm, 0, 3.0], [0, px_per_mm, -2.0]]), (0, 0, 60, 80), Known.GRID)
    image = blob(30 * px_per_mm + 3, 41 * px_per_mm - 2, (int(80 * px_per_mm), int(60 * px_per_mm)), 0.5 * px_per_mm)
    strip = cut_strip(image, paper, 20.0, 40.0, 40.0)
    assert centroid(strip, "x") == pytest.approx(30.0, abs=0.015)
    assert centroid(strip, "y") == pytest.approx(-1.0, abs=0.015)


def test_straightens_a_page_that_lies_askew():
    angle = np.deg2rad(7.0)
    turn = 8.0 * np.array([[np.cos(angle), -np.sin(angle), 12.0], [np.sin(angle), np.cos(angle), 5.0]])
    paper = PaperMap.affine(turn, (0, 0, 150, 90), Known.GRID)
    x, y = paper.to_px(np.array([80.0, 44.0]))
    strip = cut_strip(blob(x, y), paper, 60.0, 100.0, 50.0)
    assert centroid(strip, "x") == pytest.approx(80.0, abs=0.01)
    assert centroid(strip, "y") == pytest.approx(6.0, abs=0.01)


def test_knows_what_lies_beyond_the_page():
    strip = cut_strip(np.zeros((800, 1400, 3), np.uint8), PAPER, -10.0, 20.0, 20.0)
    outside = np.broadcast_to((strip.x_mm < -0.2)[None, :], strip.on_page.shape)
    assert not strip.on_page[outside].any()
    assert strip.on_page[strip.rise_mm < 19.0][:, strip.x_mm > 0.2].all()


def test_a_stroke_thinner_than_a_strip_row_keeps_its_share_of_grey():
    """A line of 2 px on a 24 px/mm page is 0.083 mm: 42 % of a row of 0.2 mm, wherever it falls."""
    image = np.full((1200, 960, 3), 255, np.uint8)
    paper = PaperMap.affine(np.array([[24.0, 0, 0], [0, 24.0, 0]]), (0, 0, 40, 50), Known.GRID)
    for top in (600, 603, 607, 611):
        image[:] = 255
        image[top : top + 2] = 0
        dark = (1 - cut_strip(image, paper, 10.0, 30.0, 25.0).pixels).sum(axis=0)
        np.testing.assert_allclose(dark, 2 / 24 * ROWS_PER_MM, rtol=0.12)
