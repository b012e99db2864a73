"""What is read off a page by the register network: a network that knows the answer is read back to the millimetre."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.landmarks import PageReader, combined, set_upright
from pipeline.landmarks.network import PX_PER_MM
from pipeline.networks import Running
from pipeline.networks.peaks import CELL, CHANNELS, NAMES_AND_PLACE, Point
from pipeline.recording import TWELVE, Lead
from pipeline.sheet import extent_mm
from pipeline.synth.truth import Rendered


class Knowing(nn.Module):
    """Answers with Gaussians at (channel, x, y, lead) of the flat page's pixels, whatever it is shown."""

    def __init__(self, spots: list[tuple[int, float, float]], names: list[tuple[int, float, float]]) -> None:
        super().__init__()
        self.spots, self.names, self.shapes = spots, names, []

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = (n // CELL for n in pixels.shape[2:])
        self.shapes.append(tuple(pixels.shape))
        y, x = torch.meshgrid(torch.arange(height) * CELL + 0.5, torch.arange(width) * CELL + 0.5, indexing="ij")
        out = torch.full((1, CHANNELS, height, width), -9.0)
        for channel, px, py in [*self.spots, *((0, px, py) for _, px, py in self.names)]:
            heat = 0.95 * torch.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (2.0 * CELL) ** 2))
            out[0, channel] = torch.maximum(out[0, channel], torch.logit(heat.clamp(1e-4, 0.95)))
        for lead, px, py in self.names:
            out[0, 1 + lead][(x - px) ** 2 + (y - py) ** 2 < 40] = 9.0
        turns = torch.zeros(1, 8)
        turns[0, 2] = 5.0
        return out, turns


def test_names_come_back_in_pixels_and_points_in_millimetres(clean: Rendered) -> None:
    image, paper = clean.page.image, clean.truth.paper
    x0, y0, _, _ = extent_mm(image, paper)
    starts = [(s.start_mm, s.baseline_mm) for s in clean.truth.segments]
    printed = paper.to_mm(np.array([(k.x_px, k.y_px) for k in clean.truth.keypoints]))
    spots = [(NAMES_AND_PLACE + Point.START, (x - x0) * PX_PER_MM, (y - y0) * PX_PER_MM) for x, y in starts]
    names = [
        (TWELVE.index(k.lead), (x - x0) * PX_PER_MM, (y - y0) * PX_PER_MM)
        for k, (x, y) in zip(clean.truth.keypoints, printed, strict=True)
    ]
    network = Knowing(spots, names)
    found = PageReader(Running(network)).read(image, paper)
    assert found.marks.starts[np.lexsort(found.marks.starts[:, :2].T[::-1]), :2] == pytest.approx(
        np.array(sorted(starts)), abs=0.05
    )
    assert all(not len(p) for p in (found.marks.ends, found.marks.rises, found.marks.falls, found.marks.tops))
    assert len(found.names) == len(names)
    for k in clean.truth.keypoints:
        near = [n for n in found.names if np.hypot(n.x_px - k.x_px, n.y_px - k.y_px) < 1.0]
        assert [n.lead for n in near] == [k.lead]
        assert near[0].score > 0.9
    assert found.sure_names > 8  # three of the twelve read alike upside down
    assert int(np.argmax(found.turns)) == 2
    assert all(side % 32 == 0 for shape in network.shapes for side in shape[2:])
    x, y = starts[0]
    marks = found.marks
    here = round((y - marks.y0_mm) / marks.cell_mm), round((x - marks.x0_mm) / marks.cell_mm)
    assert marks.starting[here] > 0.8


@pytest.mark.parametrize(
    ("turns", "ways"),
    [
        ((0.9, 0.0, 0.06, 0.0, 0.02, 0.0, 0.02, 0.0), (0, 2, 4, 6)),
        ((0.0, 0.5, 0.0, 0.46, 0.04, 0.0, 0.0, 0.0), (0, 1, 3, 5, 7)),
        ((0.5, 0.2, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0), tuple(range(8))),
    ],
)
def test_only_ways_that_the_quarter_turn_leaves_open_are_looked_at(
    clean: Rendered, turns: tuple[float, ...], ways: tuple[int, ...]
) -> None:
    reader = PageReader(Running(Knowing([], [])))
    found = reader.read(clean.page.image, clean.truth.paper)
    assert replace(found, turns=np.array(turns, np.float32)).likely_ways == ways


def test_a_name_that_is_read_everywhere_counts_once(clean: Rendered) -> None:
    again = [(TWELVE.index(Lead.V4), 100.0 + 60 * k, 200.0) for k in range(6)]
    found = PageReader(Running(Knowing([], again))).read(clean.page.image, clean.truth.paper)
    assert len(found.names) == 6
    assert 0.8 < found.sure_names <= 1.0


def test_a_page_where_nothing_is_found_has_no_points(clean: Rendered) -> None:
    found = PageReader(Running(Knowing([], []))).read(clean.page.image, clean.truth.paper)
    assert found.names == ()
    assert found.sure_names == 0
    assert found.marks.starts.shape == (0, 3)


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("then", range(8))
def test_two_orientations_undone_one_after_the_other_are_one(first: int, then: int) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(set_upright(set_upright(image, first), then), set_upright(image, combined(first, then)))
