"""Surfaces over fine grids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline

from pipeline.paper.spline import on_grid


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (1, 3), (2, 1)])
def test_is_what_the_spline_says(rows: int, columns: int) -> None:
    values = np.random.default_rng(0).normal(500, 100, (7, 9))
    spline = RectBivariateSpline(5.0 * np.arange(7), 5.0 * np.arange(9), values, kx=rows, ky=columns)
    y, x = np.linspace(0, 30, 50), np.linspace(0, 40, 31)
    assert np.allclose(on_grid(spline, y, x), spline(y, x), rtol=1e-12)
