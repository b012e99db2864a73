"""Disturbances of colour: bounded, different from sample to sample, and none that moves a pixel."""

import pytest
import torch

from pipeline.training.data.augment import disturb_colours


@pytest.fixture
def disturbed():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 48).expand(1, 3, 32, 48)
    return disturb_colours(ramp.repeat(256, 1, 1, 1))


def test_stays_within_black_and_white(disturbed):
    assert float(disturbed.min()) >= 0
    assert float(disturbed.max()) <= 1
    assert bool(torch.isfinite(disturbed).all())


def test_every_sample_is_disturbed_otherwise(disturbed):
    assert len({round(float(sample.mean()), 6) for sample in disturbed}) > 250


def test_dark_stays_darker_than_light_but_in_a_few_negatives(disturbed):
    rising = disturbed[..., 36:].mean(dim=(1, 2, 3)) - disturbed[..., :12].mean(dim=(1, 2, 3))
    negatives = int((rising < 0).sum())
    assert 1 <= negatives < 25
    assert float(rising.abs().min()) > 0.1


def test_moves_no_edge():
    torch.manual_seed(1)
    step = torch.zeros(64, 3, 32, 32)
    step[..., 16:] = 1
    slope = (disturb_colours(step).mean(dim=1).diff(dim=-1)).mean(dim=1).abs()
    assert bool((slope.argmax(dim=-1) == 15).all())
