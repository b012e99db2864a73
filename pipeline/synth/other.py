"""Pages that are no ECG: letters, forms, tables, fax covers, photographs of nothing, charts, empty ECG paper."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.recording import Page, UInt8
from pipeline.synth import capture
from pipeline.synth.canvas import Frame, blank, lay_ink
from pipeline.synth.lettering import Lettering, header_lines, measurement_lines
from pipeline.synth.spec import FONTS, Colour, GridStyle, Paper, Wear

_WORDS = [
    "the",
    "patient",
    "was",
    "seen",
    "today",
    "in",
    "clinic",
    "and",
    "reports",
    "no",
    "chest",
    "pain",
    "discharge",
    "summary",
    "medication",
    "aspirin",
    "daily",
    "follow",
    "up",
    "blood",
    "pressure",
    "within",
    "normal",
    "limits",
    "please",
    "find",
    "enclosed",
    "results",
    "of",
    "laboratory",
    "tests",
    "regards",
    "consultant",
    "ward",
    "plan",
    "review",
    "in",
    "six",
    "weeks",
    "echocardiogram",
    "requested",
    "allergies",
    "none",
    "known",
    "family",
    "history",
    "father",
    "hypertension",
    "smoking",
    "never",
]


def render_not_an_ecg(seed: int) -> Page:
    """A page to be refused, the same for the same seed."""
    rng = np.random.default_rng(seed)
    s = float(rng.uniform(3.5, 8.0))
    size = (210.0, 297.0) if rng.random() < 0.7 else (297.0, 210.0)
    frame = Frame(0.0, 0.0, round(size[0] * s), round(size[1] * s), s)
    kind = int(rng.choice(7, p=[0.13, 0.13, 0.1, 0.14, 0.14, 0.14, 0.22]))
    if kind == 2:
        image = _scenery(frame, rng)
    else:
        words = Lettering(frame)
        (_chart, _empty, _letter, _cover, _table, _form, _letter)[kind](words, size, rng)
        ground: Colour = (int(rng.integers(225, 256)), int(rng.integers(225, 256)), int(rng.integers(225, 256)))
        # empty ECG paper is no ECG; so is a curve on graph paper
        ruled = kind == 1 or (kind == 0 and rng.random() < 0.5)
        image = blank(frame, Paper(colour=ground, style=GridStyle.LINES if ruled else GridStyle.NONE, texture=0.5), rng)
        image = lay_ink(image, words.coverage, (25, 25, 30))
    if rng.random() < 0.3:
        return _faxed(image, frame, rng)
    wear = Wear(
        shadow=float(rng.uniform(0, 0.8)) if rng.random() < 0.5 else 0.0,
        colour_cast=float(rng.uniform(0, 0.7)) if rng.random() < 0.4 else 0.0,
        low_contrast=float(rng.uniform(0, 0.7)) if rng.random() < 0.2 else 0.0,
    )
    image = capture.shine(image, wear, rng)
    image = capture.defocus(image, float(rng.uniform(0, 0.5)), s, rng)
    image = capture.grain(image, float(rng.uniform(0, 0.5)), rng)
    if rng.random() < 0.5:
        image = capture.jpeg(image, int(rng.integers(40, 95)))
    return Page(np.ascontiguousarray(image), (s * 25.4, s * 25.4) if rng.random() < 0.5 else None)


def _faxed(image: UInt8, frame: Frame, rng: np.random.Generator) -> Page:
    """At a fax's resolution, in one bit."""
    dpi = (204.0, 196.0) if rng.random() < 0.6 else (204.0, 98.0)
    to = (round(frame.width_px * dpi[0] / 25.4 / frame.px_mm), round(frame.height_px * dpi[1] / 25.4 / frame.px_mm))
    image = np.asarray(cv2.resize(image, to, interpolation=cv2.INTER_AREA), np.uint8)
    image = capture.grain(image, float(rng.uniform(0, 0.6)), rng)
    image = capture.one_bit(image, bool(rng.random() < 0.3), rng)
    return Page(capture.drop_lines(image, float(rng.uniform(0, 1)) * (rng.random() < 0.5), rng), dpi)


def _prose(rng: np.random.Generator, count: int) -> str:
    return " ".join(_WORDS[i] for i in rng.integers(0, len(_WORDS), count)).capitalize() + "."


def _rule(words: Lettering, x0: float, y0: float, x1: float, y1: float) -> None:
    a, b = (words.frame.to_px(np.array(p)) for p in ((x0, y0), (x1, y1)))
    ends = [tuple(int(v) for v in np.rint(p)) for p in (a, b)]
    cv2.line(words.coverage, ends[0], ends[1], 255, 1)


def _letter(words: Lettering, size: tuple[float, float], rng: np.random.Generator) -> None:
    font, tall = FONTS[rng.integers(len(FONTS))], float(rng.uniform(1.8, 2.8))
    y = 25.0
    for line in header_lines(rng, 4):
        words.put(line, 20, y, font, tall)
        y += tall * 2
    while y < size[1] - 25:
        y += tall * (1.9 if rng.random() < 0.88 else 5)
        words.put(_prose(rng, int(rng.integers(5, 13))), 20, y, font, tall)


