"""What happens to a printed sheet before anybody looks at it through a lens: hands, water, mould, age, copiers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.recording import UInt8
from pipeline.synth import scrawl
from pipeline.synth.camera import Folds
from pipeline.synth.canvas import Frame
from pipeline.synth.spec import Colour, PageSpec

# Soft things (stains, fading) are made at 1 px/mm and enlarged.
_SOFT_PX_MM = 1.0


@dataclass(frozen=True, eq=False)
class Worn:
    """image: uint8 (H, W, 3). gone: uint8 (H, W), 255 where the paper is torn away, None where all is there."""

    image: UInt8
    gone: UInt8 | None


def wear_down(
    image: UInt8,
    frame: Frame,
    spec: PageSpec,
    folds: Folds,
    centre_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Worn:
    """Everything the specification says, in the order it would happen. centre_mm: what folds are measured from."""
    wear, paper = spec.wear, spec.paper.colour
    if wear.fade > 0:
        image = _faded(image, frame, wear.fade, paper, rng)
    image = scrawl.write_on(image, frame, spec, rng)
    if wear.stain > 0:
        image = _stained(image, frame, wear.stain, rng)
    if wear.mould > 0:
        image = _mouldy(image, frame, wear.mould, rng)
    if wear.dirt > 0:
        image = _dirty(image, frame, wear.dirt, rng)
    if wear.fold > 0 or wear.crumple > 0:
        image = _creased(image, frame, spec, folds, centre_mm, rng)
    for _ in range(wear.copies):
        image = _copied(image, frame, rng)
    gone = _torn(frame, wear.tear, rng) if wear.tear > 0 else None
    return Worn(image, gone)


def clouds(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (H, W) about -1..1: smooth noise of several sizes, the largest a cells-th of the page."""
    h, w = shape
    out = np.zeros(shape, np.float32)
    size, weight = cells, 1.0
    while size < max(h, w) / 2 and weight > 0.1:
        small = rng.uniform(-1, 1, (max(size * h // w, 2) + 1, size + 1)).astype(np.float32)
        out += weight * cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)
        size, weight = size * 2, weight * 0.55
    return np.asarray(out / 1.6)


def tinted(image: UInt8, amount: np.ndarray, colour: Colour) -> UInt8:
    """The image through a coloured film. amount: float32, any size, 0..1."""
    size = (image.shape[1], image.shape[0])
    film = np.clip(amount * 255, 0, 255).astype(np.uint8)
    film = np.asarray(cv2.resize(film, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    out = np.empty_like(image)
    for channel in range(3):
        passed = cv2.convertScaleAbs(film, alpha=-(255 - colour[channel]) / 255.0, beta=255.0)
        out[..., channel] = cv2.multiply(image[..., channel], passed, scale=1 / 255)
    return out


def _soft_shape(frame: Frame, px_mm: float = _SOFT_PX_MM) -> tuple[int, int]:
    scale = px_mm / frame.px_mm
    return max(int(frame.height_px * scale), 8), max(int(frame.width_px * scale), 8)


def _faded(image: UInt8, frame: Frame, amount: float, paper: Colour, rng: np.random.Generator) -> UInt8:
    """Thermal paper going back to blank: in clouds, and in bands across the print head."""
    h, w = _soft_shape(frame)
    loss = amount * (0.55 + 0.35 * clouds((h, w), 3, rng))
    bands = clouds((h, 2), 2, rng)[:, :1] if rng.random() < 0.5 else clouds((2, w), 12, rng)[:1]
    loss = np.clip(loss + 0.2 * amount * bands, 0, 0.88).astype(np.float32)
    alpha = cv2.resize(loss, (image.shape[1], image.shape[0]))
    out = np.empty_like(image)
    tone = np.array(paper) * rng.uniform(0.9, 1.0, 3)
    for channel in range(3):
        plane = image[..., channel].astype(np.float32)
        out[..., channel] = plane + (np.float32(tone[channel]) - plane) * alpha
    return out


def _stained(image: UInt8, frame: Frame, amount: float, rng: np.random.Generator) -> UInt8:
    """Coffee, tea or water: blots with a darker rim, and ink that ran where it was wet."""
    shape = _soft_shape(frame)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    ragged = clouds(shape, 6, rng)
    wet = np.zeros(shape, np.float32)
    for _ in range(1 + int(rng.poisson(2.5 * amount))):
        reach = rng.uniform(8, 90) * (0.4 + amount)
        cx, cy = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        away = np.hypot((x - cx) * rng.uniform(0.7, 1.3), y - cy) / reach + 0.35 * ragged
        inside = 1 / (1 + np.exp(np.clip((away - 1) * reach * 0.8, -30, 30)))
        rim = np.exp(-(((away - 0.97) * reach / rng.uniform(1.5, 4)) ** 2))
        ring_only = rng.random() < 0.25
        blot = (0.08 if ring_only else rng.uniform(0.3, 0.8)) * inside + rng.uniform(0.2, 0.7) * rim * inside
        wet = np.maximum(wet, blot)
    colours: tuple[Colour, ...] = ((150, 105, 55), (185, 150, 90), (120, 80, 50), (200, 190, 160), (150, 130, 120))
    colours += ((170, 70, 60),)
    out = tinted(image, np.clip(wet * (0.35 + 0.65 * amount), 0, 0.95), colours[rng.integers(len(colours))])
    if rng.random() < 0.5:
        run = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.1, 0.35)) * frame.px_mm)
        mask = cv2.resize(np.clip(wet * 1.5, 0, 1), (image.shape[1], image.shape[0]))
        out = np.asarray(cv2.blendLinear(run, out, mask, 1 - mask), np.uint8)
    return out


def _mouldy(image: UInt8, frame: Frame, amount: float, rng: np.random.Generator) -> UInt8:
    """Colonies of small dark spots over a pale bloom."""
    shape = _soft_shape(frame, 3.0)
    where = np.clip(clouds(shape, 4, rng) * 1.2 + amount * 1.1 - 0.55, 0, 1)
    speck = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), float(rng.uniform(0.8, 2.2)))
    speck = speck / speck.std()
    spots = np.clip((speck - 1.9 + 1.3 * where) * 1.6, 0, 1) * (where > 0.02)
    darks: tuple[Colour, ...] = ((50, 55, 45), (70, 80, 55), (40, 40, 40), (95, 85, 60), (60, 75, 80))
    dark = darks[rng.integers(len(darks))]
    out = tinted(image, 0.45 * where * amount, (175, 170, 130))
    return tinted(out, spots * rng.uniform(0.6, 1.0), dark)


