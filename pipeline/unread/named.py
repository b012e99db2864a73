"""Lead names beyond the twelve: whether the letters at a chest lead's name say V7 to V9, or V3R to V6R.

The posterior leads are told from V1 to V6 as a rule; an R behind a name that is read as V3 to V6 now and then only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw

from pipeline.findings import FindingCode
from pipeline.glyphs import correlation
from pipeline.glyphs import font as drawn_in
from pipeline.recording import CHEST, Finding, Float32, Severity
from pipeline.sheet import PX_PER_MM, Sheet
from pipeline.unread.printed import PrintedName

FURTHER = ("V7", "V8", "V9", "V3R", "V4R", "V5R", "V6R")
FONTS = ("", "DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralBol")
CAPITALS_MM = (1.7, 2.0, 2.4, 2.9, 3.5, 4.2)
STRETCHES = (0.92, 1.0, 1.09)
NAMES = 6  # that tell the page's lettering, the surest
SURE = 0.5  # of a name, as a network scores it
WINDOW_MM = (6.5, 4.0)  # half of what is looked at around a name's centre
BLANK_MM = 0.5  # around the letters
# of a further name's correlation over the best of V1 to V6: of 10 rendered pages with such leads 8 have a name above
# it, of 53 pages without, 33 of them by others, none
MORE = 0.075
LEAST = 0.65  # of the correlation itself


def further_leads(sheet: Sheet, names: Sequence[PrintedName]) -> Iterator[Finding]:
    """That letters at a chest lead's name are those of a lead beyond the twelve."""
    crops = [(name, _crop(sheet, name)) for name in names if name.lead in CHEST and name.score >= SURE]
    if not crops:
        return
    font, capital_mm = _lettering(crops)
    for name, ink in crops:
        usual = max(_fits(ink, lead.value, font, capital_mm) for lead in CHEST)
        further = {text: _fits(ink, text, font, capital_mm) for text in FURTHER}
        best = max(further, key=lambda text: further[text])
        if further[best] >= max(LEAST, usual + MORE):
            detail = f"a name reads {best}"
            yield Finding(FindingCode.LEADS_NOT_DELIVERED, Severity.ERROR, name.lead, detail=detail)


def _lettering(crops: Sequence[tuple[PrintedName, Float32]]) -> tuple[str, float]:
    """The font and the height of capitals in which the surest names fit best as what they were read as."""
    sure = sorted(crops, key=lambda crop: -crop[0].score)[:NAMES]

    def fit(font: str, capital_mm: float) -> float:
        return sum(_best(ink, _glyphs(name.lead.value, font, capital_mm)) for name, ink in sure)

    return max(((font, capital) for font in FONTS for capital in CAPITALS_MM), key=lambda each: fit(*each))


def _fits(ink: Float32, text: str, font: str, capital_mm: float) -> float:
    return max(_best(ink, _glyphs(text, font, capital_mm * stretch)) for stretch in STRETCHES)


def _best(ink: Float32, letters: Float32) -> float:
    return float(correlation(ink, letters).max())


def _crop(sheet: Sheet, name: PrintedName) -> Float32:
    """The ink around a name; blank beyond the sheet."""
    half_wide, half_tall = (round(half * PX_PER_MM) for half in WINDOW_MM)
    column, line = sheet.column(name.x_mm), sheet.line(name.y_mm)
    top, left = line - half_tall, column - half_wide
    inside = sheet.ink[max(top, 0) : line + half_tall, max(left, 0) : column + half_wide]
    above, before = max(-top, 0), max(-left, 0)
    below, after = 2 * half_tall - above - inside.shape[0], 2 * half_wide - before - inside.shape[1]
    return np.asarray(np.pad(inside, ((above, below), (before, after))), np.float32)


@cache
def _glyphs(text: str, font: str, capital_mm: float) -> Float32:
    """float32 (h, w), 0 paper .. 1 ink: the text in this font, its capitals so tall, with blank paper around."""
    large = drawn_in(font)
    box = large.getbbox("V")
    left, top, right, bottom = large.getbbox(text)
    canvas = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=large)
    scale = capital_mm * PX_PER_MM / (box[3] - box[1])
    size = (max(2, round(canvas.width * scale)), max(3, round(canvas.height * scale)))
    letters = cv2.resize(np.asarray(canvas, np.float32) / 255.0, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.pad(letters, round(BLANK_MM * PX_PER_MM)), np.float32)
