"""From the flat sheet to the image: curl, folds, tilt and lens as one exact map, applied in one resampling."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.geometry import Float64, PaperMap
from pipeline.recording import Known, UInt8
from pipeline.synth.canvas import Frame
from pipeline.synth.spec import Camera, PageSpec

# The dense map is solved on every 8th pixel; between, it is straight to 0.02 px.
_COARSE_PX = 8


@dataclass(frozen=True, eq=False)
class View:
    """Paper millimetres -> pixels of an image of the given size."""

    camera: Camera
    centre_mm: tuple[float, float]
    size_mm: float
    folds: tuple[tuple[float, float, float, float], ...]
    phase: float
    px_mm: float
    offset_px: tuple[float, float] = (0.0, 0.0)
    size_px: tuple[int, int] = (0, 0)

    def height(self, x: Float64, y: Float64) -> Float64:
        """How far the sheet rises towards the lens, mm."""
        c = self.camera
        angle, k = np.radians(c.curl_deg), 2 * np.pi / c.curl_wave_mm
        u = x * np.cos(angle) + y * np.sin(angle)
        z = c.curl_mm * np.sin(k * u + self.phase)
        for nx, ny, at, steep in self.folds:
            # a rounded crease, 2 mm wide
            z = z + steep * (np.sqrt((x * nx + y * ny - at) ** 2 + 4.0) - 2.0)
        return np.asarray(z)

    def to_px(self, points_mm: Float64) -> Float64:
        """float64 (..., 2) mm -> float64 (..., 2) px."""
        c = self.camera
        x = points_mm[..., 0] - self.centre_mm[0]
        y = points_mm[..., 1] - self.centre_mm[1]
        z = self.height(x, y)
        angle, k = np.radians(c.curl_deg), 2 * np.pi / c.curl_wave_mm
        u = x * np.cos(angle) + y * np.sin(angle)
        # a curled sheet keeps its length, so it covers less ground
        short = -((c.curl_mm * k) ** 2) / 4 * (u + np.sin(2 * (k * u + self.phase)) / (2 * k))
        x = (x + short * np.cos(angle)) * c.stretch[0]
        y = (y + short * np.sin(angle)) * c.stretch[1]
        roll, tilt_x, tilt_y = np.radians([c.roll_deg, *c.tilt_deg])
        x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
        y, z = y * np.cos(tilt_x) - z * np.sin(tilt_x), y * np.sin(tilt_x) + z * np.cos(tilt_x)
        x, z = x * np.cos(tilt_y) - z * np.sin(tilt_y), x * np.sin(tilt_y) + z * np.cos(tilt_y)
        far = c.distance * self.size_mm
        deep = far / (far - z)
        x, y = x * deep, y * deep
        r2 = (x**2 + y**2) / (self.size_mm / 2) ** 2
        bent = (1 + c.lens * r2) * self.px_mm
        return np.stack([x * bent - self.offset_px[0], y * bent - self.offset_px[1]], axis=-1)

    def to_mm(self, points_px: Float64) -> Float64:
        """float64 (n, 2) px -> mm by Newton's method from the nearest-plane fit."""
        near = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 5) * self.size_mm] * 2), -1).reshape(-1, 2)
        near = near + np.array(self.centre_mm)
        fit = np.linalg.lstsq(np.column_stack([self.to_px(near), np.ones(len(near))]), near, rcond=None)[0]
        guess = np.column_stack([points_px, np.ones(len(points_px))]) @ fit
        for _ in range(6):
            here = self.to_px(guess)
            step = 0.05
            dx = (self.to_px(guess + [step, 0.0]) - here) / step
            dy = (self.to_px(guess + [0.0, step]) - here) / step
            det = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
            gap = points_px - here
            guess = guess + np.column_stack(
                [
                    (gap[:, 0] * dy[:, 1] - gap[:, 1] * dy[:, 0]) / det,
                    (gap[:, 1] * dx[:, 0] - gap[:, 0] * dx[:, 1]) / det,
                ]
            )
        return np.asarray(guess)


def aim(spec: PageSpec, window_mm: tuple[float, float, float, float], rng: np.random.Generator) -> View:
    """A view in which the image just holds the window (x0, y0, x1, y1) mm of the sheet."""
    x0, y0, x1, y1 = window_mm
    folds = fold_lines(spec.camera, (x1 - x0, y1 - y0), rng)
    size = max(x1 - x0, y1 - y0)
    view = View(spec.camera, ((x0 + x1) / 2, (y0 + y1) / 2), size, folds, float(rng.uniform(0, 6.28)), spec.px_per_mm)
    along = np.linspace(0, 1, 9)
    rim = np.concatenate(
        [
            [(x0 + (x1 - x0) * t, y) for t in along for y in (y0, y1)],
            [(x, y0 + (y1 - y0) * t) for t in along for x in (x0, x1)],
        ]
    )
    px = view.to_px(rim)
    low, high = np.floor(px.min(0)), np.ceil(px.max(0))
    return View(
        view.camera,
        view.centre_mm,
        size,
        folds,
        view.phase,
        view.px_mm,
        (float(low[0]), float(low[1])),
        (int(high[0] - low[0]), int(high[1] - low[1])),
    )


