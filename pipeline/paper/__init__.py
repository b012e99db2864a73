"""Stage 1: where the paper's millimetres lie on the image, from the grid printed on it.

Lines that show over most of the page are followed at once: coarsely from the power spectra of windows (pitch,
direction, perspective), then node by node from their phase. Where they do not, the grid network says where in the
ruling every part of the picture lies, its lattice is followed along the lines too, and the one that explains more of
what is printed is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.geometry import Float64, PaperMap
from pipeline.networks import Network
from pipeline.paper import fallback, fields, lattice, lines, phases
from pipeline.paper.flat import laid_out
from pipeline.paper.harmonics import lines_seen
from pipeline.paper.lines import Found, Working
from pipeline.recording import Known, UInt8

__all__ = ["GridFit", "credible_px_mm", "find_grid", "follow_again", "lines_seen"]

WEAKEST = 0.15  # share of nodes with lines below which the lines are taken for chance
STRONG = 0.5  # share of nodes with lines above which they are believed against the file's resolution
STRETCH = 0.04  # by which the paper's millimetre and the file's may differ: prints are scaled to fit a page
COMPLETE = 0.8  # share of nodes with lines below which another way of following them is tried
CHANCE = 0.3  # share of nodes with lines below which they prove nothing where a network sees more, or nothing
ENOUGH = 0.35  # share of nodes with lines from which following them may place nodes better than the network does
LEAST = 0.13  # of what is printed that the network's lattice must explain: one drawn on blank paper explains half of it
AS_WELL = 0.015  # of what is printed: lines that explain less by no more than this are kept, being finer placed
SURE = 0.6  # length of a node's vectors from which the network is believed to have seen both families of lines


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

    def resized(self, factor: float) -> GridFit:
        """The same lattice where a millimetre of it is so many true ones."""
        pitch = (self.pitch_px[0] / factor, self.pitch_px[1] / factor)
        return replace(self, paper=self.paper.scaled(factor, self.paper.known), pitch_px=pitch)


def credible_px_mm(dpi: tuple[float, float] | None, image: UInt8) -> tuple[float, float] | None:
    """Pixels per mm along x and y as the file says of this image; None where it is silent or cannot be believed."""
    return fallback.trusted(dpi, image.shape[:2])


def find_grid(
    image: UInt8,
    dpi: tuple[float, float] | None = None,
    network: Network | None = None,
    original: UInt8 | None = None,
    pitch_px: tuple[float, float] | None = None,
) -> GridFit:
    """The lattice of the page's grid; without a grid the file's resolution; without both an assumed page size.

    image: uint8 (H, W, 3) RGB. dpi: (x, y) as the file says, None where it is silent. network: the grid network,
    None where there are no weights. original: the same page as it came, which the network looks at, where
    image was enhanced for the eye that follows lines. pitch_px: pixels per mm along x and y where something else told
    them to some per cent: lines are followed at that pitch only.
    """
    height, width = image.shape[:2]
    px_mm = fallback.trusted(dpi, (height, width))
    page = Working.of(image)
    found = _followed(image if original is None else original, page, px_mm, network, pitch_px)
    if found is not None and found.strength >= WEAKEST:
        fit = _as_fit(found, page)
        if px_mm is None or fit.strength > STRONG or _agrees(fit.pitch_px, px_mm):
            return fit
    known = Known.DPI
    if px_mm is None:
        known, px_mm = Known.ASSUMED, (max(height, width) / fallback.ASSUMED_PAGE_MM,) * 2
    skew = fallback.skew_deg(image, px_mm)
    matrix = fallback.affine((height, width), px_mm, skew)
    extent = (0.0, 0.0, width / px_mm[0], height / px_mm[1])
    return GridFit(PaperMap.affine(matrix, extent, known), px_mm, skew, 0.0, float("nan"), known)


def follow_again(
    fit: GridFit,
    factor: float,
    image: UInt8,
    dpi: tuple[float, float] | None,
    network: Network | None = None,
    original: UInt8 | None = None,
) -> GridFit:
    """The lattice of a ruling of which a millimetre of fit is so many true ones; the others as of find_grid.

    Lines followed at a wrong multiple of their distance are placed some per cent off, so they are followed anew.
    """
    pitch = (fit.pitch_px[0] / factor, fit.pitch_px[1] / factor)
    again = find_grid(image, dpi, network, original, pitch)
    if again.known is Known.GRID and _agrees(again.pitch_px, pitch):
        return again
    return fit.resized(factor)


def _followed(
    original: UInt8,
    page: Working,
    px_mm: tuple[float, float] | None,
    network: Network | None,
    pitch_px: tuple[float, float] | None = None,
) -> Found | None:
    """The lattice of the printed lines, None where there are none to speak of."""
    start = lines.start(page, px_mm, pitch_px)
    found = None if start is None else start.follow(page)
    if found is not None and found.strength >= COMPLETE:
        return found
    seen = None if network is None else _seen(network, original, page, px_mm)
    if start is None or found is None:
        return seen
    if seen is not None:
        return found if _better(found, seen) else seen
    if network is not None and found.strength < CHANCE:
        return None
    other = start.follow(page, lattice.SUPPLE)
    return other if other.strength > found.strength + 0.01 else found


def _better(found: Found, seen: Found) -> bool:
    """Whether the lattice of the lines is to be kept beside the network's: that explains no more of what is printed.

    Where lines are hardly more than chance, following them fits them to the ink of anything: that proves nothing.
    """
    if found.strength < CHANCE and seen.strength > found.strength:
        return False
    return found.explains >= seen.explains - AS_WELL


def _seen(network: Network, image: UInt8, page: Working, px_mm: tuple[float, float] | None) -> Found | None:
    """The lattice of the phases that the network sees, followed along the lines where enough of them show."""
    guess = px_mm or (max(image.shape[:2]) / lines.TYPICAL_PAGE_MM,) * 2
    view = fields.look(network, image, [guess])
    drawn = phases.lattice_of(view)
    if drawn is None:
        return None
    rough = lattice.Lattice(drawn.x_mm, drawn.y_mm, page.worked(drawn.nodes_px), drawn.coherence, drawn.residual_mm)
    inside = page.inside(rough.nodes_px)
    sure = float(np.mean(rough.coherence.min(axis=0)[inside] > SURE)) if inside.any() else 0.0
    if sure < WEAKEST:
        return None
    pitch = fields.pitch_px(view)
    straight = page.drawn_at((pitch[0] / float(page.scale[0]), pitch[1] / float(page.scale[1])))
    fit = lattice.refine(rough, page.ink, straight, lattice.NODE_MM, lattice.CLOSE, near=True)
    lined = lines.strength(fit, page)
    by_phase, by_lines = (Found(way, page, straight, max(sure, lined)) for way in (rough, fit))
    best = by_lines if lined > ENOUGH and by_lines.explains > by_phase.explains else by_phase
    return best if best.explains > LEAST else None


def _agrees(pitch_px: tuple[float, float], px_mm: tuple[float, float]) -> bool:
    """Whether lines are as far apart as the file's resolution says, within what printers and scanners stretch."""
    return all(abs(p / e - 1) < STRETCH for p, e in zip(pitch_px, px_mm, strict=True))


