"""The paper where no grid survived: its scale from the file's resolution, its skew from text and baselines."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.recording import UInt8

Float64 = npt.NDArray[np.float64]

MM_PER_INCH = 25.4
SCREEN_DPI = (72.0, 96.0)  # what software writes when it knows nothing
PAGE_MM = (90.0, 460.0)  # the longer side of anything an ECG is printed on: a strip to an A3 sheet
LARGEST_SKEW_DEG = 8.0
ASSUMED_PAGE_MM = 280.0  # the longer side of the standard page, when nothing at all tells
POINTS = 40_000  # dark pixels looked at: more change the skew by less than 0.01 degrees


def trusted(dpi: tuple[float, float] | None, shape: tuple[int, int]) -> tuple[float, float] | None:
    """Pixels per mm along x and y as the file says, None where it is silent or speaks of a screen."""
    if dpi is None or not all(np.isfinite(d) and d > 0 for d in dpi):
        return None
    if any(abs(d - s) < 0.6 for d in dpi for s in SCREEN_DPI):
        return None
    px_mm = (dpi[0] / MM_PER_INCH, dpi[1] / MM_PER_INCH)
    longer_mm = max(shape[1] / px_mm[0], shape[0] / px_mm[1])
    return px_mm if PAGE_MM[0] <= longer_mm <= PAGE_MM[1] else None


def skew_deg(image: UInt8, px_mm: tuple[float, float]) -> float:
    """How far rows of print fall to the right, in degrees on the paper: the angle at which their profile is sharpest.

    image: uint8 (H, W, 3) RGB. 0 for an empty page.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    paper = float(np.percentile(grey[::4, ::4], 70))
    y, x = np.nonzero(grey < 0.6 * paper)
    if len(x) < 200:  # a few specks have no direction
        return 0.0
    pick = np.random.default_rng(0).permutation(len(x))[:POINTS]
    x_mm, y_mm = x[pick] / px_mm[0], y[pick] / px_mm[1]
    x_mm -= x_mm.mean()
    best, reach, steps = 0.0, LARGEST_SKEW_DEG, 65
    for bin_mm in (0.5, 0.25, 0.15):  # finer profiles for finer angles: a coarse search must not miss the peak
        angles = best + np.linspace(-reach, reach, steps)
        sharp = [_sharpness(y_mm - x_mm * np.tan(np.radians(a)), bin_mm) for a in angles]
        at = int(np.argmax(sharp))
        best, reach, steps = float(angles[at]), 2.5 * reach / (steps // 2), 21
    return best


def _sharpness(y_mm: Float64, bin_mm: float) -> float:
    bins = ((y_mm - y_mm.min()) / bin_mm).astype(np.int64)
    counts = np.bincount(bins).astype(np.float64)
    return float(np.sum(counts**2))


def affine(shape: tuple[int, int], px_mm: tuple[float, float], skew: float) -> Float64:
    """The (2, 3) matrix from millimetres to pixels of a page turned by skew degrees about its middle.

    Millimetre (0, 0) is the image's top left corner when the skew is 0.
    """
    c, s = np.cos(np.radians(skew)), np.sin(np.radians(skew))
    scale = np.diag(px_mm)
    turn = scale @ np.array([[c, -s], [s, c]])
    middle_px = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    middle_mm = middle_px / np.array(px_mm)
    return np.column_stack([turn, middle_px - turn @ middle_mm])
