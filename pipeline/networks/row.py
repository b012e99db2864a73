"""The network of stage 2: a small U-Net whose decoder knows how far every cell lies from the wanted row's baseline.

A cell of the U-Net is 0.5 mm wide, 20 ms at 25 mm/s, which is a quarter of a QRS complex. A level of half as wide cells
around it sees the time within a cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 4  # rows and columns of the strip folded into one cell by pixel_unshuffle: the trunk works at a quarter
FINE_COLUMNS = 2  # columns of a cell of the fine level; it has as many rows as any other
ROWS_PER_BIN = 2  # 0.4 mm, 0.04 mV at 10 mm/mV; the expectation over bins goes below that
HINTS = 4  # inside a lead, distance to its start, distance to its end, printed lead name
Y_FEATURES = 10
HALF_HEIGHT_MM = 32.0

Convolution = TypeVar("Convolution", nn.Conv1d, nn.Conv2d)


@dataclass(frozen=True)
class RowOptions:
    """widths: channels at 1/4, 1/8, 1/16 and 1/32 of the strip. coordinates: False builds the ablation without them.

    fine: channels of the level whose cells are half as wide; 0 builds the network without it.
    """

    widths: tuple[int, ...] = (48, 64, 96, 160)
    head: int = 48
    coordinates: bool = True
    fine: int = 0


class RowNetwork(nn.Module):
    """pixels (N, 3, rows, columns), hints (N, HINTS, rows/4, columns/4) -> logits (N, rows/2 + 1, columns).

    The first rows/2 classes are heights, from the top; the last is "no ink of this row in this column".
    rows and columns are multiples of 32. pixels as `pipeline.waveform.network.normalise` makes them.
    """

    def __init__(self, options: RowOptions) -> None:
        super().__init__()
        w = options.widths
        self.stem = nn.Conv2d(3 * CELL * CELL, w[0], 3, padding=1)
        self.place_in = _Place(w[0], options.coordinates)
        self.encoder = nn.ModuleList([_Block(c) for c in w])
        self.down = nn.ModuleList([nn.Conv2d(a, b, 2, 2) for a, b in pairwise(w)])
        self.bottom = _Block(w[-1], dilation=2)
        self.up = nn.ModuleList([nn.Conv2d(b, a, 1) for a, b in pairwise(w)])
        self.place = nn.ModuleList([_Place(c, options.coordinates) for c in w[:-1]])
        self.decoder = nn.ModuleList([_Block(c) for c in w[:-1]])
        self.head = nn.Conv2d(w[0], options.head, 3, padding=1)
        self.place_out = _Place(options.head, options.coordinates)
        self.heights = nn.Conv2d(options.head, (CELL // ROWS_PER_BIN) * CELL, 1)
        self.null_in = nn.Conv1d(2 * options.head, options.head, 5, padding=2)
        self.null_out = nn.Conv1d(options.head, CELL, 3, padding=1)
        self.fine = _FineLevel(options) if options.fine else None

    def forward(self, pixels: Tensor, hints: Tensor) -> Tensor:
        x = F.relu(self.place_in(self.stem(F.pixel_unshuffle(pixels, CELL)), hints))
        fine = None
        if self.fine is not None:
            fine = self.fine.encode(pixels, hints)
            x = x + self.fine.narrow(fine)
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
        logits = self._distribution(x)
        return logits if self.fine is None or fine is None else logits + self.fine.decode(fine, x, hints)

    def _distribution(self, x: Tensor) -> Tensor:
        null = self.null_out(F.relu(self.null_in(_over_rows(x))))
        return _unfolded(self.heights(x), null, CELL)


class _FineLevel(nn.Module):
    """The level of narrow cells: what it sees goes into the trunk, and what it makes of the trunk onto the logits.

    All that it gives away begins at zero, so that a network which was trained without it goes on from where it was.
    """

    def __init__(self, options: RowOptions) -> None:
        super().__init__()
        channels = options.fine
        self.stem = nn.Conv2d(3 * CELL * FINE_COLUMNS, channels, 3, padding=1)
        self.place_in = _Place(channels, options.coordinates)
        self.encoder = _Block(channels)
        step = (1, CELL // FINE_COLUMNS)
        self.narrow = _silent(nn.Conv2d(channels, options.widths[0], step, step))
        self.widen = nn.Conv2d(options.head, channels, 1)
        self.place_out = _Place(channels, options.coordinates)
        self.decoder = _Block(channels)
        self.heights = _silent(nn.Conv2d(channels, (CELL // ROWS_PER_BIN) * FINE_COLUMNS, 3, padding=1))
        self.null_in = nn.Conv1d(2 * channels, channels, 5, padding=2)
        self.null_out = _silent(nn.Conv1d(channels, FINE_COLUMNS, 3, padding=1))

    def encode(self, pixels: Tensor, hints: Tensor) -> Tensor:
        """float32 (N, fine, rows/4, columns/2) of pixels and hints as the network takes them."""
        n, _, rows, columns = pixels.shape
        cells = pixels.reshape(n, 3, rows // CELL, CELL, columns // FINE_COLUMNS, FINE_COLUMNS)
        cells = cells.permute(0, 1, 3, 5, 2, 4).reshape(n, -1, rows // CELL, columns // FINE_COLUMNS)
        return cast(Tensor, self.encoder(F.relu(self.place_in(self.stem(cells), _narrowed(hints)))))

    def decode(self, fine: Tensor, trunk: Tensor, hints: Tensor) -> Tensor:
        """What to add to the network's logits. trunk: float32 (N, head, rows/4, columns/4), the input of its heads."""
        x = _narrowed(self.widen(trunk)) + fine
        x = self.decoder(self.place_out(x, _narrowed(hints)))
        null = self.null_out(F.relu(self.null_in(_over_rows(x))))
        return _unfolded(self.heights(x), null, FINE_COLUMNS)


def _narrowed(x: Tensor) -> Tensor:
    """Of cells as the trunk has them, the same in cells of FINE_COLUMNS."""
    return x.repeat_interleave(CELL // FINE_COLUMNS, dim=3)


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


def _silent(layer: Convolution) -> Convolution:
    """The same layer, giving nothing until it is trained."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


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
