"""Pieces of pages: what is cut must lie where the matrix says, whatever was done to it."""

import cv2
import numpy as np
import pytest

from pipeline.synth.page import _turn as turned_by_the_renderer
from pipeline.training.data.crops import (
    View,
    cut,
    pitch_px_mm,
    set_upright,
    turned,
    upright_size,
)

SPOTS = np.array([(120.0, 80.0), (210.3, 141.7), (64.5, 190.2), (300.0, 60.0)])


def spotted(height=240, width=360):
    """A dark image with soft round spots of which the centroid is known below a pixel."""
    y, x = np.mgrid[:height, :width]
    spots = sum(np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * 3.0**2)) for sx, sy in SPOTS)
    return np.repeat((spots * 250)[..., None], 3, axis=2).astype(np.uint8)


def centroid(pixels, near, reach=14):
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    weight = pixels[..., 0] * ((np.abs(x - near[0]) < reach) & (np.abs(y - near[1]) < reach))
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("view_orientation", range(8))
@pytest.mark.parametrize("page_orientation", range(8))
def test_a_point_lies_where_the_matrix_says_in_all_orientations(page_orientation, view_orientation):
    upright = spotted()
    lying = np.rot90(upright[:, ::-1] if page_orientation >= 4 else upright, page_orientation % 4)
    view = View((180.0, 120.0), (1.2, 0.9), 7.0, view_orientation)
    piece = cut(lying, page_orientation, view, 448, ground=0)
    for spot in SPOTS:
        on_page = turned(page_orientation, 240, 360)[:2] @ [*spot, 1]
        there = piece.on_piece(on_page)
        assert np.abs(centroid(piece.pixels, there) - there).max() < 0.1
        np.testing.assert_allclose(piece.on_page(there), on_page)


def test_shrinking_moves_nothing():
    piece = cut(spotted(), 0, View((181.0, 119.0), (2.7, 2.2), -3.0), 160, ground=0)
    for spot in SPOTS:
        there = piece.on_piece(spot)
        assert np.abs(centroid(piece.pixels, there, 7) - there).max() < 0.15


def test_shrinking_averages_instead_of_skipping():
    checked = np.repeat(((np.indices((200, 200)).sum(axis=0) % 2) * 255)[..., None], 3, axis=2).astype(np.uint8)
    piece = cut(checked, 0, View((100.0, 100.0), (4.0, 4.0)), 32)
    assert np.abs(piece.pixels[2:-2, 2:-2].astype(int) - 127).max() < 12


def test_beyond_the_page_there_is_ground():
    piece = cut(spotted(), 0, View((-500.0, -500.0), (1.0, 1.0)), 64, ground=77)
    assert (piece.pixels == 77).all()


@pytest.mark.parametrize("orientation", range(8))
def test_orientations_are_those_of_the_renderer(pages, orientation):
    truth = pages["plain"].rendered.truth
    image = np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3)
    points = np.array([[2.0, 1.0], [7.0, 5.0]])
    lying, _, there = turned_by_the_renderer(image, truth.paper, points, orientation)
    matrix = turned(orientation, 6, 9)
    np.testing.assert_allclose(points @ matrix[:2, :2].T + matrix[:2, 2], there)
    assert (set_upright(lying, orientation) == image).all()


def test_the_pitch_of_a_turned_page_is_that_of_the_page_upright(pages):
    for name in ("plain", "turned", "mirrored"):
        rendered = pages[name].rendered
        assert pitch_px_mm(rendered.truth, rendered.page.image) == pytest.approx((5.0, 5.0), rel=1e-3)
        assert upright_size(rendered.truth, rendered.page.image) == (1075, 1400)


def test_the_pitch_of_a_coarse_fax_differs_along_x_and_y(pages):
    rendered = pages["fax"].rendered
    assert pitch_px_mm(rendered.truth, rendered.page.image) == pytest.approx((204 / 25.4, 98 / 25.4), rel=0.01)


def test_a_piece_of_a_real_page_shows_its_lead_names(pages):
    rendered = pages["mirrored"].rendered
    h, w = upright_size(rendered.truth, rendered.page.image)
    piece = cut(rendered.page.image, rendered.truth.orientation, View((w / 2, h / 2), (1.5, 1.5), 4.0), 960, ground=255)
    grey = cv2.cvtColor(piece.pixels, cv2.COLOR_RGB2GRAY)
    for name in rendered.truth.keypoints:
        x, y = np.rint(piece.on_piece(np.array([name.x_px, name.y_px]))).astype(int)
        assert grey[y - 4 : y + 5, x - 4 : x + 5].min() < 110