Folds = tuple[tuple[float, float, float, float], ...]


def fold_lines(camera: Camera, size_mm: tuple[float, float], rng: np.random.Generator) -> Folds:
    """Where the sheet was folded: unit normal, distance from the centre (mm), steepness of the rise."""
    return tuple(_fold(rng, camera, size_mm) for _ in range(camera.folds))


def _fold(rng: np.random.Generator, camera: Camera, size_mm: tuple[float, float]) -> tuple[float, float, float, float]:
    upright = rng.random() < 0.5
    angle = (0.0 if upright else np.pi / 2) + rng.normal(0, 0.12)
    half = size_mm[0 if upright else 1] / 2
    steep = camera.fold_mm / half * rng.choice([-1.0, 1.0])
    return float(np.cos(angle)), float(np.sin(angle)), float(rng.uniform(-0.7, 0.7) * half), float(steep)


def paper_map(view: View, extent_mm: tuple[float, float, float, float]) -> PaperMap:
    """The truth: nodes at every 5 mm of (x0, y0, x1, y1), where the strong lines cross."""
    x_mm = np.arange(np.ceil(extent_mm[0] / 5), np.floor(extent_mm[2] / 5) + 1) * 5.0
    y_mm = np.arange(np.ceil(extent_mm[1] / 5), np.floor(extent_mm[3] / 5) + 1) * 5.0
    nodes = view.to_px(np.stack(np.meshgrid(x_mm, y_mm), axis=-1))
    return PaperMap(x_mm, y_mm, nodes, Known.GRID)


@dataclass(frozen=True, eq=False)
class CameraView:
    """Where each pixel of the image looks. mm: float32 (H, W, 2) paper coordinates."""

    mm: np.ndarray

    def resample(self, sheet: UInt8, frame: Frame) -> UInt8:
        """The sheet seen through the view, its border repeated outward."""
        at = self.mm * np.float32(frame.px_mm) - np.array(
            [frame.x_mm * frame.px_mm + 0.5, frame.y_mm * frame.px_mm + 0.5], np.float32
        )
        seen = cv2.remap(sheet, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(seen, np.uint8)

    def relief(self, view: View, rng: np.random.Generator) -> np.ndarray:
        """float32 (H, W): light on the slopes of the sheet, 1 where it lies flat."""
        h, w = self.mm.shape[:2]
        coarse = np.asarray(cv2.resize(self.mm, (w // 8 + 1, h // 8 + 1)), np.float64)
        x, y = coarse[..., 0] - view.centre_mm[0], coarse[..., 1] - view.centre_mm[1]
        here, step = view.height(x, y), 0.5
        from_side = rng.normal(0, 1.5, 2)
        slope = (view.height(x + step, y) - here) * from_side[0] + (view.height(x, y + step) - here) * from_side[1]
        light = np.clip(1 + slope / step, 0.55, 1.3).astype(np.float32)
        return np.asarray(cv2.resize(light, (w, h)))

    def on_sheet(self, sheet_mm: tuple[float, float, float, float], px_mm: float) -> np.ndarray:
        """float32 (H, W): 1 on the sheet, 0 beside it, between at its edge."""
        x, y = self.mm[..., 0], self.mm[..., 1]
        x0, y0, x1, y1 = sheet_mm
        inside = np.minimum(np.minimum(x - x0, x1 - x), np.minimum(y - y0, y1 - y))
        return np.clip(inside * px_mm + 0.5, 0, 1)


def look(view: View) -> CameraView:
    """Solve the view for every pixel: exactly on a coarse raster, linearly between."""
    w, h = view.size_px
    step = _COARSE_PX
    cw, ch = -(-w // step) + 2, -(-h // step) + 2
    cx = (np.arange(cw) - 1) * step + (step - 1) / 2
    cy = (np.arange(ch) - 1) * step + (step - 1) / 2
    coarse = view.to_mm(np.stack(np.meshgrid(cx, cy), -1).reshape(-1, 2)).reshape(ch, cw, 2).astype(np.float32)
    dense = cv2.resize(coarse, (cw * step, ch * step), interpolation=cv2.INTER_LINEAR)
    return CameraView(np.ascontiguousarray(dense[step : step + h, step : step + w]))
