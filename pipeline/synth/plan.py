"""Where on the paper everything of a page goes, in millimetres, before any ink flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.geometry import Segment
from pipeline.recording import TWELVE, Float32, Lead
from pipeline.synth.layouts import LAYOUTS
from pipeline.synth.spec import Join, PageSpec, Place

CHEST = frozenset(TWELVE[6:])


@dataclass(frozen=True, eq=False)
class Trace:
    """One segment with what is printed on it. millivolts: float32 (n,) at the page's rate; gain_mm_mv: this lead's."""

    segment: Segment
    millivolts: Float32
    gain_mm_mv: float


@dataclass(frozen=True)
class Pulse:
    """A calibration pulse of 1 mV: corners in mm, height by the row's gain."""

    x0_mm: float
    x1_mm: float
    baseline_mm: float
    height_mm: float


@dataclass(frozen=True)
class Plan:
    """traces by row, left to right; pulses; boundaries (x, baseline) between neighbouring leads, ends included."""

    traces: tuple[Trace, ...]
    pulses: tuple[Pulse, ...]
    boundaries_mm: tuple[tuple[float, float], ...]


def plan_page(signals_mv: Float32, rate_hz: int, spec: PageSpec, rng: np.random.Generator) -> Plan:
    """Place the leads of float32 (12, n) on the page. Paper millimetres: 0, 0 is the first crossing of 5 mm lines."""
    p, layout = spec.print, LAYOUTS[spec.print.layout]
    x0 = p.left_mm - spec.paper.origin_mm[0]
    top = p.top_mm - spec.paper.origin_mm[1]
    pulse_mm = p.pulse_s * p.speed_mm_s
    pulse_zone = pulse_mm + p.pulse_gap_mm + 2 * p.pulse_feet_mm if p.pulse is not Place.NONE else 0.0
    start = x0 + (pulse_zone if p.pulse in (Place.LEFT, Place.FIRST_ROW) else 0.0)
    width = spec.paper.width_mm - p.left_mm - p.right_mm - pulse_zone - p.gap_mm * (layout.columns - 1)
    seconds = min(width / p.speed_mm_s, p.max_seconds, signals_mv.shape[1] / rate_hz)
    # whole samples per column: a strip's truth must not end between two samples
    per_column = int(seconds * rate_hz) // layout.columns
    column_mm = per_column / rate_hz * p.speed_mm_s
    traces: list[Trace] = []
    pulses: list[Pulse] = []
    boundaries: list[tuple[float, float]] = []
    rows: list[tuple[Lead, ...]] = [*layout.rows, *((lead,) for lead in p.rhythms[: layout.rhythms])]
    for row, leads in enumerate(rows):
        baseline = top + row * p.row_mm + float(rng.normal(0, p.jitter_mm))
        rhythm = row >= len(layout.rows)
        length = per_column * layout.columns if rhythm else per_column
        for column, lead in enumerate(leads):
            left = start + column * (column_mm + p.gap_mm)
            at = 0 if p.simultaneous else column * per_column
            right = left + length / rate_hz * p.speed_mm_s
            segment = Segment(lead, row, left, right, baseline, (left - start) / p.speed_mm_s, rhythm)
            gain = (p.chest_gain_mm_mv or p.gain_mm_mv) if lead in CHEST else p.gain_mm_mv
            printed = signals_mv[TWELVE.index(lead), at : at + length]
            traces.append(Trace(segment, _by_machine(printed, lead, rate_hz, spec, rng), gain))
            if column or p.separators_at_ends:
                boundaries.append((left - p.gap_mm / 2, baseline))
        if p.separators_at_ends:
            boundaries.append((traces[-1].segment.end_mm + p.gap_mm / 2, baseline))
        if p.pulse in (Place.LEFT, Place.RIGHT) or (p.pulse is Place.FIRST_ROW and row == 0):
            end = traces[-1].segment.end_mm
            px = end + p.pulse_gap_mm + p.pulse_feet_mm if p.pulse is Place.RIGHT else x0 + p.pulse_feet_mm
            first = traces[-len(leads)].gain_mm_mv
            pulses.append(Pulse(px, px + pulse_mm, baseline, first))
    return Plan(tuple(traces), tuple(pulses), tuple(boundaries))


def _by_machine(signal_mv: Float32, lead: Lead, rate_hz: int, spec: PageSpec, rng: np.random.Generator) -> Float32:
    """The lead as the machine draws it: off its baseline, still settling, or upside down."""
    p = spec.print
    drawn = -signal_mv if p.negative_avr and lead is Lead.AVR else signal_mv
    off_mv, start_mv = rng.normal(0, p.offset_mv), rng.normal(0, p.settle_mv)
    settling = start_mv * np.exp(-np.arange(len(drawn)) / rate_hz / rng.uniform(0.03, 0.3))
    return np.ascontiguousarray(drawn + off_mv + settling, np.float32)


def as_printed(signals_mv: Float32, rate_hz: int, printed_hz: int) -> Float32:
    """What a machine of a lower rate prints: the polyline through its samples, read at rate_hz. float32 (12, n)."""
    if printed_hz >= rate_hz:
        return np.asarray(signals_mv, np.float32)
    n = signals_mv.shape[1]
    kept = np.arange(0, n, rate_hz / printed_hz)
    at = np.arange(n)
    # averaged over the coarser sample, as an anti-alias filter would
    width = max(1, round(rate_hz / printed_hz / 2))
    padded = np.pad(signals_mv, ((0, 0), (width, width)), "edge")
    total = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    span = 2 * width + 1
    smooth = (total[:, span:] - total[:, :-span]) / span
    return np.stack([np.interp(at, kept, lead[kept.astype(int)]) for lead in smooth]).astype(np.float32)


def connects(spec: PageSpec) -> bool:
    """Whether the pen stays down from one lead to the next."""
    return spec.print.join is Join.CONNECTED and spec.print.gap_mm == 0
