"""Draws a page laid flat, with the traces as they were read over the ink they were read from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.geometry import PaperMap
from pipeline.recording import Float32, Float64, Known, Lead, Page, Placed, Recording, Seen, Strip, UInt8

PX_PER_MM = 8.0  # a pen stroke is two pixels wide
STEP_MM = 2.0  # between the nodes that the map is interpolated from
MARGIN_MM = 12.0  # around the strips, where the lattice ends before them
SIDE_MAX_MM = 600.0  # a longer page is a wrong scale; it also bounds the memory
SHIFT = 4  # OpenCV draws at sixteenths of a pixel
STRENGTH = 0.8  # of the drawn line over the page
READ, BRIDGED, INVALID = (24, 84, 200), (214, 92, 20), (176, 20, 40)  # RGB


@dataclass(frozen=True, eq=False)
class Flat:
    """picture: uint8 (H, W, 3) RGB, pixel (column j, row i) at (x0_mm + j / 8, y0_mm + i / 8) of the paper."""

    picture: UInt8
    x0_mm: float
    y0_mm: float

    def column(self, x_mm: float) -> float:
        return (x_mm - self.x0_mm) * PX_PER_MM

    def line(self, y_mm: float) -> float:
        return (y_mm - self.y0_mm) * PX_PER_MM


def extent_px(recording: Recording, placed: Placed) -> tuple[float, float, int, int]:
    """Of the rectified page: the paper's millimetres at its left upper corner, then its width and height in pixels."""
    x0, y0 = float(placed.x_mm[0]), float(placed.y_mm[0])
    x1, y1 = float(placed.x_mm[-1]), float(placed.y_mm[-1])
    if len(placed.runs_mm) and len(recording.strips):
        runs = placed.runs_mm
        x0, x1 = min(x0, runs[:, 0].min() - MARGIN_MM), max(x1, runs[:, 1].max() + MARGIN_MM)
        y0, y1 = min(y0, runs[:, 2].min() - MARGIN_MM), max(y1, runs[:, 2].max() + MARGIN_MM)
    x1, y1 = min(x1, x0 + SIDE_MAX_MM), min(y1, y0 + SIDE_MAX_MM)
    return float(x0), float(y0), max(round((x1 - x0) * PX_PER_MM), 1), max(round((y1 - y0) * PX_PER_MM), 1)


def lay_flat(page: Page, recording: Recording, placed: Placed) -> Flat:
    """The page in paper millimetres, white where the image does not show it."""
    x0, y0, width, height = extent_px(recording, placed)
    image = _upright(page.image, placed.orientation)
    where = _pixels(PaperMap(placed.x_mm, placed.y_mm, placed.nodes_px, Known.GRID), x0, y0, width, height)
    flat = cv2.remap(
        image, where[..., 0], where[..., 1], cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=(255, 255, 255)
    )
    return Flat(np.asarray(flat, np.uint8), x0, y0)


def draw_traces(page: Page, recording: Recording, invalid: Collection[Lead] = ()) -> UInt8:
    """uint8 (H, W, 3) RGB: the page laid flat with every strip drawn where it was read, bridged stretches apart.

    invalid: leads to be drawn in the colour of what is not to be believed.
    Raises ValueError for a recording that does not know where it was read.
    """
    if recording.placed is None:
        raise ValueError("the recording does not know where on its image it was read")
    flat = lay_flat(page, recording, recording.placed)
    drawn = flat.picture.copy()
    for strip, run in zip(recording.strips, recording.placed.runs_mm, strict=True):
        points = _points(recording, strip, run, flat)
        for stretch, bridged in _stretches(strip):
            colour = INVALID if strip.lead in invalid else BRIDGED if bridged else READ
            line = np.rint(points[stretch] * (1 << SHIFT)).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(drawn, [line], False, colour, 2, cv2.LINE_AA, SHIFT)
    return np.asarray(cv2.addWeighted(drawn, STRENGTH, flat.picture, 1.0 - STRENGTH, 0.0), np.uint8)


def _upright(image: UInt8, orientation: int) -> UInt8:
    """Undoes the turn, and the mirror, that the upright page went through to become this image."""
    turned = np.rot90(image, -(orientation % 4))
    return np.ascontiguousarray(turned[:, ::-1] if orientation >= 4 else turned)


def _pixels(paper: PaperMap, x0_mm: float, y0_mm: float, width: int, height: int) -> Float32:
    """float32 (H, W, 2): the image pixel of every pixel of the flat page, bilinear between nodes 2 mm apart."""
    step = STEP_MM * PX_PER_MM
    columns, rows = int(width // step) + 2, int(height // step) + 2
    nodes_mm = np.stack(np.meshgrid(x0_mm + STEP_MM * np.arange(columns), y0_mm + STEP_MM * np.arange(rows)), axis=-1)
    nodes = paper.to_px(nodes_mm).astype(np.float32)
    j, i = np.meshgrid(np.arange(width, dtype=np.float32) / step, np.arange(height, dtype=np.float32) / step)
    planes = [cv2.remap(np.ascontiguousarray(nodes[..., axis]), j, i, cv2.INTER_LINEAR) for axis in (0, 1)]
    return np.stack(planes, axis=-1).astype(np.float32)


def _points(recording: Recording, strip: Strip, run: Float64, flat: Flat) -> Float64:
    """float64 (n, 2): the pixel of every sample of a strip, NaN where nothing was read."""
    chest = strip.lead.startswith("V") and recording.chest_gain_mm_mv is not None
    gain = recording.chest_gain_mm_mv if chest else recording.gain_mm_mv
    assert gain is not None
    x_mm = run[0] + np.arange(strip.samples) / recording.rate_hz * recording.speed_mm_s.value
    y_mm = run[2] - strip.millivolts.astype(np.float64) * gain.value
    return np.column_stack([(x_mm - flat.x0_mm) * PX_PER_MM, (y_mm - flat.y0_mm) * PX_PER_MM])


def _stretches(strip: Strip) -> Iterator[tuple[slice, bool]]:
    """Runs of samples that were read, and of those that were bridged; each begins where the one before ends."""
    kind = np.where(np.isfinite(strip.millivolts), strip.seen, np.uint8(Seen.NOTHING))
    edges = np.flatnonzero(np.diff(kind)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), strip.samples], strict=True):
        if stop > start and kind[start] != Seen.NOTHING:
            first = start - 1 if start and kind[start - 1] != Seen.NOTHING else start
            yield slice(first, stop), bool(kind[start] == Seen.BRIDGED)
