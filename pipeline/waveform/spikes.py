"""Narrow upright strokes that a trace makes and the reader passed over: the spikes of a pacemaker, above all.

A spike is one or two columns of ink with no way back, which a reader that follows a line takes for a tick. It is told
from ticks, letters and dots by standing on the trace, in several rows at the same time, several times on a page. What
is left of a dark ruling that a fax broke up does so too, but only where the ruling has its heavy lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.geometry import Float64
from pipeline.recording import Float32, UInt8
from pipeline.waveform.strip import COLUMNS_PER_MM, MAP_STEP_MM, ROWS_PER_MM, RowStrip
from pipeline.waveform.strip_reading import Reading

# On 33 pages of others as the reader read them: 16 and 5 moments on the two that are paced, at most 1 on the others.
TALL_MM = 2.5  # beyond what was read within NEAR_MM
LOW = 0.15  # of the height of what was read there: a peak is read at 0.88 of its height or better
OTHER_MM = 1.0  # from another row's reading: the ink is that row's
NEAR_MM = 0.5  # a steep stroke that was read leans by less
WIDE_MM = 0.75  # a pen at its widest, and a column to either side
INK = 0.4  # of the pen's darkness
TOGETHER_MM = 0.6  # by which the strokes of one moment lie apart in different rows
MOMENTS = 3  # of strokes in two rows and more; a border between leads that is read wrongly is one
BORDER_MM = 2.0  # of a lead's ends: separators stand there
NAME_MM = (5.0, 16.0)  # of a printed name's centre, across and down: its letters may stand on the trace


@dataclass(frozen=True)
class Stroke:
    """row: of those given; x_mm: of the paper; height_mm: beyond what was read, upwards positive."""

    row: int
    x_mm: float
    height_mm: float


@dataclass(frozen=True, eq=False)
class ReadRow:
    """A row as it was cut and read; spans_mm: (start, end) of its leads; names_mm: paper (x, y) of printed names."""

    strip: RowStrip
    reading: Reading
    spans_mm: Sequence[tuple[float, float]]
    names_mm: Sequence[tuple[float, float]] = ()


def missed_spikes(rows: Sequence[ReadRow]) -> tuple[Stroke, ...]:
    """The strokes that stand in two rows and more at one moment, from the left; none where such moments are few."""
    strokes = [s for number, row in enumerate(rows) for s in _strokes(number, row, rows)]
    told = [s for s in strokes if any(_together(s, other) for other in strokes)]
    told.sort(key=lambda s: s.x_mm)
    moments = 1 + int((np.diff([s.x_mm for s in told]) > TOGETHER_MM).sum()) if told else 0
    return tuple(told) if moments >= MOMENTS else ()


def _together(one: Stroke, other: Stroke) -> bool:
    return one.row != other.row and abs(one.x_mm - other.x_mm) <= TOGETHER_MM


def _strokes(number: int, row: ReadRow, rows: Sequence[ReadRow]) -> list[Stroke]:
    """Where the ink that holds the trace reaches far beyond it, in few columns, and is of no other row's trace."""
    looked_at = _looked_at(row)
    rise = row.reading.rise_mm.astype(np.float64)
    reach = round(NEAR_MM * COLUMNS_PER_MM)
    beside = np.lib.stride_tricks.sliding_window_view(np.pad(rise, reach, mode="edge"), 2 * reach + 1)
    ink = _ink(row.strip.pixels)
    ruled = _ruled(ink, row.strip.x_mm)
    up, down = _reach_mm(ink, rise)
    high, low = beside.max(axis=1), beside.min(axis=1)
    others = [_seen_from(row.strip, other) for other in rows if other is not row]
    found: list[Stroke] = []
    for sign, beyond, height in ((1, up - high, high), (-1, low - down, low)):
        least = np.maximum(TALL_MM, LOW * np.abs(height))
        edges = np.flatnonzero(np.diff(np.pad((looked_at & (beyond > least)).astype(np.int8), 1)))
        for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            reached = np.sort(np.stack([height + 2 * sign * OTHER_MM, height + sign * beyond])[:, first:stop], axis=0)
            met = any(_meets(other[:, first:stop], reached) for other in others)
            if stop - first <= WIDE_MM * COLUMNS_PER_MM and not met and not ruled[first:stop].any():
                x_mm = float(row.strip.x_mm[first:stop].mean())
                found.append(Stroke(number, x_mm, sign * float(beyond[first:stop].max())))
    return found


