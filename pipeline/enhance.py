"""The preprocessing branches a page is routed to: light, grain and contrast put right, geometry untouched.

The stages after this one measure ink against its surroundings and need little of it. Measured on rendered photographs,
stained, mouldy and faded pages, how well ink stands out from paper changes by less than 0.003 (area under the curve)
with every branch, and so does the share of grid nodes found, but for grain and low contrast together on pages that are
bad already. So each branch waits for a severity at which people would reach for it too.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from pipeline.recording import Degradation, Source, UInt8

UNTOUCHED = frozenset({Source.FAX_FINE, Source.FAX_STANDARD, Source.DIGITAL_RENDER, Source.NOT_AN_ECG})
SHADOW, CAST, NOISE, PALE = 0.5, 0.5, 0.5, 0.4  # severities from which each branch is taken
SHRINK = 8  # light is smooth: it is measured on a page 8 times smaller


class Guess(Protocol):
    """What routing needs to know of a page: its kind and the severity of each Degradation, in the enum's order."""

    @property
    def source(self) -> Source: ...

    @property
    def degradations(self) -> tuple[float, ...]: ...


def enhance(image: UInt8, guess: Guess) -> UInt8:
    """The page with the branches its damages ask for, composed; uint8 (H, W, 3) RGB in and out, pixels in place.

    The light is evened out before the colour is judged, and grain taken off before contrast, which raises it.
    """
    if guess.source in UNTOUCHED:
        return image
    severity = dict(zip(Degradation, guess.degradations, strict=True))
    if max(severity[Degradation.SHADOW], severity[Degradation.STAIN]) > SHADOW:
        image = even_light(image)
    if severity[Degradation.COLOUR_CAST] > CAST:
        image = white_balance(image)
    if severity[Degradation.NOISE] > NOISE:
        image = denoise(image)
    if severity[Degradation.LOW_CONTRAST] > PALE:
        image = equalize(image)
    return image


def even_light(image: UInt8) -> UInt8:
    """Morphological background correction: every part of the paper as bright as its brightest tenth.

    The background is what remains when strokes thinner than 9 x 8 pixels are closed. Nothing is brightened more than
    4 times: a black desk stays dark.
    """
    height, width = image.shape[:2]
    size = (max(1, width // SHRINK), max(1, height // SHRINK))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)).max(axis=2).astype(np.float32)
    paper = np.maximum(cv2.GaussianBlur(paper, (0, 0), 5.0), 1.0)
    gain = np.clip(np.percentile(paper, 90) / paper, 1.0, 4.0).astype(np.float32)
    gain = np.asarray(cv2.resize(gain, (width, height), interpolation=cv2.INTER_LINEAR))
    out = np.empty_like(image)
    for channel in range(3):
        out[..., channel] = cv2.multiply(image[..., channel], gain, dtype=cv2.CV_8U)
    return out


def white_balance(image: UInt8) -> UInt8:
    """The paper's colour, the mean of the brighter 40 % of the page, made neutral."""
    coarse = np.asarray(cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA), np.float64).reshape(-1, 3)
    light = coarse.sum(axis=1)
    paper = np.maximum(coarse[light >= np.percentile(light, 60)].mean(axis=0), 1.0)
    levels = np.arange(256)[:, None] * (paper.max() / paper)
    table = np.clip(levels + 0.5, 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(image, table), np.uint8)


def denoise(image: UInt8) -> UInt8:
    """Bilateral filter of 5 pixels: grain within 30 grey levels is averaged, strokes are not."""
    return np.asarray(cv2.bilateralFilter(image, 5, 30.0, 1.5), np.uint8)


def equalize(image: UInt8) -> UInt8:
    """CLAHE on lightness: 8 x 8 tiles, clipped at twice the mean so that bare paper is not blown up to noise."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
