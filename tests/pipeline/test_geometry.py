"""The map from paper to pixels, inside its lattice and beyond."""

from __future__ import annotations

import numpy as np

from pipeline.geometry import PaperMap
from pipeline.recording import Known


def curled() -> PaperMap:
    x_mm, y_mm = 5.0 * np.arange(9), 5.0 * np.arange(7)
    x, y = np.meshgrid(x_mm, y_mm)
    return PaperMap(x_mm, y_mm, np.stack([8 * x + 0.02 * y * y, 7 * y + 0.03 * x * x], axis=-1), Known.GRID)


def test_points_beyond_the_lattice_change_nothing_for_those_within() -> None:
    points = np.random.default_rng(0).uniform(-10, 50, (4, 25, 2))
    together = curled().to_px(points)
    alone = [[curled().to_px(point) for point in row] for row in points]
    assert np.array_equal(together, np.array(alone))


def test_goes_on_along_the_slope_of_its_last_millimetre() -> None:
    paper = curled()
    last, before, beyond = paper.to_px(np.array([[40.0, 12.0], [39.0, 12.0], [47.0, 12.0]]))
    assert np.allclose(beyond, last + 7 * (last - before))