def _seen_from(strip: RowStrip, other: ReadRow) -> Float64:
    """float64 (2, columns): the lowest and highest that another row is read within NEAR_MM, mm above this baseline."""
    columns = np.rint((strip.x_mm - other.strip.x0_mm) * COLUMNS_PER_MM).astype(int)
    there = (columns >= 0) & (columns < len(other.reading.rise_mm))
    columns = np.clip(columns, 0, len(other.reading.rise_mm) - 1)
    there &= other.reading.present[columns] >= 0.5
    rise = strip.baseline_mm - other.strip.baseline_mm + other.reading.rise_mm[columns].astype(np.float64)
    reach = round(NEAR_MM * COLUMNS_PER_MM)
    ends = []
    for of, none in ((np.min, np.inf), (np.max, -np.inf)):
        padded = np.pad(np.where(there, rise, none), reach, mode="edge")
        ends.append(of(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1))
    return np.stack(ends)


def _meets(other: Float64, reached: Float64) -> bool:
    """Whether another row's reading lies where a stroke does, away from its foot: float64 (2, n) each, low and high."""
    return bool(((other[0] <= reached[1] + OTHER_MM) & (other[1] >= reached[0] - OTHER_MM)).any())


def _looked_at(row: ReadRow) -> npt.NDArray[np.bool_]:
    """The columns inside leads in which neither a separator nor a letter may stand."""
    x_mm = row.strip.x_mm
    inside = np.zeros(len(x_mm), np.bool_)
    for start, end in row.spans_mm:
        inside |= (x_mm > start + BORDER_MM) & (x_mm < end - BORDER_MM)
    for name_x, name_y in row.names_mm:
        if abs(name_y - row.strip.baseline_mm) < NAME_MM[1]:
            inside &= np.abs(x_mm - name_x) >= NAME_MM[0]
    return np.asarray(inside & (row.reading.present >= 0.5), np.bool_)


def _ink(pixels: Float32) -> UInt8:
    """uint8 (rows, columns) 0/1: dark in every colour, and neither a line down the strip nor one along most of it."""
    dark = 1.0 - pixels.max(axis=2)  # coloured rulings are bright in one channel
    dark = dark - np.median(dark)
    dark /= max(float(np.quantile(dark[::2, ::2], 0.993)), 0.1)
    dark = dark - np.maximum(np.median(dark, axis=0), 0.0)
    dark = dark - np.maximum(np.quantile(dark, 0.25, axis=1), 0.0)[:, None]  # a level trace is no line
    closed = cv2.morphologyEx((dark > INK).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 1), np.uint8))
    return np.asarray(closed, np.uint8)


def _ruled(ink: UInt8, x_mm: Float64) -> npt.NDArray[np.bool_]:
    """The columns of a ruling's heavy lines, where those left ink: twice as much as there is half-way between them."""
    off_mm = np.abs((x_mm + MAP_STEP_MM) % (2 * MAP_STEP_MM) - MAP_STEP_MM)  # 0 on a line, MAP_STEP_MM between two
    near, between = off_mm <= NEAR_MM / 2, off_mm >= MAP_STEP_MM - NEAR_MM / 2
    shows = ink[:, near].sum() * between.sum() > 2 * ink[:, between].sum() * near.sum()
    return np.asarray(near & shows, np.bool_)


def _reach_mm(ink: UInt8, rise_mm: Float64) -> tuple[Float64, Float64]:
    """How high and how low the ink goes on without a break from the trace, float64 (columns,) mm above the baseline."""
    height, width = ink.shape
    columns, top_mm = np.arange(width), (height - 1) / 2 / ROWS_PER_MM
    at = np.clip(np.rint((top_mm - rise_mm) * ROWS_PER_MM).astype(int), 0, height - 1)
    ends = []
    for step in (-1, 1):
        here, going = at.copy(), np.ones(width, np.bool_)
        while going.any():
            ahead = here + step
            going &= (ahead >= 0) & (ahead < height)
            going &= ink[np.clip(ahead, 0, height - 1), columns] > 0
            here = np.where(going, ahead, here)
        ends.append(top_mm - here / ROWS_PER_MM)
    return ends[0], ends[1]
