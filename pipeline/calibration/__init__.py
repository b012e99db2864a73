"""Millimetres to seconds and millivolts: from the calibration pulse and the printed text, else from what is usual.

The millimetres themselves come from the grid or the file's resolution (PaperMap.known). A page with neither a pulse nor
a text such as "25 mm/s 10 mm/mV" is taken for 25 mm/s and 10 mm/mV and says so in a finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.calibration.agreement import agreed, agreed_chest
from pipeline.calibration.found import GAIN, SPEED, Calibration
from pipeline.calibration.pulse import Pulse, find_pulses, joined, marked_pulses
from pipeline.calibration.shrunk import printed_size, tells_heights
from pipeline.calibration.text import NOTHING_PRINTED, PrintedScales, read_scales
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.geometry import Landmarks, PaperMap
from pipeline.recording import Finding, Known, Scale, Severity, UInt8

__all__ = ["Calibration", "PrintedScales", "Pulse", "calibrate", "read_scales", "tells_heights"]

PULSE_S, PULSE_MV = 0.2, 1.0  # what every machine's calibration pulse stands for
SPEEDS_MM_S = (12.5, 25.0, 50.0)
GAINS_MM_MV = (2.5, 5.0, 10.0, 20.0)
USUAL_SPEED, USUAL_GAIN = 25.0, 10.0
LONGEST_ROW_S = 11.0  # ten seconds is what a page shows at most, and a little for an extent measured too wide
NEAR_SPEED = 0.13  # of a nominal width
PEN_MM = 0.4  # by which the edges of equal pulses are read apart, however narrow they are
NEAR_GAIN = 0.16  # of a nominal height: gains are a factor 2 apart, a foot is lost in the trace's first beat
ENOUGH = 0.9  # summed scores of pulses that agree: one clear pulse, or two doubtful ones
SQUARE_ENOUGH = 0.5  # of a single pulse, where the column of the others says that it is one
UNUSUAL = 1.5  # the same for a gain that one page in ten has or fewer
# The widths of pulses of 0.2 s and of 0.1 s, as some machines print them, and the speeds at which one may be so wide,
# the likeliest first. Edges that slant add up to half a millimetre, and pulses of 1.6 and of 3.2 mm stand on real pages
# of 25 mm/s: so narrow ones tell a gain and no speed.
SPEEDS_OF_WIDTH_MM = {
    1.25: (),
    1.6: (),
    2.5: (12.5, 25.0),
    3.2: (),
    5.0: (25.0, 50.0),
    10.0: (50.0,),
}
IN_LINE_MM = 0.6  # of the edges of pulses of one column of rows; what a camera bends between neighbouring rows
ON_ROW_MM = 2.0  # of a pulse's foot from its row's level
DISAGREES = 0.03  # between grid and file resolution: more than a printer's or a scanner's stretch


def calibrate(
    image: UInt8,
    paper: PaperMap,
    baselines_mm: Sequence[float],
    x_extent_mm: tuple[float, float],
    dpi: tuple[float, float] | None = None,
    marks: Landmarks | None = None,
    printed: PrintedScales = NOTHING_PRINTED,
) -> Calibration:
    """The speed and the gain of a page.

    image: uint8 (H, W, 3) RGB. baselines_mm: y of each printed row; x_extent_mm: where the traces begin and end.
    dpi: as the file says, only to be compared with the grid. marks: points that a network found.
    printed: what the page's text says. Raises Unreadable("no_grid") where nothing tells a scale.
    """
    found = find_pulses(image, paper, baselines_mm, x_extent_mm)
    if marks is not None:
        found = joined(found, marked_pulses(marks), baselines_mm)
    if paper.known is Known.ASSUMED:
        return _by_pulse_alone(paper, baselines_mm, found, printed)
    findings = _against_resolution(paper, dpi)
    size = printed_size(found, marks, tells_heights(paper)) if paper.known is Known.DPI else None
    if size is not None:
        detail = f"printed at {size:.1%} of its size on paper of {paper.known}"
        findings += (Finding(FindingCode.SCALE_DISAGREEMENT, Severity.INFO, detail=detail),)
        paper = paper.scaled(1 / size, paper.known)
        found = tuple(_resized(p, 1 / size) for p in found)
        baselines_mm = [b / size for b in baselines_mm]
        x_extent_mm = (x_extent_mm[0] / size, x_extent_mm[1] / size)
    stretch = (1.0, 1.0) if size is None else (1 / size, 1 / size)
    by_gain = _by_gain(found)
    gain = Scale(USUAL_GAIN, Known.ASSUMED)
    chest: Scale | None = None
    pulses: tuple[Pulse, ...] = ()
    told = USUAL_GAIN if printed.gain_mm_mv is None else printed.gain_mm_mv.value
    strong = [(g, group) for g, group in by_gain.items() if _convincing(g, group, told)]
    if strong:
        best, pulses = max(strong, key=lambda item: sum(p.score for p in item[1]))
        gain = Scale(best, Known.PULSE)
        other = _other_gain(strong, best) or _one_of_half(by_gain, best, baselines_mm)
        if other is not None:
            low, high = sorted((pulses, other[1]), key=lambda group: float(np.median([p.baseline_mm for p in group])))
            if len(other[1]) == 1:
                low, high = pulses, other[1]
            limb, own = (_nearest(_height(group), GAINS_MM_MV) for group in (low, high))
            if own == limb / 2:
                gain, chest = Scale(limb, Known.PULSE), Scale(own, Known.PULSE)
                pulses = (*pulses, *other[1])
                findings += (Finding(FindingCode.HALF_GAIN_CHEST, Severity.INFO, detail=f"{own:g} mm/mV"),)
            else:  # no machine prints the chest larger: those are feet joined to the roofs of other rows
                gain, pulses = Scale(limb, Known.PULSE), low
    if not pulses:
        findings += (Finding(FindingCode.PULSE_NOT_FOUND, Severity.INFO),)
    speed, others = _speed(pulses, x_extent_mm[1] - x_extent_mm[0])
    clear = sum(p.score for p in pulses) >= 2 * ENOUGH
    # a pulse of 0.1 s, as some machines print it, looks like half the speed
    half = printed.speed_mm_s is not None and printed.speed_mm_s.value == 2 * speed.value
    gain, of_gain = agreed(gain, clear, printed.gain_mm_mv, "mm/mV")
    chest, of_chest = agreed_chest(gain, chest, printed)
    speed, of_speed = agreed(speed, clear and not half, printed.speed_mm_s, "mm/s")
    findings += (*of_gain, *of_chest, *of_speed)
    if gain.known is Known.ASSUMED:
        findings += (_assumed(GAIN, f"{USUAL_GAIN:g} mm/mV", found),)
    if speed.known is Known.ASSUMED:
        findings += (_assumed(SPEED, f"{USUAL_SPEED:g} mm/s", pulses),)
    others = others if printed.speed_mm_s is None else ()
    rows = _row_gains(pulses, baselines_mm)
    return Calibration(speed, gain, chest, rows, tuple(pulses), paper, stretch, findings, others, tuple(found))


def _resized(pulse: Pulse, by: float) -> Pulse:
    return Pulse(pulse.x0_mm * by, pulse.x1_mm * by, pulse.baseline_mm * by, pulse.height_mm * by, pulse.score)


def _by_gain(found: Sequence[Pulse]) -> dict[float, tuple[Pulse, ...]]:
    """The pulses of each nominal gain; of those, the ones that are as wide as most."""
    groups: dict[float, tuple[Pulse, ...]] = {}
    for gain in GAINS_MM_MV:
        tolerance = NEAR_GAIN if gain == USUAL_GAIN else 0.8 * NEAR_GAIN
        group = [p for p in found if abs(p.height_mm / (gain * PULSE_MV) - 1) < tolerance and _usual_width(p)]
        if group:
            width = _width(group)
            near = max(NEAR_SPEED * width, PEN_MM)
            groups[gain] = tuple(p for p in group if abs(p.width_mm - width) < near)
    return groups


def _usual_width(pulse: Pulse) -> bool:
    return any(abs(pulse.width_mm / w - 1) < NEAR_SPEED for w in SPEEDS_OF_WIDTH_MM)


def _convincing(gain: float, group: Sequence[Pulse], told: float) -> bool:
    """One clear pulse shows the usual gain or the printed one; another needs two, as letters look like one pulse."""
    evidence = sum(p.score for p in group)
    if gain in (USUAL_GAIN, told):
        return evidence >= ENOUGH
    return len(group) > 1 and evidence >= UNUSUAL


def _width(group: Sequence[Pulse]) -> float:
    """The width of the pulse most like the others, weighed by score."""
    fit = [sum(q.score for q in group if abs(q.width_mm / p.width_mm - 1) < 0.08) for p in group]
    return group[int(np.argmax(fit))].width_mm


def _height(group: Sequence[Pulse]) -> float:
    return float(np.median([p.height_mm for p in group]))


def _nearest(value: float, nominal: tuple[float, ...]) -> float:
    return min(nominal, key=lambda n: abs(np.log(value / n)))


def _other_gain(
    strong: Sequence[tuple[float, tuple[Pulse, ...]]], best: float
) -> tuple[float, tuple[Pulse, ...]] | None:
    """A second gain, half or double the first, shown by clear pulses of the same width in other rows."""
    first = next(group for g, group in strong if g == best)
    for gain, group in strong:
        clear = sum(p.score for p in group) >= 2 * ENOUGH and gain in (best / 2, best * 2)
        if clear and abs(_width(group) / _width(first) - 1) < NEAR_SPEED:
            return gain, group
    return None


def _one_of_half(
    by_gain: Mapping[float, tuple[Pulse, ...]], best: float, baselines_mm: Sequence[float]
) -> tuple[float, tuple[Pulse, ...]] | None:
    """A single pulse of half the height, below and exactly in line with two others or more: a chest lead's own row.

    Letters are taken for a pulse now and then, but not where all the rows have theirs; and the upper half of a whole
    pulse, whose foot the next row's trace crosses, does not stand on its row.
    """
    others = by_gain[best]
    if len(others) < 2:
        return None
    left, right = (float(np.median(edges)) for edges in zip(*((p.x0_mm, p.x1_mm) for p in others), strict=True))
    top = min(p.baseline_mm for p in others)
    for pulse in by_gain.get(best / 2, ()):
        in_line = max(abs(pulse.x0_mm - left), abs(pulse.x1_mm - right)) < IN_LINE_MM
        on_row = any(abs(pulse.baseline_mm - b) < ON_ROW_MM for b in baselines_mm)
        if in_line and on_row and pulse.score >= SQUARE_ENOUGH and pulse.baseline_mm > top:
            return best / 2, (pulse,)
    return None


def _speed(pulses: Sequence[Pulse], row_mm: float) -> tuple[Scale, tuple[float, ...]]:
    """From the pulses' width, and the other speeds that are possible.

    Not the speeds at which a row would last longer than any machine prints.
    """
    possible = [speed for speed in SPEEDS_MM_S if row_mm / speed <= LONGEST_ROW_S]
    if pulses:
        width = _width(pulses)
        nominal = _nearest(width, tuple(SPEEDS_OF_WIDTH_MM))
        speeds = SPEEDS_OF_WIDTH_MM[nominal]
        if speeds and speeds[0] in possible and abs(width / nominal - 1) < NEAR_SPEED:
            return Scale(speeds[0], Known.PULSE), tuple(speed for speed in speeds[1:] if speed in possible)
    return Scale(USUAL_SPEED, Known.ASSUMED), tuple(speed for speed in possible if speed != USUAL_SPEED)


def _row_gains(pulses: Sequence[Pulse], baselines_mm: Sequence[float]) -> tuple[float | None, ...]:
    rows: list[float | None] = []
    spacing = float(np.median(np.diff(sorted(baselines_mm)))) if len(baselines_mm) > 1 else 30.0
    for baseline in baselines_mm:
        own = [p for p in pulses if abs(p.baseline_mm - baseline) < min(10.0, spacing / 2)]
        rows.append(_nearest(_height(own), GAINS_MM_MV) if own else None)
    return tuple(rows)


def _against_resolution(paper: PaperMap, dpi: tuple[float, float] | None) -> tuple[Finding, ...]:
    """A grid that is not as large as the file's resolution says: told, the grid is believed."""
    if paper.known is not Known.GRID or dpi is None or min(dpi) < 97:  # 72 and 96 are what software writes unasked
        return ()
    x, y = paper.x_mm[len(paper.x_mm) // 2], paper.y_mm[len(paper.y_mm) // 2]
    at = paper.to_px(np.array([[x, y], [x + 5.0, y], [x, y + 5.0]]))
    measured = [float(np.hypot(*(at[i] - at[0]))) / 5.0 for i in (1, 2)]
    ratios = [m / (d / 25.4) for m, d in zip(measured, dpi, strict=True)]
    if all(abs(r - 1) < DISAGREES for r in ratios):
        return ()
    detail = f"grid is {ratios[0]:.3f} x {ratios[1]:.3f} of what {dpi[0]:g} x {dpi[1]:g} dpi says"
    return (Finding(FindingCode.SCALE_DISAGREEMENT, Severity.INFO, detail=detail),)


def _assumed(what: str, value: str, found: Sequence[Pulse]) -> Finding:
    seen = ", ".join(f"{p.width_mm:.1f} x {p.height_mm:.1f} mm" for p in found[:4])
    detail = f"{what} taken for {value}; " + (f"pulses seen: {seen}" if seen else "no calibration pulse found")
    return Finding(FindingCode.SCALE_ASSUMED, Severity.WARNING, detail=detail)


def _by_pulse_alone(
    paper: PaperMap, baselines_mm: Sequence[float], found: Sequence[Pulse], printed: PrintedScales
) -> Calibration:
    """Where not even the millimetre is known: equal pulses at two rows or more say what 0.2 s and 1 mV are."""
    alike = max(
        (
            [
                q
                for q in found
                if abs(q.width_mm / p.width_mm - 1) < NEAR_SPEED and abs(q.height_mm / p.height_mm - 1) < NEAR_GAIN
            ]
            for p in found
        ),
        key=lambda group: sum(p.score for p in group),
        default=[],
    )
    if sum(p.score for p in alike) < 2 * ENOUGH:
        raise Unreadable(
            UnreadableCode.NO_GRID, "the page has no grid, no resolution and no calibration pulses to measure by"
        )
    speed = (
        Scale(USUAL_SPEED, Known.PULSE) if printed.speed_mm_s is None else Scale(printed.speed_mm_s.value, Known.TEXT)
    )
    gain = Scale(USUAL_GAIN, Known.PULSE) if printed.gain_mm_mv is None else Scale(printed.gain_mm_mv.value, Known.TEXT)
    across = speed.value * PULSE_S / float(np.median([p.width_mm for p in alike]))
    down = gain.value * PULSE_MV / _height(alike)
    # pixels without a resolution are square: a pulse that makes them twice as long as high lasts 0.1 s, as some do
    if abs(across / down / 2 - 1) < NEAR_SPEED:
        across /= 2
    scaled = replace(paper, x_mm=paper.x_mm * across, y_mm=paper.y_mm * down, known=Known.PULSE)
    pulses = tuple(
        Pulse(p.x0_mm * across, p.x1_mm * across, p.baseline_mm * down, p.height_mm * down, p.score) for p in alike
    )
    return Calibration(
        speed,
        gain,
        None,
        _row_gains(pulses, [b * down for b in baselines_mm]),
        pulses,
        scaled,
        (across, down),
        (Finding(FindingCode.SCALED_BY_PULSES, Severity.WARNING),),
    )
