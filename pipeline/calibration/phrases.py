"""How printed scales look: rendered letters of a few plain fonts, and how well they match ink."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.recording import Float32

FAINT = 0.03  # of a word's own energy, added to the paper's: blank paper matches nothing
DRAWN_PX = 96  # letters are drawn this large and shrunk, so that every size is sub-pixel exact
# Helvetica-like ("" is Pillow's own), Times-like, typewriter, bold, and a plotter's strokes: what machines print in
FONTS = ("", "DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "STIXGeneral", "STIXGeneralBol", "DejaVuSansMono")


@cache
def letters(text: str, font: str, capital_px: float, stretch: float = 1.0) -> Float32:
    """float32 (h, w), 0 paper .. 1 ink: the text, its capitals so tall, with a quarter of a capital above and below.

    Along x it is cut to its letters, which are stretched by so much.
    """
    large = _font(font)
    _, cap_top, _, foot = large.getbbox("E")
    tall = foot - cap_top
    left, _, right, _ = large.getbbox(text)
    margin = tall / 4
    canvas = Image.new("L", (max(1, round(right - left)), round(tall + 2 * margin)))
    ImageDraw.Draw(canvas).text((-left, margin - cap_top), text, fill=255, font=large)
    scale = capital_px / tall
    size = (max(2, round(canvas.width * scale * stretch)), max(3, round(canvas.height * scale)))
    return np.asarray(cv2.resize(np.asarray(canvas, np.float32) / 255.0, size, interpolation=cv2.INTER_AREA))


def correlation(ink: Float32, word: Float32) -> Float32:
    """Normalized cross-correlation, float32 (H - h + 1, W - w + 1), damped towards 0 where the ink is faint."""
    height, width = word.shape
    if ink.shape[0] < height or ink.shape[1] < width:
        return np.zeros((1, 1), np.float32)
    product = cv2.matchTemplate(ink, word, cv2.TM_CCOEFF)
    total, square = (_sums(values, word) for values in (ink, ink * ink))
    variance = np.maximum(square - total**2 / word.size, 0.0)
    energy = float(((word - word.mean()) ** 2).sum())
    return np.asarray(product / np.sqrt(energy * (variance + FAINT * energy)), np.float32)


def _sums(values: Float32, word: Float32) -> Float32:
    height, width = word.shape
    sums = cv2.boxFilter(values, cv2.CV_32F, (width, height), anchor=(0, 0), normalize=False)
    return np.asarray(sums[: values.shape[0] - height + 1, : values.shape[1] - width + 1], np.float32)


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    """A font that comes with a library we need anyway."""
    if not name:
        font = ImageFont.load_default(DRAWN_PX)
        assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow is built with FreeType here
        return font
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), DRAWN_PX)
