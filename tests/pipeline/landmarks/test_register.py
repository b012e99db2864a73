"""Which way up a page lies, and its lead names."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.landmarks import map_upright, register, set_upright
from pipeline.synth.truth import Rendered


def test_reads_the_lead_names_where_they_are_printed(clean: Rendered) -> None:
    found = register(clean.page.image, clean.truth.paper)
    assert found.orientation == 0
    assert found.score > 0.7
    px_per_mm = 200 / 25.4
    for printed in clean.truth.keypoints:
        near = [
            k
            for k in found.keypoints
            if np.hypot(k.x_px - printed.x_px, k.y_px - printed.y_px) < 1.0 * px_per_mm and k.lead == printed.lead
        ]
        assert near, printed


def test_says_little_about_a_page_without_names(nameless: Rendered) -> None:
    assert register(nameless.page.image, nameless.truth.paper).score < 0.35


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_finds_how_a_page_was_turned(clean: Rendered, turns: int) -> None:
    image = np.ascontiguousarray(np.rot90(clean.page.image, turns))
    assert register(image).orientation == turns % 2
    paper = clean.truth.paper
    turned = map_upright(paper, clean.page.image.shape[:2], (4 - turns) % 4)
    assert register(image, turned).orientation == turns


@pytest.mark.parametrize("orientation", range(8))
def test_set_upright_undoes_every_orientation(orientation: int) -> None:
    page = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    laid = np.rot90(page[:, ::-1] if orientation >= 4 else page, orientation % 4)
    assert np.array_equal(set_upright(np.ascontiguousarray(laid), orientation), page)


@pytest.mark.parametrize("turns", range(8))
def test_the_paper_turns_with_the_page(clean: Rendered, turns: int) -> None:
    paper, shape = clean.truth.paper, clean.page.image.shape[:2]
    turned = map_upright(paper, shape, turns)
    marked = np.zeros(shape, bool)
    marked[300, 500] = True
    y, x = np.argwhere(set_upright(np.repeat(marked[..., None].astype(np.uint8), 3, 2), turns)[..., 0])[0]
    one, other = turned.to_mm(np.array([[float(x), float(y)], [float(x) + 10, float(y)]]))
    before = paper.to_mm(np.array([[500.0, 300.0]]))[0]
    width, height = paper.x_mm[-1] - paper.x_mm[0], paper.y_mm[-1] - paper.y_mm[0]
    left, top = before - [paper.x_mm[0], paper.y_mm[0]]
    right, below = width - left, height - top
    wanted = ((left, top), (below, left), (right, below), (top, right))[turns % 4]
    if turns >= 4:
        wanted = ((height if turns % 2 else width) - wanted[0], wanted[1])
    start = np.array([turned.x_mm[0], turned.y_mm[0]]) if turns else np.array([paper.x_mm[0], paper.y_mm[0]])
    assert np.allclose(one - start, wanted, atol=1e-6)
    assert other[0] > one[0]
