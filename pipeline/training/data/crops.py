"""Square pieces of a page, turned, scaled and mirrored at will, and the exact way back from their pixels to the page's.

Pixels: x right, y down, centres at integers. Affine maps are float64 (3, 3) matrices on (x, y, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.geometry import Float64
from pipeline.recording import UInt8
from pipeline.synth.truth import PageTruth

BOUND = 1.3  # pixels of the page to one of the piece from which averaging comes before the turning, against aliasing


@dataclass(frozen=True)
class View:
    """What part of a page to look at, and how.

    centre: of the piece, pixels (x, y) of the page set upright. step: pixels of the upright page to one of the piece,
    along x and y. angle_deg: by which the piece's x axis is turned against the page's. orientation: 0..7, in which
    the piece shows the page.
    """

    centre: tuple[float, float]
    step: tuple[float, float]
    angle_deg: float = 0.0
    orientation: int = 0


@dataclass(frozen=True, eq=False)
class Piece:
    """pixels: uint8 (side, side, 3) RGB. to_page: its pixels to the page's."""

    pixels: UInt8
    to_page: Float64

    def on_page(self, points: Float64) -> Float64:
        """float64 (..., 2) pixels of the piece -> pixels of the page."""
        return apply(self.to_page, points)

    def on_piece(self, points: Float64) -> Float64:
        """float64 (..., 2) pixels of the page -> pixels of the piece."""
        return apply(inverse(self.to_page), points)


def cut(image: UInt8, orientation: int, view: View, side: int, ground: int = 128) -> Piece:
    """Look at a page. image: uint8 (H, W, 3), lying as orientation says; beyond it there is grey of this level."""
    upright = set_upright(image, orientation)
    h, w = upright.shape[:2]
    middle = (side - 1) / 2
    a = math.radians(view.angle_deg)
    turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    affine = np.eye(3)
    affine[:2, :2] = np.diag(view.step) @ turn
    affine[:2, 2] = np.array(view.centre) - affine[:2, :2] @ [middle, middle]
    pixels = _warp(upright, affine, side, ground)
    to_page = turned(orientation, h, w) @ affine @ inverse(turned(view.orientation, side, side))
    return Piece(_lay(pixels, view.orientation), to_page)


def _warp(upright: UInt8, affine: Float64, side: int, ground: int) -> UInt8:
    """The piece before it is laid in its orientation: only the part of the page below it is touched."""
    h, w = upright.shape[:2]
    corners = apply(affine, np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64) - 0.5)
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 3, [w, h])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return np.full((side, side, 3), ground, np.uint8)
    region = np.ascontiguousarray(upright[y0:y1, x0:x1])
    step = np.linalg.norm(affine[:2, :2], axis=1)
    size = [max(1, round(n / s)) if s > BOUND else n for n, s in zip((x1 - x0, y1 - y0), step.tolist(), strict=True)]
    ratio = np.array([(x1 - x0) / size[0], (y1 - y0) / size[1]])
    if (ratio > 1).any():
        region = np.asarray(cv2.resize(region, (size[0], size[1]), interpolation=cv2.INTER_AREA), np.uint8)
    # page -> region, whose pixel 0 covers the page's x0 - 0.5 .. x0 - 0.5 + ratio
    shrink = np.diag([*(1 / ratio), 1.0])
    shrink[:2, 2] = (0.5 - np.array([x0, y0])) / ratio - 0.5
    back = (shrink @ affine)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(
            region, back, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(ground,) * 3
        ),
        np.uint8,
    )


def apply(matrix: Float64, points: Float64) -> Float64:
    """An affine map on float64 (..., 2) points."""
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2])


def inverse(matrix: Float64) -> Float64:
    """The way back."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def set_upright(image: UInt8, orientation: int) -> UInt8:
    """A view of the image as it was before it was mirrored and turned."""
    image = np.rot90(image, -(orientation % 4))
    return image[:, ::-1] if orientation >= 4 else image


def _lay(image: UInt8, orientation: int) -> UInt8:
    """The opposite: the mirror first, then quarter turns counter-clockwise."""
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if orientation >= 4 else image, orientation % 4))


def turned(orientation: int, height: int, width: int) -> Float64:
    """Pixels of an upright image of this size to the pixels of the same image lying in an orientation."""
    matrix = np.eye(3)
    if orientation >= 4:
        matrix = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
    for _ in range(orientation % 4):
        matrix = np.array([[0.0, 1, 0], [-1, 0, width - 1], [0, 0, 1]]) @ matrix
        height, width = width, height
    return matrix


def upright_size(truth: PageTruth, image: UInt8) -> tuple[int, int]:
    """(height, width) of the page set upright, pixels."""
    h, w = image.shape[:2]
    return (w, h) if truth.orientation % 2 else (h, w)


def pitch_px_mm(truth: PageTruth, image: UInt8) -> tuple[float, float]:
    """Pixels per millimetre along x and y of the page set upright, at its middle; a fax's differ by up to two."""
    paper = truth.paper
    at = np.array([[paper.x_mm.mean(), paper.y_mm.mean()]])
    points = paper.to_px(np.concatenate([at, at + [1.0, 0.0], at + [0.0, 1.0]]))
    upright = inverse(turned(truth.orientation, *upright_size(truth, image)))[:2, :2]
    jacobian = upright @ (points[1:] - points[0]).T
    x, y = np.linalg.norm(jacobian, axis=1)
    return float(x), float(y)
