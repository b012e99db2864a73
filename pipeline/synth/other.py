"""Pages that are no ECG: letters, forms, tables, fax covers, photographs of nothing."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.recording import Page, UInt8
from pipeline.synth import capture
from pipeline.synth.canvas import Frame, lay_ink
from pipeline.synth.lettering import Lettering, header_lines, measurement_lines
from pipeline.synth.spec import FONTS, Wear

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
    kind = int(rng.integers(5))
    if kind == 4:
        image = _scenery(frame, rng)
    else:
        words = Lettering(frame)
        (_letter, _form, _table, _cover)[kind](words, size, rng)
        image = np.full((frame.height_px, frame.width_px, 3), rng.integers(225, 256, 3), np.uint8)
        image = lay_ink(image, words.coverage, (25, 25, 30))
    wear = Wear(
        shadow=float(rng.uniform(0, 0.6)) if rng.random() < 0.4 else 0.0,
        colour_cast=float(rng.uniform(0, 0.7)) if rng.random() < 0.4 else 0.0,
    )
    image = capture.shine(np.asarray(image, np.uint8), wear, rng)
    image = capture.defocus(image, float(rng.uniform(0, 0.5)), s, rng)
    image = capture.grain(image, float(rng.uniform(0, 0.5)), rng)
    return Page(np.ascontiguousarray(image), (s * 25.4, s * 25.4))


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
    return np.asarray(np.clip(image * 60 + rng.uniform(80, 170), 0, 255), np.uint8)
