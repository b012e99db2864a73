"""From the phases a network saw to millimetres of every pixel: unwrapped from sure to unsure, smoothed, inverted.

A rough map first, from how fast the phases within 5 mm turn. What is left of them against that map says how far it is
off, block by block; periods are taken out from the surest block on, a thin plate carries the sure blocks' word over the
others, and the phases within 1 mm have the last word where they show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import correlate1d

from pipeline.networks.phase import PERIODS_MM
from pipeline.paper import coarse, lattice
from pipeline.paper.fields import Complex64, Fields, gradients, means
from pipeline.paper.spline import on_grid

Float64 = npt.NDArray[np.float64]
Complex128 = npt.NDArray[np.complex128]

BLOCK = 10  # cells: some 5 mm
FAINTEST = 0.2  # length of a block's mean vector below which it says nothing: text and noise reach it by chance
UNRULED = 0.5  # share of a block told to be ruled below which it is left out
EVEN = 0.4  # of a millimetre within which both periods must agree before the finer is believed
FEWEST = 12  # blocks that must say something of both families: a patch of 15 by 20 mm
# Stiffness of the plate and how far (mm) a block may lie from the surface of the round before, for the coarse rounds
# and then for the fine ones.
COARSE = ((3.0, np.inf), (3.0, np.inf), (3.0, 2.0))
FINE = ((10.0, 0.5), (1.0, 0.4))
AGREED_MM = (1.0, 0.15)  # by which a block may differ from its neighbours, in the coarse rounds and in the fine ones


@dataclass(frozen=True, eq=False)
class Surface:
    """Millimetres of paper as a smooth function of the pixel. x_px float64 (C,), y_px (R,), mm (R, C)."""

    x_px: Float64
    y_px: Float64
    mm: Float64

    @cached_property
    def _spline(self) -> RectBivariateSpline:
        rows, columns = min(3, len(self.y_px) - 1), min(3, len(self.x_px) - 1)
        return RectBivariateSpline(self.y_px, self.x_px, self.mm, kx=rows, ky=columns)

    def at(self, points_px: Float64) -> Float64:
        """float64 (N,) of float64 (N, 2) pixels."""
        x, y = self._inside(points_px)
        slope = self.gradient(points_px)
        beyond = points_px - np.stack([x, y], axis=-1)
        return np.asarray(self._spline.ev(y, x) + np.sum(slope * beyond, axis=-1))

    def gradient(self, points_px: Float64) -> Float64:
        """Millimetres per pixel along x and y, float64 (N, 2)."""
        x, y = self._inside(points_px)
        return np.stack([self._spline.ev(y, x, dy=1), self._spline.ev(y, x, dx=1)], axis=-1)

    def over(self, x_px: Float64, y_px: Float64) -> Float64:
        """float64 (len(y_px), len(x_px)) on a grid of pixels within reach."""
        return on_grid(self._spline, y_px, x_px)

    def _inside(self, points_px: Float64) -> tuple[Float64, Float64]:
        x = np.clip(points_px[:, 0], self.x_px[0], self.x_px[-1])
        return x, np.clip(points_px[:, 1], self.y_px[0], self.y_px[-1])


def lattice_of(fields: Fields) -> lattice.Lattice | None:
    """The lattice that the phases draw over the image, None where too little of a ruling shows.

    Its coherence is the length of each node's mean vector within 5 mm, its residual the distance to its own phase.
    """
    start = _rough(fields)
    if start is None:
        return None
    surfaces = list(start)
    x_px, y_px = _cells(fields)
    shape = surfaces[0].mm.shape
    ruled = means(_padded(fields.printed), shape, BLOCK) > UNRULED
    said, rest = np.zeros((2, *shape)), np.full((2, *shape), np.nan)
    for done, (stiffness, strayed_mm) in enumerate((*COARSE, *FINE)):
        fine = done >= len(COARSE)
        for axis in (0, 1):
            mm = surfaces[axis].over(x_px, y_px)
            off, said[axis], weight = _left(fields, axis, mm, ruled, fine=fine, first=done == 0)
            weight = weight**2 * lattice.agreement(off, AGREED_MM[fine]) / (1 + (off / strayed_mm) ** 4)
            if int(np.sum(weight > 0)) < FEWEST:
                return None
            surface, left = lattice.thin_plate(off, weight / float(weight.max()), stiffness, AGREED_MM[fine])
            surfaces[axis] = Surface(surfaces[axis].x_px, surfaces[axis].y_px, surfaces[axis].mm + surface)
            rest[axis] = np.where(weight > 0, left, np.nan)
    width, height = fields.size_px
    drawn = lattice.initial(surfaces[0], surfaces[1], (round(height), round(width)))
    near = _nearest_blocks(drawn.nodes_px, surfaces[0])
    coherence, residual = (np.stack([values[axis][near] for axis in (0, 1)]) for values in (said, rest))
    return lattice.Lattice(drawn.x_mm, drawn.y_mm, drawn.nodes_px, coherence, residual)


def _rough(fields: Fields) -> tuple[Surface, Surface] | None:
    """Both coordinates as cubics through the phases' gradients, at the centres of the blocks."""
    centres, turns, evidence = gradients(fields)
    x_px, y_px = _block_centres(fields)
    at = np.stack(np.meshgrid(x_px, y_px), axis=-1).reshape(-1, 2)
    out = []
    for axis in (0, 1):
        weight = np.where(evidence[axis] > FAINTEST**2, evidence[axis], 0.0)
        if int(np.sum(weight > 0)) < 4:
            return None
        sure = weight >= np.quantile(weight[weight > 0], 0.5)
        start = np.median(turns[axis][sure], axis=0)
        if start[axis] <= 2 * abs(start[1 - axis]):  # these lines do not cross this axis
            return None
        cubic = coarse.smooth_phase(centres, turns[axis], weight, start)
        out.append(Surface(x_px, y_px, cubic.at(at).reshape(len(y_px), len(x_px))))
    return out[0], out[1]


