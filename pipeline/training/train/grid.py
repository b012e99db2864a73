"""Trains stage 1: where on the paper every pixel lies, by the phase of its ruling, and where a ruling is printed.

Run as: python -m pipeline.training.train.grid --pool DIR --valid DIR --run DIR --minutes 60 [--side 512] [--resume]
On a large GPU: --batch 64 --rate 2e-3.

The network answers per cell of two pixels (pipeline.networks.phase): cosine and sine of the phase of x and of y within
5 mm, the same within 1 mm, and the logit of "a grid is printed here". Unwrapped over the page, the phases within 5 mm
number the lines, on any page; those within 1 mm place them. A phase has no template, no origin and no largest page, and
the length of an unnormalised pair says how sure it is: the mean of vectors that may point anywhere is short.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from pipeline.geometry import Float64
from pipeline.networks.phase import CELL, CLASSES, PERIODS_MM, PX_MM, apart, phases, vectors
from pipeline.recording import Float32, UInt8
from pipeline.synth.truth import PageTruth
from pipeline.training.data.augment import disturb_colours
from pipeline.training.data.crops import Piece, View, cut, pitch_px_mm, turned, upright_size
from pipeline.training.data.pages import PooledPage
from pipeline.training.train.loop import Arrays, Task, train
from pipeline.training.train.options import options_of, parser_of

SCALE = (0.75, 1.35)
ASPECT = 0.08
ANGLE_DEG = 6.0
UPRIGHT = 0.75  # of the pieces; stage 0 sets pages upright, but should not be trusted blindly
NODE_PX = 32  # the map is evaluated this often and interpolated by cubics: 0.01 mm on a curled page
SURE = 0.8  # length of both pairs of a period from which a phase is believed: a standard deviation of a ninth of it
PRESENCE_WEIGHT = 0.2


@dataclass(frozen=True)
class GridTask(Task):
    """side: of a piece, pixels; a multiple of 16.

    A sample: uint8 (3, side, side); float32 (2, side/2, side/2) paper x and y in mm of every cell, turned with the
    piece; uint8 (side/2, side/2), 1 where a ruling was printed.
    """

    side: int = 512

    def sample(self, page: PooledPage, rng: np.random.Generator, *, plain: bool) -> Arrays:
        image, truth = page.rendered.page.image, page.rendered.truth
        h, w = upright_size(truth, image)
        px_mm, aspect, angle, orientation = PX_MM, 1.0, 0.0, 0
        if not plain:
            px_mm *= float(np.exp(rng.uniform(*np.log(SCALE))))
            aspect = float(np.exp(rng.uniform(-ASPECT, ASPECT) / 2))
            angle = float(rng.uniform(-ANGLE_DEG, ANGLE_DEG))
            orientation = 0 if rng.random() < UPRIGHT else int(rng.integers(8))
        x, y = pitch_px_mm(truth, image)
        step = (x / px_mm * aspect, y / px_mm / aspect)
        # at most an eighth of the piece beyond the page's edge, unless the page is smaller than the piece
        low = np.minimum(np.array(step) * self.side * 0.375, np.array([w, h]) / 2)
        cx, cy = rng.uniform(low, np.maximum(np.array([w, h]) - low, low + 1e-9))
        view = View((float(cx), float(cy)), step, angle, orientation)
        piece = cut(image, truth.orientation, view, self.side, ground=int(rng.integers(0, 256)))
        mm = paper_mm(piece, truth, self.side)
        turn = turned(orientation, 1, 1)[:2, :2]
        turned_mm = np.einsum("ab,bij->aij", turn, mm).astype(np.float32)
        return piece.pixels.transpose(2, 0, 1), turned_mm, ruled(piece, mm, truth, image)

    def disturb(self, pixels: Tensor) -> Tensor:
        return disturb_colours(pixels)

    def loss(self, output: Tensor, targets: Sequence[Tensor]) -> Tensor:
        mm, printed = targets[0], targets[1].float()
        output = output.float()
        error = ((output[:, :-1] - vectors(mm)) ** 2).mean(dim=1)
        phase = (error * printed).sum() / printed.sum().clamp_min(1)
        return phase + PRESENCE_WEIGHT * F.binary_cross_entropy_with_logits(output[:, -1], printed)

    def judge(self, output: Tensor, targets: Sequence[Tensor]) -> Mapping[str, float]:
        """Per period the 90th percentile of the error in mm where ruled, and where also sure, and what share that is.

        Rulings that a fax or a copy swallowed count as ruled: the first can be no better than their share. "ruled" is
        the share of cells told ruled or not.
        """
        mm, printed = targets[0], targets[1] > 0
        figures: dict[str, float] = {}
        for period, phase in zip(PERIODS_MM, phases(output), strict=True):
            error = apart(phase.mm, mm, period)
            sure = printed & (phase.sure.amin(dim=1) > SURE)
            figures[f"p90_{period:.0f}mm"] = _quantile(error, printed)
            figures[f"p90_sure_{period:.0f}mm"] = _quantile(error, sure)
            figures[f"sure_{period:.0f}mm"] = float(sure.sum() / printed.sum()) if printed.any() else math.nan
        return figures | {"ruled": float(((output[:, -1] > 0) == printed).float().mean())}


def _quantile(error: Tensor, where: Tensor, share: float = 0.9) -> float:
    known = error.movedim(1, -1)[where].flatten()
    return float(np.quantile(known.cpu().numpy(), share)) if len(known) else math.nan


def paper_mm(piece: Piece, truth: PageTruth, side: int) -> Float32:
    """float32 (2, side/2, side/2): paper x and y in mm of every cell's centre."""
    at = np.arange(-NODE_PX, side + 2 * NODE_PX, NODE_PX, dtype=np.float64)
    nodes = truth.paper.to_mm(piece.on_page(np.stack(np.meshgrid(at, at), axis=-1)))
    between = _interpolation(_cells(side), len(at))
    return np.asarray(between @ nodes.transpose(2, 0, 1) @ between.T, np.float32)


