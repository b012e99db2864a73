"""Trains stage 0: where the lead names are printed, and which way up the page lies.

Run as: python -m pipeline.training.train.register --pool DIR --valid DIR --run DIR --minutes 60 [--side 1024]
[--resume]
On a large GPU: --batch 64 --rate 2e-3 --side 1024.

Pages are seen as at run time: the longer side PAGE_PX pixels, so that a capital of 2 mm is 9 pixels tall (at 1,024 it
is 7, and "I", "II" and "III" run together). Names are learned as points, by one heat map of places with CenterNet's
focal loss, and twelve logits of what stands there. A page has a dozen names in 300,000 cells: discs of a thirteenth
class would need a radius and a centroid and merge where names touch; a heat map for every lead would see a twelfth of
the names each. And a name that is there but cannot be read still says where a lead begins.

Beside the names it learns the points that make a layout: where leads begin, where rows end, the corners of calibration
pulses. Of pieces that lie as they should: these points are asked for on a page that has been laid flat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.geometry import Float64
from pipeline.networks.peaks import CELL, CHANNELS, NAMES_AND_PLACE, PAGE_PX, Peaks, Point, find_peaks, find_points
from pipeline.recording import TWELVE, UInt8
from pipeline.synth.truth import PageTruth
from pipeline.training.data.augment import disturb_colours
from pipeline.training.data.crops import (
    View,
    apply,
    cut,
    inverse,
    pitch_px_mm,
    turned,
    upright_size,
)
from pipeline.training.data.pages import PooledPage
from pipeline.training.train.loop import Arrays, Task, train
from pipeline.training.train.options import options_of, parser_of

POINTS = 80  # room for a sample's other points: twelve rows of a start, an end and a pulse of three
NAMES = 32  # room for names in a sample: 12 leads twice, three rhythms
SIGMA_CELLS = 2.0  # 0.9 mm
EDGE_PX = 8  # a name whose centre is nearer to the edge is half outside: neither asked for nor held against
UPRIGHT = 0.7  # of the pages; the rest in any of the eight orientations, as at run time most pages lie right
ASPECT = 0.08
NEAR_NAMES = 0.6  # of the pieces lie around a name, the others anywhere
ORIENTATION_WEIGHT = 0.3
NAME_WEIGHT = 0.5
POINT_WEIGHTS = {Point.START: 1.0, Point.END: 0.4, Point.RISE: 0.3, Point.FALL: 0.3, Point.TOP: 0.3}
ANGLE_DEG = 1.5  # standard deviation
SCALE = (0.75, 1.33)
PRIOR = -4.6  # the logit of 0.01: a name is rare, and without it the first steps learn nothing else
THRESHOLD = 0.4
FOUND_MM = 2.0
NEAR_MM = 1.5  # the same for other points
_FAR = 1e6  # dearer than any pairing within reach


@dataclass(frozen=True)
class RegisterTask(Task):
    """side: of a piece, pixels; a multiple of 32.

    A sample: uint8 (3, side, side); float32 (NAMES, 4) of lead, x, y in cells and whether it counts, NaN where there
    is no name; int64 orientation 0..7; float32 cells per millimetre; float32 (POINTS, 4) of Point, x, y and whether it
    counts, NaN where there is none and everywhere in a piece that does not lie upright.
    """

    side: int = 640

    def build(self) -> nn.Module:
        network = super().build()
        heat = network.get_submodule("segmentation_head.0")
        assert isinstance(heat, nn.Conv2d)  # as smp builds its heads
        assert heat.bias is not None
        with torch.no_grad():
            heat.bias[0] = PRIOR
            heat.bias[NAMES_AND_PLACE:] = PRIOR
        return network

    def sample(self, page: PooledPage, rng: np.random.Generator, *, plain: bool) -> Arrays:
        image, truth = page.rendered.page.image, page.rendered.truth
        size = upright_size(truth, image)
        pitch = pitch_px_mm(truth, image)
        px_mm = PAGE_PX / max(size[1] / pitch[0], size[0] / pitch[1])
        aspect = 1.0
        if not plain:
            px_mm *= float(np.exp(rng.uniform(*np.log(SCALE))))
            aspect = float(np.exp(rng.uniform(-ASPECT, ASPECT) / 2))
        step = (pitch[0] / px_mm * aspect, pitch[1] / px_mm / aspect)
        points = np.array([(k.x_px, k.y_px) for k in truth.keypoints], np.float64).reshape(-1, 2)
        orientation = 0 if rng.random() < UPRIGHT else int(rng.integers(8))
        angle = 0.0 if plain else float(rng.normal(0, ANGLE_DEG))
        upright = apply(inverse(turned(truth.orientation, *size)), points)
        centre = _centre(upright, size, (self.side * step[0], self.side * step[1]), rng)
        view = View(centre, step, angle, orientation)
        piece = cut(image, truth.orientation, view, self.side, ground=int(rng.integers(0, 256)))
        leads = [TWELVE.index(k.lead) for k in truth.keypoints]
        target = self._target(piece.on_piece(points), leads, NAMES)
        per_mm = np.float32(px_mm / CELL)
        kinds, places = structure(truth)
        seen = _pictured(places, image) if len(places) else np.zeros(0, bool)
        others = self._target(piece.on_piece(places), kinds, POINTS, seen)
        if orientation:
            others[:] = np.nan
        pixels = piece.pixels.transpose(2, 0, 1)
        return pixels, target, np.int64(orientation), per_mm, others  # type: ignore[return-value]

    def _target(
        self, points: np.ndarray, kinds: Sequence[int], room: int, seen: np.ndarray | None = None
    ) -> np.ndarray:
        target = np.full((room, 4), np.nan, np.float32)
        within = np.minimum(points, self.side - 1 - points).min(axis=1)  # from the nearest edge, negative outside
        counts = (within > EDGE_PX) & (True if seen is None else seen)
        rows = [
            (kind, (x + 0.5) / CELL - 0.5, (y + 0.5) / CELL - 0.5, counted)
            for kind, (x, y), inside, counted in zip(kinds, points, within, counts, strict=True)
            if inside > -EDGE_PX
        ][:room]
        if rows:
            target[: len(rows)] = rows
        return target

    def disturb(self, pixels: Tensor) -> Tensor:
        return disturb_colours(pixels)

    def loss(self, output: tuple[Tensor, Tensor], targets: Sequence[Tensor]) -> Tensor:
        heat, turn = output[0].float(), output[1].float()
        names, orientation, _, others = targets
        places = focal_loss(heat[:, 0], names) + NAME_WEIGHT * name_loss(heat[:, 1:NAMES_AND_PLACE], names)
        points = point_loss(heat[orientation == 0][:, NAMES_AND_PLACE:], others[orientation == 0])
        return places + points + ORIENTATION_WEIGHT * F.cross_entropy(turn, orientation)

    def judge(self, output: tuple[Tensor, Tensor], targets: Sequence[Tensor]) -> Mapping[str, float]:
        """Recall and precision of names within 2 mm, recall of their places, distance, share of right orientations;
        recall, precision and distance along x of the starts of leads, recall and precision of all other points."""
        names, orientation, per_mm, others = targets
        heat = output[0].float()
        found = match(find_peaks(heat[:, :NAMES_AND_PLACE], THRESHOLD), names, per_mm)
        upright = orientation == 0
        points = find_points(heat[upright][:, NAMES_AND_PLACE:], THRESHOLD)
        start = match(_of(points, [Point.START]), _asked(others[upright], [Point.START]), per_mm[upright], NEAR_MM)
        rest = [kind for kind in Point if kind is not Point.START]
        other = match(_of(points, rest), _asked(others[upright], rest), per_mm[upright], NEAR_MM)
        right = (output[1].float().argmax(dim=1) == orientation).float().mean()
        return {
            "recall": _share(found.right, found.asked),
            "precision": _share(found.right, found.said),
            "place_recall": _share(found.placed, found.asked),
            "off_mm": found.off_mm,
            "orientation": float(right),
            "start_recall": _share(start.right, start.asked),
            "start_precision": _share(start.right, start.said),
            "start_off_mm": start.off_x_mm,
            "point_recall": _share(other.right, other.asked),
            "point_precision": _share(other.right, other.said),
        }


def structure(truth: PageTruth) -> tuple[list[int], Float64]:
    """The Points of a page: their kinds and, float64 (n, 2), where they lie, pixels of the picture."""
    kinds, places_mm = list[int](), list[tuple[float, float]]()
    ends: dict[tuple[int, float], float] = {}
    for s in truth.segments:
        kinds.append(Point.START)
        places_mm.append((s.start_mm, s.baseline_mm))
        row = (s.row, s.baseline_mm)
        ends[row] = max(ends.get(row, s.end_mm), s.end_mm)
    for (_, baseline), end in ends.items():
        kinds.append(Point.END)
        places_mm.append((end, baseline))
    for x0, x1, baseline, tall in truth.pulses_mm:
        kinds += [Point.RISE, Point.FALL, Point.TOP]
        places_mm += [(x0, baseline), (x1, baseline), ((x0 + x1) / 2, baseline - tall)]
    return kinds, truth.paper.to_px(np.array(places_mm, np.float64).reshape(-1, 2))


def _pictured(points: Float64, image: UInt8) -> np.ndarray:
    """Which points of the page lie in the picture, and not at its very rim."""
    size = np.array([image.shape[1], image.shape[0]])
    return np.asarray(((points > 2) & (points < size - 3)).all(axis=1))


def _of(peaks: Peaks, kinds: Sequence[int]) -> Peaks:
    """The peaks of some kinds, all others left out."""
    mine = torch.isin(peaks.name, torch.tensor([int(kind) for kind in kinds], device=peaks.name.device))
    return Peaks(*(getattr(peaks, f.name)[mine] for f in fields(Peaks)))


def _asked(points: Tensor, kinds: Sequence[int]) -> Tensor:
    """The targets of some kinds, all others NaN."""
    mine = torch.isin(points[..., 0], torch.tensor([float(kind) for kind in kinds], device=points.device))
    return torch.where(mine[..., None], points, torch.nan)


def point_loss(logits: Tensor, points: Tensor) -> Tensor:
    """Weighted focal losses of the heat maps of every Point. logits: float32 (N, len(Point), H, W)."""
    if not len(logits):
        return logits.sum()
    losses = [POINT_WEIGHTS[kind] * focal_loss(logits[:, kind], _asked(points, [kind])) for kind in Point]
    return torch.stack(losses).sum()


def _share(part: int, of: int) -> float:
    return part / of if of else math.nan


def _centre(
    names: np.ndarray, size: tuple[int, int], reach: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float]:
    """Where to look, pixels (x, y) of the upright page of size (h, w); reach: what a piece covers of it."""
    if len(names) and rng.random() < NEAR_NAMES:
        at = names[rng.integers(len(names))] + rng.uniform(-0.4, 0.4, 2) * reach
    else:
        at = rng.uniform(0, 1, 2) * (size[1], size[0])
    # no further out than an eighth of the piece beyond the page's edge
    low = np.minimum(np.array(reach) * 0.375, np.array([size[1], size[0]]) / 2)
    x, y = np.clip(at, low, np.array([size[1], size[0]]) - low)
    return float(x), float(y)


def heat_of(names: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """float32 (N, H, W) Gaussians around the names; bool the cell nearest to each; bool which cells count.

    names: (N, NAMES, 4) as in a sample.
    """
    there = torch.isfinite(names[..., 0])
    _, x, y, counts = torch.nan_to_num(names, nan=-1e4).unbind(dim=-1)
    ax, ay = (torch.arange(n, device=names.device, dtype=torch.float32) for n in (width, height))
    gx = torch.exp(-((ax - x[..., None]) ** 2) / (2 * SIGMA_CELLS**2))
    gy = torch.exp(-((ay - y[..., None]) ** 2) / (2 * SIGMA_CELLS**2))
    asked = there & (counts > 0.5)
    heat = torch.einsum("nk,nkh,nkw->nhw", asked.float(), gy, gx).clamp_max(1)
    n, k = torch.nonzero(asked, as_tuple=True)
    peak = torch.zeros_like(heat, dtype=torch.bool)
    peak[n, y[n, k].round().long(), x[n, k].round().long()] = True
    halved = torch.einsum("nk,nkh,nkw->nhw", (there & ~asked).float(), gy, gx)
    return heat, peak, halved < 0.05


def focal_loss(logits: Tensor, names: Tensor) -> Tensor:
    """Of CenterNet (Zhou et al. 2019): penalty-reduced focal loss with alpha 2, beta 4, by the number of names.

    logits: float32 (N, H, W).
    """
    heat, peak, counts = heat_of(names, *logits.shape[1:])
    p = logits.sigmoid()
    hit = ((1 - p) ** 2 * F.logsigmoid(logits))[peak].sum()
    miss = (p**2 * (1 - heat) ** 4 * F.logsigmoid(-logits) * (~peak & counts)).sum()
    return -(hit + miss) / peak.sum().clamp_min(1)


def name_loss(logits: Tensor, names: Tensor) -> Tensor:
    """Cross-entropy of the lead in the 3 x 3 cells around every name that counts. logits: float32 (N, leads, H, W)."""
    height, width = logits.shape[2:]
    n, k = torch.nonzero(torch.isfinite(names[..., 0]) & (names[..., 3] > 0.5), as_tuple=True)
    lead, x, y, _ = names[n, k].round().long().unbind(dim=-1)
    step = torch.arange(-1, 2, device=logits.device)
    rows = (y[:, None, None] + step[None, :, None]).clamp(0, height - 1)
    columns = (x[:, None, None] + step[None, None, :]).clamp(0, width - 1)
    said = logits[n[:, None, None], :, rows, columns].flatten(0, 2)
    asked = lead.repeat_interleave(9)
    return F.cross_entropy(said, asked, reduction="sum") / max(len(asked), 1)


@dataclass(frozen=True)
class Found:
    """Of a batch: names asked for, those placed, those placed and read right, those said; medians of how far off."""

    asked: int
    placed: int
    right: int
    said: int
    off_mm: float
    off_x_mm: float


def match(peaks: Peaks, names: Tensor, per_mm: Tensor, within_mm: float = FOUND_MM) -> Found:
    """Peaks against names or points; one peak answers one of them. What lies at the edge counts nowhere."""
    asked, placed, right, said, away, aside = 0, 0, 0, 0, list[float](), list[float]()
    for sample, scale in enumerate(per_mm.tolist()):
        mine = peaks.sample == sample
        seen = torch.stack([peaks.name[mine].float(), peaks.x[mine], peaks.y[mine]], dim=1).cpu().numpy()
        truth = names[sample][torch.isfinite(names[sample, :, 0])].cpu().numpy()
        distance = np.hypot(*(seen[:, None, i] - truth[None, :, i] for i in (1, 2)))
        reach = within_mm * scale
        rows, columns = linear_sum_assignment(np.where(distance <= reach, distance, _FAR))
        pairs = [(i, j) for i, j in zip(rows, columns, strict=True) if distance[i, j] <= reach]
        counted = [(i, j) for i, j in pairs if truth[j, 3]]
        asked += int((truth[:, 3] > 0).sum())
        placed += len(counted)
        right += sum(int(seen[i, 0] == truth[j, 0]) for i, j in counted)
        said += len(seen) - (len(pairs) - len(counted))
        away += [float(distance[i, j]) / scale for i, j in counted]
        aside += [abs(float(seen[i, 1] - truth[j, 1])) / scale for i, j in counted]
    off, off_x = (float(np.median(a)) if a else math.nan for a in (away, aside))
    return Found(asked, placed, right, said, off, off_x)


def main() -> None:
    parser = parser_of(__doc__, batch=8)
    parser.add_argument("--side", type=int, default=RegisterTask.side, help="of a piece, pixels; 1024 on a GPU")
    given = parser.parse_args()
    train(task(given.side), options_of(given))


def task(side: int = RegisterTask.side) -> RegisterTask:
    return RegisterTask("register", {"classes": CHANNELS}, side)


if __name__ == "__main__":
    main()