def _left(
    fields: Fields, axis: int, mm: Float64, ruled: npt.NDArray[np.bool_], *, fine: bool, first: bool
) -> tuple[Float64, Float64, Float64]:
    """How far each block is beyond the map mm of its cells, how sure it is of its 5 mm, and what it counts."""
    shape = ruled.shape
    turned = _against(fields.coarse[axis], mm, PERIODS_MM[0], shape)
    off, sure = np.angle(turned) / (2 * np.pi) * PERIODS_MM[0], np.abs(turned)
    sure = np.where((sure > FAINTEST) & ruled, sure, 0.0)
    weight = sure
    if first:
        off = lattice.unwrap(off, sure, PERIODS_MM[0])
    if fine:
        near = _against(fields.fine[axis], mm, PERIODS_MM[1], shape)
        close, trust = np.angle(near) / (2 * np.pi) * PERIODS_MM[1], np.abs(near)
        even = (trust > FAINTEST) & (np.abs(close - off) < EVEN)
        off = np.where(even, close, off)
        weight = np.where(even, np.maximum(sure, trust), 0.5 * sure)
    return off, sure, weight


def _against(vectors: Complex64, mm: Float64, period: float, shape: tuple[int, ...]) -> Complex128:
    """What is left of the phases against the map, averaged over each block and its neighbours."""
    turns = mm / period
    angle = ((turns - np.rint(turns)) * (2 * np.pi)).astype(np.float32)  # single precision is many times faster
    left = vectors * (np.cos(angle) - 1j * np.sin(angle))
    mean = means(_padded(left), shape, BLOCK)
    for axis in (0, 1):
        mean = correlate1d(mean, (0.25, 0.5, 0.25), axis=axis, mode="constant")
    return np.asarray(mean, np.complex128)


def _padded(cells: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Cells with an empty block before them: a surface reaches beyond the picture on every side."""
    return np.pad(cells, ((BLOCK, 0), (BLOCK, 0)))


def _cells(fields: Fields) -> tuple[Float64, Float64]:
    """The image's pixels at the centres of the cells, along x and along y."""
    x, y = (
        c + np.arange(n) * s
        for c, n, s in zip(fields.corner_px, fields.printed.shape[::-1], fields.step_px, strict=True)
    )
    return x, y


def _block_centres(fields: Fields) -> tuple[Float64, Float64]:
    """The image's pixels at the centres of the blocks, one beyond the picture on every side."""
    x, y = (
        c + ((np.arange(-(-n // BLOCK) + 2) - 1) * BLOCK + (BLOCK - 1) / 2) * s
        for c, n, s in zip(fields.corner_px, fields.printed.shape[::-1], fields.step_px, strict=True)
    )
    return x, y


def _nearest_blocks(nodes_px: Float64, surface: Surface) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Row and column of the block nearest to each node."""
    axes = ((nodes_px[..., 1], surface.y_px), (nodes_px[..., 0], surface.x_px))
    row, column = (
        np.clip(np.rint((at - centres[0]) / (centres[1] - centres[0])), 0, len(centres) - 1).astype(np.intp)
        for at, centres in axes
    )
    return row, column
