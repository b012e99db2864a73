"""The page laid flat: its ink in paper millimetres, with the printed grid taken out.

Rows, lead names and column borders are looked for here; signals are read from the original pixels, never from a sheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from pipeline.geometry import Float64, PaperMap
from pipeline.recording import Float32, UInt8

PX_PER_MM = 8  # a 0.25 mm pen stroke is 2 px wide; an A4 page is 4 megapixels
GRID_CELL_MM = 5  # paper repeats every bold square
GRID_BLOCK_CELLS = 10  # the grid's look is taken over 50 mm: it fades slowly, and traces fill less than half of it
DARK = 0.5  # of the pen's darkness: surely ink
CUT_MAX_MM = 0.6  # as wide as the boldest grid lines
SPECK_MM = 1.5  # what is left of a dotted or faxed grid is smaller; the smallest letters are 1.7 mm tall
EXTENT_MAX_MM = 600.0  # a longer page is a wrong scale; it also bounds the memory


@dataclass(frozen=True, eq=False)
class Sheet:
    """ink: float32 (H, W), 0 paper .. 1 trace; pixel (row i, column j) is at (x0_mm + j / 8, y0_mm + i / 8) of paper.

    marks: uint8 (H, W) 0/1, what is surely ink: dark, and no speck. inside: bool (H, W), False beyond the photograph.
    """

    ink: Float32
    marks: UInt8
    inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    x0_mm: float
    y0_mm: float

    @property
    def width_mm(self) -> float:
        return float(self.ink.shape[1]) / PX_PER_MM

    @property
    def height_mm(self) -> float:
        return float(self.ink.shape[0]) / PX_PER_MM

    def column(self, x_mm: float) -> int:
        """The pixel column nearest to x_mm, inside the sheet."""
        return int(np.clip(round((x_mm - self.x0_mm) * PX_PER_MM), 0, self.ink.shape[1] - 1))

    def line(self, y_mm: float) -> int:
        """The pixel row nearest to y_mm, inside the sheet."""
        return int(np.clip(round((y_mm - self.y0_mm) * PX_PER_MM), 0, self.ink.shape[0] - 1))

    def x_mm(self, column: float) -> float:
        return self.x0_mm + column / PX_PER_MM

    def y_mm(self, line: float) -> float:
        return self.y0_mm + line / PX_PER_MM


def lay_flat(image: UInt8, paper: PaperMap) -> Sheet:
    """Resample a page, uint8 (H, W, 3) RGB, to paper millimetres and keep only what is not grid."""
    return _inked(*_resampled(image, paper))


def lay_flat_coloured(image: UInt8, paper: PaperMap) -> tuple[Sheet, Float32]:
    """The sheet of lay_flat, and how coloured each of its pixels is beside the paper and its ruling.

    image: uint8 (H, W, 3) RGB. The colour is float32 (h, w) on the sheet's pixels, 0 grey .. 1.
    """
    flat, inside, x0, y0 = _resampled(image, paper)
    ratios = _beside_paper(flat)
    colour = np.asarray(np.clip(reduce(np.maximum, ratios) - reduce(np.minimum, ratios), 0.0, 1.0), np.float32)
    return _inked(flat, inside, x0, y0), np.asarray(np.maximum(colour - _grid(colour), 0.0), np.float32)


def _inked(flat: UInt8, inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]], x0: float, y0: float) -> Sheet:
    dark = _darkness(flat)
    dark[~inside] = 0.0
    ink = np.maximum(dark - _grid(dark), 0.0)
    pen = _pen(ink)
    ink = np.asarray(np.clip(ink / pen, 0.0, 1.0), np.float32)
    return Sheet(ink, _marks(ink, dark / pen), inside, x0, y0)


def _resampled(
    image: UInt8, paper: PaperMap
) -> tuple[UInt8, np.ndarray[tuple[int, int], np.dtype[np.bool_]], float, float]:
    """uint8 (H, W, 3), a page in paper millimetres; where it is inside the image; paper x and y of its first pixel."""
    x0, y0, x1, y1 = extent_mm(image, paper)
    shape = (round((y1 - y0) * PX_PER_MM), round((x1 - x0) * PX_PER_MM))
    where = pixels_of(paper, x0, y0, shape, PX_PER_MM)
    height, width = image.shape[:2]
    inside = (where[..., 0] >= 0) & (where[..., 0] <= width - 1) & (where[..., 1] >= 0) & (where[..., 1] <= height - 1)
    source, where = shrunk(image, where, paper, PX_PER_MM)
    flat = cv2.remap(source, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, np.uint8), inside, x0, y0


def extent_mm(image: UInt8, paper: PaperMap) -> tuple[float, float, float, float]:
    """The rectangle of paper that the image shows, bounded."""
    height, width = image.shape[:2]
    xs, ys = np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5)
    border = np.array([(x, y) for x in xs for y in ys if x in (xs[0], xs[-1]) or y in (ys[0], ys[-1])])
    corners = paper.to_mm(border)
    middle = paper.to_mm(np.array([[width / 2, height / 2]]))[0]
    low = np.maximum(np.floor(corners.min(axis=0)), np.round(middle - EXTENT_MAX_MM / 2))
    high = np.minimum(np.ceil(corners.max(axis=0)), np.round(middle + EXTENT_MAX_MM / 2))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def pixels_of(paper: PaperMap, x0: float, y0: float, shape: tuple[int, int], px_per_mm: float) -> Float32:
    """float32 (H, W, 2): the image pixel of every pixel of a sheet, by bilinear interpolation between 2 mm nodes.

    Pixel (i, j) of the sheet is at paper (x0 + j / px_per_mm, y0 + i / px_per_mm).
    """
    step = 2 * px_per_mm
    rows, cols = int(shape[0] / step) + 2, int(shape[1] / step) + 2
    nodes_mm = np.stack(np.meshgrid(x0 + 2.0 * np.arange(cols), y0 + 2.0 * np.arange(rows)), axis=-1)
    nodes: Float64 = paper.to_px(nodes_mm)
    j, i = np.meshgrid(np.arange(shape[1], dtype=np.float32) / step, np.arange(shape[0], dtype=np.float32) / step)
    planes = [cv2.remap(nodes[..., axis].astype(np.float32), j, i, cv2.INTER_LINEAR) for axis in (0, 1)]
    return np.stack(planes, axis=-1)


def shrunk(image: UInt8, where: Float32, paper: PaperMap, px_per_mm: float) -> tuple[UInt8, Float32]:
    """The image at no more than 1.5 times a sheet's resolution, so that thin lines are averaged and not skipped.

    where: as of pixels_of; it is returned for the smaller image.
    """
    x, y = (float(v) for v in paper.to_mm(where[where.shape[0] // 2, where.shape[1] // 2][None].astype(np.float64))[0])
    around = paper.to_px(np.array([[x - 1.0, y], [x + 1.0, y]]))
    factor = 1.5 * px_per_mm / (float(np.linalg.norm(around[1] - around[0])) / 2)
    if factor >= 1.0:
        return image, where
    height, width = image.shape[:2]
    small = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    ratio = np.array([small.shape[1] / width, small.shape[0] / height], np.float32)
    return np.asarray(small, np.uint8), ((where + 0.5) * ratio - 0.5).astype(np.float32)


def _darkness(flat: UInt8) -> Float32:
    """float32 (H, W), 0..1: how much darker than the paper around it a pixel is, in its brightest channel.

    The brightest channel, because coloured grids stay bright in one channel and pens do not.
    """
    return np.asarray(np.clip(1.0 - reduce(np.maximum, _beside_paper(flat)), 0.0, 1.0), np.float32)


def _beside_paper(flat: UInt8) -> list[Float32]:
    """How bright each channel is beside the paper around, float32 (H, W) each, about 1 where there is no ink."""
    small = cv2.resize(flat, None, fx=1 / PX_PER_MM, fy=1 / PX_PER_MM, interpolation=cv2.INTER_AREA)
    paper = cv2.blur(cv2.dilate(small, np.ones((7, 7), np.uint8)), (21, 21))
    paper = cv2.resize(paper, (flat.shape[1], flat.shape[0]), interpolation=cv2.INTER_LINEAR)
    # channel by channel: numpy takes ten times as long for the largest of three values that lie side by side
    return [
        np.asarray(ink.astype(np.float32) / np.maximum(blank, 16).astype(np.float32), np.float32)
        for ink, blank in zip(cv2.split(flat), cv2.split(paper), strict=True)
    ]


def _grid(dark: Float32) -> Float32:
    """float32 (H, W): the median look of a 5 mm square, taken over 50 mm around, repeated over the page.

    A trace passes through few squares at the same place; the grid through all of them.
    """
    cell = GRID_CELL_MM * PX_PER_MM
    height, width = dark.shape
    rows, cols = -(-height // cell), -(-width // cell)
    padded = np.pad(dark, ((0, rows * cell - height), (0, cols * cell - width)), mode="edge")
    cells = padded.reshape(rows, cell, cols, cell)
    out = np.empty_like(cells)
    for top in range(0, rows, GRID_BLOCK_CELLS):
        for left in range(0, cols, GRID_BLOCK_CELLS):
            # the last block reaches back, so that it is as large as the others
            y, x = max(0, min(top, rows - GRID_BLOCK_CELLS)), max(0, min(left, cols - GRID_BLOCK_CELLS))
            look = _median(cells[y : y + GRID_BLOCK_CELLS, :, x : x + GRID_BLOCK_CELLS])
            out[top : top + GRID_BLOCK_CELLS, :, left : left + GRID_BLOCK_CELLS] = look[None, :, None, :]
    return np.asarray(out.reshape(padded.shape)[:height, :width], np.float32)


def _median(cells: Float32) -> Float32:
    """float32 (r, c), the median over the squares of float32 (R, r, C, c); sorting all beats np.median."""
    each = cells.transpose(1, 3, 0, 2).reshape(cells.shape[1], cells.shape[3], -1)
    number = each.shape[-1]
    return np.asarray(np.sort(each)[..., (number - 1) // 2 : number // 2 + 1].mean(axis=-1), np.float32)


def _pen(ink: Float32) -> float:
    """The darkness of the pen: the darkest 0.7 % of a page is less than its traces and text."""
    return max(float(np.quantile(ink[::2, ::2], 0.993)), 0.08)


def _marks(ink: Float32, with_grid: Float32) -> UInt8:
    """uint8 (H, W) 0/1: dark pixels in connected pieces that are no specks.

    Where a grid line was taken out, it was taken out of the trace that crosses it as well: that cut is closed again.
    """
    dark = (ink > DARK).astype(np.uint8)
    cut = 2 * round(CUT_MAX_MM * PX_PER_MM / 2) + 1
    for shape in ((1, cut), (cut, 1)):
        closed = np.asarray(cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones(shape, np.uint8)), np.uint8)
        dark |= closed & (with_grid > DARK).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    size = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    keep = size >= SPECK_MM * PX_PER_MM
    keep[0] = False
    return np.asarray(keep[labels], np.uint8)