def _dirty(image: UInt8, frame: Frame, amount: float, rng: np.random.Generator) -> UInt8:
    """Dust, hairs and smears on paper or glass."""
    film = np.zeros(image.shape[:2], np.uint8)
    h, w = image.shape[:2]
    for _ in range(int(rng.poisson(80 * amount))):
        at = (int(rng.integers(w)), int(rng.integers(h)))
        cv2.circle(film, at, int(rng.exponential(0.1) * frame.px_mm), int(rng.integers(40, 255)), -1, cv2.LINE_AA)
    for _ in range(int(rng.poisson(4 * amount))):
        steps = np.cumsum(rng.normal(0, 1.0, (12, 2)) + rng.normal(0, 1.5, 2), axis=0) * frame.px_mm * 0.5
        points = np.rint(steps + [rng.uniform(0, w), rng.uniform(0, h)]).astype(np.int32)
        cv2.polylines(film, [points], False, int(rng.integers(60, 220)), 1, cv2.LINE_AA)
    pale = rng.random() < 0.2
    if pale:
        return np.asarray(cv2.add(image, cv2.merge([film] * 3)), np.uint8)
    return np.asarray(cv2.subtract(image, cv2.merge([film] * 3)), np.uint8)


def _creased(
    image: UInt8,
    frame: Frame,
    spec: PageSpec,
    folds: Folds,
    centre: tuple[float, float],
    rng: np.random.Generator,
) -> UInt8:
    """Fold lines where the ink cracked, and the facets of paper that was crushed."""
    h, w = _soft_shape(frame, 2.5)
    scale = 1 / 2.5
    x = frame.x_mm + (np.arange(w, dtype=np.float32) + 0.5) * scale
    y = frame.y_mm + (np.arange(h, dtype=np.float32)[:, None] + 0.5) * scale
    light = np.zeros((h, w), np.float32)
    for nx, ny, at, _ in folds:
        away = (x - centre[0]) * np.float32(nx) + (y - centre[1]) * np.float32(ny) - np.float32(at)
        crack = np.exp(-((away / rng.uniform(0.25, 0.6)) ** 2)) * (0.7 + 0.5 * clouds((h, w), 30, rng))
        light += spec.wear.fold * rng.choice([-0.55, 0.3]) * crack
        light += spec.wear.fold * rng.uniform(-0.12, 0.12) * np.tanh(away / 2)
    for _ in range(int(60 * spec.wear.crumple)):
        angle = rng.uniform(0, 3.14)
        px, py = rng.uniform(x[0], x[-1]), rng.uniform(float(y[0, 0]), float(y[-1, 0]))
        away = (x - px) * np.cos(angle) + (y - py) * np.sin(angle)
        along = -(x - px) * np.sin(angle) + (y - py) * np.cos(angle)
        reach = rng.uniform(10, 70)
        near = np.exp(-((along / reach) ** 2) - (away / (0.6 * reach)) ** 2)
        step = np.tanh(away / 0.5) * 0.12 + np.exp(-((away / 0.35) ** 2)) * rng.choice([-0.2, 0.12])
        light += spec.wear.crumple * rng.uniform(0.3, 1) * rng.choice([-1, 1]) * near * step
    shade = cv2.resize(np.clip(1 + light, 0.25, 1.35).astype(np.float32), (image.shape[1], image.shape[0]))
    return multiplied(image, shade)


