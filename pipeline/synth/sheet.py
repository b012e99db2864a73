"""The printed sheet, flat and new: ruling, traces, pulses, separators and words in one image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.recording import Lead, UInt8
from pipeline.synth.canvas import Frame, Ink, blank, lay_ink
from pipeline.synth.lettering import Lettering, header_lines, measurement_lines
from pipeline.synth.plan import CHEST, Plan, Trace, connects
from pipeline.synth.spec import PageSpec, Print, Separator, Spelling


@dataclass(frozen=True, eq=False)
class Sheet:
    """image: uint8 (H, W, 3); frame: where it lies on the paper; names_mm: each printed lead name and its centre.

    scales_mm: where the words that tell speed and gain begin and end; () where none are printed.
    """

    image: UInt8
    frame: Frame
    names_mm: tuple[tuple[Lead, float, float], ...]
    scales_mm: tuple[tuple[float, float], ...]


def print_sheet(plan: Plan, rate_hz: int, spec: PageSpec, frame: Frame, rng: np.random.Generator) -> Sheet:
    """Draw the plan onto new paper."""
    image = blank(frame, spec.paper, rng)
    if spec.paper.border:
        image = _framed(image, frame, spec)
    ink = Ink(frame)
    for points in pen_paths(plan, rate_hz, spec):
        _stroke(ink, points, spec)
    _pulses(ink, plan, spec)
    _separators(ink, plan, spec)
    covered = ink.coverage(spec.print.dots_per_mm)
    if spec.print.mottle:
        covered = _mottled(covered, spec.print.mottle, rng)
    image = lay_ink(image, covered, spec.print.trace)
    words = Lettering(frame)
    names = _lead_names(words, plan, spec, rng)
    if spec.print.gain_by_pulse:
        for pulse in plan.pulses:
            gain = f"{pulse.height_mm:g} mm/mV"
            words.put(gain, pulse.x0_mm - 2, pulse.baseline_mm + 4.5, spec.print.font, spec.print.label_mm * 0.6)
    scales_mm = _texts(words, spec, rng)
    return Sheet(lay_ink(image, words.coverage, spec.print.text), frame, names, scales_mm)


def _mottled(coverage: UInt8, amount: float, rng: np.random.Generator) -> UInt8:
    """Ink that took unevenly: paler here and there."""
    h, w = coverage.shape
    tile = cv2.GaussianBlur(rng.random((192, 192), np.float32), (0, 0), float(rng.uniform(0.6, 4)))
    tile = 1 - amount * np.clip(0.5 + (tile - 0.5) / (3 * tile.std()), 0, 1)
    light = np.tile(tile, (h // 192 + 1, w // 192 + 1))[:h, :w]
    return np.asarray(cv2.multiply(coverage, light.astype(np.float32), dtype=cv2.CV_8U), np.uint8)


def _framed(image: UInt8, frame: Frame, spec: PageSpec) -> UInt8:
    """A line around the ruled box, or around the sheet."""
    (ox, oy), paper = spec.paper.origin_mm, spec.paper
    x0, y0, x1, y1 = paper.box_mm or (0.2 - ox, 0.2 - oy, paper.width_mm - ox - 0.2, paper.height_mm - oy - 0.2)
    ink = Ink(frame)
    ink.line(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]), 0.3)
    return lay_ink(image, ink.coverage(), paper.major)


def curve_mm(trace: Trace, rate_hz: int, speed_mm_s: float) -> np.ndarray:
    """float64 (n, 2) mm: the curve of the ink, which is also the truth."""
    segment = trace.segment
    x = segment.start_mm + np.arange(len(trace.millivolts)) / rate_hz * speed_mm_s
    return np.column_stack([x, segment.baseline_mm - trace.gain_mm_mv * trace.millivolts.astype(np.float64)])


def pen_paths(plan: Plan, rate_hz: int, spec: PageSpec) -> list[np.ndarray]:
    """Each stroke without lifting the pen: one per trace, or one per row where leads are connected."""
    curves = [(t.segment.row, curve_mm(t, rate_hz, spec.print.speed_mm_s)) for t in plan.traces]
    if not connects(spec):
        return [curve for _, curve in curves]
    rows: dict[int, list[np.ndarray]] = {}
    for row, curve in curves:
        rows.setdefault(row, []).append(curve)
    return [np.concatenate(parts) for parts in rows.values()]


def _stroke(ink: Ink, points: np.ndarray, spec: PageSpec) -> None:
    fade, width = spec.print.steep_fade, spec.print.trace_mm
    if fade <= 0:
        ink.line(points, width)
        return
    # a fast stylus leaves less: the steep parts first and pale, the rest over them
    steep = np.abs(np.diff(points[:, 1])) > 3.0 * np.maximum(np.diff(points[:, 0]), 1e-6)
    cuts = np.flatnonzero(np.diff(steep.astype(np.int8))) + 1
    runs = np.split(np.arange(len(steep)), cuts)
    for pale in (True, False):
        for run in runs:
            if len(run) and steep[run[0]] == pale:
                part = points[run[0] : run[-1] + 2]
                ink.line(part, width * (1 - 0.4 * fade if pale else 1), round(255 * (1 - 0.6 * fade)) if pale else 255)


def _pulses(ink: Ink, plan: Plan, spec: PageSpec) -> None:
    feet = spec.print.pulse_feet_mm
    for pulse in plan.pulses:
        top = pulse.baseline_mm - pulse.height_mm
        slant = spec.print.pulse_slant_mm
        path = [(pulse.x0_mm - feet, pulse.baseline_mm), (pulse.x0_mm - slant, pulse.baseline_mm), (pulse.x0_mm, top)]
        path += [(pulse.x1_mm, top), (pulse.x1_mm + slant, pulse.baseline_mm), (pulse.x1_mm + feet, pulse.baseline_mm)]
        ink.line(np.array(path), spec.print.trace_mm * spec.print.pulse_bold)


def _separators(ink: Ink, plan: Plan, spec: PageSpec) -> None:
    kind, long = spec.print.separator, spec.print.separator_mm
    if kind is Separator.NONE or not plan.boundaries_mm:
        return
    tops, feet = min(y for _, y in plan.boundaries_mm) - 12, max(y for _, y in plan.boundaries_mm) + 12
    for x, y in plan.boundaries_mm:
        if kind is Separator.TICK:
            ink.line(np.array([(x, y - long / 2), (x, y + long / 2)]), spec.print.trace_mm * spec.print.separator_bold)
        elif kind is Separator.DASHES:
            for sign in (-1, 1):
                dash = np.array([(x, y + sign * long * 0.25), (x, y + sign * long * 0.75)])
                ink.line(dash, max(spec.print.trace_mm, 0.3))
        elif kind is Separator.DASHED:
            for start in np.arange(y - long * 1.3, y + long * 1.3, 3.3):
                ink.line(np.array([(x, start), (x, start + 2.0)]), max(spec.print.trace_mm, 0.25))
    for x in sorted({x for x, _ in plan.boundaries_mm}):
        if kind is Separator.LINE:
            ink.line(np.array([(x, tops), (x, feet)]), 0.2, 150)
        elif kind is Separator.DOTTED:
            for y in np.arange(tops, feet, 2.0):
                ink.line(np.array([(x, y), (x, y + 0.8)]), 0.3, 220)


def _lead_names(
    words: Lettering, plan: Plan, spec: PageSpec, rng: np.random.Generator
) -> tuple[tuple[Lead, float, float], ...]:
    p = spec.print
    names = []
    for trace in plan.traces:
        if rng.random() < p.labels_missing:
            continue
        dx, dy = p.label_offset_mm
        x, y = trace.segment.start_mm + dx, trace.segment.baseline_mm + dy + (p.label_mm if dy > 0 else 0.0)
        lead = trace.segment.lead
        text = f"-{lead}" if p.negative_avr and lead is Lead.AVR else str(lead)
        if p.label_spelling is Spelling.CAPITALS:
            text = text.upper()
        elif p.label_spelling is Spelling.C_FOR_CHEST:
            text = text.replace("V", "C") if lead in CHEST else text
        text = (" " * p.label_spacing).join(text)
        names.append((lead, *words.put(text, x, y, p.font, p.label_mm)))
        if p.label_tick:
            words.put("'", x - 1.2, y, p.font, p.label_mm)
    return tuple(names)


def _texts(words: Lettering, spec: PageSpec, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Prints all words but the lead names; where those that tell the scales begin and end, in mm."""
    p, paper = spec.print, spec.paper
    left, top = -paper.origin_mm[0] + rng.uniform(2, 10), -paper.origin_mm[1] + rng.uniform(3, 8)
    pitch = p.header_mm * 1.6
    room = int((p.top_mm - 14 - top) / pitch)
    for i, line in enumerate(header_lines(rng, min(p.header_lines, max(room, 0)))):
        words.put(line, left, top + (i + 1) * pitch, p.font, p.header_mm)
    if p.time_ticks:
        words.ticks(p.top_mm - 13 - paper.origin_mm[1], p.speed_mm_s)
    if p.measurements:
        column = left + rng.uniform(0.3, 0.5) * paper.width_mm
        for i, line in enumerate(measurement_lines(rng)[: max(room, 0)]):
            words.put(line, column, top + (i + 1) * pitch, p.font, p.header_mm * 0.9)
    # nobody can read chest leads of another gain off a page that is silent about it: machines always say so
    if p.footer or p.chest_gain_mm_mv is not None:
        text = f"{p.speed_mm_s:g} mm/s   {_gains_said(p)}"
        text += f"   {rng.choice([0.05, 0.15, 0.5]):g}-{rng.choice([40, 100, 150])} Hz" if rng.random() < 0.6 else ""
        foot = paper.height_mm - paper.origin_mm[1] - rng.uniform(2, 6)
        begin = left + rng.uniform(0, 0.4) * paper.width_mm
        middle, y = words.put(text, begin, foot, p.font, p.header_mm)
        return (begin, y), (2 * middle - begin, y)
    return ()


def _gains_said(p: Print) -> str:
    if p.chest_gain_mm_mv is None:
        return f"{p.gain_mm_mv:g} mm/mV"
    return f"Limb: {p.gain_mm_mv:g} mm/mV   Chest: {p.chest_gain_mm_mv:g} mm/mV"
