"""From heat maps to points."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.networks.peaks import APART, Point, find_peaks, find_points


def heat(*spots, names=3, size=40):
    """Logits of Gaussian heat around (name, x, y, height) spots, each saying its name."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    place, known = torch.zeros(size, size), torch.zeros(names, size, size)
    for name, sx, sy, tall in spots:
        near = (x - sx) ** 2 + (y - sy) ** 2
        place += tall * torch.exp(-near / 8)
        known[name] += 5.0 * (near < 9)
    return torch.cat([torch.logit(place.clamp(1e-5, 1 - 1e-5))[None], known])[None]


def test_finds_a_peak_below_a_cell_and_its_name():
    peaks = find_peaks(heat((1, 20.4, 9.7, 0.9)), 0.4)
    assert peaks.name.tolist() == [1]
    assert (float(peaks.x), float(peaks.y)) == pytest.approx((20.4, 9.7), abs=0.02)
    assert float(peaks.place) == pytest.approx(0.9, abs=0.03)
    assert 0.8 < float(peaks.score) < float(peaks.place)


def test_a_name_that_cannot_be_read_has_a_place_and_no_score():
    logits = heat((0, 20, 20, 0.9))
    logits[:, 1:] = 0
    peaks = find_peaks(logits, 0.4)
    assert float(peaks.place) > 0.85
    assert float(peaks.score) == pytest.approx(float(peaks.place) / 3)


def test_equal_neighbours_are_one_peak():
    peaks = find_peaks(heat((0, 20.5, 20.5, 0.8)).to(torch.bfloat16), 0.4)
    assert (float(peaks.x), float(peaks.y)) == pytest.approx((20.5, 20.5), abs=0.1)


@pytest.mark.parametrize("steps", [3, 12, 10_000])
def test_the_first_of_the_highest_around_is_the_peak_at_edges_and_in_batches_too(steps):
    place = (torch.rand(3, 30, 50, generator=torch.Generator().manual_seed(steps)) * steps).round() / steps
    logits = torch.logit(place, eps=0.01)
    _, first = F.max_pool2d(logits.sigmoid(), APART, stride=1, padding=APART // 2, return_indices=True)
    expected = (first == torch.arange(30 * 50).view(30, 50)) & (logits.sigmoid() >= 0.4)
    found = find_points(logits[:, None], 0.4)
    cells = torch.stack([found.sample, found.y.round().long(), found.x.round().long()], dim=1)
    assert len(cells) == int(expected.sum())
    assert (cells - expected.nonzero()).abs().max() <= 1  # half a cell beside, where its neighbour is as high


def test_two_names_apart_are_two():
    peaks = find_peaks(heat((0, 10, 20, 0.6), (0, 10 + APART, 20, 0.8)), 0.4)
    assert sorted(peaks.x.round().int().tolist()) == [10, 10 + APART]


def test_peaks_of_a_batch_know_their_sample():
    peaks = find_peaks(torch.cat([heat((2, 10, 10, 0.9)), heat(), heat((1, 30, 20.25, 0.9))]), 0.4)
    assert peaks.sample.tolist() == [0, 2]
    assert peaks.name.tolist() == [2, 1]
    assert peaks.y.tolist() == pytest.approx([10, 20.25], abs=0.05)


def test_what_is_below_the_threshold_is_no_peak():
    assert len(find_peaks(heat((0, 20, 20, 0.3)), 0.4).x) == 0


def test_a_peak_in_the_corner_is_found():
    peaks = find_peaks(heat((0, 0, 39, 0.9)), 0.4)
    assert (float(peaks.x), float(peaks.y)) == pytest.approx((0, 39), abs=0.5)


def test_points_are_found_each_in_its_own_map():
    maps = torch.cat(
        [heat((0, 20.25, 10, 0.9), names=1)[:, :1] if k in (1, 3) else torch.full((1, 1, 40, 40), -9.0) for k in Point],
        1,
    )
    found = find_points(maps, 0.4)
    assert found.name.tolist() == [1, 3]
    assert found.x.tolist() == pytest.approx([20.25, 20.25], abs=0.05)
    assert found.score.tolist() == found.place.tolist()