def multiplied(image: UInt8, light: np.ndarray) -> UInt8:
    """Each channel times float32 (H, W)."""
    out = np.empty_like(image)
    for channel in range(3):
        out[..., channel] = cv2.multiply(image[..., channel], light, dtype=cv2.CV_8U)
    return out


def _copied(image: UInt8, frame: Frame, rng: np.random.Generator) -> UInt8:
    """Once through a copier: harder contrast, swollen or thinned strokes, toner specks."""
    tone = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    tone = cv2.GaussianBlur(tone, (0, 0), float(rng.uniform(0.03, 0.09)) * frame.px_mm + 0.2)
    paper = float(np.median(tone))
    middle, steep = paper * rng.uniform(0.55, 0.88), rng.uniform(0.02, 0.08)
    curve = 255 / (1 + np.exp(-(np.arange(256) - middle) * steep))
    curve = np.clip(curve * (250 / curve[min(int(paper), 255)]), 0, 255).astype(np.uint8)
    tone = cv2.LUT(tone, curve)
    specks = rng.random((256, 256)) < rng.uniform(0, 0.0015)
    reps = (tone.shape[0] // 256 + 1, tone.shape[1] // 256 + 1)
    mask = np.tile(specks, reps)[: tone.shape[0], : tone.shape[1]]
    tone = np.where(mask, np.uint8(rng.integers(0, 120)), tone)
    return np.asarray(cv2.merge([tone] * 3), np.uint8)


def _torn(frame: Frame, amount: float, rng: np.random.Generator) -> UInt8:
    """Pieces out of the border."""
    gone = np.zeros((frame.height_px, frame.width_px), np.uint8)
    for _ in range(1 + int(rng.poisson(2 * amount))):
        side, at = int(rng.integers(4)), rng.uniform(0, 1)
        width, deep = rng.uniform(4, 30), rng.uniform(4, 28) * (0.3 + amount)
        t = np.linspace(-1, 1, 25)
        inward = np.maximum(deep * (1 - np.abs(t) ** rng.uniform(0.6, 2.5)) + rng.normal(0, 0.6, 25), 0)
        inward[[0, -1]] = -2
        along = t * width
        h, w = frame.height_px, frame.width_px
        if side % 2:
            x = inward * frame.px_mm if side == 1 else w - inward * frame.px_mm
            points = np.column_stack([x, at * h + along * frame.px_mm])
        else:
            y = inward * frame.px_mm if side == 0 else h - inward * frame.px_mm
            points = np.column_stack([at * w + along * frame.px_mm, y])
        cv2.fillPoly(gone, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    return gone
