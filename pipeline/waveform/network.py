"""The trained reader of rows: strips in, the network's distribution over heights out, decoded column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from pipeline.networks import Network, Opened
from pipeline.networks.row import CELL, HINTS
from pipeline.recording import Float32
from pipeline.waveform.decode import decode
from pipeline.waveform.read import Row
from pipeline.waveform.strip import COLUMNS_PER_MM, ROWS_PER_MM, RowStrip
from pipeline.waveform.strip_reading import Reading

MULTIPLE = 32  # the network halves a quarter-size strip three times
NEAR_MM = 8.0  # hints tell distances to a lead's ends up to here
NAME_RADIUS_MM = 2.5  # printed lead names are 2.5 to 4 mm high
FAR_MM = 11 * NAME_RADIUS_MM  # beyond it a name's hint is 0 in single precision
FAINTEST = 0.15  # ink less than this darker than its paper is not stretched further: it would be noise
FULL_RANGE = 1.5


def normalise(pixels: Float32, on_page: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Float32:
    """float32 (rows, columns, 3) RGB 0..1 -> (3, rows, columns): paper 0, the strip's darkest ink about -1.

    Faded and dark pages look alike afterwards; what lies beyond the page becomes paper.
    """
    seen = pixels[::4, ::4][on_page[::4, ::4]]
    if len(seen) == 0:
        return np.zeros((3, *pixels.shape[:2]), np.float32)
    paper = np.median(seen, axis=0)
    depth = max(float(np.quantile((paper - seen).mean(axis=1), 0.995)), FAINTEST)
    scaled = np.empty((3, *pixels.shape[:2]), np.float32)
    for channel, blank, out in zip(np.moveaxis(pixels, -1, 0), paper, scaled, strict=True):
        np.subtract(channel, blank, out=out)
    scaled /= np.float32(depth)
    np.clip(scaled, -FULL_RANGE, FULL_RANGE, out=scaled)
    scaled[:, ~on_page] = 0.0
    return scaled


def hints(strip: RowStrip, spans_mm: Sequence[tuple[float, float]], names_mm: Sequence[tuple[float, float]]) -> Float32:
    """float32 (HINTS, rows / 4, columns / 4): inside a lead, distance to its start and to its end, printed names.

    Without spans the first three are zero, as if nothing was known of the layout.
    """
    rows, columns = strip.pixels.shape[0] // CELL, strip.pixels.shape[1] // CELL
    out = np.zeros((HINTS, rows, columns), np.float32)
    x = strip.x0_mm + (np.arange(columns) * CELL + (CELL - 1) / 2) / COLUMNS_PER_MM
    if spans_mm:
        starts, ends = (np.array(edge)[:, None] for edge in zip(*spans_mm, strict=True))
        out[0] = 2.0 * ((x >= starts) & (x < ends)).any(axis=0) - 1.0
        for channel, edges in ((1, starts), (2, ends)):
            away = x - edges
            out[channel] = np.clip(away[np.abs(away).argmin(axis=0), np.arange(columns)] / NEAR_MM, -1.0, 1.0)
    y = strip.baseline_mm + ((np.arange(rows) * CELL + (CELL - 1) / 2) - (rows * CELL - 1) / 2) / ROWS_PER_MM
    for name_x, name_y in names_mm:
        near_x, near_y = (np.flatnonzero(np.abs(at - name) < FAR_MM) for at, name in ((x, name_x), (y, name_y)))
        away2 = (x[near_x] - name_x) ** 2 + (y[near_y, None] - name_y) ** 2
        near = np.ix_(near_y, near_x)
        out[3][near] = np.maximum(out[3][near], np.exp(-away2 / NAME_RADIUS_MM**2))
    return out


@dataclass(frozen=True, eq=False)
class NetworkReader:
    """A RowReader with weights. sigma_scale: the factor from the manifest that makes sigma cover 68 %."""

    look: Network
    sigma_scale: float = 1.0

    @classmethod
    def of(cls, opened: Opened) -> NetworkReader:
        """With the weights that ship."""
        return cls(opened.look, opened.weights.sigma_scale)

    def read(self, rows: Sequence[Row]) -> list[Reading]:
        readings: dict[int, Reading] = {}
        order = sorted(range(len(rows)), key=lambda i: rows[i].strip.pixels.shape[:2])
        for _, batch in groupby(order, key=lambda i: rows[i].strip.pixels.shape[:2]):
            indices = list(batch)
            for i, distribution in zip(indices, self._distributions([rows[i] for i in indices]), strict=True):
                readings[i] = decode(distribution, rows[i].strip, rows[i].spans_mm, self.sigma_scale)
        return [readings[i] for i in range(len(rows))]

    def _distributions(self, rows: Sequence[Row]) -> list[Float32]:
        """float32 (rows / 2 + 1, columns) per strip: log-probability of each height, the last row of no ink."""
        columns = rows[0].strip.pixels.shape[1]
        extra = -columns % MULTIPLE
        pixels = np.stack([normalise(row.strip.pixels, row.strip.on_page) for row in rows])
        pixels = np.pad(pixels, ((0, 0), (0, 0), (0, 0), (0, extra)))
        told = np.stack([hints(_widened(row.strip, extra), row.spans_mm, row.names_mm) for row in rows])
        (logits,) = self.look(torch.from_numpy(pixels), torch.from_numpy(told))
        log_p = torch.log_softmax(logits.float(), dim=1)[:, :, :columns]
        return list(np.asarray(log_p.numpy(), np.float32))


def _widened(strip: RowStrip, columns: int) -> RowStrip:
    blank = ((0, 0), (0, columns))
    return RowStrip(
        np.pad(strip.pixels, (*blank, (0, 0))), np.pad(strip.on_page, blank), strip.x0_mm, strip.baseline_mm
    )
