"""What a sensor, a file format or a fax does to the picture, pixel positions unchanged."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.recording import UInt8
from pipeline.synth.spec import Wear


def shine(image: UInt8, wear: Wear, rng: np.random.Generator) -> UInt8:
    """Uneven light: shadow, vignette, colour cast and lost contrast."""
    if wear.shadow <= 0 and wear.colour_cast <= 0 and wear.low_contrast <= 0:
        return image
    light = _light(image.shape[:2], wear.shadow, rng)
    # the weakest channel loses 28 % at most, another some of it, the strongest nothing
    cast = 1 - 0.28 * wear.colour_cast * rng.permutation([1.0, rng.uniform(0, 1), 0.0])
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
        if rng.random() < 0.4:  # a hand or a phone
            blob = (x - rng.random()) ** 2 / rng.uniform(0.01, 0.1) + (y - rng.random()) ** 2 / rng.uniform(0.01, 0.2)
            edge = 0.3 * (1 - blob)
        light = light * (1 - amount * rng.uniform(0.1, 0.55) / (1 + np.exp(-np.clip(edge / soft, -30, 30))))
    # the darkest place tells the severity
    light = 1 - (light.max() - light) / max(float(np.ptp(light)), 1e-6) * 0.6 * amount
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


def sharpened(image: UInt8, amount: float, px_mm: float) -> UInt8:
    """A phone's own sharpening, with its halos."""
    soft = cv2.GaussianBlur(image, (0, 0), 0.18 * px_mm)
    return np.asarray(cv2.addWeighted(image, 1 + amount, soft, -amount, 0), np.uint8)


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


def glare(image: UInt8, amount: float, rng: np.random.Generator) -> UInt8:
    """Lamps mirrored in glossy paper or glass."""
    h, w = image.shape[:2]
    y, x = np.mgrid[0 : 1 : (h // 8 + 1) * 1j, 0 : 1 : (w // 8 + 1) * 1j].astype(np.float32)
    glow = np.zeros_like(x)
    for _ in range(int(rng.integers(1, 4))):
        cx, cy, angle = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0, 3.14)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        r2 = (u / rng.uniform(0.02, 0.3)) ** 2 + (v / rng.uniform(0.02, 0.1)) ** 2
        glow += rng.uniform(20, 150) * amount * np.exp(-r2)
    glow = cv2.resize(glow, (w, h))
    return np.asarray(cv2.add(image, cv2.merge([glow] * 3), dtype=cv2.CV_8U), np.uint8)


def moire(image: UInt8, amount: float, px_mm: float, rng: np.random.Generator) -> UInt8:
    """A screen's pixels beating against the sensor's: slow coloured waves and a fine weave."""
    h, w = image.shape[:2]
    step = 4
    y, x = np.mgrid[0 : h // step + 2, 0 : w // step + 2].astype(np.float32) * step
    bend = cv2.resize(
        rng.normal(0, 1, (4, 5)).astype(np.float32), (x.shape[1], x.shape[0]), interpolation=cv2.INTER_CUBIC
    )
    out = np.empty_like(image)
    angle, wave = rng.uniform(0, 3.14), rng.uniform(1.5, 14) * px_mm
    u = (x * np.cos(angle) + y * np.sin(angle)) / wave + bend * rng.uniform(0.3, 2.5)
    v = (-x * np.sin(angle) + y * np.cos(angle)) / (wave * rng.uniform(0.8, 3)) - bend * rng.uniform(0.3, 2.5)
    lag, deep = rng.uniform(0, 2.2), 0.10 * amount * rng.uniform(0.5, 1)
    weave = 1 + 0.10 * amount * rng.random() * ((np.arange(w) % 3 - 1)[None, :] * (np.arange(h) % 2 * 2 - 1)[:, None])
    for channel in range(3):
        waves = np.cos(2 * np.pi * u + lag * channel) + 0.6 * np.cos(2 * np.pi * v + lag * channel * 1.7)
        light = cv2.resize((1 - 0.05 * amount + deep * waves).astype(np.float32), None, fx=step, fy=step)
        out[..., channel] = cv2.multiply(image[..., channel], light[:h, :w] * weave.astype(np.float32), dtype=cv2.CV_8U)
    return out


def grey(image: UInt8, rng: np.random.Generator, *, harden: bool = False) -> UInt8:
    """Colours to grey, still three channels; harden: with a scanner's steeper curve, at times nearly black or white."""
    tone = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if harden:
        paper = float(np.median(tone))
        black, white = paper * rng.uniform(0.0, 0.5), paper * rng.uniform(0.85, 1.05)
        if rng.random() < 0.2:
            black = white - paper * rng.uniform(0.08, 0.3)
        tone = cv2.LUT(tone, np.clip((np.arange(256) - black) / (white - black) * 245, 0, 255).astype(np.uint8))
    return np.asarray(cv2.merge([tone] * 3), np.uint8)


def one_bit(image: UInt8, halftone: bool, rng: np.random.Generator) -> UInt8:
    """A fax machine's black or white: a local threshold, or a halftone of 4 by 4 or 8 by 8."""
    tone = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    paper = float(np.median(tone))
    if halftone:
        pattern = _bayer(2 if rng.random() < 0.5 else 3)
        h, w = tone.shape
        n = len(pattern)
        limit = np.tile(pattern, (h // n + 1, w // n + 1))[:h, :w] * paper * rng.uniform(0.8, 0.98)
        bits = (tone >= np.maximum(limit, paper * 0.35)).astype(np.uint8) * 255
    else:
        bits = (tone > paper * rng.uniform(0.35, 0.78)).astype(np.uint8) * 255
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
