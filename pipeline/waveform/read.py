"""From the segments of a page to its strips: every row is cut once, read, and turned from millimetres to millivolts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.interpolate import Akima1DInterpolator

from pipeline.geometry import PaperMap, Segment, Spike
from pipeline.recording import Float32, Seen, Strip, UInt8
from pipeline.waveform.classical import trace_classically
from pipeline.waveform.clock import Believed, Clock, RowInk, are_gapless, page_clock
from pipeline.waveform.ends import GROWS, Ended, hold_ends
from pipeline.waveform.spikes import ReadRow, missed_spikes
from pipeline.waveform.strip import (
    COLUMNS_PER_MM,
    HALF_HEIGHT_MM,
    ROWS_PER_MM,
    TALL_HALF_HEIGHT_MM,
    RowStrip,
    cut_strip,
)
from pipeline.waveform.strip_reading import Reading

Int64 = npt.NDArray[np.int64]

APART_MM = 1.5 / COLUMNS_PER_MM  # of two readings of a row: other columns in other cells of the network
MARGIN_MM = 8.0  # beyond the row's ends: lets the reader see where the ink begins, and the pulse before it
LONGEST_BRIDGE_S = 0.08  # narrower than any QRS complex: a longer gap could hide one
EDGE_MM = 3.0  # a trace that may come this close to the edge of the strip may have left it
LASTING_MM = 3.0  # of ink, four fifths of it whole: a speck is no start
SURE = 0.9
PRESENT = 0.5  # ink of this row is likelier than none


@dataclass(frozen=True, eq=False)
class Row:
    """A strip and what earlier stages know about it.

    spans_mm: (start, end) paper x of every lead printed in the row. names_mm: paper (x, y) of printed lead names.
    """

    strip: RowStrip
    spans_mm: tuple[tuple[float, float], ...]
    names_mm: tuple[tuple[float, float], ...] = ()


class RowReader(Protocol):
    """Finds the trace in rows; the network of stage 2 is one."""

    def read(self, rows: Sequence[Row]) -> list[Reading]:
        """One Reading per row, one value per column of its strip."""
        ...


class ClassicalReader:
    """A RowReader without weights."""

    def read(self, rows: Sequence[Row]) -> list[Reading]:
        return [trace_classically(row.strip) for row in rows]


@dataclass(frozen=True, eq=False)
class Traced:
    """strips: one per segment, in the order given. segments: where and when they were found to be printed.

    clock: what moved them there. speed_mm_s: of the paper as it is measured. spikes: narrow strokes of the traces that
    are not in the strips. read_again: reads the same rows a column and a half farther on, one Strip per segment; costs
    as much again.
    """

    strips: list[Strip]
    segments: tuple[Segment, ...]
    clock: Clock
    speed_mm_s: float
    spikes: tuple[Spike, ...]
    read_again: Callable[[], list[Strip]]

    def twice(self) -> Traced:
        """The mean of this reading and another, which it takes the time to make."""
        return replace(self, strips=list(map(mean_strip, self.strips, self.read_again())))


def read_traces(
    image: UInt8,
    paper: PaperMap,
    segments: Sequence[Segment],
    speed_mm_s: float,
    gain_mm_mv: Callable[[Segment], float],
    rate_hz: int,
    network: RowReader | None,
    names_mm: Sequence[tuple[float, float]] = (),
    believed: Believed | None = None,
) -> Traced:
    """One Strip per segment, in the order given, sampled at rate_hz from start_s on.

    image: uint8 (H, W, 3) RGB, the original pixels (it is resampled here, once). network None reads classically.
    names_mm: paper (x, y) of the centres of recognised lead names, so that their letters are not read as signal.
    believed: what is known of where the segments begin and end before their ink is read; None leaves them in place.
    A sample at page time t lies at start_mm + (t - start_s) * speed_mm_s, of Traced's segments and its speed.
    """
    reader = network if network is not None else ClassicalReader()
    rows = [list(of_row) for _, of_row in groupby(sorted(segments, key=_row_key), key=_row_key)]
    sheet = _Sheet(image, paper, rows, tuple(names_mm))
    read = sheet.read(reader)
    cut, readings = [row for row, _ in read], [reading for _, reading in read]
    clock = Clock()
    if believed is not None:
        gapless = are_gapless(row.spans_mm for row in cut)
        clock = page_clock(list(map(ink_of, cut, readings)), speed_mm_s, believed, gapless)
    moved_rows = [[clock.moved(segment) for segment in of_row] for of_row in rows]
    speed_mm_s = clock.speed_mm_s(speed_mm_s)
    sampled = partial(_strip, speed_mm_s=speed_mm_s, rate_hz=rate_hz)

    def strips_of(read: Sequence[tuple[Row, Reading]]) -> list[Strip]:
        strips = _strips(rows, moved_rows, read, gain_mm_mv, sampled)
        return [strips[id(segment)] for segment in segments]

    spikes = _spikes(moved_rows, cut, readings, speed_mm_s)
    moved = tuple(map(clock.moved, segments))
    return Traced(strips_of(read), moved, clock, speed_mm_s, spikes, lambda: strips_of(sheet.read(reader, APART_MM)))


@dataclass(frozen=True, eq=False)
class _Sheet:
    """A page to be read: uint8 (H, W, 3) RGB, its segments by row, and where lead names are printed."""

    image: UInt8
    paper: PaperMap
    rows: list[list[Segment]]
    names_mm: tuple[tuple[float, float], ...]

    def read(self, reader: RowReader, later_mm: float = 0.0) -> list[tuple[Row, Reading]]:
        """Every row as cut and read, later_mm farther right; taller, where its trace leaves the ordinary strip."""
        rows = [self._cut(of_row, later_mm) for of_row in self.rows]
        readings = reader.read(rows)
        tall = [i for i, reading in enumerate(readings) if reading.edge_mm < EDGE_MM]
        if tall:
            again = [self._cut(self.rows[i], later_mm, TALL_HALF_HEIGHT_MM) for i in tall]
            for i, row, reading in zip(tall, again, reader.read(again), strict=True):
                if _highest_mm(reading) > HALF_HEIGHT_MM - EDGE_MM:  # else the ordinary strip held it all
                    rows[i], readings[i] = row, reading
        return [(row, _within_picture(row.strip, reading)) for row, reading in zip(rows, readings, strict=True)]

    def _cut(self, row: Sequence[Segment], later_mm: float, half_height_mm: float = HALF_HEIGHT_MM) -> Row:
        spans = tuple((segment.start_mm, segment.end_mm) for segment in row)
        start_mm = min(s for s, _ in spans) - MARGIN_MM + later_mm
        end_mm = max(e for _, e in spans) + MARGIN_MM + later_mm
        strip = cut_strip(self.image, self.paper, start_mm, end_mm, row[0].baseline_mm, half_height_mm)
        return Row(strip, spans, self.names_mm)


def _strips(
    rows: Sequence[Sequence[Segment]],
    moved_rows: Sequence[Sequence[Segment]],
    read: Sequence[tuple[Row, Reading]],
    gain_mm_mv: Callable[[Segment], float],
    sampled: Callable[[Segment, RowStrip, Ended, float], Strip],
) -> dict[int, Strip]:
    """The strip of each segment, by the segment's id, sampled where the segment was moved to."""
    strips: dict[int, Strip] = {}
    for of_row, moved, (row, reading) in zip(rows, moved_rows, read, strict=True):
        ended = hold_ends(reading, row.strip.x0_mm, [(s.start_mm, s.end_mm) for s in moved], PRESENT)
        for segment, at in zip(of_row, moved, strict=True):
            strips[id(segment)] = sampled(at, row.strip, ended, gain_mm_mv(segment))
    return strips


