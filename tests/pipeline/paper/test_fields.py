"""A page is looked at at the scale the network knows, and its phases lie where they were seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.networks import Running
from pipeline.networks.phase import CELL, PX_MM, vectors
from pipeline.paper.fields import Fields, look, pitch_px, see, sureness
from pipeline.recording import UInt8


class Ruler(nn.Module):
    """Reads millimetres off a page whose red is x and whose green is y, the surer the nearer it is to its scale."""

    def forward(self, pixels: Tensor) -> Tensor:
        mm = (pixels[:, :2].float() + 1) * 127.5
        mm = nn.functional.avg_pool2d(mm, CELL)
        slope = torch.stack([mm[:, 0].diff(dim=2).median(), mm[:, 1].diff(dim=1).median()]) / CELL
        sure = torch.exp(-8 * (slope * PX_MM).clamp_min(1e-3).log().square().sum())
        return torch.cat([sure * vectors(mm), torch.full_like(mm[:, :1], 9.0)], dim=1)


def page(px_mm: tuple[float, float], size_mm: tuple[float, float] = (200.0, 120.0)) -> UInt8:
    """A page that says of every pixel where it lies, 10 mm from the corner on."""
    width, height = (round(n * p) for n, p in zip(size_mm, px_mm, strict=True))
    x, y = np.meshgrid((np.arange(width) + 0.5) / px_mm[0] + 10, (np.arange(height) + 0.5) / px_mm[1] + 10)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).round().astype(np.uint8)


def mm_at(fields: Fields, row: int, column: int) -> tuple[float, float]:
    """Phase within 5 mm of a cell, and that of its place on the page."""
    seen = np.angle(fields.coarse[:, row, column]) / (2 * np.pi) * 5
    return float(seen[0]), float(seen[1])


@pytest.mark.parametrize("px_mm", [(8.0, 8.0), (3.0, 3.0), (8.03, 3.86)])
def test_sees_every_cell_where_it_lies(px_mm: tuple[float, float]) -> None:
    fields = see(Running(Ruler()), page(px_mm), px_mm)
    for row, column in ((40, 50), (150, 320), (200, 100)):
        px = np.array(fields.corner_px) + np.array([column, row]) * fields.step_px
        at = (px + 0.5) / px_mm + 10
        off = (np.array(mm_at(fields, row, column)) - at + 2.5) % 5 - 2.5
        assert np.abs(off).max() < 0.35  # the page tells whole millimetres


def test_covers_the_page_once() -> None:
    image = page((8.0, 8.0))
    width, height = see(Running(Ruler()), image, (8.0, 8.0)).size_px
    assert (width, height) == pytest.approx(image.shape[1::-1], rel=0.01)


@pytest.mark.parametrize("guess", [4.0, 6.5, 10.0])
def test_finds_the_scale_at_which_the_network_is_surest(guess: float) -> None:
    fields = look(Running(Ruler()), page((6.0, 6.0)), [(guess, guess)])
    assert pitch_px(fields) == pytest.approx((6.0, 6.0), rel=0.1)  # the page tells whole millimetres
    assert sureness(fields) > 0.7


def test_looks_at_both_directions_of_a_fax_alike() -> None:
    fields = look(Running(Ruler()), page((8.03, 3.86)), [(8.03, 3.86)])
    assert fields.step_px[0] / fields.step_px[1] == pytest.approx(8.03 / 3.86, rel=0.12)


def test_looks_at_a_page_smaller_than_a_cell() -> None:
    assert see(Running(Ruler()), np.zeros((1, 1, 3), np.uint8), (4.3, 4.3)).printed.shape == (1, 1)
