"""Reads the scales that are printed in words: 25 mm/s, 10mm/mV, 25 mm/sec, Limb: 10 mm/mV Chest: 5 mm/mV, 1 cm/mV.

Wherever "mm/" may stand on the page laid flat, the unit is matched in a few fonts, then the number before it. A phrase
counts only whole, with its unit, and only if a number that machines print fits clearly better than any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import cv2
import numpy as np

from pipeline.calibration.phrases import FONTS, letters
from pipeline.glyphs import SmallInk, correlation
from pipeline.recording import Float32
from pipeline.sheet import PX_PER_MM, Sheet

CAPITALS_MM = tuple(1.5 * 1.15**k for k in range(8))  # up to 4 mm: headlines are larger, scales are not
COARSE_PX = 7  # of a capital where "mm/" is looked for
COARSE_FONTS = ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif")
COARSE_FOUND = 0.5  # correlation; the faintest printed units reach 0.6
PLACES = 16  # looked at closely; of 118 printed units 114 were among the best twelve
CAPITAL_PX = 16  # of a place laid out for reading: an m is 20 columns wide, its stems stand apart
LEFT, RIGHT, UP, DOWN = 7.0, 8.0, 1.7, 0.8  # capitals around a place: the longest number before, the longest unit after
SIZES = (0.8, 0.87, 0.94, 1.02, 1.1, 1.19)  # of the coarse capital: its font was another
STRETCHES = (0.88, 1.13)  # letters narrower or wider than those of our fonts
FITS = 2  # letterings of a unit in which its number is read
BLANK = 0.3  # capitals before a number and after mm/s: less than the blank between two words
GAPS = (0.05, 0.25, 0.45, 0.65, 0.85)  # capitals between number and unit, +- 2 pixels: none to a typewriter's blank
SPEEDS_MM_S = ("12.5", "25", "25.0", "50", "50.0")
GAINS_MM_MV = ("1.25", "2.5", "5", "5.0", "10", "10.0", "20", "20.0")
GAINS_CM_MV = ("0.25", "0.5", "1", "1.0", "2", "2.0")
# what other machines print, and what is left of a number whose beginning is hidden: read, but never believed
STRANGE = {
    "mm/s": ("2.5", "5", "10", "15", "20", "30", "75", "100"),
    "mm/mV": ("1", "15", "25", "30", "40", "50", "100"),
    "cm/mV": ("3", "4", "5", "10", "20"),
}
NOMINAL = {"mm/s": SPEEDS_MM_S, "mm/mV": GAINS_MM_MV, "cm/mV": GAINS_CM_MV}
UNIT_FOUND, NUMBER_FOUND = 0.6, 0.55  # correlation in a strange font; random strokes reach 0.65 and 0.6, not together
DIGIT_FOUND = 0.72  # of a number of one digit: an s looks like a 5
BOTH_FOUND = 1.32  # their sum
UNIT_NEAR = 0.12  # to the best unit: those whose numbers are read as well
UNIT_CLEAR, NUMBER_CLEAR = 0.02, 0.04  # by which the best unit with its number, and the number, must beat another
LONGER = 0.03  # for every character more: the 5 of 12.5 fits as well as all of it
SURE = 1.7  # the sum at which we stop doubting
CHEST_FOUND, LIMB_FOUND = 0.55, 0.65  # correlation of the word before a gain; without one Limb fits up to 0.52


@dataclass(frozen=True)
class Printed:
    """A scale as it is printed: mm/s or mm/mV, and 0..1 how surely it was read."""

    value: float
    score: float


@dataclass(frozen=True)
class PrintedScales:
    """What the page's text says; None where it says nothing that was read, or contradicts itself.

    chest_gain_mm_mv: only where the chest leads' own gain is printed and is another than gain_mm_mv.
    limb_only: the gain is said of the limb leads; what is said of the chest leads was not read.
    """

    speed_mm_s: Printed | None = None
    gain_mm_mv: Printed | None = None
    chest_gain_mm_mv: Printed | None = None
    limb_only: bool = False


NOTHING_PRINTED = PrintedScales()


@dataclass(frozen=True)
class Phrase:
    """One printed scale: mm/s or mm/mV, where its unit begins on the sheet (pixels), and what leads it is said of."""

    unit: str
    value: float
    score: float
    x: float
    y: float
    chest: bool
    limb: bool = False


@dataclass(frozen=True)
class _Place:
    """Where "mm/" may begin: column, foot of its letters and height of a capital in pixels of the sheet."""

    found: float
    x: float
    foot: float
    capital: float


@dataclass(frozen=True)
class _Fit:
    """A unit in one lettering: its correlation, and its left top in pixels of a place laid out."""

    found: float
    font: str
    capital: float
    stretch: float
    x: int
    y: int


def read_scales(sheet: Sheet) -> PrintedScales:
    """The speed and the gain that are printed in words on a page set upright."""
    return scales_of(read_phrases(sheet.ink))


def scales_of(phrases: Sequence[Phrase]) -> PrintedScales:
    """What all phrases of a page say together."""
    gains = _halved([p for p in phrases if p.unit != "mm/s"])
    limb = _agreed([p for p in gains if not p.chest])
    chest = _agreed([p for p in gains if p.chest])
    if chest is not None and (limb is None or limb.value == chest.value):
        chest = None
    limb_only = limb is not None and chest is None and any(p.limb for p in gains)
    return PrintedScales(_agreed([p for p in phrases if p.unit == "mm/s"]), limb, chest, limb_only)


def _halved(gains: Sequence[Phrase]) -> Sequence[Phrase]:
    """Two gains on one line, the right half of the left, are those of the limb and the chest leads, whatever is said.

    Nothing else has a machine print a second gain; the words before them are lost more easily than the numbers.
    """
    if len({p.value for p in gains}) != 2 or any(p.chest or p.limb for p in gains):
        return gains
    left, right = (p.value for p in (min(gains, key=lambda p: p.x), max(gains, key=lambda p: p.x)))
    one_line = max(p.y for p in gains) - min(p.y for p in gains) < 2 * PX_PER_MM
    if right != left / 2 or not one_line:
        return gains
    return [replace(p, chest=p.value == right, limb=p.value == left) for p in gains]


def _agreed(phrases: Sequence[Phrase]) -> Printed | None:
    if len({p.value for p in phrases}) != 1:
        return None
    doubt = float(np.prod([1.0 - p.score for p in phrases]))
    return Printed(phrases[0].value, 1.0 - doubt)


def read_phrases(ink: Float32) -> tuple[Phrase, ...]:
    """Every printed scale of a sheet's ink, float32 (H, W), 0 paper .. 1 pen, 8 px/mm; surest first."""
    found = sorted(filter(None, (_phrase(ink, place) for place in _places(ink))), key=lambda p: -p.score)
    kept: list[Phrase] = []
    for phrase in found:
        if all(abs(phrase.x - k.x) > 4 * PX_PER_MM or abs(phrase.y - k.y) > 2 * PX_PER_MM for k in kept):
            kept.append(phrase)
    return tuple(kept)


