"""Where things are on the page: the types the stages hand to one another.

Image pixels: x right, y down, pixel centres at integers. Paper millimetres: x right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline

from pipeline.recording import Float32, Known, Lead

Float64 = npt.NDArray[np.float64]

WIDE_MM = (1.0, 12.0)  # of pulses made of points: 0.1 s at 12.5 mm/s to 0.2 s at 50 mm/s, and a little
TALL_MM = (2.0, 22.0)  # 2.5 to 20 mm
LEVEL_MM = 1.5  # feet of one pulse are as high, its roof lies in its middle


@dataclass(frozen=True, eq=False)
class PaperMap:
    """The smooth map from paper millimetres to image pixels, given by a lattice of nodes.

    x_mm: float64 (C,) ascending; y_mm: float64 (R,) ascending, R and C at least 2.
    nodes_px: float64 (R, C, 2), the image pixel (x, y) of every node.
    known: where the millimetres come from; ASSUMED when only their ratio is sure.
    Outside the lattice the map goes on linearly.
    """

    x_mm: Float64
    y_mm: Float64
    nodes_px: Float64
    known: Known

    def __post_init__(self) -> None:
        if self.nodes_px.shape != (len(self.y_mm), len(self.x_mm), 2):
            raise ValueError(f"nodes {self.nodes_px.shape} for {len(self.y_mm)} rows and {len(self.x_mm)} columns")

    @classmethod
    def affine(cls, matrix: Float64, extent_mm: tuple[float, float, float, float], known: Known) -> PaperMap:
        """From a float64 (2, 3) matrix millimetres -> pixels, over (x0, y0, x1, y1) millimetres."""
        x0, y0, x1, y1 = extent_mm
        x_mm, y_mm = np.array([x0, x1]), np.array([y0, y1])
        grid = np.stack([*np.meshgrid(x_mm, y_mm), np.ones((2, 2))], axis=-1)
        return cls(x_mm, y_mm, grid @ matrix.T, known)

    def to_px(self, points_mm: Float64) -> Float64:
        """float64 (..., 2) millimetres -> float64 (..., 2) pixels."""
        points = np.asarray(points_mm, np.float64)
        x, y = points[..., 0].ravel(), points[..., 1].ravel()
        cx = np.clip(x, self.x_mm[0], self.x_mm[-1])
        cy = np.clip(y, self.y_mm[0], self.y_mm[-1])
        out = np.stack([spline.ev(cy, cx) for spline in self._splines], axis=-1)
        beyond = (x != cx) | (y != cy)
        if beyond.any():
            x, y, cx, cy, edge = x[beyond], y[beyond], cx[beyond], cy[beyond], out[beyond]
            # on along the slope of the lattice's last millimetre
            inside_x = np.where(x > cx, cx - 1.0, np.where(x < cx, cx + 1.0, cx))
            inside_y = np.where(y > cy, cy - 1.0, np.where(y < cy, cy + 1.0, cy))
            for axis, spline in enumerate(self._splines):
                out[beyond, axis] += np.abs(x - cx) * (edge[:, axis] - spline.ev(cy, inside_x))
                out[beyond, axis] += np.abs(y - cy) * (edge[:, axis] - spline.ev(inside_y, cx))
        return out.reshape(points.shape)

    @cached_property
    def _splines(self) -> tuple[RectBivariateSpline, RectBivariateSpline]:
        """The image's x and y, each over the paper's y and x."""
        kx, ky = min(3, len(self.x_mm) - 1), min(3, len(self.y_mm) - 1)
        x, y = (RectBivariateSpline(self.y_mm, self.x_mm, self.nodes_px[..., i], kx=ky, ky=kx, s=0) for i in (0, 1))
        return x, y

    def to_mm(self, points_px: Float64) -> Float64:
        """float64 (..., 2) pixels -> float64 (..., 2) millimetres, by Newton's method from the nearest-plane fit."""
        points = np.asarray(points_px, np.float64)
        target = points.reshape(-1, 2)
        grid = np.stack(np.meshgrid(self.x_mm, self.y_mm), axis=-1).reshape(-1, 2)
        nodes = np.column_stack([self.nodes_px.reshape(-1, 2), np.ones(len(grid))])
        plane = np.linalg.lstsq(nodes, grid, rcond=None)[0]
        guess = np.column_stack([target, np.ones(len(target))]) @ plane
        step_mm = 0.05
        for _ in range(6):  # quadratic convergence: 6 steps reach 1e-6 px from 10 mm away on photographs
            here = self.to_px(guess)
            dx = (self.to_px(guess + [step_mm, 0.0]) - here) / step_mm
            dy = (self.to_px(guess + [0.0, step_mm]) - here) / step_mm
            det = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
            gap = target - here
            guess = guess + np.column_stack(
                [
                    (gap[:, 0] * dy[:, 1] - gap[:, 1] * dy[:, 0]) / det,
                    (gap[:, 1] * dx[:, 0] - gap[:, 0] * dx[:, 1]) / det,
                ]
            )
        return guess.reshape(points.shape)

    def turned(self, degrees: float) -> PaperMap:
        """The same paper with its millimetres turned clockwise about the lattice's middle: rows fall that much more."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        middle = np.array([(self.x_mm[0] + self.x_mm[-1]) / 2, (self.y_mm[0] + self.y_mm[-1]) / 2])
        nodes_mm = np.stack(np.meshgrid(self.x_mm, self.y_mm), axis=-1)
        turned_mm = (nodes_mm - middle) @ np.array([[c, s], [-s, c]]) + middle
        return replace(self, nodes_px=self.to_px(turned_mm))

    def scaled(self, factor: float, known: Known) -> PaperMap:
        """The same map with every millimetre coordinate multiplied by factor."""
        return replace(self, x_mm=self.x_mm * factor, y_mm=self.y_mm * factor, known=known)


@dataclass(frozen=True)
class Keypoint:
    """A printed lead name: the centre of its letters in image pixels, and how sure we are, 0..1."""

    lead: Lead
    x_px: float
    y_px: float
    score: float


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The points of a layout that were found on a page laid flat, and how likely leads begin anywhere on it.

    starts: where a lead begins, at its 0 mV; ends: where a row of them ends; rises, falls: the feet of calibration
    pulses; tops: the middles of their roofs. Each float64 (n, 3): paper x and y in mm, and a score 0..1.
    starting: float32 (H, W), 0..1; cell (i, j) is centred at paper (x0_mm + j * cell_mm, y0_mm + i * cell_mm).
    """

    starts: Float64
    ends: Float64
    rises: Float64
    falls: Float64
    tops: Float64
    starting: Float32
    x0_mm: float
    y0_mm: float
    cell_mm: float

    def pulses(self) -> Float64:
        """The pulses that the points make: a foot, another to its right, and a roof between and above them.

        float64 (n, 5), the surest first, none twice: x of both edges, y of the feet and of the roof, mm, and the score
        of the least sure point. Pulses of several rows stand above one another, and a foot could be joined to the roof
        of the row above: of the roofs above a foot its own is the one as high as most other pulses, else the lowest,
        and no roof is that of two feet.
        """
        found: list[tuple[float, ...]] = []
        for x0, y0, rise in self.rises:
            wide, level = self.falls[:, 0] - x0, abs(self.falls[:, 1] - y0) < LEVEL_MM
            for x1, y1, fall in self.falls[(wide >= WIDE_MM[0]) & (wide <= WIDE_MM[1]) & level]:
                foot = (y0 + y1) / 2
                tall, middle = foot - self.tops[:, 1], abs(self.tops[:, 0] - (x0 + x1) / 2) < LEVEL_MM
                tops = self.tops[(tall >= TALL_MM[0]) & (tall <= TALL_MM[1]) & middle]
                found += [(x0, x1, foot, roof, min(rise, fall, top)) for _, roof, top in tops]
        best: list[tuple[float, ...]] = []
        for pulse in sorted(found, key=lambda p: (-_as_high(p, found), p[2] - p[3], -p[4])):
            if not any(_at_one(pulse, p, 2) or _at_one(pulse, p, 3) for p in best):
                best.append(pulse)
        return np.array(sorted(best, key=lambda p: -p[4]), np.float64).reshape(-1, 5)