def _form(words: Lettering, size: tuple[float, float], rng: np.random.Generator) -> None:
    font = FONTS[rng.integers(len(FONTS))]
    y = 20.0
    while y < size[1] - 20:
        words.put(_WORDS[rng.integers(len(_WORDS))].capitalize() + ":", 18, y, font, 2.2)
        _rule(words, 60, y, size[0] - 18, y)
        if rng.random() < 0.6:
            words.put(_prose(rng, 3), 64, y - 1, font, 2.4)
        y += float(rng.uniform(7, 13))


def _table(words: Lettering, size: tuple[float, float], rng: np.random.Generator) -> None:
    font = FONTS[rng.integers(len(FONTS))]
    columns = np.linspace(15, size[0] - 15, int(rng.integers(4, 9)))
    lines = np.arange(30, size[1] - 20, float(rng.uniform(5, 10)))
    for x in columns:
        _rule(words, x, lines[0], x, lines[-1])
    for y in lines:
        _rule(words, columns[0], y, columns[-1], y)
    for y in lines[1:]:
        for x in columns[:-1]:
            entry = f"{rng.normal(50, 30):.1f}" if rng.random() < 0.7 else _WORDS[rng.integers(len(_WORDS))]
            words.put(entry, x + 1.5, y - 1.2, font, 2.0)
    for i, line in enumerate(measurement_lines(rng)[:2]):
        words.put(line, 15, 14 + 5 * i, font, 2.4)


def _cover(words: Lettering, size: tuple[float, float], rng: np.random.Generator) -> None:
    font = FONTS[rng.integers(len(FONTS))]
    words.put("FAX", 20, 45, font, float(rng.uniform(10, 22)))
    for i, line in enumerate(("To:", "From:", "Pages:", "Date:", "Subject:")):
        words.put(line, 20, 75 + 12 * i, font, 3.5)
        words.put(_prose(rng, 3), 60, 75 + 12 * i, font, 3.0)
    _rule(words, 20, 140, size[0] - 20, 140)
    for i in range(int(rng.integers(0, 6))):
        words.put(_prose(rng, 8), 20, 155 + 7 * i, font, 2.4)


def _chart(words: Lettering, size: tuple[float, float], rng: np.random.Generator) -> None:
    """Curves over time that are no heart: trends, laboratory values, breathing."""
    font = FONTS[rng.integers(len(FONTS))]
    words.put(_prose(rng, 4), 25, 25, font, 3.0)
    for panel in range(int(rng.integers(1, 4))):
        top, tall = 40 + panel * 70, 50
        _rule(words, 25, top, 25, top + tall)
        _rule(words, 25, top + tall, size[0] - 20, top + tall)
        for tick in range(6):
            words.put(f"{tick * 20}", 15, top + tall - tick * 9, font, 2.0)
        for _ in range(int(rng.integers(1, 4))):
            x = np.linspace(25, size[0] - 20, int(rng.integers(5, 60)))
            y = top + tall / 2 + np.clip(np.cumsum(rng.normal(0, 4, len(x))), -tall / 2, tall / 2)
            points = np.rint(words.frame.to_px(np.column_stack([x, y]))).astype(np.int32)
            cv2.polylines(words.coverage, [points], False, 255, 2, cv2.LINE_AA)


def _empty(words: Lettering, size: tuple[float, float], rng: np.random.Generator) -> None:
    """Ruled paper on which nothing was recorded, perhaps with a header."""
    font = FONTS[rng.integers(len(FONTS))]
    for i, line in enumerate(header_lines(rng, int(rng.integers(0, 5)))):
        words.put(line, 15, 15 + 5 * i, font, 2.6)
    if rng.random() < 0.5:
        words.put("25 mm/s   10 mm/mV", 15, size[1] - 8, font, 2.6)


def _scenery(frame: Frame, rng: np.random.Generator) -> UInt8:
    """Soft shapes and texture of many sizes, as a photograph of no page has them."""
    image = np.zeros((frame.height_px, frame.width_px, 3), np.float32)
    for octave in range(1, 8):
        small = rng.normal(0, 1, (2**octave + 1, 2**octave + 1, 3)).astype(np.float32)
        image += cv2.resize(small, (frame.width_px, frame.height_px), interpolation=cv2.INTER_CUBIC) * 0.62**octave
    for _ in range(int(rng.integers(2, 12))):
        centre = (int(rng.integers(frame.width_px)), int(rng.integers(frame.height_px)))
        reach = (int(rng.integers(10, frame.width_px // 3)), int(rng.integers(10, frame.width_px // 3)))
        cv2.ellipse(image, centre, reach, float(rng.uniform(0, 180)), 0, 360, rng.normal(0, 1, 3).tolist(), -1)
    return np.asarray(np.clip(image * 60 * rng.uniform(0.3, 1) + rng.uniform(80, 170), 0, 255), np.uint8)
