"""Phases become the lattice they were made from, whatever part of them is missing or wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.geometry import Float64, PaperMap
from pipeline.paper.fields import Fields, gradients, pitch_px
from pipeline.paper.lattice import Lattice
from pipeline.paper.phases import lattice_of
from pipeline.recording import Known

STEP_PX = (3.0, 3.0)  # of the image to a cell
SHAPE = (400, 520)  # cells: 258 by 198 mm at 6 px/mm
PX_MM = 6.0

Place = Callable[[Float64, Float64], tuple[Float64, Float64]]


def plane(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    """Paper millimetres of image pixels on a page that lies two degrees askew."""
    c, s = np.cos(np.radians(2.0)), np.sin(np.radians(2.0))
    return (x * c + y * s) / PX_MM + 1.7, (y * c - x * s) / PX_MM + 0.4


def curl(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    """The same of a page that bulges by several millimetres and narrows towards its top."""
    u, v = plane(x, y)
    return u * (1 + 0.0004 * v) + 2.5 * np.sin(u / 55) * np.cos(v / 70), v + 3.0 * np.sin(v / 60) + 0.0005 * u * v


def seen(place: Place, sure: float = 1.0) -> Fields:
    """What a network without errors says of a page."""
    x = STEP_PX[0] * (np.arange(SHAPE[1]) + 0.5) - 0.5
    y = STEP_PX[1] * (np.arange(SHAPE[0]) + 0.5) - 0.5
    mm = np.stack(place(*np.meshgrid(x, y)))
    coarse, fine = (sure * np.exp(2j * np.pi * mm / period).astype(np.complex64) for period in (5.0, 1.0))
    return Fields(coarse, fine, np.ones(SHAPE, np.float32), STEP_PX)


def errors_mm(drawn: Lattice, place: Place) -> Float64:
    """How far the lattice's nodes in the picture lie from where they say, but for whole squares of 5 mm."""
    px = drawn.nodes_px
    inside = np.all((px >= 0) & (px <= np.array(SHAPE[::-1]) * STEP_PX[0] - 1), axis=-1)
    off = np.stack(place(px[..., 0], px[..., 1]), axis=-1) - np.stack(np.meshgrid(drawn.x_mm, drawn.y_mm), axis=-1)
    off = off[inside]
    whole = 5 * np.round(np.median(off, axis=0) / 5)
    return np.abs(off - whole)


@pytest.mark.parametrize(("place", "worst"), [(plane, 0.005), (curl, 0.05)])
def test_draws_the_lattice_that_the_phases_were_made_from(place: Place, worst: float) -> None:
    drawn = lattice_of(seen(place))
    assert drawn is not None
    errors = errors_mm(drawn, place)
    assert np.quantile(errors, 0.99) < worst
    margin = np.array(SHAPE[::-1]) * STEP_PX[0] / 2 - np.abs(drawn.nodes_px - np.array(SHAPE[::-1]) * STEP_PX[0] / 2)
    assert drawn.coherence.min(axis=0)[margin.min(axis=-1) > 60].min() > 0.9


def test_measures_the_scale_and_the_direction_of_the_phases() -> None:
    fields = seen(plane)
    assert pitch_px(fields) == pytest.approx((PX_MM, PX_MM), rel=1e-3)
    _, turns, evidence = gradients(fields)
    assert np.degrees(np.arctan2(turns[0, :, 1], turns[0, :, 0])) == pytest.approx(2.0, abs=0.05)
    assert evidence.max() <= 1.0 + 1e-6


def test_carries_the_lattice_over_holes() -> None:
    fields = seen(curl)
    fields.coarse[:, 120:200, 150:260] = 0
    fields.fine[:, 120:200, 150:260] = 0
    drawn = lattice_of(fields)
    assert drawn is not None
    assert np.quantile(errors_mm(drawn, curl), 0.99) < 0.2
    away = np.hypot(drawn.nodes_px[..., 0] - 615, drawn.nodes_px[..., 1] - 480)
    row, column = np.unravel_index(np.argmin(away), away.shape)
    assert drawn.coherence[:, row, column].max() < 0.1


def test_outvotes_cells_that_are_sure_and_wrong() -> None:
    fields, rng = seen(plane), np.random.default_rng(3)
    for _ in range(12):
        r, c = rng.integers(0, SHAPE[0] - 25), rng.integers(0, SHAPE[1] - 25)
        fields.coarse[:, r : r + 25, c : c + 25] *= np.exp(1j * rng.uniform(1.0, 5.0)).astype(np.complex64)
        fields.fine[:, r : r + 25, c : c + 25] *= np.exp(1j * rng.uniform(1.0, 5.0)).astype(np.complex64)
    drawn = lattice_of(fields)
    assert drawn is not None
    assert np.quantile(errors_mm(drawn, plane), 0.9) < 0.1


def test_reads_noisy_phases_of_half_a_page() -> None:
    fields, rng = seen(curl, sure=0.6), np.random.default_rng(5)
    noise = rng.normal(0, 0.5, (2, 2, *SHAPE)) + 1j * rng.normal(0, 0.5, (2, 2, *SHAPE))
    fields.coarse[:] += noise[0]
    fields.fine[:] += noise[1]
    fields.printed[:, 300:] = 0
    drawn = lattice_of(fields)
    assert drawn is not None
    ruled = drawn.nodes_px[..., :1] < 300 * STEP_PX[0]
    left = replace(drawn, nodes_px=np.where(ruled, drawn.nodes_px, -1.0))
    assert np.quantile(errors_mm(left, curl), 0.95) < 0.15


def test_places_nodes_by_the_5_mm_lines_where_there_are_no_others() -> None:
    fields = seen(plane)
    fields.fine[:] = 0
    drawn = lattice_of(fields)
    assert drawn is not None
    assert np.quantile(errors_mm(drawn, plane), 0.99) < 0.02


def test_draws_nothing_from_noise() -> None:
    rng = np.random.default_rng(0)
    noise = (rng.normal(0, 0.3, (2, *SHAPE)) + 1j * rng.normal(0, 0.3, (2, *SHAPE))).astype(np.complex64)
    assert lattice_of(Fields(noise, noise, np.ones(SHAPE, np.float32), STEP_PX)) is None


def test_draws_nothing_where_no_ruling_is_told() -> None:
    fields = seen(plane)
    fields.printed[:] = 0
    assert lattice_of(fields) is None


def test_may_be_used_as_a_map_of_the_paper() -> None:
    drawn = lattice_of(seen(curl))
    assert drawn is not None
    paper = PaperMap(drawn.x_mm, drawn.y_mm, drawn.nodes_px, Known.GRID)
    points = np.array([[300.0, 300.0], [900.0, 500.0]])
    x, y = curl(points[:, 0], points[:, 1])
    off = paper.to_mm(points) - np.stack([x, y], axis=-1)
    assert off[0] == pytest.approx(off[1], abs=0.03)
