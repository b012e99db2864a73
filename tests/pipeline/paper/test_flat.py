"""Flat pages keep a smooth map; bent ones keep their bends."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.geometry import Float64, PaperMap
from pipeline.paper.flat import laid_out
from pipeline.recording import Known

X_MM, Y_MM = np.arange(0.0, 281.0, 5.0), np.arange(0.0, 216.0, 5.0)
PX_PER_MM = 8.0


def flat(turned: float = 0.01) -> Float64:
    """float64 (R, C, 2): nodes of a page that lies a little askew, pixels."""
    x, y = np.meshgrid(X_MM, Y_MM)
    return PX_PER_MM * np.stack([x - turned * y + 3.0, y + turned * x + 7.0], axis=-1)


def paper(nodes_px: Float64) -> PaperMap:
    return PaperMap(X_MM, Y_MM, nodes_px, Known.GRID)


def off_mm(found: PaperMap, nodes_px: Float64) -> float:
    return float(np.linalg.norm(found.nodes_px - nodes_px, axis=-1).max()) / PX_PER_MM


def fed(nodes_px: Float64) -> Float64:
    """As a scanner's feed moves them: slower and faster over the page, by half a millimetre."""
    down = np.linspace(-1, 1, len(Y_MM))[:, None]
    out = nodes_px.copy()
    out[..., 1] += 0.5 * PX_PER_MM * (down**3 - down)
    return out


@pytest.mark.parametrize("true", [flat(), fed(flat())], ids=["plane", "feed"])
def test_nodes_led_astray_by_mould_go_back_among_the_others(true: Float64) -> None:
    rng = np.random.default_rng(3)
    read = true + rng.normal(0, 0.02 * PX_PER_MM, true.shape)
    read[10:20, 5:25] += 0.8 * PX_PER_MM
    read[30:36, 40:50] -= 3.0 * PX_PER_MM
    assert off_mm(paper(read), true) > 3.0
    assert off_mm(laid_out(paper(read)), true) < 0.1


def test_a_page_bent_before_a_camera_is_left_as_it_is() -> None:
    bent = flat()
    across = np.linspace(-1, 1, len(X_MM))[None, :]
    bent[..., 1] += 2.0 * PX_PER_MM * across**2
    assert laid_out(paper(bent)).nodes_px is bent


def test_a_page_seen_aslant_is_left_as_it_is() -> None:
    x, y = np.meshgrid(X_MM, Y_MM)
    aslant = flat() / (1.0 + 0.0008 * x[..., None] + 0.0002 * y[..., None])
    assert laid_out(paper(aslant)).nodes_px is aslant


def test_a_few_nodes_say_nothing_about_a_surface() -> None:
    few = PaperMap(X_MM[:4], Y_MM[:6], flat()[:6, :4] + np.random.default_rng(1).normal(0, 0.5, (6, 4, 2)), Known.GRID)
    assert laid_out(few) is few


def test_lies_where_it_lay_where_nothing_led_it_astray() -> None:
    assert off_mm(laid_out(paper(flat())), flat()) < 1e-6
