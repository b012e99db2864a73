"""Printed words: lead names, header, measurements. Every name and number is invented."""

from __future__ import annotations

import functools
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.fonts import truetype
from pipeline.recording import UInt8
from pipeline.synth.canvas import Frame

_FIRST = ("Ada", "Bruno", "Clara", "Dario", "Elin", "Farid", "Greta", "Hugo", "Iris", "Jonas", "Kaya", "Lev", "Mina")
_LAST = ("Abendroth", "Birkholm", "Castellan", "Dovari", "Esterlin", "Falkrath", "Grunewik", "Hollander", "Ilvane")
_SAYS = (
    "Normal sinus rhythm",
    "Sinus bradycardia",
    "Sinus tachycardia",
    "Atrial fibrillation",
    "Left axis deviation",
    "Nonspecific ST and T wave abnormality",
    "Left ventricular hypertrophy",
    "Right bundle branch block",
    "Abnormal ECG",
    "Borderline ECG",
    "Unconfirmed diagnosis",
    "*** Poor data quality ***",
    "Atrial-sensed ventricular-paced rhythm",
)


@functools.cache
def font_of(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A font that is shipped, else one of matplotlib's, which training and tests have. Raises FileNotFoundError."""
    with suppress(FileNotFoundError):
        return truetype(name, size_px)
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise FileNotFoundError(f"the font {name} comes with matplotlib, which is not installed")
    return ImageFont.truetype(str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"), size_px)


def word(text: str, font: str, height_px: float) -> tuple[UInt8, int]:
    """The word as coverage, uint8 (h, w), cropped to its letters, and the row its letters stand on.

    height_px is that of a capital letter.
    """
    if font.startswith("hershey"):
        face = int(font.rsplit("-", 1)[1])
        big = max(height_px, 6) * 3
        scale = big / 21.0  # Hershey capitals are 21 units tall
        thick = max(1, round(big / 12))
        (w, h), below = cv2.getTextSize(text, face, scale, thick)
        mask = np.zeros((h + below + 12, w + 24), np.uint8)
        foot = h + 6
        cv2.putText(mask, text, (12, foot), face, scale, 255, thick, cv2.LINE_AA)
        shrink = max(height_px, 6) / big
        foot = round(foot * shrink)
        mask = np.asarray(cv2.resize(mask, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        face_size = max(6, round(height_px / 0.72))  # capitals are about 0.72 em in these fonts
        drawn = font_of(font, face_size)
        box = drawn.getbbox(text)
        canvas = Image.new("L", (int(box[2]) + 8, int(box[3]) + 8), 0)
        ImageDraw.Draw(canvas).text((4, 4), text, 255, drawn)
        mask = np.asarray(canvas, np.uint8)
        foot = 3 + drawn.getmetrics()[0]
    rows, columns = np.flatnonzero(mask.max(1) > 40), np.flatnonzero(mask.max(0) > 40)
    if len(rows) == 0:
        return np.zeros((1, 1), np.uint8), 0
    letters = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(letters), foot - int(rows[0])


class Lettering:
    """A coverage layer of words at 1:1."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.coverage = np.zeros((frame.height_px, frame.width_px), np.uint8)

    def put(self, text: str, x_mm: float, y_mm: float, font: str, height_mm: float) -> tuple[float, float]:
        """Letters with their left at x_mm and their foot at y_mm; returns the centre of the letters in mm."""
        mask, foot = word(text, font, height_mm * self.frame.px_mm)
        corner = self.frame.to_px(np.array([x_mm, y_mm]))
        left, bottom = round(float(corner[0])), round(float(corner[1]))
        top = bottom - foot
        _stamp(self.coverage, mask, left, top)
        centre = np.array([left + (mask.shape[1] - 1) / 2, top + (mask.shape[0] - 1) / 2])
        x, y = (centre + 0.5) / self.frame.px_mm + [self.frame.x_mm, self.frame.y_mm]
        return float(x), float(y)

    def ticks(self, y_mm: float, speed_mm_s: float) -> None:
        """A mark for every second along a row, a taller one every third."""
        last_mm = self.frame.x_mm + self.frame.width_px / self.frame.px_mm
        for second in range(int((last_mm - self.frame.x_mm) / speed_mm_s) + 1):
            tall = 3.0 if second % 3 == 0 else 1.5
            x = self.frame.x_mm + 5 + second * speed_mm_s
            a, b = (np.rint(self.frame.to_px(np.array([x, y]))).astype(int) for y in (y_mm, y_mm - tall))
            cv2.line(self.coverage, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), 255, 1)


def _stamp(onto: UInt8, mask: UInt8, left: int, top: int) -> None:
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + mask.shape[0], onto.shape[0]), min(left + mask.shape[1], onto.shape[1])
    if y1 > y0 and x1 > x0:
        part = onto[y0:y1, x0:x1]
        np.maximum(part, mask[y0 - top : y1 - top, x0 - left : x1 - left], out=part)


def header_lines(rng: np.random.Generator, count: int) -> list[str]:
    """Invented patient and recording lines."""
    name = f"{_LAST[rng.integers(len(_LAST))].upper()}, {_FIRST[rng.integers(len(_FIRST))]}"
    day = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1988, 2026)}"
    clock = f"{rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}:{rng.integers(0, 60):02d}"
    lines = [
        f"ID: {rng.integers(10**5, 10**8)}   Name: {name}",
        f"Date: {day} {clock}",
        f"Age: {rng.integers(18, 99)} yrs   Sex: {'Male' if rng.random() < 0.5 else 'Female'}",
        f"Room: {rng.integers(1, 40)}   Technician: {rng.integers(100, 999)}",
        f"Height: {rng.integers(150, 199)} cm  Weight: {rng.integers(45, 130)} kg",
        f"Referred by: Dr. {_LAST[rng.integers(len(_LAST))]}",
        f"Loc: {rng.integers(1, 99)}   Order: {rng.integers(10**4, 10**6)}",
    ]
    return [lines[i] for i in sorted(rng.permutation(len(lines))[:count])]


def measurement_lines(rng: np.random.Generator) -> list[str]:
    """Invented intervals and statements."""
    values = [
        f"Vent. rate  {rng.integers(45, 150)} BPM",
        f"PR interval  {rng.integers(110, 220)} ms",
        f"QRS duration  {rng.integers(70, 160)} ms",
        f"QT/QTc  {rng.integers(320, 460)}/{rng.integers(380, 500)} ms",
        f"P-R-T axes  {rng.integers(-30, 90)} {rng.integers(-60, 110)} {rng.integers(-30, 120)}",
    ]
    return values + [_SAYS[i] for i in rng.permutation(len(_SAYS))[: rng.integers(1, 4)]]
