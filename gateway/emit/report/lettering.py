"""The letters of the report: one font with Latin, Greek and Cyrillic in the file itself, and lines that fit.

The font is DejaVu Sans of pipeline.fonts. A character that it lacks, or of a script that is written from right to
left or needs its letters joined, is shown as its code point: a name drawn wrongly would be another name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from pipeline.fonts import BOLD, REGULAR, path

MM = 72 / 25.4  # points per millimetre
LINE = 1.22  # from one line to the next, of the letters' size
SMALLEST_PT = 4.0  # still legible in print
ELLIPSIS = "…"
NO_BREAK = "\xa0"  # a blank at which no line ends: between a number, its error and its unit

_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_CONTROLS = frozenset({"Cc", "Cs", "Cn", "Co"})
_JOINED = (0x0900, 0x109F)  # Devanagari to Myanmar: letters that change with their neighbours


@cache
def fonts() -> frozenset[int]:
    """Registers both weights once; the code points that both can draw."""
    both = [TTFont(name, str(path(name))) for name in (REGULAR, BOLD)]
    for font in both:
        pdfmetrics.registerFont(font)
    return frozenset(both[0].face.charToGlyph) & frozenset(both[1].face.charToGlyph)


def can_draw(text: str) -> bool:
    """Whether every character is drawn as itself."""
    return all(map(_is_drawn, unicodedata.normalize("NFC", text)))


def drawable(text: str) -> str:
    """The text, each character that cannot be drawn as ``<U+5C71>``."""
    return "".join(c if _is_drawn(c) else f"<U+{ord(c):04X}>" for c in unicodedata.normalize("NFC", text))


def _is_drawn(character: str) -> bool:
    point = ord(character)
    if unicodedata.bidirectional(character) in _RIGHT_TO_LEFT or _JOINED[0] <= point <= _JOINED[1]:
        return False
    return unicodedata.category(character) not in _CONTROLS and point in fonts()


def width_mm(text: str, size_pt: float, font: str = REGULAR) -> float:
    """How wide a line is."""
    fonts()
    return float(pdfmetrics.stringWidth(text, font, size_pt)) / MM


def wrapped(text: str, width: float, size_pt: float, font: str = REGULAR) -> list[str]:
    """The text in lines of at most that many millimetres; a word that is longer is broken, nothing is left out.

    No line ends at a NO_BREAK.
    """
    lines: list[str] = []
    line = ""
    for word in re.split(rf"[^\S{NO_BREAK}]+", text.strip()):
        longer = f"{line} {word}" if line else word
        if width_mm(longer, size_pt, font) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while width_mm(line, size_pt, font) > width and len(line) > 1:
            fits = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or width_mm(line[:n], size_pt, font) <= width)
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line] if line else lines


def fitted(
    texts: Sequence[str], width: float, height: float, sizes_pt: Sequence[float], font: str = REGULAR
) -> tuple[float, list[list[str]]]:
    """The first of the sizes at which all texts fit into the box, and each text's lines; else the last size and all

    the lines there are, more than fit.
    """
    size_pt, paragraphs = sizes_pt[-1], [[""]]
    for size_pt in sizes_pt:
        paragraphs = [wrapped(text, width, size_pt, font) for text in texts]
        if sum(map(len, paragraphs)) * size_pt * LINE / MM <= height:
            break
    return size_pt, paragraphs
