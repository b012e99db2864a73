"""What the grid network's answer means."""

import math

import pytest
import torch

from pipeline.networks.phase import CLASSES, PERIODS_MM, apart, phases, vectors


def output_of(mm, length=1.0):
    """A perfect network's answer (1, CLASSES, h, w) to float32 (2, h, w) mm, its pairs of this length."""
    return torch.cat([vectors(mm[None]) * length, torch.full((1, 1, *mm.shape[1:]), 9.0)], dim=1)


def test_a_perfect_answer_gives_the_millimetres_back_within_every_period():
    mm = torch.rand(2, 6, 7) * 250
    assert output_of(mm).shape == (1, CLASSES, 6, 7)
    for period, phase in zip(PERIODS_MM, phases(output_of(mm)), strict=True):
        assert phase.mm.shape == phase.sure.shape == (1, 2, 6, 7)
        assert float(phase.mm.abs().max()) <= period / 2 + 1e-4
        assert float(apart(phase.mm[0], mm, period).max()) < 1e-3
        assert float((phase.sure - 1).abs().max()) < 1e-4


def test_x_and_y_are_not_mixed_up():
    mm = torch.stack([torch.full((3, 3), 101.2), torch.full((3, 3), 48.9)])
    within5, within1 = phases(output_of(mm))
    assert within5.mm[0, :, 0, 0].tolist() == pytest.approx([1.2, -1.1], abs=1e-3)
    assert within1.mm[0, :, 0, 0].tolist() == pytest.approx([0.2, -0.1], abs=1e-3)


def test_the_mean_of_doubtful_vectors_is_short_as_said():
    torch.manual_seed(0)
    doubt = 0.7  # radians
    turns = torch.randn(2, 200_000) * doubt
    mean = torch.stack([turns.cos().mean(dim=1), turns.sin().mean(dim=1)])
    pairs = torch.zeros(1, CLASSES, 1, 1)
    pairs[0, 0], pairs[0, 1] = mean[0, 0], mean[1, 0]
    assert float(phases(pairs)[0].sure[0, 0, 0, 0]) == pytest.approx(math.exp(-(doubt**2) / 2), abs=0.01)


@pytest.mark.parametrize(("off", "distance"), [(0.1, 0.1), (4.9, 0.1), (35.3, 0.3), (-0.2, 0.2), (2.5, 2.5)])
def test_the_way_from_phase_to_phase_goes_around(off, distance):
    mm = torch.zeros(2, 2, 2)
    assert float(apart(mm + off, mm, 5.0).max()) == pytest.approx(distance, abs=1e-5)


def test_phases_of_half_precision_are_not_lost():
    mm = torch.rand(2, 8, 8) * 250
    _, within1 = phases(output_of(mm).to(torch.bfloat16))
    assert float(apart(within1.mm[0], mm, 1.0).max()) < 0.005