def _at_one(a: tuple[float, ...], b: tuple[float, ...], level: int) -> bool:
    """Whether two pulses of Marks begin at one place and have one foot (level 2) or one roof (3)."""
    return abs(a[0] - b[0]) < LEVEL_MM and abs(a[level] - b[level]) < LEVEL_MM


def _as_high(pulse: tuple[float, ...], found: Sequence[tuple[float, ...]]) -> float:
    """Summed scores of the feet on which a pulse as high stands, to a tenth; each foot's surest counts."""
    feet: list[tuple[float, ...]] = []
    for p in sorted(found, key=lambda p: -p[4]):
        if abs((p[2] - p[3]) - (pulse[2] - pulse[3])) < LEVEL_MM and not any(_at_one(p, f, 2) for f in feet):
            feet.append(p)
    return round(sum(p[4] for p in feet), 1)


@dataclass(frozen=True)
class Segment:
    """Where one lead is printed: from start_mm to end_mm along its row, 0 mV at baseline_mm of the paper.

    row counts from the top; start_s is the strip's page time; rhythm marks the long strips at the foot of the page.
    """

    lead: Lead
    row: int
    start_mm: float
    end_mm: float
    baseline_mm: float
    start_s: float
    rhythm: bool = False


@dataclass(frozen=True)
class Spike:
    """A narrow upright stroke of a lead that is not in its strip: its page time, and how far beyond what was read."""

    lead: Lead
    at_s: float
    height_mm: float