def mean_strip(first: Strip, second: Strip) -> Strip:
    """The mean of two readings of the same samples, where both read them; elsewhere the first.

    Each counts by the inverse of its variance. Their difference joins the uncertainty: two readings that disagree are
    unsure however sure each of them is.
    """
    both = np.isfinite(first.millivolts) & np.isfinite(second.millivolts)
    millivolts = np.stack([first.millivolts, second.millivolts])[:, both].astype(np.float64)
    variance = np.stack([first.sigma_mv, second.sigma_mv])[:, both].astype(np.float64) ** 2
    share = (1 / variance) / (1 / variance).sum(axis=0)
    mean = (share * millivolts).sum(axis=0)
    spread = (share * (variance + (millivolts - mean) ** 2)).sum(axis=0)
    out = replace(first, millivolts=first.millivolts.copy(), sigma_mv=first.sigma_mv.copy())
    out.millivolts[both], out.sigma_mv[both] = mean, np.sqrt(spread)
    return out


def _spikes(
    rows: Sequence[Sequence[Segment]], cut: Sequence[Row], readings: Sequence[Reading], speed_mm_s: float
) -> tuple[Spike, ...]:
    """The spikes that were passed over, each in the lead in whose segment it stands."""
    spans = [[(s.start_mm, s.end_mm) for s in row] for row in rows]
    read = [ReadRow(c.strip, r, span, c.names_mm) for c, r, span in zip(cut, readings, spans, strict=True)]
    return tuple(
        Spike(s.lead, s.start_s + (stroke.x_mm - s.start_mm) / speed_mm_s, stroke.height_mm)
        for stroke in missed_spikes(read)
        for s in rows[stroke.row]
        if s.start_mm <= stroke.x_mm < s.end_mm
    )


def _within_picture(strip: RowStrip, reading: Reading) -> Reading:
    """The same without what lies beyond the picture's edge, where a reader can only guess."""
    top_mm = strip.rise_mm[0]
    at = np.clip(np.rint((top_mm - reading.rise_mm) * ROWS_PER_MM).astype(int), 0, strip.on_page.shape[0] - 1)
    there = strip.on_page[at, np.arange(len(at))]
    return replace(reading, present=np.where(there, reading.present, np.float32(0.0)))