def _places(ink: Float32) -> list[_Place]:
    """Where "mm/" fits best in any size."""
    hits: list[_Place] = []
    near = np.ones((2 * COARSE_PX + 1, 2 * COARSE_PX + 1), np.uint8)
    for capital_mm in CAPITALS_MM:
        zoom = COARSE_PX / (capital_mm * PX_PER_MM)
        small = _resized(ink, zoom)
        for font in COARSE_FONTS:
            found = correlation(small, letters("mm/", font, COARSE_PX))
            peaks = (found >= COARSE_FOUND) & (found == cv2.dilate(found, near))
            for y, x in zip(*np.nonzero(peaks), strict=True):
                foot = y + 1.25 * COARSE_PX
                hits.append(_Place(float(found[y, x]), float(x / zoom), float(foot / zoom), capital_mm * PX_PER_MM))
    kept: list[_Place] = []
    for hit in sorted(hits, key=lambda h: -h.found):
        if all(max(abs(hit.x - k.x), abs(hit.foot - k.foot)) > hit.capital for k in kept):
            kept.append(hit)
        if len(kept) == PLACES:
            break
    return kept


def _resized(ink: Float32, zoom: float) -> Float32:
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(ink, None, fx=zoom, fy=zoom, interpolation=way), np.float32)


def _phrase(ink: Float32, place: _Place) -> Phrase | None:
    """The scale printed at a place, if its unit and its number are read beyond doubt."""
    laid = _laid_out(ink, place)
    fits = _unit_fits(laid)
    best = max(f[0].found for f in fits.values())
    if best < UNIT_FOUND:
        return None
    near = [u for u, f in fits.items() if f[0].found > max(best - UNIT_NEAR, UNIT_FOUND - UNIT_CLEAR)]
    read = sorted((_reading(laid, unit, fits[unit]) for unit in near), key=lambda r: -r.both)
    if len({float(r.number) for r in read}) == 1:  # of units that look alike, the number is printed before one only
        read = [r for r in read if r.number in NOMINAL[r.unit]] or read
    first = read[0]
    if not first.sure or (len(read) > 1 and first.both - read[1].both < UNIT_CLEAR):
        return None
    zoom = CAPITAL_PX / place.capital
    value = float(first.number) * (10.0 if first.unit == "cm/mV" else 1.0)
    score = 0.5 + 0.5 * min((first.both - BOTH_FOUND) / (SURE - BOTH_FOUND), 1.0)
    x = place.x + (fits[first.unit][0].x - LEFT * CAPITAL_PX) / zoom
    chest, limb = (False, False) if first.unit == "mm/s" else _leads_said(laid, fits[first.unit], first.number)
    return Phrase(first.unit, value, score, x, place.foot, chest, limb)


