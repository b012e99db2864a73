"""What a sensor, a file format or a fax does to the picture, pixel positions unchanged."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.recording import Source, UInt8
from pipeline.synth.spec import PageSpec, Wear

_BW = (Source.BW_SCAN, Source.MOULDY_BW_SCAN)


def shine(image: UInt8, wear: Wear, rng: np.random.Generator) -> UInt8:
    """Uneven light: shadow, vignette, colour cast and lost contrast."""
    if wear.shadow <= 0 and wear.colour_cast <= 0 and wear.low_contrast <= 0:
        return image
    light = _light(image.shape[:2], wear.shadow, rng)
    cast = 1 + wear.colour_cast * rng.uniform(-0.28, 0.0, 3) * rng.permutation([1.0, 0.6, 0.15])
    lift = 70.0 * wear.low_contrast * rng.uniform(0.3, 1.0)
    gain = 1 - 0.45 * wear.low_contrast
    out = np.empty_like(image)
    for channel in range(3):
        lit = cv2.multiply(image[..., channel], light, scale=float(cast[channel]) * gain, dtype=cv2.CV_32F)
        out[..., channel] = cv2.convertScaleAbs(lit, alpha=1.0, beta=lift)
    return out


def _light(shape: tuple[int, int], amount: float, rng: np.random.Generator) -> np.ndarray:
    """float32 (H, W), 1 is full light."""
    h, w = 48, 64
    y, x = np.mgrid[0 : 1 : h * 1j, 0 : 1 : w * 1j].astype(np.float32)
    angle = rng.uniform(0, 6.28)
    light = 1 - amount * 0.35 * rng.random() * (0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle))
    r2 = (x - rng.uniform(0.3, 0.7)) ** 2 + (y - rng.uniform(0.3, 0.7)) ** 2
    light = light * (1 - amount * 0.6 * rng.random() * r2)
    for _ in range(int(rng.integers(0, 3))):
        angle, soft = rng.uniform(0, 6.28), rng.uniform(0.01, 0.25)
        edge = (x - rng.uniform(0.1, 0.9)) * np.cos(angle) + (y - rng.uniform(0.1, 0.9)) * np.sin(angle)
        light = light * (1 - amount * rng.uniform(0.1, 0.55) / (1 + np.exp(-np.clip(edge / soft, -30, 30))))
    return np.asarray(cv2.resize(light.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))


def defocus(image: UInt8, amount: float, px_mm: float, rng: np.random.Generator) -> UInt8:
    """Out of focus or shaken; amount 1 is about 0.35 mm of the paper."""
    if amount <= 0:
        return image
    radius = 0.35 * px_mm * amount
    if rng.random() < 0.3:
        size = 2 * int(np.ceil(radius * 1.2)) + 1
        kernel = np.zeros((size, size), np.float32)
        reach = np.array([np.cos(a := rng.uniform(0, 3.14)), np.sin(a)]) * size / 2
        mid = np.array([size / 2 - 0.5] * 2)
        ends = [tuple(int(v) for v in np.rint((mid + s * reach) * 16)) for s in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
        return np.asarray(cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6)), np.uint8)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(radius * 0.6, 0.2)), np.uint8)


def grain(image: UInt8, amount: float, rng: np.random.Generator) -> UInt8:
    """Sensor noise, some of it coarse and coloured."""
    if amount <= 0:
        return image
    h, w = image.shape[:2]
    tile = rng.normal(0, 22.0 * amount, (256, 256, 3)).astype(np.float32)
    tile = tile * rng.uniform(0.2, 1) + tile[..., :1] * rng.uniform(0.2, 1)
    if rng.random() < 0.5:
        tile = cv2.GaussianBlur(tile, (0, 0), rng.uniform(0.4, 1.2)) * 1.6
    shift = rng.integers(0, 256, 2)
    tile = np.roll(tile, tuple(shift), (0, 1))
    noise = np.tile(tile, (h // 256 + 1, w // 256 + 1, 1))[:h, :w]
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def grey(image: UInt8) -> UInt8:
    """Colours to grey, still three channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def one_bit(image: UInt8, spec: PageSpec, rng: np.random.Generator) -> UInt8:
    """A fax machine's black or white: a local threshold, or a halftone of 4 by 4 or 8 by 8."""
    tone = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    paper = float(np.median(tone))
    if spec.halftone:
        pattern = _bayer(2 if rng.random() < 0.5 else 3)
        h, w = tone.shape
        n = len(pattern)
        limit = np.tile(pattern, (h // n + 1, w // n + 1))[:h, :w] * paper * rng.uniform(0.8, 0.98)
        bits = (tone >= np.maximum(limit, paper * 0.35)).astype(np.uint8) * 255
    else:
        bits = (tone > paper * rng.uniform(0.45, 0.8)).astype(np.uint8) * 255
    return np.asarray(cv2.merge([bits] * 3), np.uint8)


def _bayer(order: int) -> np.ndarray:
    pattern = np.zeros((1, 1))
    for _ in range(order):
        pattern = np.block([[4 * pattern, 4 * pattern + 2], [4 * pattern + 3, 4 * pattern + 1]])
    return np.asarray((pattern + 0.5) / pattern.size)


def drop_lines(image: UInt8, amount: float, rng: np.random.Generator) -> UInt8:
    """Scan lines lost to white or black, repeated lines, and a streak of a dirty sensor down the page."""
    if amount <= 0:
        return image
    out = image.copy()
    h, w = out.shape[:2]
    for _ in range(int(rng.poisson(10 * amount)) + 1):
        y, tall = int(rng.integers(h)), int(rng.integers(1, 2 + round(3 * amount)))
        x0, x1 = sorted(rng.integers(0, w, 2)) if rng.random() < 0.5 else (0, w)
        out[y : y + tall, x0:x1] = 255 if rng.random() < 0.75 else (out[y - 1, x0:x1] if rng.random() < 0.7 else 0)
    for _ in range(int(rng.poisson(2 * amount))):
        x = int(rng.integers(w))
        out[:, x : x + int(rng.integers(1, 3))] = 0 if rng.random() < 0.5 else 255
    return out


def jpeg(image: UInt8, quality: int) -> UInt8:
    """Through JPEG and back."""
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
