"""Cuts one printed row out of the original image, straight and in millimetres, with a single resampling."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import CubicSpline

from pipeline.geometry import Float64, PaperMap
from pipeline.recording import Float32, UInt8

COLUMNS_PER_MM = 16  # 400 columns a second at 25 mm/s, eight cells of the network in a narrow QRS complex
ROWS_PER_MM = 5  # 0.02 mV at 10 mm/mV; the position inside a row comes from the grey values
HALF_HEIGHT_MM = 32.0  # 3.2 mV at 10 mm/mV
TALL_HALF_HEIGHT_MM = 64.0  # for rows whose trace leaves the ordinary strip: pacing spikes, 20 mm/mV
MAP_STEP_MM = 2.5  # half the heavy grid pitch: paper bends smoothly between such points
MOST_OVERSAMPLING = 6  # 1,200 dpi; beyond, single pixels carry nothing a trace is made of


@dataclass(frozen=True, eq=False)
class RowStrip:
    """A straightened piece of a row.

    pixels: float32 (rows, columns, 3) RGB 0..1; NaN nowhere, white beyond the image.
    on_page: bool (rows, columns), False beyond the image.
    x0_mm: paper x of the centre of column 0. baseline_mm: paper y of the line halfway between the middle rows.
    """

    pixels: Float32
    on_page: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    x0_mm: float
    baseline_mm: float

    @property
    def x_mm(self) -> Float64:
        """float64 (columns,): paper x of the column centres."""
        columns = self.pixels.shape[1]
        return np.linspace(self.x0_mm, self.x0_mm + (columns - 1) / COLUMNS_PER_MM, columns, dtype=np.float64)

    @property
    def rise_mm(self) -> Float64:
        """float64 (rows,): height of the row centres above the baseline, positive upwards."""
        rows = self.pixels.shape[0]
        top = (rows - 1) / 2 / ROWS_PER_MM
        return np.linspace(top, -top, rows, dtype=np.float64)


def cut_strip(
    image: UInt8,
    paper: PaperMap,
    start_mm: float,
    end_mm: float,
    baseline_mm: float,
    half_height_mm: float = HALF_HEIGHT_MM,
) -> RowStrip:
    """The strip from start_mm to end_mm of the paper, half_height_mm to either side of the baseline.

    image: uint8 (H, W, 3) RGB. Where the image is finer than the strip it is sampled on a finer lattice and averaged,
    so that a thin stroke of a 600 dpi scan keeps its place and its share of grey.
    """
    columns = max(1, round((end_mm - start_mm) * COLUMNS_PER_MM))
    rows = 2 * round(half_height_mm * ROWS_PER_MM)
    top_mm = baseline_mm - rows / 2 / ROWS_PER_MM  # outer edges of the strip's cells, not their centres
    left_mm = start_mm - 0.5 / COLUMNS_PER_MM
    knots_x = _knots(left_mm, left_mm + columns / COLUMNS_PER_MM)
    knots_y = _knots(top_mm, top_mm + rows / ROWS_PER_MM)
    at_px = paper.to_px(np.stack(np.meshgrid(knots_x, knots_y), axis=-1))
    fine_x, fine_y = _oversampling(at_px, knots_x, knots_y)
    x_mm = left_mm + (np.arange(columns * fine_x) + 0.5) / (COLUMNS_PER_MM * fine_x)
    y_mm = top_mm + (np.arange(rows * fine_y) + 0.5) / (ROWS_PER_MM * fine_y)
    along_x, along_y = _spline(knots_x, x_mm), _spline(knots_y, y_mm)
    # float32 places a sample within 0.0003 px of a page of 4,000 px, and remap takes nothing finer
    px, py = (along_y @ at_px[..., axis].astype(np.float32) @ along_x.T for axis in (0, 1))
    height, width = image.shape[:2]
    x_lo, x_hi = _window(px, width)
    y_lo, y_hi = _window(py, height)
    piece = np.ascontiguousarray(image[y_lo:y_hi, x_lo:x_hi])
    fine = cv2.remap(
        piece,
        px - np.float32(x_lo),
        py - np.float32(y_lo),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(255, 255, 255),
    )
    coarse = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA) if fine_x * fine_y > 1 else fine
    inside = (px > -0.5) & (px < width - 0.5) & (py > -0.5) & (py < height - 0.5)
    on_page = inside[fine_y // 2 :: fine_y, fine_x // 2 :: fine_x]
    return RowStrip(coarse.astype(np.float32) / np.float32(255), on_page, start_mm, baseline_mm)


def _knots(low_mm: float, high_mm: float) -> Float64:
    return np.linspace(low_mm, high_mm, max(4, int(np.ceil((high_mm - low_mm) / MAP_STEP_MM)) + 1))


def _spline(knots: Float64, at: Float64) -> Float32:
    """float32 (len(at), len(knots)): the matrix that takes values at the knots to a cubic spline through them."""
    return np.asarray(CubicSpline(knots, np.eye(len(knots)))(at), np.float32)


def _oversampling(at_px: Float64, knots_x: Float64, knots_y: Float64) -> tuple[int, int]:
    """How many samples a strip cell needs along x and y so that no image pixel is skipped."""
    px_per_mm_x = np.median(np.linalg.norm(np.diff(at_px, axis=1), axis=-1)) / (knots_x[1] - knots_x[0])
    px_per_mm_y = np.median(np.linalg.norm(np.diff(at_px, axis=0), axis=-1)) / (knots_y[1] - knots_y[0])
    wanted = (px_per_mm_x / COLUMNS_PER_MM, px_per_mm_y / ROWS_PER_MM)
    fine_x, fine_y = (int(np.clip(np.ceil(w - 0.25), 1, MOST_OVERSAMPLING)) for w in wanted)
    return fine_x, fine_y


def _window(at_px: Float32, size: int) -> tuple[int, int]:
    """The part of an image axis that the samples touch, with the two pixels a cubic kernel reaches beyond."""
    low = int(np.clip(np.floor(at_px.min()) - 2, 0, size - 1))
    high = int(np.clip(np.ceil(at_px.max()) + 3, low + 1, size))
    return low, high
