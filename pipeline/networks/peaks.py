"""From heat maps to points: where the register network saw a lead name, and which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor
from torch.nn import functional as F

PAGE_PX = 1280  # the longer side of the picture it was trained on, 0.7 to 1.4 times: a capital of 2 mm is 9 pixels tall
CELL = 2  # pixels: the network answers at half resolution
APART = 9  # cells of half resolution: 4 mm at 4.6 px/mm; names of neighbouring rows are further apart


class Point(IntEnum):
    """What is found beside names, each by a heat map of its own: it tells rows, columns and scales without a name.

    START: where a printed lead begins, at its 0 mV; END: where a row of them ends. RISE, FALL: of a calibration pulse,
    at its foot; TOP: the middle of its roof.
    """

    START = 0
    END = 1
    RISE = 2
    FALL = 3
    TOP = 4


NAMES_AND_PLACE = 13  # channels before those of Point
CHANNELS = NAMES_AND_PLACE + len(Point)


@dataclass(frozen=True, eq=False)
class Peaks:
    """Of one batch, one row a peak: int64 sample and name, float32 x and y in cells (centres at integers).

    place and score, float32 0..1: how sure it is that a name stands here, and that it is this one.
    """

    sample: Tensor
    name: Tensor
    x: Tensor
    y: Tensor
    place: Tensor
    score: Tensor

    def where(self, keep: Tensor) -> Peaks:
        """Those for which bool (peaks,) is true."""
        return Peaks(*(values[keep] for values in (self.sample, self.name, self.x, self.y, self.place, self.score)))


def find_peaks(logits: Tensor, threshold: float) -> Peaks:
    """Every place where a name stands at least as surely as the threshold, and what it most likely says.

    logits: (N, 1 + names, H, W), the first "a name is centred here", the others which.
    """
    logits = logits.float()
    place = logits[:, 0].sigmoid()
    n, y, x, dx, dy = _tops(place, threshold)
    known = F.avg_pool2d(logits[:, 1:], 3, stride=1, padding=1, count_include_pad=False).softmax(dim=1)
    share, name = known[n, :, y, x].max(dim=1)
    return Peaks(n, name, x + dx, y + dy, place[n, y, x], place[n, y, x] * share)


def find_points(logits: Tensor, threshold: float) -> Peaks:
    """Every Point at least as sure as the threshold; name is its kind, place and score are the same.

    logits: (N, len(Point), H, W), a heat map for each.
    """
    places = logits.float().sigmoid()
    kinds: list[Peaks] = []
    for kind in range(places.shape[1]):
        place = places[:, kind]
        n, y, x, dx, dy = _tops(place, threshold)
        here = place[n, y, x]
        kinds.append(Peaks(n, torch.full_like(n, kind), x + dx, y + dy, here, here))
    return Peaks(
        *(torch.cat([getattr(k, name) for k in kinds]) for name in ("sample", "name", "x", "y", "place", "score"))
    )


def _tops(place: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Sample, row and column of every peak of float (N, H, W), and how far right and below the cell's centre it is."""
    reach = APART // 2
    wide = F.pad(place, (reach, reach, reach, reach), value=-torch.inf)
    across = torch.arange(APART, device=place.device)
    n, y, x = torch.nonzero(place >= threshold, as_tuple=True)
    # the row of a cell first: most cells beside a peak fail there, and the other rows have few left to look at
    for down in sorted(range(APART), key=lambda line: abs(line - reach)):
        around, here = wide[n[:, None], (y + down)[:, None], x[:, None] + across], place[n, y, x][:, None]
        # the first of equal neighbours, of which bfloat16 makes many, is the top of all of them
        before = down * APART + across < reach * (APART + 1)
        top = torch.where(before, around < here, around <= here).all(dim=1)
        n, y, x = n[top], y[top], x[top]
    sure = F.pad(place[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    middle, left, right, above, below = (
        sure[n, y + 1 + v, x + 1 + h].clamp_min(1e-6).log() for v, h in ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))
    )
    return n, y, x, _vertex(left, middle, right), _vertex(above, middle, below)


def _vertex(before: Tensor, here: Tensor, after: Tensor) -> Tensor:
    """Where the parabola through three values of log heat is highest: exact for a Gaussian. -0.5 .. 0.5 cells."""
    bend = before - 2 * here + after
    return (0.5 * (before - after) / bend.clamp_max(-1e-6)).clamp(-0.5, 0.5)
