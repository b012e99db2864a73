"""The trainer of stage 1: phases lie on the printed lines, and the figures measure what they say."""

import math

import numpy as np
import pytest
import torch

from pipeline.networks.phase import CELL, CLASSES, vectors
from pipeline.training.data.crops import View, cut
from pipeline.training.train.grid import GridTask, paper_mm, task
from pipeline.training.train.loop import Run

SIDE = 256


def truths(mm):
    """float32 (1, CLASSES, h, w): what a perfect network answers where everything is ruled."""
    mm = torch.as_tensor(mm)[None]
    return torch.cat([vectors(mm), torch.full_like(mm[:, :1], 9.0)], dim=1)


def on_line(mm, axis, period=5.0, shift=0.0):
    phase = (mm[axis] - shift) / period
    return np.abs(phase - np.round(phase)) * period < 0.15


@pytest.mark.parametrize("page", ["plain", "turned", "mirrored", "curled"])
@pytest.mark.parametrize("plain", [True, False])
def test_lines_of_phase_zero_lie_on_the_printed_lines(pages, page, plain):
    rng = np.random.default_rng(1)
    for _ in range(4):
        pixels, mm, printed = GridTask("grid", side=SIDE).sample(pages[page], rng, plain=plain)
        green = pixels[1].reshape(SIDE // CELL, CELL, SIDE // CELL, CELL).mean(axis=(1, 3))
        for axis in (0, 1):
            lines = green[on_line(mm, axis) & (printed > 0)]
            between = green[on_line(mm, axis, shift=2.5) & (printed > 0)]
            assert len(lines) > 100
            assert np.median(lines) < np.median(between) - 5


@pytest.mark.parametrize("page", ["plain", "turned", "mirrored"])
def test_millimetres_grow_to_the_right_and_downwards_however_the_page_lies(pages, page):
    rng = np.random.default_rng(2)
    for _ in range(12):
        _, mm, _ = GridTask("grid", side=64).sample(pages[page], rng, plain=False)
        assert (np.diff(mm[0], axis=1) > 0).all()
        assert (np.diff(mm[1], axis=0) > 0).all()


def test_interpolated_millimetres_are_those_of_the_map(pages):
    rendered = pages["curled"].rendered
    h, w = rendered.page.image.shape[:2]
    piece = cut(rendered.page.image, 0, View((w / 2, h / 2), (1.2, 1.2), 5.0), SIDE)
    mm = paper_mm(piece, rendered.truth, SIDE)
    cells = np.random.default_rng(0).integers(0, SIDE // CELL, (200, 2))
    exact = rendered.truth.paper.to_mm(piece.on_page(cells[:, ::-1] * CELL + (CELL - 1) / 2))
    assert np.abs(mm[:, cells[:, 0], cells[:, 1]].T - exact).max() < 0.02


def test_only_the_ruled_part_of_the_paper_counts_as_ruled(pages):
    rng = np.random.default_rng(3)
    for _ in range(6):
        _, mm, printed = GridTask("grid", side=512).sample(pages["boxed"], rng, plain=True)
        assert (mm[1][printed > 0] >= 40).all()
        assert printed[(mm[0] > 10) & (mm[0] < 260) & (mm[1] > 45) & (mm[1] < 195)].all()


def test_paper_without_a_grid_is_not_ruled_anywhere(pages):
    rng = np.random.default_rng(4)
    assert not GridTask("grid", side=SIDE).sample(pages["bare"], rng, plain=True)[2].any()


def test_a_page_pickled_before_the_truth_knew_counts_as_ruled(pages):
    truth = pages["plain"].rendered.truth
    old = object.__new__(type(truth))
    old.__dict__.update({key: value for key, value in truth.__dict__.items() if not key.startswith("ruled")})
    assert old.ruled
    assert old.ruled_mm is None


def test_the_truth_has_no_error(pages):
    _, mm, printed = GridTask("grid", side=SIDE).sample(pages["plain"], np.random.default_rng(5), plain=True)
    grid = task()
    targets = [torch.from_numpy(mm)[None], torch.ones(1, *printed.shape, dtype=torch.uint8)]
    assert float(grid.loss(truths(mm), targets)) < 1e-4
    figures = grid.judge(truths(mm), targets)
    assert figures["p90_5mm"] < 1e-3
    assert figures["p90_1mm"] < 1e-3
    assert figures["sure_5mm"] == figures["sure_1mm"] == 1.0
    assert figures["ruled"] == 1.0


def test_what_it_is_sure_of_is_judged_apart(pages):
    _, mm, printed = GridTask("grid", side=SIDE).sample(pages["plain"], np.random.default_rng(5), plain=True)
    output = truths(mm)
    output[..., : SIDE // 4] = truths(mm + 1.5)[..., : SIDE // 4]
    output[:, :-1, :, : SIDE // 4] *= 0.5
    figures = task().judge(output, [torch.from_numpy(mm)[None], torch.ones(1, *printed.shape, dtype=torch.uint8)])
    assert figures["sure_5mm"] == 0.5
    assert figures["p90_5mm"] == pytest.approx(1.5, abs=0.01)
    assert figures["p90_sure_5mm"] < 1e-3


def test_the_length_of_a_pair_does_not_change_its_phase_but_its_loss():
    mm = torch.rand(2, 8, 8) * 50
    targets = [mm[None], torch.ones(1, 8, 8, dtype=torch.uint8)]
    unsure = truths(mm)
    unsure[:, :-1] *= 0.3
    figures = task().judge(unsure, targets)
    assert figures["p90_1mm"] < 1e-3
    assert figures["sure_1mm"] == 0.0
    assert math.isnan(figures["p90_sure_1mm"])
    assert float(task().loss(unsure, targets)) == pytest.approx(0.5 * 0.7**2, rel=0.01)


def test_where_nothing_is_ruled_only_saying_so_costs():
    mm = torch.rand(2, 8, 8) * 50
    targets = [mm[None], torch.zeros(1, 8, 8, dtype=torch.uint8)]
    wrong = torch.randn(1, CLASSES, 8, 8)
    wrong[:, -1] = -12
    assert float(task().loss(wrong, targets)) < 1e-4
    figures = task().judge(wrong, targets)
    assert math.isnan(figures["p90_5mm"])
    assert figures["ruled"] == 1.0


def test_the_network_answers_at_half_resolution_without_its_last_layer():
    network = task().build().eval()
    assert network(torch.zeros(1, 3, 64, 80)).shape == (1, CLASSES, 32, 40)
    assert not any(key.startswith("encoder.layer4") for key in network.state_dict())
    whole = task(depth=5).build()
    assert any(key.startswith("encoder.layer4") for key in whole.state_dict())


def test_learns_a_page_by_heart(pages, tmp_path):
    small = GridTask("grid", task().arguments, side=64)
    rng = np.random.default_rng(6)
    samples = [small.sample(pages["plain"], rng, plain=True) for _ in range(4)]
    batch = [torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True)]
    run = Run(small, 1, tmp_path, torch.device("cpu"))
    losses = [float(run.step(batch, 2e-3)) for _ in range(20)]
    assert np.mean(losses[-3:]) < 0.6 * losses[0]
