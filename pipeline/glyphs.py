"""Letters drawn to look for, and how well they fit the ink of a page: shared by the stages that read print."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from cv2.typing import MatLike
from PIL import ImageFont

from pipeline.fonts import truetype
from pipeline.geometry import Float64
from pipeline.recording import Float32

DRAWN_PX = 96  # letters are drawn this large and shrunk, so that every size is sub-pixel exact
FAINT = 0.03  # of the letters' own energy, added to the paper's: blank paper matches nothing


@cache
def font(name: str) -> ImageFont.FreeTypeFont:
    """A font to look for: Pillow's own for "", else one of `pipeline.fonts`."""
    if not name:
        own = ImageFont.load_default(DRAWN_PX)
        assert isinstance(own, ImageFont.FreeTypeFont)  # Pillow is built with FreeType here
        return own
    return truetype(name, DRAWN_PX)


def correlation(ink: Float32, letters: Float32) -> Float32:
    """Normalized cross-correlation, float32 (H - h + 1, W - w + 1), damped towards 0 where the ink is faint.

    ink: float32 (H, W), letters: float32 (h, w), both 0 paper .. 1 ink. A single 0 where the letters are the larger.
    """
    height, width = letters.shape
    if ink.shape[0] < height or ink.shape[1] < width:
        return np.zeros((1, 1), np.float32)
    total, square = (_window_sums(values, letters) for values in (ink, ink * ink))
    return _damped(cv2.matchTemplate(ink, letters, cv2.TM_CCOEFF), total, square, letters)


@dataclass(frozen=True, eq=False)
class SmallInk:
    """A little ink in which very many letters are looked for: the sums that each needs are taken once for all.

    ink: float32 (H, W), 0 paper .. 1 ink. sums, squares: float64 (H + 1, W + 1), over all above and left of a corner.
    On a whole page `correlation` is faster.
    """

    ink: Float32
    sums: Float64
    squares: Float64

    @classmethod
    def of(cls, ink: Float32) -> SmallInk:
        return cls(ink, *(np.asarray(cv2.integral(values), np.float64) for values in (ink, ink * ink)))

    def part(self, top: int, bottom: int, left: int, right: int) -> SmallInk:
        """What lies between two lines and two columns, none of them negative."""
        corners = np.s_[top : bottom + 1, left : right + 1]
        return SmallInk(self.ink[top:bottom, left:right], self.sums[corners], self.squares[corners])

    def correlation(self, letters: Float32) -> Float32:
        """As the function."""
        height, width = letters.shape
        if self.ink.shape[0] < height or self.ink.shape[1] < width:
            return np.zeros((1, 1), np.float32)
        total, square = (
            (s[height:, width:] - s[:-height, width:] - s[height:, :-width] + s[:-height, :-width]).astype(np.float32)
            for s in (self.sums, self.squares)
        )
        return _damped(cv2.matchTemplate(self.ink, letters, cv2.TM_CCOEFF), total, square, letters)


def _damped(product: MatLike, total: Float32, square: Float32, letters: Float32) -> Float32:
    variance = np.maximum(square - total**2 / letters.size, 0.0)
    energy = float(((letters - letters.mean()) ** 2).sum())
    return np.asarray(product / np.sqrt(energy * (variance + FAINT * energy)), np.float32)


def _window_sums(values: Float32, letters: Float32) -> Float32:
    """float32 (H - h + 1, W - w + 1): the sum of values under every placement of the letters."""
    height, width = letters.shape
    sums = cv2.boxFilter(values, cv2.CV_32F, (width, height), anchor=(0, 0), normalize=False)
    return np.asarray(sums[: values.shape[0] - height + 1, : values.shape[1] - width + 1], np.float32)
