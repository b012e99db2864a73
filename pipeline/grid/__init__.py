"""Stage 1: where the paper's millimetres lie on the image, from the grid printed on it.

Coarsely from the power spectra of windows (pitch, direction, perspective), then node by node from the lines' phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline import ruling
from pipeline.geometry import Float64, PaperMap
from pipeline.grid import coarse, fallback, lattice
from pipeline.recording import Known, UInt8

__all__ = ["GridFit", "find_grid"]

WORKING_PX = 1.6e6  # of the page the grid is searched on: some 5 pixels per mm of a standard page, enough for its lines
TYPICAL_PAGE_MM = 250.0  # of paper on an image's longer side: a page, a little less when cropped
FINEST_PX_MM, COARSEST_PX_MM = 7.0, 4.0  # resolution at which the page is drawn straight
WEAKEST = 0.15  # share of nodes with lines below which the lines are taken for chance
STRONG = 0.5  # share of nodes with lines above which they are believed against the file's resolution
STRETCH = 0.04  # by which the paper's millimetre and the file's may differ: prints are scaled to fit a page
COMPLETE = 0.8  # share of nodes with lines below which a second way of following them is tried
BOTH = 0.6  # correlation of a node's two families of lines with the page's line profile, chance reaches it in 2 %


@dataclass(frozen=True, eq=False)
class GridFit:
    """The paper's map and how well it is known.

    paper: millimetres of paper -> pixels of the image as given. Its origin has no meaning: (0, 0) is the lattice's
        top left node, at or a little outside the image's corner; the scale and the shape are what was measured.
        known ASSUMED: the page's longer side was taken for 280 mm; only the calibration pulse can tell its scale.
    pitch_px: pixels per mm along x and y in the middle of the page. skew_deg: how far rows fall to the right there.
    strength: 0..1, the share of the page's 5-mm nodes around which both families of lines were seen; 0 without a grid.
    residual_px: the typical distance between a node's own lines and the smooth lattice; NaN without a grid.
    """

    paper: PaperMap
    pitch_px: tuple[float, float]
    skew_deg: float
    strength: float
    residual_px: float
    known: Known


def find_grid(image: UInt8, dpi: tuple[float, float] | None = None) -> GridFit:
    """The lattice of the page's grid; without a grid the file's resolution; without both an assumed page size.

    image: uint8 (H, W, 3) RGB. dpi: (x, y) as the file says, None where it is silent.
    """
    height, width = image.shape[:2]
    px_mm = fallback.trusted(dpi, (height, width))
    fit = _from_lines(image, px_mm)
    if fit is not None and (px_mm is None or fit.strength > STRONG or _agrees(fit.pitch_px, px_mm)):
        return fit
    known = Known.DPI
    if px_mm is None:
        known, px_mm = Known.ASSUMED, (max(height, width) / fallback.ASSUMED_PAGE_MM,) * 2
    skew = fallback.skew_deg(image, px_mm)
    matrix = fallback.affine((height, width), px_mm, skew)
    extent = (0.0, 0.0, width / px_mm[0], height / px_mm[1])
    return GridFit(PaperMap.affine(matrix, extent, known), px_mm, skew, 0.0, float("nan"), known)


def _agrees(pitch_px: tuple[float, float], px_mm: tuple[float, float]) -> bool:
    """Whether lines are as far apart as the file's resolution says, within what printers and scanners stretch."""
    return all(abs(p / e - 1) < STRETCH for p, e in zip(pitch_px, px_mm, strict=True))


def _from_lines(image: UInt8, px_mm: tuple[float, float] | None) -> GridFit | None:
    """The lattice of the printed lines, None where there are none to speak of."""
    height, width = image.shape[:2]
    shrink = min(1.0, float(np.sqrt(WORKING_PX / (height * width))))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    page = image if shrink == 1.0 else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    scale = np.array([width / size[0], height / size[1]])  # given pixels per working pixel
    print_ink = ruling.darkness(page)
    found = ruling.windows(print_ink)
    if not len(found.power):
        return None
    lines = ruling.pair(found.power.mean(axis=0), None if px_mm is None else px_mm[0] / px_mm[1])
    if lines is None:
        return None
    expected = None if px_mm is None else px_mm[0] / float(scale[0])
    comb_mm = spacing_mm(lines, max(size), expected)
    across_x, across_y = (coarse.phase(found, lines[axis], axis, comb_mm) for axis in (0, 1))
    start = lattice.initial(across_x, across_y, (size[1], size[0]))
    straight = [min(FINEST_PX_MM, max(COARSEST_PX_MM, c.pitch_px / comb_mm)) for c in lines]
    px = (straight[0], straight[1])
    fit = lattice.refine(start, print_ink, px, comb_mm)
    strength = _strength(fit, size)
    if strength < COMPLETE:
        other = lattice.refine(start, print_ink, px, comb_mm, lattice.SUPPLE)
        if _strength(other, size) > strength + 0.01:
            fit, strength = other, _strength(other, size)
    nodes = (fit.nodes_px + 0.5) * scale - 0.5  # pixel centres at integers on both scales
    if strength < WEAKEST:
        return None
    paper = PaperMap(fit.x_mm - fit.x_mm[0], fit.y_mm - fit.y_mm[0], nodes, Known.GRID)
    right, down = _middle(nodes)
    pitch = (float(np.hypot(*right)), float(np.hypot(*down)))
    skew = float(np.degrees(np.arctan2(right[1] / pitch[1], right[0] / pitch[0])))
    residual = float(np.nanmedian(np.abs(fit.residual_mm))) * 1.4826 * float(np.mean(pitch))
    return GridFit(paper, pitch, skew, strength, residual, Known.GRID)


def _strength(fit: lattice.Lattice, size: tuple[int, int]) -> float:
    """The share of the nodes on an image of (width, height) around which both families of lines were seen."""
    inside = np.all((fit.nodes_px >= 0) & (fit.nodes_px <= np.array(size) - 1), axis=-1)
    return float(np.mean(fit.coherence.min(axis=0)[inside] > BOTH)) if inside.any() else 0.0


def _middle(nodes_px: Float64) -> tuple[Float64, Float64]:
    """Pixels per millimetre to the right and down, in the middle third of the page."""
    rows, columns = nodes_px.shape[:2]
    r0, r1, c0, c1 = rows // 3, max(rows - rows // 3, rows // 3 + 2), columns // 3, max(columns - columns // 3, 2)
    part = nodes_px[r0:r1, c0:c1]
    right = np.diff(part, axis=1).mean(axis=(0, 1)) / lattice.NODE_MM
    down = np.diff(part, axis=0).mean(axis=(0, 1)) / lattice.NODE_MM
    return right, down


def spacing_mm(lines: tuple[ruling.Comb, ruling.Comb], longer_px: int, expected_px_mm: float | None) -> float:
    """Whether the lines found are 1 or 5 mm apart.

    A comb whose fifth harmonic stands out has millimetre lines among its 5-mm lines. A plain comb has only one kind:
    the file's resolution tells which, or else which of the two makes the page more like a page.
    """
    marked = [len(c.support) > 5 and c.support[4] > 0.3 + max(c.support[3], c.support[5]) for c in lines]
    if any(marked):
        return 5.0
    pitch = float(np.mean([c.pitch_px for c in lines]))
    if expected_px_mm is not None:
        choice = {mm: abs(np.log(pitch / mm / expected_px_mm)) for mm in (1.0, 5.0)}
    else:
        choice = {mm: abs(np.log(longer_px / pitch * mm / TYPICAL_PAGE_MM)) for mm in (1.0, 5.0)}
    return min(choice, key=lambda mm: choice[mm])
