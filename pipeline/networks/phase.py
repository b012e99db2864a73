"""What the grid network says: where in its period of the ruling every cell of the picture lies.

Cells are CELL pixels wide. x and y grow to the right and downwards of the picture, whichever way the page lies: a
ruling does not tell. 0 is a line of that period. Along a row of cells the phase within 5 mm grows by less than half a
period from one cell to the next down to a scale of 1 pixel/mm, so it can be unwrapped; that within 1 mm cannot below
4 pixels/mm, and is to be placed by the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CELL = 2  # pixels: the network answers at half resolution
PX_MM = 4.3  # scale it was trained around, 0.75 to 1.35 times: a page of 280 mm is 1,200 pixels wide
PERIODS_MM = (5.0, 1.0)
CLASSES = 4 * len(PERIODS_MM) + 1  # per period cos x, sin x, cos y, sin y; last the logit of "a grid is printed here"


@dataclass(frozen=True, eq=False)
class Phase:
    """Within one period. mm: float32 (N, 2, h, w), x and y, -period/2 .. period/2. sure: the same shape, 0..1.

    sure is the length of the mean vector, so of a phase with Gaussian errors of s radians it is exp(-s * s / 2).
    """

    mm: Tensor
    sure: Tensor


def phases(output: Tensor) -> tuple[Phase, ...]:
    """One Phase for each of PERIODS_MM. output: (N, CLASSES, h, w) of the grid network."""
    pairs = output[:, :-1].float().reshape(len(output), len(PERIODS_MM), 2, 2, *output.shape[2:])
    turn, sure = torch.atan2(pairs[:, :, :, 1], pairs[:, :, :, 0]), pairs.norm(dim=3).clamp_max(1)
    scale = [period / (2 * math.pi) for period in PERIODS_MM]
    return tuple(Phase(turn[:, i] * scale[i], sure[:, i]) for i in range(len(PERIODS_MM)))


def vectors(mm: Tensor) -> Tensor:
    """float32 (N, 2, h, w) mm of paper -> (N, CLASSES - 1, h, w): what a perfect network says."""
    turns = torch.stack([mm * (2 * math.pi / period) for period in PERIODS_MM], dim=1)
    return torch.stack([turns.cos(), turns.sin()], dim=3).flatten(1, 3)


def apart(one: Tensor, other: Tensor, period: float) -> Tensor:
    """The shorter way from one phase to the other in mm, 0 .. period/2."""
    off = one - other
    return (off - period * torch.round(off / period)).abs()
