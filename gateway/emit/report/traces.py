"""The ECG paper of the report and the leads on it, 25 mm/s and 10 mm/mV on the sheet itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gateway.emit.channels import Doubt
from gateway.emit.report.lead_rows import Piece, Rows
from gateway.emit.report.lettering import MM, width_mm
from gateway.emit.report.sheet import BAND, BRIDGED, INK, MAJOR, MINOR, PAPER, QUIET, UNSURE, Point, Sheet
from pipeline.fonts import BOLD
from pipeline.recording import Float64, Seen

SPEED_MM_S, GAIN_MM_MV = 25.0, 10.0

LEFT, TOP, WIDTH, HEIGHT = 8.5, 40.0, 280.0, 125.0  # mm of the sheet: 56 by 25 squares of 5 mm
BEGIN = LEFT + 10.0  # where second 0 is: two squares are left for the calibration pulse
SECONDS_MAX = (LEFT + WIDTH - BEGIN) / SPEED_MM_S
PULSE_MM = (2.0, 1.0, 5.0, 1.0)  # from the edge of the paper: before, foot, 1 mV for 0.2 s, foot
ROW_REACH_MM = (5.0, 30.0)  # what a row asks for above and below its level, at least and at most

TRACE_MM, PULSE_LINE_MM = 0.22, 0.25
DASHES_MM = (0.7, 0.5)
STRIDE = 5  # samples: at least every fifth is drawn, and all between where the line bends
BEND_MM = 0.003  # from the chord of a sample's neighbours; with that stride the line is right to 0.01 mm
BAND_SAMPLES = 4  # samples of the ribbon in one step: 0.2 mm at 500 Hz, its widest of them
NAME_PT = 7.5
NAME_CLEAR_MM = 0.5  # between a name and a trace
NAMES_ABOVE_MM = (
    6.5,
    7.5,
    5.5,
    8.5,
    4.5,
    9.5,
    3.5,
    10.5,
    11.5,
    12.5,
    13.5,
    14.5,
    15.5,
)  # of its row's level, the usual first
NAMES_AFTER_MM = (0.0, 1.5, 3.0, 4.5, 6.0, 7.5, 9.0, 10.5, 12.0)  # to the right of where names usually begin
SIGMAS = 2.0  # 95 of 100 samples lie within, if the errors are normal


@dataclass(frozen=True)
class Drawn:
    """What the paper could not hold: seconds beyond its right end, leads that reach over its upper or lower edge."""

    cut_after_s: float | None
    over_the_edge: tuple[str, ...]


def draw(sheet: Sheet, rows: Rows) -> Drawn:
    """Paper, calibration pulses and every lead."""
    _paper(sheet)
    levels = _levels(rows.rows)
    over: list[str] = []
    with sheet.within(LEFT, TOP, WIDTH, HEIGHT):
        for level, row in zip(levels, rows.rows, strict=True):
            _pulse(sheet, level)
            for piece in row:
                _border(sheet, piece, level)
                _ribbon(sheet, piece, level)
        for level, row in zip(levels, rows.rows, strict=True):
            for piece in row:
                y = _trace(sheet, piece, level)
                if (y < TOP).any() or (y > TOP + HEIGHT).any():
                    over.append(piece.label)
        drawn = np.hstack([_steps(piece, level) for level, row in zip(levels, rows.rows, strict=True) for piece in row])
        for number, (level, row) in enumerate(zip(levels, rows.rows, strict=True)):
            room = (level - levels[number - 1]) / 2 if number else level - TOP
            for piece in row:  # above the traces: a mark of doubt is never hidden, and a name is where no beat is
                _name(sheet, piece, level, room, drawn)
    last_s = max((piece.end_s for row in rows.rows for piece in row), default=0.0)
    return Drawn(SECONDS_MAX if last_s > SECONDS_MAX else None, tuple(over))


def _paper(sheet: Sheet) -> None:
    sheet.box(LEFT, TOP, WIDTH, HEIGHT, PAPER)
    right, bottom = LEFT + WIDTH, TOP + HEIGHT
    for pitch, colour, width in ((1, MINOR, 0.08), (5, MAJOR, 0.16)):
        upright = [[(LEFT + x, TOP), (LEFT + x, bottom)] for x in range(0, round(WIDTH) + 1, pitch)]
        horizontal = [[(LEFT, TOP + y), (right, TOP + y)] for y in range(0, round(HEIGHT) + 1, pitch)]
        sheet.lines([*upright, *horizontal], colour, width)


def _levels(rows: Sequence[Sequence[Piece]]) -> list[float]:
    """Where 0 mV of each row lies: on a line of the grid. The first and the last row keep off the edges of the paper,

    and what is between them is shared out as the rows ask for it.
    """
    usual, whole = [_reach_mm(row, 0.002) for row in rows], [_reach_mm(row, 0.0) for row in (rows[0], rows[-1])]
    first, last = TOP + 1.0 + whole[0][0], TOP + HEIGHT - 1.0 - whole[1][1]
    wanted = np.array([0.0] + [above[1] + below[0] for above, below in pairwise(usual)])
    if len(rows) > 1:
        wanted *= (last - first) / wanted.sum()
    return [TOP + round(level - TOP) for level in (first + np.cumsum(wanted)).tolist()]


def _reach_mm(row: Sequence[Piece], spikes: float) -> tuple[float, float]:
    """How far a row goes above and below 0 mV, but for that part of its samples on either side."""
    finite_mv = np.concatenate([piece.millivolts[np.isfinite(piece.millivolts)] for piece in row])
    low, high = np.quantile(finite_mv, [spikes, 1.0 - spikes]) * GAIN_MM_MV if len(finite_mv) else (0.0, 0.0)
    return float(np.clip(max(high, GAIN_MM_MV), *ROW_REACH_MM)), float(np.clip(-low, *ROW_REACH_MM))


def _pulse(sheet: Sheet, level: float) -> None:
    before, foot, wide, _ = PULSE_MM
    left = LEFT + before
    up, down, top = left + foot, left + foot + wide, level - GAIN_MM_MV
    points = [(left, level), (up, level), (up, top), (down, top), (down, level), (down + foot, level)]
    sheet.lines([points], INK, PULSE_LINE_MM)


def _ribbon(sheet: Sheet, piece: Piece, level: float) -> None:
    x, y = _places(piece, level)
    spread = SIGMAS * GAIN_MM_MV * piece.sigma_mv.astype(np.float64)
    polygons: list[list[Point]] = []
    for first, stop in _stretches(np.isfinite(y) & np.isfinite(spread)):
        starts = np.arange(first, stop, BAND_SAMPLES)
        upper = np.minimum.reduceat(y[:stop] - spread[:stop], starts)
        lower = np.maximum.reduceat(y[:stop] + spread[:stop], starts)
        at = np.append(x[starts], x[stop - 1])
        over, under = np.append(upper, upper[-1]), np.append(lower, lower[-1])
        polygons.append([*_points(at, over), *reversed(_points(at, under))])
    sheet.areas(polygons, BAND, 0.3)


def _trace(sheet: Sheet, piece: Piece, level: float) -> Float64:
    """Solid where it was read, dashed where it was bridged, nothing where nothing is known. Returns every y."""
    x, y = _places(piece, level)
    finite, bridged = np.isfinite(y), piece.seen == Seen.BRIDGED
    colour = QUIET if piece.doubt is Doubt.NOT_VALID else INK
    dashed = finite & bridged
    dashed[1:] |= dashed[:-1] & finite[1:]  # one sample to either side, so that the dashes touch the line
    dashed[:-1] |= (finite & bridged)[1:] & finite[:-1]
    solid = [_thinned(x[a:b], y[a:b]) for a, b in _stretches(finite & ~bridged)]
    sheet.lines(solid, colour, TRACE_MM)
    if bridged.any():
        sheet.lines([_points(x[a:b], y[a:b]) for a, b in _stretches(dashed)], BRIDGED, TRACE_MM, DASHES_MM)
    return y[finite & (x <= LEFT + WIDTH)]


def _border(sheet: Sheet, piece: Piece, level: float) -> None:
    x = BEGIN + piece.start_s * SPEED_MM_S
    if piece.start_s > 0:
        sheet.lines([[(x, level - 3.0), (x, level - 1.0)], [(x, level + 1.0), (x, level + 3.0)]], INK, 0.15)


def _name(sheet: Sheet, piece: Piece, level: float, room: float, drawn: Float64) -> None:
    """Where the least of any trace lies under it, as near as can be to where names usually stand.

    room: millimetres above the level that are this row's. drawn: of the whole sheet, as from ``_steps``.
    """
    doubt = f" {piece.doubt}" if piece.doubt else ""
    text, x = piece.label + doubt, BEGIN + piece.start_s * SPEED_MM_S + 1.0
    wide, tall = width_mm(text, NAME_PT, BOLD), NAME_PT / MM
    near = drawn[:, (drawn[0] > x - NAME_CLEAR_MM) & (drawn[0] < x + NAMES_AFTER_MM[-1] + wide + NAME_CLEAR_MM)]

    def hidden(place: Point) -> float:
        left, base = place[0] - NAME_CLEAR_MM, place[1] + NAME_CLEAR_MM
        across = (near[0] > left) & (near[0] < place[0] + wide + NAME_CLEAR_MM)
        return float(near[2, across & (near[1] > place[1] - tall - NAME_CLEAR_MM) & (near[1] < base)].sum())

    heights = [max(level - above, TOP + 3.0) for above in NAMES_ABOVE_MM if above <= max(room, NAMES_ABOVE_MM[0])]
    end = BEGIN + piece.end_s * SPEED_MM_S
    lefts = [x + after for after in NAMES_AFTER_MM if not after or x + after + wide < end]
    left, y = min(((left, y) for left in lefts for y in heights), key=hidden)
    sheet.label(left, y, text, NAME_PT, UNSURE if doubt else INK)


def _steps(piece: Piece, level: float) -> Float64:
    """float64 (3, n): x and y of each known sample, and how far the line goes from it to the next, millimetres."""
    x, y = _places(piece, level)
    steps = np.hypot(np.diff(x, append=x[-1:]), np.nan_to_num(np.diff(y, append=y[-1:])))
    return np.stack((x, y, steps))[:, np.isfinite(y)]


def _places(piece: Piece, level: float) -> tuple[Float64, Float64]:
    """float64 (n,) each: millimetres of the sheet, NaN where nothing is known."""
    x = BEGIN + (piece.start_s + np.arange(len(piece.millivolts)) / piece.rate_hz) * SPEED_MM_S
    return x, level - GAIN_MM_MV * piece.millivolts.astype(np.float64)


def _thinned(x: Float64, y: Float64) -> list[Point]:
    """Without the samples that lie on the line between their neighbours: half of an ECG, and of the file."""
    keep = np.zeros(len(y), np.bool_)
    keep[::STRIDE] = keep[-1:] = True
    keep[1:-1] |= np.abs(y[1:-1] - (y[:-2] + y[2:]) / 2) > BEND_MM
    return _points(x[keep], y[keep])


def _points(x: Float64, y: Float64) -> list[Point]:
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _stretches(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
