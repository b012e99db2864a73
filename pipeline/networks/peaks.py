"""From heat maps to points: where the register network saw a lead name, and which."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

PAGE_PX = 1280  # the longer side of the picture it was trained on, 0.7 to 1.4 times: a capital of 2 mm is 9 pixels tall
CELL = 2  # pixels: the network answers at half resolution
APART = 9  # cells of half resolution: 4 mm at 4.6 px/mm; names of neighbouring rows are further apart


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


def find_peaks(logits: Tensor, threshold: float) -> Peaks:
    """Every place where a name stands at least as surely as the threshold, and what it most likely says.

    logits: (N, 1 + names, H, W), the first "a name is centred here", the others which.
    """
    logits = logits.float()
    height, width = logits.shape[2:]
    place = logits[:, 0].sigmoid()
    # the first of equal neighbours, of which bfloat16 makes many, is the top of all of them
    _, top = F.max_pool2d(place[:, None], APART, stride=1, padding=APART // 2, return_indices=True)
    itself = torch.arange(height * width, device=logits.device).view(height, width)
    n, y, x = torch.nonzero((top[:, 0] == itself) & (place >= threshold), as_tuple=True)
    known = F.avg_pool2d(logits[:, 1:], 3, stride=1, padding=1, count_include_pad=False).softmax(dim=1)
    share, name = known[n, :, y, x].max(dim=1)
    sure = F.pad(place.clamp_min(1e-6).log()[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    middle = sure[n, y + 1, x + 1]
    dx = _vertex(sure[n, y + 1, x], middle, sure[n, y + 1, x + 2])
    dy = _vertex(sure[n, y, x + 1], middle, sure[n, y + 2, x + 1])
    return Peaks(n, name, x + dx, y + dy, place[n, y, x], place[n, y, x] * share)


def _vertex(before: Tensor, here: Tensor, after: Tensor) -> Tensor:
    """Where the parabola through three values of log heat is highest: exact for a Gaussian. -0.5 .. 0.5 cells."""
    bend = before - 2 * here + after
    return (0.5 * (before - after) / bend.clamp_max(-1e-6)).clamp(-0.5, 0.5)
