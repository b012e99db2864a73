"""The lattice of the lines that can be seen in the spectra of a page: every grid that shows over most of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.geometry import Float64
from pipeline.paper import coarse, lattice, ruling
from pipeline.recording import UInt8

Float32 = npt.NDArray[np.float32]

WORKING_PX = 1.6e6  # of the page the grid is searched on: some 5 pixels per mm of a standard page, enough for its lines
TYPICAL_PAGE_MM = 250.0  # of paper on an image's longer side: a page, a little less when cropped
FINEST_PX_MM, COARSEST_PX_MM = 7.0, 4.0  # resolution at which the page is drawn straight
BOTH = 0.6  # correlation of a node's two families of lines with the page's line profile, chance reaches it in 2 %


@dataclass(frozen=True, eq=False)
class Working:
    """The page as its lines are followed. ink: float32 (h, w). scale: pixels given to one of ink, along x and y."""

    ink: Float32
    scale: Float64

    @classmethod
    def of(cls, image: UInt8) -> Working:
        height, width = image.shape[:2]
        shrink = min(1.0, float(np.sqrt(WORKING_PX / (height * width))))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        page = image if shrink == 1.0 else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cls(ruling.darkness(page), np.array([width / size[0], height / size[1]]))

    def drawn_at(self, pitch_px: tuple[float, float]) -> tuple[float, float]:
        """Pixels per mm at which a page of so many working pixels per mm is drawn straight."""
        x, y = (min(FINEST_PX_MM, max(COARSEST_PX_MM, pitch)) for pitch in pitch_px)
        return x, y

    def inside(self, nodes_px: Float64) -> npt.NDArray[np.bool_]:
        """Which nodes lie on the page."""
        height, width = self.ink.shape
        return np.asarray(np.all((nodes_px >= 0) & (nodes_px <= [width - 1, height - 1]), axis=-1))

    def given(self, nodes_px: Float64) -> Float64:
        """Working pixels as pixels of the image given: centres at integers on both."""
        return np.asarray((nodes_px + 0.5) * self.scale - 0.5)

    def worked(self, nodes_px: Float64) -> Float64:
        """The other way."""
        return np.asarray((nodes_px + 0.5) / self.scale - 0.5)


@dataclass(frozen=True, eq=False)
class Found:
    """A lattice in the pixels of a page. px_mm: at which it was drawn straight.

    strength: 0..1, the share of the page's nodes around which both families of lines were seen.
    """

    fit: lattice.Lattice
    page: Working
    px_mm: tuple[float, float]
    strength: float

    @cached_property
    def explains(self) -> float:
        """How well the lattice explains what is printed over the page, 0..1."""
        inside = self.page.inside(self.fit.nodes_px)
        fit = lattice.explained(self.fit, self.page.ink, self.px_mm).min(axis=0)[inside]
        return float(np.clip(fit, 0.0, 1.0).mean()) if inside.any() else 0.0


@dataclass(frozen=True, eq=False)
class Start:
    """Where following begins: a rough lattice, the lines' distance in mm, and px_mm as in Found."""

    rough: lattice.Lattice
    comb_mm: float
    px_mm: tuple[float, float]

    def follow(self, page: Working, plates: tuple[tuple[float, float], ...] = lattice.STEADY) -> Found:
        """The lattice that the lines lead to from here."""
        fit = lattice.refine(self.rough, page.ink, self.px_mm, self.comb_mm, plates)
        return Found(fit, page, self.px_mm, strength(fit, page))


def start(
    page: Working, px_mm: tuple[float, float] | None, pitch_px: tuple[float, float] | None = None
) -> Start | None:
    """A rough lattice from the page's spectra, None where no lines stand out.

    px_mm: as the file says, or None. pitch_px: pixels per mm, where something else told them to some per cent.
    """
    found = ruling.windows(page.ink)
    if not len(found.power):
        return None
    power, x_to_y = found.power.mean(axis=0), None if px_mm is None else px_mm[0] / px_mm[1]
    height, width = page.ink.shape
    if pitch_px is None:
        lines = ruling.pair(power, x_to_y)
        expected = None if px_mm is None else px_mm[0] / float(page.scale[0])
        comb_mm = 0.0 if lines is None else spacing_mm(lines, max(width, height), expected)
    else:
        lines, comb_mm = _near(power, x_to_y, (pitch_px[0] / float(page.scale[0]), pitch_px[1] / float(page.scale[1])))
    if lines is None:
        return None
    across_x, across_y = (coarse.phase(found, lines[axis], axis, comb_mm) for axis in (0, 1))
    rough = lattice.initial(across_x, across_y, (height, width))
    return Start(rough, comb_mm, page.drawn_at((lines[0].pitch_px / comb_mm, lines[1].pitch_px / comb_mm)))


def _near(
    power: Float32, x_to_y: float | None, pitch_px: tuple[float, float]
) -> tuple[tuple[ruling.Comb, ruling.Comb] | None, float]:
    """The lines 1 or 5 mm apart of a ruling of so many working pixels per mm, whichever show more, and which."""
    found = {mm: ruling.pair(power, x_to_y, (mm * pitch_px[0], mm * pitch_px[1])) for mm in (1.0, 5.0)}
    best = max(found, key=lambda mm: sum(comb.score for comb in found[mm] or ()))
    return found[best], best


def strength(fit: lattice.Lattice, page: Working) -> float:
    """The share of the nodes on the page around which both families of lines were seen."""
    inside = page.inside(fit.nodes_px)
    return float(np.mean(fit.coherence.min(axis=0)[inside] > BOTH)) if inside.any() else 0.0


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
