"""What the register network reads off a page laid flat: lead names, and the points of its layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from pipeline.geometry import Float64, Keypoint, Landmarks, PaperMap
from pipeline.landmarks.lettering import ORIENTATIONS, set_upright
from pipeline.networks import Network
from pipeline.networks.peaks import CELL, NAMES_AND_PLACE, Peaks, Point, find_peaks, find_points
from pipeline.recording import TWELVE, Float32, Lead, UInt8
from pipeline.sheet import extent_mm, pixels_of, shrunk

PX_PER_MM = 4.6  # a page of 280 mm at the scale the network was trained around
MULTIPLE = 32
LARGEST_PX = 2048  # of a side: a longer page is a wrong scale
NAME_FLOOR = 0.3  # of place: a weaker peak is more often a word of the header
POINT_FLOOR = 0.15  # what is decided later, by how the points lie to one another, may be doubtful alone
PLACE_POWER = 0.5
GLANCE_PX = 128  # 28 mm around a name: what the network says of its letters hardly changes with more
GLANCES, GLANCE_FLOOR = 16, 0.1  # places looked at in every orientation, the likeliest first
NEAR = 8  # cells around a patch's middle: what is read further off is another name
NAME_SURE = (
    0.5  # upside down, letters are read as other names: a few surer than that, but the same ones again and again
)
TURN_SURE = 0.9  # of the vote for or against a quarter turn: on 40 pages, turned one way or all, it was right then
STROKES = (Lead.I, Lead.II, Lead.III)


@dataclass(frozen=True, eq=False)
class Reading:
    """names: in pixels of the image. marks: in millimetres of its paper.

    turns: float32 (8,), how likely the page lies in each orientation, 0 as it should.
    places_mm: float64 (N, 2), where a name may stand, whichever and however it is turned, the likeliest first.
    """

    names: tuple[Keypoint, ...]
    marks: Landmarks
    turns: Float32
    places_mm: Float64

    @property
    def likely_ways(self) -> tuple[int, ...]:
        """The orientations that are worth a look: 0, and those of the quarter turn the network is sure of, if it is."""
        along = float(self.turns[::2].sum())
        if 1 - TURN_SURE < along < TURN_SURE:
            return tuple(range(ORIENTATIONS))
        return tuple(way for way in range(ORIENTATIONS) if way == 0 or (way % 2 == 0) == (along > 0.5))

    @property
    def sure_names(self) -> float:
        """The summed scores of different names that leave little doubt, and are others when they stand on their heads.

        3.7 to 8.2 on pages that lie right, up to 2.5 on the same pages turned.
        """
        return _summed((k.lead, k.score) for k in self.names)


@dataclass(frozen=True, eq=False)
class PageReader:
    """Reads pages by the register network."""

    look: Network

    def read(self, image: UInt8, paper: PaperMap) -> Reading:
        """Names and points of a page, and which way it lies; they are worth something where it lies right.

        image: uint8 (H, W, 3) RGB; paper: its millimetres.
        """
        flat, corner_mm, px_per_mm = _flat(image, paper)
        logits, turns = self._logits(flat)
        cell_mm = CELL / px_per_mm
        # a cell's centre lies half a pixel off its first pixel's, whose centre is the sheet's origin
        first = corner_mm + (CELL - 1) / 2 / px_per_mm
        likely = find_peaks(logits[:, :NAMES_AND_PLACE], GLANCE_FLOOR)
        names = likely.where(likely.place >= NAME_FLOOR)
        points = find_points(logits[:, NAMES_AND_PLACE:], POINT_FLOOR)
        starts, ends, rises, falls, tops = (_places(points, kind, first, cell_mm) for kind in Point)
        starting = np.asarray(logits[0, NAMES_AND_PLACE + Point.START].sigmoid().numpy(), np.float32)
        x, y = (float(v) for v in first)
        marks = Landmarks(starts, ends, rises, falls, tops, starting, x, y, cell_mm)
        order = torch.argsort(-likely.place)[:GLANCES]
        places_mm = first + torch.stack([likely.x, likely.y], dim=1)[order].double().numpy() * cell_mm
        return Reading(_keypoints(names, paper, first, cell_mm), marks, turns, places_mm)

    def glance(
        self, image: UInt8, paper: PaperMap, places_mm: Float64, ways: Sequence[int] = range(ORIENTATIONS)
    ) -> Float64:
        """float64 (8,): about the sure_names that the page would have, were each orientation undone; by patches of it.

        places_mm: float64 (N, 2), of a Reading of this page. ways: the orientations to look at; the others stay 0. All
        eight take the time of one reading. On five hard pages they were within 0.7 of whole readings in 38 of 40 ways,
        and 1.7 off at most.
        """
        if not len(places_mm):
            return np.zeros(ORIENTATIONS)
        flat, corner_mm, px_per_mm = _flat(image, paper)
        half = GLANCE_PX // 2
        wide = cv2.copyMakeBorder(flat, half, half, half, half, cv2.BORDER_CONSTANT, value=(128, 128, 128))
        corners = np.round((places_mm - corner_mm) * px_per_mm).astype(int)
        corners = np.clip(corners, 0, [flat.shape[1] - 1, flat.shape[0] - 1])
        patches = [np.asarray(wide[y : y + GLANCE_PX, x : x + GLANCE_PX], np.uint8) for x, y in corners]
        told = np.zeros(ORIENTATIONS)
        for way in ways:
            told[way] = self._names_in([set_upright(p, way) for p in patches])
        return told

    def _names_in(self, patches: Sequence[UInt8]) -> float:
        """The summed scores of different names read in the middle of patches of GLANCE_PX."""
        heat, _ = self._look(np.stack(patches))
        names = find_peaks(heat[:, :NAMES_AND_PLACE], NAME_FLOOR)
        middle = GLANCE_PX / 2 / CELL
        near = torch.maximum((names.x - middle).abs(), (names.y - middle).abs()) < NEAR
        scores = names.score.clamp(0, 1).pow(PLACE_POWER)
        return _summed(
            (TWELVE[lead], score) for lead, score in zip(names.name[near].tolist(), scores[near].tolist(), strict=True)
        )

    def _logits(self, flat: UInt8) -> tuple[torch.Tensor, Float32]:
        """float32 (1, channels, H/2, W/2) of uint8 (H, W, 3), beyond its right and lower edge left out, and turns."""
        height, width = flat.shape[:2]
        padded = np.pad(flat, ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)), mode="edge")
        heat, turn = self._look(padded[None])
        asked: torch.Tensor = heat[:, :, : -(-height // CELL), : -(-width // CELL)]
        return asked, np.asarray(turn[0].softmax(dim=0).numpy(), np.float32)

    def _look(self, pictures: UInt8) -> tuple[torch.Tensor, torch.Tensor]:
        """float32 heat (N, channels, H/2, W/2) and turns (N, 8), logits, of uint8 (N, H, W, 3); sides by MULTIPLE."""
        heat, turn = self.look(torch.from_numpy(pictures).permute(0, 3, 1, 2))
        return heat.float(), turn.float()


def _summed(read: Iterable[tuple[Lead, float]]) -> float:
    """Best scores of the different names that are sure and no mere strokes."""
    best: dict[Lead, float] = {}
    for lead, score in read:
        if score > NAME_SURE and lead not in STROKES:
            best[lead] = max(score, best.get(lead, 0.0))
    return sum(best.values())


def _flat(image: UInt8, paper: PaperMap) -> tuple[UInt8, Float64, float]:
    """uint8 (h, w, 3), the page by paper millimetres, grey where the picture ends; its corner; pixels a millimetre."""
    x0, y0, x1, y1 = extent_mm(image, paper)
    px_per_mm = min(PX_PER_MM, LARGEST_PX / max(x1 - x0, y1 - y0))
    shape = (round((y1 - y0) * px_per_mm), round((x1 - x0) * px_per_mm))
    where = pixels_of(paper, x0, y0, shape, px_per_mm)
    source, where = shrunk(image, where, paper, px_per_mm)
    flat = cv2.remap(
        source,
        where[..., 0],
        where[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(128, 128, 128),
    )
    return np.asarray(flat, np.uint8), np.array([x0, y0]), px_per_mm


def _places(points: Peaks, kind: Point, first: Float64, cell_mm: float) -> Float64:
    mine = points.name == int(kind)
    found = torch.stack([points.x[mine], points.y[mine], points.score[mine]], dim=1).double().numpy()
    found[:, :2] = first + found[:, :2] * cell_mm
    return np.asarray(found, np.float64)


def _keypoints(names: Peaks, paper: PaperMap, first: Float64, cell_mm: float) -> tuple[Keypoint, ...]:
    if not len(names.x):
        return ()
    places = paper.to_px(first + torch.stack([names.x, names.y], dim=1).double().numpy() * cell_mm)
    scores = names.score.clamp(0, 1).pow(PLACE_POWER)
    return tuple(
        Keypoint(TWELVE[int(name)], float(x), float(y), float(score))
        for name, (x, y), score in zip(names.name.tolist(), places, scores.tolist(), strict=True)
    )
