"""Surfaces over fine grids of places."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline, RectBivariateSpline

Float64 = npt.NDArray[np.float64]


def on_grid(spline: RectBivariateSpline, y: Float64, x: Float64) -> Float64:
    """float64 (len(y), len(x)): the spline where rows y and columns x of places cross, none beyond its knots.

    What calling the spline gives, in a quarter of the time: with all rows and columns at once, the few polynomials that
    are not 0 at each are summed along one axis and then along the other.
    """
    along_y, along_x = (
        BSpline.design_matrix(at, knots, degree)
        for at, knots, degree in zip((y, x), spline.get_knots(), spline.degrees, strict=True)
    )
    coefficients = spline.get_coeffs().reshape(along_y.shape[1], along_x.shape[1])
    across = np.ascontiguousarray((along_x @ coefficients.T).T)
    return np.asarray(along_y @ across)
