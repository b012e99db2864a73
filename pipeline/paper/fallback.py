"""The paper where no grid survived: its scale from the file's resolution, its skew from text and baselines."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.recording import UInt8

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

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

    Traces say roughly, but a lead's baseline wanders and its neighbour's lies elsewhere; letters say exactly.
    image: uint8 (H, W, 3) RGB. 0 for an empty page.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    paper = float(np.percentile(grey[::4, ::4], 70))
    black = grey < 0.6 * paper
    if int(black.sum()) < 200:  # a few specks have no direction
        return 0.0
    rough = _sharpest(black, px_mm, 0.0, LARGEST_SKEW_DEG, (0.5, 0.25, 0.15), power=1.5)
    letters = _letters(black, px_mm)
    if int(letters.sum()) < 800:  # pixels: a dozen letters
        return rough
    return _sharpest(letters, px_mm, rough, 1.2, (0.4, 0.2, 0.12), power=2.0)


def _letters(black: Bool, px_mm: tuple[float, float]) -> Bool:
    """The ink of marks as large as letters: 1 to 6 mm tall, not wider than 6 mm."""
    _, label, boxes, _ = cv2.connectedComponentsWithStats(black.astype(np.uint8), connectivity=8)
    wide, tall = boxes[:, cv2.CC_STAT_WIDTH] / px_mm[0], boxes[:, cv2.CC_STAT_HEIGHT] / px_mm[1]
    letter = (wide > 0.2) & (wide < 6) & (tall > 1) & (tall < 6)
    letter[0] = False  # the paper
    return np.asarray(letter[label], np.bool_)


def _sharpest(
    black: Bool, px_mm: tuple[float, float], start: float, reach: float, bins_mm: tuple[float, ...], power: float
) -> float:
    """The angle near start at which the ink gathers in the fewest rows; finer rows for finer angles."""
    y, x = np.nonzero(black)
    chance = np.random.default_rng(0)  # always the same: a page has one skew
    pick = chance.permutation(len(x))[:POINTS]
    # spread over the pixel: whole rows would fall into bins unevenly, and most so at angle 0
    x_mm, y_mm = ((v[pick] + chance.uniform(-0.5, 0.5, len(pick))) / p for v, p in zip((x, y), px_mm, strict=True))
    x_mm = x_mm - x_mm.mean()
    best, steps = start, 65 if reach > 2 else 25
    for bin_mm in bins_mm:
        angles = best + np.linspace(-reach, reach, steps)
        sharp = [_sharpness(y_mm - x_mm * np.tan(np.radians(a)), bin_mm, power) for a in angles]
        best = float(angles[int(np.argmax(sharp))])
        reach, steps = 2.5 * reach / (steps // 2), 21
    return best


def _sharpness(y_mm: Float64, bin_mm: float, power: float) -> float:
    counts = np.bincount(((y_mm - y_mm.min()) / bin_mm).astype(np.int64)).astype(np.float64)
    return float(np.sum(np.convolve(counts, [0.25, 0.5, 0.25]) ** power))


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
