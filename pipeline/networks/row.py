"""The network of stage 2: a small U-Net whose decoder knows how far every cell lies from the wanted row's baseline.

A cell of the U-Net is 0.25 mm wide, 10 ms at 25 mm/s, which is an eighth of a QRS complex.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 4  # rows of the strip folded into one cell; hints come in cells of as many columns
ROWS_PER_BIN = 2  # 0.4 mm, 0.04 mV at 10 mm/mV; the expectation over bins goes below that
HINTS = 4  # inside a lead, distance to its start, distance to its end, printed lead name
Y_FEATURES = 10
HALF_HEIGHT_MM = 32.0


@dataclass(frozen=True)
class RowOptions:
    """widths: channels at 1/4, 1/8, 1/16 and 1/32 of the strip. coordinates: False builds the ablation without them.

    columns: of the strip in one cell of the first level, 4 (0.25 mm) or 2; every level below halves both ways.
    """

    widths: tuple[int, ...] = (48, 64, 96, 160)
    head: int = 48
    coordinates: bool = True
    columns: int = CELL


class RowNetwork(nn.Module):
    """pixels (N, 3, rows, columns), hints (N, HINTS, rows/4, columns/4) -> logits (N, rows/2 + 1, columns).

    The first rows/2 classes are heights, from the top; the last is "no ink of this row in this column".
    rows and columns are multiples of 32. pixels as `pipeline.waveform.network.normalise` makes them.
    """

    def __init__(self, options: RowOptions) -> None:
        super().__init__()
        w = options.widths
        self.columns = options.columns
        self.stem = nn.Conv2d(3 * CELL * self.columns, w[0], 3, padding=1)
        self.place_in = _Place(w[0], options.coordinates)
        self.encoder = nn.ModuleList([_Block(c) for c in w])
        self.down = nn.ModuleList([nn.Conv2d(a, b, 2, 2) for a, b in pairwise(w)])
        self.bottom = _Block(w[-1], dilation=2)
        self.up = nn.ModuleList([nn.Conv2d(b, a, 1) for a, b in pairwise(w)])
        self.place = nn.ModuleList([_Place(c, options.coordinates) for c in w[:-1]])
        self.decoder = nn.ModuleList([_Block(c) for c in w[:-1]])
        self.head = nn.Conv2d(w[0], options.head, 3, padding=1)
        self.place_out = _Place(options.head, options.coordinates)
        self.heights = nn.Conv2d(options.head, (CELL // ROWS_PER_BIN) * self.columns, 1)
        self.null_in = nn.Conv1d(2 * options.head, options.head, 5, padding=2)
        self.null_out = nn.Conv1d(options.head, self.columns, 3, padding=1)

    def forward(self, pixels: Tensor, hints: Tensor) -> Tensor:
        hints = hints.repeat_interleave(CELL // self.columns, dim=3)
        x = F.relu(self.place_in(self.stem(_folded(pixels, self.columns)), hints))
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(x)
            if level < len(self.down):
                skips.append(x)
                x = self.down[level](x)
        x = self.bottom(x)
        for level in reversed(range(len(self.down))):
            x = F.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest") + skips[level]
            x = self.decoder[level](self.place[level](x, hints))
        x = F.relu(self.place_out(self.head(x), hints))
        return self._distribution(x)

    def _distribution(self, x: Tensor) -> Tensor:
        null = self.null_out(F.relu(self.null_in(_over_rows(x))))
        return _unfolded(self.heights(x), null, self.columns)


def _folded(pixels: Tensor, width: int) -> Tensor:
    """(N, 3 * CELL * width, rows / CELL, columns / width): the pixels of a cell as its channels."""
    n, channels, rows, columns = pixels.shape
    cells = pixels.reshape(n, channels, rows // CELL, CELL, columns // width, width)
    return cells.permute(0, 1, 3, 5, 2, 4).reshape(n, -1, rows // CELL, columns // width)


def _over_rows(x: Tensor) -> Tensor:
    """float32 (N, 2 channels, columns): maximum and mean over the rows."""
    return torch.cat([x.amax(dim=2), x.mean(dim=2)], dim=1)


def _unfolded(heights: Tensor, null: Tensor, width: int) -> Tensor:
    """Logits (N, bins + 1, columns) of cells that are CELL rows high and `width` columns wide.

    heights: (N, bins a cell * width, rows, columns / width). null: (N, width, columns / width).
    """
    n, _, rows, columns = heights.shape
    per_cell = CELL // ROWS_PER_BIN
    heights = heights.reshape(n, per_cell, width, rows, columns)
    heights = heights.permute(0, 3, 1, 4, 2).reshape(n, rows * per_cell, columns * width)
    null = null.permute(0, 2, 1).reshape(n, 1, columns * width)
    return torch.cat([heights, null], dim=1)


class _Block(nn.Module):
    """Two 3 × 3 convolutions around a shortcut."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(inner)))


class _Place(nn.Module):
    """CoordConv: every cell is told its height above the baseline and the hints.

    Equal to concatenating the coordinate maps before a 1 × 1 convolution of the trunk.
    """

    def __init__(self, channels: int, enabled: bool) -> None:
        super().__init__()
        self.enabled = enabled
        self.mix = nn.Conv2d(Y_FEATURES + HINTS, channels, 1, bias=False)

    def forward(self, x: Tensor, hints: Tensor) -> Tensor:
        if not self.enabled:
            return x
        shrink = hints.shape[2] // x.shape[2]
        hints = F.avg_pool2d(hints, shrink) if shrink > 1 else hints
        height = _height_features(x.shape[2], shrink, x.device)
        return cast(Tensor, x + self.mix(torch.cat([height.expand(len(x), -1, -1, x.shape[3]), hints], dim=1)))


def _height_features(rows: int, shrink: int, device: torch.device) -> Tensor:
    """float32 (1, Y_FEATURES, rows, 1): height of cell rows above the baseline as ramp, bumps and waves, no unit."""
    mm_per_row = CELL * shrink / 5  # 5 rows of the strip per millimetre
    y = ((rows - 1) / 2 - torch.arange(rows, device=device)) * mm_per_row
    ramp = (y / HALF_HEIGHT_MM).clamp(-1.25, 1.25)
    bumps = [torch.exp(-((y / width) ** 2)) for width in (2.0, 6.0, 16.0)]
    waves = [f(2 * math.pi * y / period) for period in (12.0, 32.0) for f in (torch.sin, torch.cos)]
    inside = (y.abs() <= HALF_HEIGHT_MM + 4).float()
    features = [ramp, ramp.abs(), *bumps, *(w * inside for w in waves), inside]
    return torch.stack(features)[None, :, :, None]