def _cells(side: int) -> Float64:
    """float64 (side/2,): where the cells' centres lie, pixels."""
    return np.arange(0, side, CELL, dtype=np.float64) + (CELL - 1) / 2


def _interpolation(at_px: Float64, nodes: int) -> Float64:
    """float64 (len(at_px), nodes): weights of cubic convolution (Keys 1981, a = -1/2), the first node at -NODE_PX."""
    t = np.abs(at_px[:, None] / NODE_PX + 1 - np.arange(nodes))
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def ruled(piece: Piece, mm: Float32, truth: PageTruth, image: UInt8) -> UInt8:
    """uint8 (h, w) of cells, 1 where a ruling was printed on the paper and lies in the picture."""
    if not truth.ruled:
        return np.zeros(mm.shape[1:], np.uint8)
    x_mm, y_mm = truth.paper.x_mm, truth.paper.y_mm
    x0, y0, x1, y1 = truth.ruled_mm or (x_mm[0], y_mm[0], x_mm[-1], y_mm[-1])
    at = _cells(mm.shape[1] * CELL)
    px = piece.on_page(np.stack(np.meshgrid(at, at), axis=-1))
    h, w = image.shape[:2]
    pictured = (px >= -0.5).all(axis=-1) & (px[..., 0] <= w - 0.5) & (px[..., 1] <= h - 0.5)
    inside = (mm[0] >= x0) & (mm[0] <= x1) & (mm[1] >= y0) & (mm[1] <= y1)
    return np.asarray(pictured & inside, np.uint8)


def main() -> None:
    parser = parser_of(__doc__, batch=8)
    parser.add_argument("--side", type=int, default=GridTask.side, help="of a piece, pixels")
    parser.add_argument("--depth", type=int, default=4, help="of the encoder; 5 is the whole ResNet-34")
    given = parser.parse_args()
    train(task(given.side, given.depth), options_of(given))


def task(side: int = GridTask.side, depth: int = 4) -> GridTask:
    return GridTask("grid", {"classes": CLASSES, "depth": depth}, side)


if __name__ == "__main__":
    main()