@dataclass(frozen=True)
class _Reading:
    """A unit and the number before it; both: the sum of their correlations; sure: it can be believed."""

    unit: str
    number: str
    both: float
    sure: bool


def _reading(laid: SmallInk, unit: str, fits: Sequence[_Fit]) -> _Reading:
    numbers = _numbers(laid, fits, (*NOMINAL[unit], *STRANGE[unit]))
    weighed = {text: found + LONGER * len(text) for text, found in numbers.items()}
    number = max(weighed, key=lambda text: weighed[text])
    rival = max((w for text, w in weighed.items() if float(text) != float(number)), default=0.0)
    both = fits[0].found + numbers[number]
    enough = NUMBER_FOUND if len(number) > 1 else DIGIT_FOUND
    sure = number in NOMINAL[unit] and numbers[number] >= enough and both >= BOTH_FOUND
    return _Reading(
        unit, number, both, sure and fits[0].found >= UNIT_FOUND and weighed[number] - rival >= NUMBER_CLEAR
    )


def _laid_out(ink: Float32, place: _Place) -> SmallInk:
    """The surroundings of a place with capitals 16 px tall; blank beyond the sheet."""
    height, width = ink.shape
    x0, x1 = round(place.x - LEFT * place.capital), round(place.x + RIGHT * place.capital)
    y0, y1 = round(place.foot - UP * place.capital), round(place.foot + DOWN * place.capital)
    part = ink[max(0, y0) : y1, max(0, x0) : x1]
    part = np.pad(part, ((max(0, -y0), max(0, y1 - height)), (max(0, -x0), max(0, x1 - width))))
    return SmallInk.of(_resized(part, CAPITAL_PX / place.capital))


def _unit_fits(laid: SmallInk) -> dict[str, list[_Fit]]:
    """For each unit the lettering that fits best, best first."""
    fits: dict[str, list[_Fit]] = {}
    for unit in NOMINAL:
        plain = [_fit(laid, unit, font, size, 1.0) for font, size in product(FONTS, SIZES)]
        best = sorted(plain, key=lambda f: -f.found)[:FITS]
        other = [_fit(laid, unit, f.font, f.capital / CAPITAL_PX, s) for f, s in product(best, STRETCHES)]
        fits[unit] = sorted([*best, *other], key=lambda f: -f.found)[:FITS]
    return fits


def _fit(laid: SmallInk, unit: str, font: str, size: float, stretch: float) -> _Fit:
    word = _unit_word(unit, font, size, stretch)
    left = round((LEFT - 1.3) * CAPITAL_PX)  # the place may be that of the second m
    part = laid.part(3, laid.ink.shape[0] - 3, left, round((LEFT + 0.6) * CAPITAL_PX) + word.shape[1])
    found = part.correlation(word)
    y, x = divmod(int(found.argmax()), found.shape[1])
    return _Fit(float(found[y, x]), font, CAPITAL_PX * size, stretch, left + x, y + 3)


@cache
def _unit_word(unit: str, font: str, size: float, stretch: float) -> Float32:
    word = letters(unit, font, CAPITAL_PX * size, stretch)
    return np.pad(word, ((0, 0), (0, round(BLANK * size * CAPITAL_PX) if unit == "mm/s" else 0)))


def _numbers(laid: SmallInk, fits: Sequence[_Fit], texts: Sequence[str]) -> dict[str, float]:
    """How well each number fits before the unit, in any of its letterings."""
    found = dict.fromkeys(texts, 0.0)
    for fit, text, gap in product(fits, texts, GAPS):
        word = _number_word(text, fit.font, fit.capital, fit.stretch, gap)
        left = fit.x - word.shape[1]
        part = laid.part(max(0, fit.y - 1), fit.y + word.shape[0] + 1, max(0, left - 2), left + word.shape[1] + 2)
        found[text] = max(found[text], float(part.correlation(word).max()))
    return found


@cache
def _number_word(text: str, font: str, capital: float, stretch: float, gap: float) -> Float32:
    word = letters(text, font, capital, stretch)
    return np.pad(word, ((0, 0), (round(BLANK * capital), round(gap * capital))))


def _leads_said(laid: SmallInk, fits: Sequence[_Fit], number: str) -> tuple[bool, bool]:
    """Whether the word before the number is Chest, and whether it is Limb."""
    words = {"Chest": 0.0, "Limb": 0.0}
    for fit, text in product(fits, words):
        word = letters(text, fit.font, fit.capital, fit.stretch)
        before = fit.x - letters(number, fit.font, fit.capital, fit.stretch).shape[1]
        part = laid.part(max(0, fit.y - 1), fit.y + word.shape[0] + 1, 0, max(0, before))
        words[text] = max(words[text], float(part.correlation(word).max()))
    chest = words["Chest"] > max(CHEST_FOUND, words["Limb"])
    return chest, not chest and words["Limb"] > max(LIMB_FOUND, words["Chest"])
