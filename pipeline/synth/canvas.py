"""A flat piece of paper as pixels: the ruling, and layers of ink drawn finer than the pixels and averaged down."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.geometry import Float64
from pipeline.recording import UInt8
from pipeline.synth.spec import Colour, GridStyle, Paper

# Ink is drawn at about this many px/mm: a 0.13 mm line is then 3 of them wide.
_FINE_PX_MM = 24.0
# cv2 takes fixed-point coordinates: 6 bits are 1/64 of a fine pixel.
_SHIFT = 6
_NO_DOTS = np.zeros((0, 0), np.float32)

Profiles = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Frame:
    """A window of the paper: its left top in mm, its size in pixels, and the scale."""

    x_mm: float
    y_mm: float
    width_px: int
    height_px: int
    px_mm: float

    def to_px(self, points_mm: Float64) -> Float64:
        """float64 (..., 2) mm -> pixels; the window's left edge is at -0.5, so that pixel centres are integers."""
        return (np.asarray(points_mm, np.float64) - [self.x_mm, self.y_mm]) * self.px_mm - 0.5

    @property
    def matrix(self) -> Float64:
        """float64 (2, 3), mm -> px."""
        s = self.px_mm
        return np.array([[s, 0.0, -self.x_mm * s - 0.5], [0.0, s, -self.y_mm * s - 0.5]])


