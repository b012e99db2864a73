"""What the source network is shown of a page."""

import numpy as np
import pytest

from pipeline.networks.thumbnail import BUSY, GROUND, SIDE, compose, places

RNG = np.random.default_rng(0)
CROP = 152
THUMB_H = 304


def half_busy(height, width):
    """Blank on the left, noise on the right."""
    image = np.full((height, width, 3), 240, np.uint8)
    image[:, width // 2 :] = RNG.integers(0, 256, (height, width - width // 2, 3))
    return image


@pytest.mark.parametrize("shape", [(1700, 2200), (2200, 1700), (300, 3000), (100, 90), (1, 1), (456, 456)])
def test_any_page_becomes_one_size(shape):
    out = compose(RNG.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert out.shape == (SIDE, SIDE, 3)
    assert out.dtype == np.uint8


def test_the_whole_page_is_in_the_upper_part_in_its_own_proportions():
    image = np.full((800, 400, 3), 10, np.uint8)
    image[:10], image[-10:] = 250, 250
    thumb = compose(image)[:THUMB_H]
    filled = (thumb != GROUND).any(axis=(0, 2))
    assert filled.sum() == THUMB_H // 2
    assert thumb[0, SIDE // 2, 0] > 200
    assert thumb[-1, SIDE // 2, 0] > 200
    assert thumb[THUMB_H // 2, SIDE // 2, 0] == 10


def test_the_lower_part_shows_the_pages_own_pixels():
    image = RNG.integers(0, 256, (900, 1300, 3), dtype=np.uint8)
    strip = compose(image)[THUMB_H:]
    for i, (y, x) in enumerate(places(image)):
        assert (strip[:, i * CROP : (i + 1) * CROP] == image[y : y + CROP, x : x + CROP]).all()


def test_places_go_from_busy_to_quiet():
    image = half_busy(900, 1800)
    busy, middling, quiet = (image[y : y + CROP, x : x + CROP].std() for y, x in places(image))
    assert busy > 50
    assert busy >= middling >= quiet
    assert quiet == 0


def test_the_same_page_gives_the_same_picture():
    image = half_busy(700, 1000)
    assert (compose(image) == compose(image.copy())).all()


def test_one_bit_and_moire_survive():
    """A checkerboard is grey in a thumbnail; in the strip it stays black and white."""
    image = np.repeat(((np.indices((1200, 1600)).sum(axis=0) % 2) * 255)[..., None], 3, axis=2).astype(np.uint8)
    out = compose(image)
    assert set(np.unique(out[THUMB_H:])) == {0, 255}
    assert np.ptp(out[20:-200, 100:300]) < 20


def test_a_page_smaller_than_a_place_is_shown_whole_with_ground_beside():
    out = compose(np.full((60, 50, 3), 9, np.uint8))[THUMB_H:]
    assert (out[:60, :50] == 9).all()
    assert (out[60:, :CROP] == GROUND).all()


def test_a_smaller_picture_has_the_same_parts():
    image = half_busy(900, 1300)
    out = compose(image, side=192)
    assert out.shape == (192, 192, 3)
    for i, (y, x) in enumerate(places(image, BUSY, 64)):
        assert (out[128:, i * 64 : (i + 1) * 64] == image[y : y + 64, x : x + 64]).all()
