"""Letters drawn to look for, and how well they fit the ink of a page: shared by the stages that read print."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from PIL import ImageFont

from pipeline.recording import Float32

DRAWN_PX = 96  # letters are drawn this large and shrunk, so that every size is sub-pixel exact
FAINT = 0.03  # of the letters' own energy, added to the paper's: blank paper matches nothing


@cache
def font(name: str) -> ImageFont.FreeTypeFont:
    """A font that comes with a library we need anyway: Pillow's own for "", else one of matplotlib's, without .ttf."""
    if not name:
        own = ImageFont.load_default(DRAWN_PX)
        assert isinstance(own, ImageFont.FreeTypeFont)  # Pillow is built with FreeType here
        return own
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), DRAWN_PX)


def correlation(ink: Float32, letters: Float32) -> Float32:
    """Normalized cross-correlation, float32 (H - h + 1, W - w + 1), damped towards 0 where the ink is faint.

    ink: float32 (H, W), letters: float32 (h, w), both 0 paper .. 1 ink. A single 0 where the letters are the larger.
    """
    height, width = letters.shape
    if ink.shape[0] < height or ink.shape[1] < width:
        return np.zeros((1, 1), np.float32)
    product = cv2.matchTemplate(ink, letters, cv2.TM_CCOEFF)
    total, square = (_window_sums(values, letters) for values in (ink, ink * ink))
    variance = np.maximum(square - total**2 / letters.size, 0.0)
    energy = float(((letters - letters.mean()) ** 2).sum())
    return np.asarray(product / np.sqrt(energy * (variance + FAINT * energy)), np.float32)


def _window_sums(values: Float32, letters: Float32) -> Float32:
    """float32 (H - h + 1, W - w + 1): the sum of values under every placement of the letters."""
    height, width = letters.shape
    sums = cv2.boxFilter(values, cv2.CV_32F, (width, height), anchor=(0, 0), normalize=False)
    return np.asarray(sums[: values.shape[0] - height + 1, : values.shape[1] - width + 1], np.float32)
