"""How printed scales look: rendered letters of a few plain fonts, and how well they match ink."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw

from pipeline.glyphs import font as drawn_in
from pipeline.recording import Float32

# Helvetica-like ("" is Pillow's own), Times-like, typewriter, bold, and a plotter's strokes: what machines print in
FONTS = ("", "DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "STIXGeneral", "STIXGeneralBol", "DejaVuSansMono")


@cache
def letters(text: str, font: str, capital_px: float, stretch: float = 1.0) -> Float32:
    """float32 (h, w), 0 paper .. 1 ink: the text, its capitals so tall, with a quarter of a capital above and below.

    Along x it is cut to its letters, which are stretched by so much.
    """
    large = drawn_in(font)
    _, cap_top, _, foot = large.getbbox("E")
    tall = foot - cap_top
    left, _, right, _ = large.getbbox(text)
    margin = tall / 4
    canvas = Image.new("L", (max(1, round(right - left)), round(tall + 2 * margin)))
    ImageDraw.Draw(canvas).text((-left, margin - cap_top), text, fill=255, font=large)
    scale = capital_px / tall
    size = (max(2, round(canvas.width * scale * stretch)), max(3, round(canvas.height * scale)))
    return np.asarray(cv2.resize(np.asarray(canvas, np.float32) / 255.0, size, interpolation=cv2.INTER_AREA))