def _as_fit(found: Found, page: Working) -> GridFit:
    fit, nodes_px = found.fit, page.given(found.fit.nodes_px)
    paper = laid_out(PaperMap(fit.x_mm - fit.x_mm[0], fit.y_mm - fit.y_mm[0], nodes_px, Known.GRID))
    right, down = _middle(paper.nodes_px)
    pitch = (float(np.hypot(*right)), float(np.hypot(*down)))
    skew = float(np.degrees(np.arctan2(right[1] / pitch[1], right[0] / pitch[0])))
    residual = float(np.nanmedian(np.abs(fit.residual_mm))) * 1.4826 * float(np.mean(pitch))
    return GridFit(paper, pitch, skew, found.strength, residual, Known.GRID)


def _middle(nodes_px: Float64) -> tuple[Float64, Float64]:
    """Pixels per millimetre to the right and down, in the middle third of the page."""
    rows, columns = nodes_px.shape[:2]
    r0, r1, c0, c1 = rows // 3, max(rows - rows // 3, rows // 3 + 2), columns // 3, max(columns - columns // 3, 2)
    part = nodes_px[r0:r1, c0:c1]
    right = np.diff(part, axis=1).mean(axis=(0, 1)) / lattice.NODE_MM
    down = np.diff(part, axis=0).mean(axis=(0, 1)) / lattice.NODE_MM
    return right, down