class Ink:
    """One layer: how much ink covers each pixel, drawn fine, averaged down by a whole factor."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.factor = int(np.clip(round(_FINE_PX_MM / frame.px_mm), 2, 6))
        self._fine = np.zeros((frame.height_px * self.factor, frame.width_px * self.factor), np.uint8)

    def line(self, points_mm: Float64, width_mm: float, strength: int = 255) -> None:
        """A polyline through float64 (n, 2) mm with round joints."""
        fine = (self.frame.to_px(points_mm) + 0.5) * self.factor - 0.5
        fixed = np.rint(fine * (1 << _SHIFT)).astype(np.int32)
        thick = max(1, round(width_mm * self.frame.px_mm * self.factor))
        cv2.polylines(self._fine, [fixed.reshape(-1, 1, 2)], False, strength, thick, cv2.LINE_AA, _SHIFT)

    def coverage(self, dots_per_mm: float = 0.0) -> UInt8:
        """uint8 (H, W), 255 where ink covers the whole pixel; dots_per_mm: as a print head of so many dots makes it."""
        size = (self.frame.width_px, self.frame.height_px)
        fine = self._fine
        if dots_per_mm:
            scale = dots_per_mm / self.frame.px_mm / self.factor
            # along time the paper moves under the head: only across it are there steps
            dots = cv2.resize(fine, None, fx=1.0, fy=scale, interpolation=cv2.INTER_AREA)
            dots = cv2.threshold(dots, 110, 255, cv2.THRESH_BINARY)[1]
            fine = np.asarray(
                cv2.resize(dots, (fine.shape[1], fine.shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8
            )
        return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.uint8)


def blank(frame: Frame, paper: Paper, rng: np.random.Generator) -> UInt8:
    """The unprinted paper with its ruling, uint8 (H, W, 3). Lines lie at whole millimetres, strong ones at fives."""
    image = np.empty((frame.height_px, frame.width_px, 3), np.uint8)
    image[:] = paper.colour
    if paper.style is not GridStyle.NONE:
        rows, columns = _box(frame, paper)
        rulings = [
            (_ruling(frame, 1.0, paper.minor_mm, rows, columns), paper.minor, True),
            (_ruling(frame, 5.0, paper.major_mm, rows, columns), paper.major, False),
            (_ruling(frame, 25.0, paper.heavy_mm, rows, columns), paper.major, False),
        ]
        dots = rng.random((61, 67), np.float32) if paper.laser else _NO_DOTS
        for channel in range(3):
            ground = paper.colour[channel]
            planes = [_ruled(paper.style, lines, ground, tint[channel], thin) for lines, tint, thin in rulings]
            plane = np.minimum(np.minimum(planes[0], planes[1]), planes[2])
            image[rows, columns, channel] = _dotted_by_laser(plane, dots, ground) if paper.laser else plane
    if paper.texture > 0:
        image = _fibres(image, paper.texture, rng)
    return image


def _box(frame: Frame, paper: Paper) -> tuple[slice, slice]:
    """Rows and columns of pixels where the ruling is."""
    if paper.box_mm is None:
        return slice(0, frame.height_px), slice(0, frame.width_px)
    corners = np.array(paper.box_mm).reshape(2, 2) + [[-0.3], [0.3]]  # a line's own width outside
    (x0, y0), (x1, y1) = np.rint(frame.to_px(corners)).astype(int)
    h, w = frame.height_px, frame.width_px
    return slice(min(max(y0, 0), h), min(max(y1, 0), h)), slice(min(max(x0, 0), w), min(max(x1, 0), w))


def _ruling(frame: Frame, pitch_mm: float, width_mm: float, rows: slice, columns: slice) -> Profiles:
    """Exact coverage of pixel columns and rows by lines of the given pitch and width, 0..1."""

    def covered(start_mm: float, pixels: slice) -> np.ndarray:
        edges = (start_mm + np.arange(pixels.start, pixels.stop + 1) / frame.px_mm) / pitch_mm
        half = width_mm / pitch_mm / 2
        # integral of the line pattern up to each pixel edge
        whole = np.floor(edges + 0.5)
        total = whole * 2 * half + np.clip(edges - whole, -half, half)
        return np.asarray(np.diff(total) * pitch_mm * frame.px_mm, np.float32)

    return covered(frame.x_mm, columns), covered(frame.y_mm, rows)


def _ruled(style: GridStyle, lines: Profiles, ground: int, tint: int, thin: bool) -> UInt8:
    """uint8 (H, W): one ruling in one channel. Crossings are no darker than lines: a ruling is printed in one pass."""
    x, y = lines
    if thin and style is GridStyle.MAJOR_ONLY:
        return np.full((len(y), len(x)), ground, np.uint8)
    if style is GridStyle.DOTS or (thin and style is GridStyle.DOTTED_BOXES):
        return _tone(np.minimum(1, 3 * np.outer(y, x)), ground, tint)
    across, down = _tone(y, ground, tint)[:, None], _tone(x, ground, tint)[None, :]
    if thin and style is GridStyle.DOTTED_MINOR:
        across = np.where(np.arange(len(x)) % 4 < 2, across, np.uint8(ground))
        down = np.where(np.arange(len(y))[:, None] % 4 < 2, down, np.uint8(ground))
    return np.minimum(across, down)


def _tone(coverage: np.ndarray, ground: int, tint: int) -> UInt8:
    return np.asarray(ground + (tint - ground) * coverage + 0.5, np.uint8)


def _dotted_by_laser(plane: UInt8, dots: np.ndarray, ground: int) -> UInt8:
    """Pale lines as an office laser printer makes them: dark dots, fewer where the line is paler."""
    h, w = plane.shape
    limit = np.tile(dots, (h // dots.shape[0] + 1, w // dots.shape[1] + 1))[:h, :w]
    dark = 1 - plane.astype(np.float32) / max(ground, 1)
    kept = np.where(dark > limit * 0.9 + 0.02, np.minimum(1 - dark, 0.35), 1 - 0.25 * dark)
    return np.asarray(kept * ground, np.uint8)


def _fibres(image: UInt8, amount: float, rng: np.random.Generator) -> UInt8:
    tile = rng.normal(0, 1.0, (256, 256)).astype(np.float32)
    tile = cv2.GaussianBlur(tile, (0, 0), 1.2) * 2 + cv2.resize(tile[:32, :32], (256, 256)) * 0.7
    reps = (image.shape[0] // 256 + 1, image.shape[1] // 256 + 1)
    grain = np.tile(tile, reps)[: image.shape[0], : image.shape[1]] * (2.2 * amount)
    return np.asarray(cv2.add(image, cv2.merge([grain] * 3), dtype=cv2.CV_8U), np.uint8)


def lay_ink(image: UInt8, coverage: UInt8, colour: Colour) -> UInt8:
    """The image with ink of a colour over it: ink lets its own colour's share of the light through."""
    out = np.empty_like(image)
    for channel in range(3):
        passed = cv2.convertScaleAbs(coverage, alpha=-(255 - colour[channel]) / 255.0, beta=255.0)
        out[..., channel] = cv2.multiply(image[..., channel], passed, scale=1 / 255)
    return out
