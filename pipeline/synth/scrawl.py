"""What people add to a sheet: handwriting, marks, stamps, staples, punched holes, blacked-out names."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.recording import UInt8
from pipeline.synth.canvas import Frame, lay_ink
from pipeline.synth.lettering import word
from pipeline.synth.spec import Colour, PageSpec

_PENS: tuple[Colour, ...] = ((25, 40, 130), (20, 20, 25), (170, 30, 40), (50, 70, 160), (90, 90, 95))
_STAMPS: tuple[Colour, ...] = ((40, 50, 150), (160, 30, 50), (90, 40, 130), (30, 100, 70))


def write_on(image: UInt8, frame: Frame, spec: PageSpec, rng: np.random.Generator) -> UInt8:
    """All of it, as much as the specification says."""
    wear = spec.wear
    if wear.redaction > 0:
        image = _redacted(image, frame, spec, rng)
    if wear.stamp > 0:
        image = _stamped(image, frame, rng)
    if wear.handwriting > 0:
        image = _written(image, frame, wear.handwriting, rng)
    return _stapled(image, frame, rng) if wear.staple > 0 else image


def _written(image: UInt8, frame: Frame, amount: float, rng: np.random.Generator) -> UInt8:
    pen = np.zeros(image.shape[:2], np.uint8)
    thick = max(1, round(rng.uniform(0.25, 0.6) * frame.px_mm))
    for _ in range(1 + int(rng.poisson(4 * amount))):
        start = np.array([rng.uniform(0, frame.width_px), rng.uniform(0, frame.height_px)])
        stroke = (_scribble, _scribble, _ring, _underline, _arrow)[rng.integers(5)](rng)
        points = np.rint((stroke * frame.px_mm + start) * 16).astype(np.int32)
        cv2.polylines(pen, [points], False, int(rng.integers(150, 255)), thick, cv2.LINE_AA, 4)
    return lay_ink(image, pen, _PENS[rng.integers(len(_PENS))])


def _scribble(rng: np.random.Generator) -> np.ndarray:
    """Something like a written word: loops that travel."""
    letters = int(rng.integers(3, 12))
    t = np.linspace(0, letters * 2 * np.pi, letters * 14)
    tall = np.interp(t, np.arange(letters + 1) * 2 * np.pi, rng.uniform(0.5, 2.4, letters + 1))
    wide = np.interp(t, np.arange(letters + 1) * 2 * np.pi, rng.uniform(0.3, 1.4, letters + 1))
    size, slope = rng.uniform(0.6, 1.8), rng.normal(0, 0.08)
    x = t / (2 * np.pi) * rng.uniform(1.5, 2.6) + wide * np.sin(t + 0.8)
    return np.asarray(np.column_stack([x, tall * np.cos(t * rng.uniform(0.9, 1.1)) + slope * x]) * size)


def _ring(rng: np.random.Generator) -> np.ndarray:
    t = np.linspace(0, rng.uniform(5.8, 7.5), 40)
    return np.column_stack([rng.uniform(3, 14) * np.cos(t) + t * 0.2, rng.uniform(3, 9) * np.sin(t)])


def _underline(rng: np.random.Generator) -> np.ndarray:
    x = np.linspace(0, rng.uniform(3, 40), 20)
    return np.column_stack([x, np.cumsum(rng.normal(0, 0.08, 20))])


def _arrow(rng: np.random.Generator) -> np.ndarray:
    tip = rng.normal(0, 12, 2)
    back = -tip / max(float(np.linalg.norm(tip)), 1e-6) * 3
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    return np.array([(0.0, 0.0), tip, tip + turn @ back, tip, tip + turn.T @ back])


def _stamped(image: UInt8, frame: Frame, rng: np.random.Generator) -> UInt8:
    """A rubber stamp, tilted, unevenly inked."""
    text, _ = word(str(rng.choice(["RECEIVED", "COPY", "CONFIRMED", "CARDIOLOGY", "FILED"])), "DejaVuSans-Bold", 40)
    plate = np.pad(text, 28)
    cv2.rectangle(plate, (6, 6), (plate.shape[1] - 7, plate.shape[0] - 7), 255, 6)
    scale = rng.uniform(25, 60) * frame.px_mm / plate.shape[1]
    turn = cv2.getRotationMatrix2D((plate.shape[1] / 2, plate.shape[0] / 2), float(rng.normal(0, 14)), scale)
    turn = np.asarray(turn, np.float64)
    turn[:, 2] += rng.uniform(0, 0.9, 2) * np.array([frame.width_px, frame.height_px])
    pressed = cv2.warpAffine(plate, turn, (frame.width_px, frame.height_px), flags=cv2.INTER_AREA)
    blotchy = cv2.resize(rng.uniform(0.2, 1.0, (40, 60)).astype(np.float32), (frame.width_px, frame.height_px))
    pressed = cv2.multiply(pressed, blotchy, dtype=cv2.CV_8U)
    return lay_ink(image, np.asarray(pressed, np.uint8), _STAMPS[rng.integers(len(_STAMPS))])


def _stapled(image: UInt8, frame: Frame, rng: np.random.Generator) -> UInt8:
    """A staple in a corner, or two punched holes at a side."""
    out = image.copy()
    s = frame.px_mm
    if rng.random() < 0.5:
        corner = np.array([rng.uniform(4, 20), rng.uniform(4, 15)]) * s
        along = np.array([np.cos(a := rng.uniform(0, 1.6)), np.sin(a)]) * 12 * s
        a_px, b_px = (tuple(int(v) for v in np.rint(p)) for p in (corner, corner + along))
        cv2.line(out, a_px, b_px, (70, 70, 75), max(1, round(0.6 * s)), cv2.LINE_AA)
        cv2.line(out, a_px, b_px, (210, 210, 215), max(1, round(0.2 * s)), cv2.LINE_AA)
        return out
    middle, tone = frame.height_px / 2, int(rng.choice([15, 250]))
    for y in (middle - 40 * s, middle + 40 * s):
        cv2.circle(out, (round(11 * s), round(y)), round(2.75 * s), (tone, tone, tone), -1, cv2.LINE_AA)
    return out


def _redacted(image: UInt8, frame: Frame, spec: PageSpec, rng: np.random.Generator) -> UInt8:
    """Bars or brush strokes over the header, never over traces."""
    out = image.copy()
    floor = (spec.print.top_mm - 16) * frame.px_mm
    tone = int(rng.choice([0, 20, 235, 255]))
    for _ in range(int(rng.integers(1, 5))):
        if floor < 4 * frame.px_mm:
            break
        x, y = rng.uniform(0, 0.7) * frame.width_px, rng.uniform(0, floor)
        w, h = rng.uniform(12, 60) * frame.px_mm, rng.uniform(2.5, 6) * frame.px_mm
        a_px, b_px = (int(x), int(y)), (int(x + w), int(min(y + h, floor)))
        cv2.rectangle(out, a_px, b_px, (tone, tone, tone), -1)
    return out