def _highest_mm(reading: Reading) -> float:
    return float(np.abs(reading.rise_mm[reading.present >= PRESENT]).max(initial=0.0))


def ink_of(row: Row, reading: Reading) -> RowInk:
    """Where a row was laid out, and where its ink begins and ends."""
    start_mm, end_mm = min(start for start, _ in row.spans_mm), max(end for _, end in row.spans_mm)
    first, last = _ends_of_ink(reading.present)
    x0_mm = row.strip.x0_mm
    ends = x0_mm + first / COLUMNS_PER_MM, x0_mm + last / COLUMNS_PER_MM
    return RowInk(start_mm, end_mm, row.strip.baseline_mm, *ends, len(row.spans_mm))


def _ends_of_ink(present: Float32) -> tuple[float, float]:
    """The columns at which ink is expected to begin and to end that lasts; infinite where none does.

    Outside the outermost sure column each column counts for as much as it is likely to hold ink.
    """
    columns = round(LASTING_MM * COLUMNS_PER_MM)
    sure = present >= SURE
    if len(sure) < columns:
        return -math.inf, math.inf
    lasting = np.flatnonzero(sliding_window_view(sure, columns).sum(axis=1) >= 0.8 * columns)
    begins, ends = lasting[sure[lasting]], lasting[sure[lasting + columns - 1]] + columns - 1
    if not len(begins) or not len(ends):
        return -math.inf, math.inf
    first, last = int(begins[0]), int(ends[-1])
    # the ink of an outermost column begins somewhere between its centre and the one beyond
    return (
        first - float(present[max(0, first - columns) : first].sum()) - 0.5,
        last + float(present[last + 1 : last + 1 + columns].sum()) + 0.5,
    )


def _row_key(segment: Segment) -> tuple[int, float]:
    return segment.row, segment.baseline_mm


def _strip(
    segment: Segment, strip: RowStrip, ended: Ended, gain_mm_mv: float, *, speed_mm_s: float, rate_hz: int
) -> Strip:
    """Columns to samples: gaps up to LONGEST_BRIDGE_S are bridged and marked, longer ones stay NaN."""
    reading = ended.reading
    samples = round((segment.end_mm - segment.start_mm) / speed_mm_s * rate_hz)
    at_mm = segment.start_mm + np.arange(samples) / rate_hz * speed_mm_s
    column = (at_mm - strip.x0_mm) * COLUMNS_PER_MM
    first = max(0, int(np.ceil((segment.start_mm - strip.x0_mm) * COLUMNS_PER_MM - 1)))
    last = min(len(reading.rise_mm) - 1, int(np.floor((segment.end_mm - strip.x0_mm) * COLUMNS_PER_MM + 1)))
    read = np.zeros(len(reading.rise_mm), bool)
    read[first : last + 1] = reading.present[first : last + 1] >= PRESENT
    longest = LONGEST_BRIDGE_S * speed_mm_s * COLUMNS_PER_MM
    millivolts = np.full(samples, np.nan, np.float32)
    sigma_mv = np.full(samples, np.nan, np.float32)
    seen = np.full(samples, Seen.NOTHING, np.uint8)
    for run in _runs(np.flatnonzero(read), longest):
        if len(run) < 2:
            continue
        # half a column beyond the outermost: as far as that column's own ink reaches
        inside = (column >= run[0] - 0.5) & (column <= run[-1] + 0.5)
        within = np.clip(column[inside], run[0], run[-1])
        millivolts[inside] = Akima1DInterpolator(run, reading.rise_mm[run], method="makima")(within) / gain_mm_mv
        gap = np.abs(within[:, None] - run[np.clip(np.searchsorted(run, within)[:, None] - [1, 0], 0, len(run) - 1)])
        # nearer than that, the sample lies beside a column that was read
        bridged = (gap.min(axis=1) > 0.75) | ended.held[np.rint(within).astype(int)]
        # a bridge is a guess: its sigma grows with the distance to what was read
        grows_mm = GROWS / COLUMNS_PER_MM * np.where(bridged, gap.min(axis=1), 0.0)
        sigma_mm = np.interp(within, run, reading.sigma_mm[run]) + grows_mm
        sigma_mv[inside] = sigma_mm / gain_mm_mv
        seen[inside] = np.where(bridged, Seen.BRIDGED, Seen.READ)
    millivolts += np.float32((segment.baseline_mm - strip.baseline_mm) / gain_mm_mv)
    return Strip(segment.lead, segment.start_s, millivolts, sigma_mv, seen)


def _runs(columns: Int64, longest_gap: float) -> list[Int64]:
    """Splits ascending column numbers where more than longest_gap of them are missing."""
    return [run for run in np.split(columns, np.flatnonzero(np.diff(columns) - 1 > longest_gap) + 1) if len(run)]
