"""Draws a page beside its digitized leads, so that a person can compare them at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.geometry import Float64
from pipeline.recording import Lead, Page, Recording, Seen, Severity, Strip, UInt8

DPI = 150
HEIGHT_IN = 7.2
SPEED_MM_S, GAIN_MM_MV = 25.0, 10.0  # drawn as most devices print, whatever the page was printed at
ROW_MM = 25.0  # the least distance between drawn rows
MARGIN_MM = 6.0
PAGE_SIDE_MAX_PX = 1600

PAPER, MINOR, MAJOR = "#fff8f6", "#f9dcd7", "#f0b3ab"
INK, BAND, BRIDGED, UNSURE = "#14213d", "#5b7fd1", "#e4572e", "#b3541e"


@dataclass(frozen=True)
class _Placed:
    """A strip and the level of 0 mV it is drawn at, in millimetres from the top."""

    strip: Strip
    level_mm: float


def draw(page: Page, recording: Recording) -> UInt8:
    """The page on the left, its leads on drawn ECG paper on the right. uint8 (H, W, 3) RGB."""
    placed = tuple(_place(recording.strips, recording.rate_hz))
    width_mm = max(recording.duration_s, 2.5) * SPEED_MM_S + 2 * MARGIN_MM
    height_mm = _height_mm(placed)
    page_ratio = page.image.shape[1] / page.image.shape[0]
    leads_ratio = width_mm / height_mm
    body_in = HEIGHT_IN - 0.95
    widths = np.clip([page_ratio, leads_ratio], 0.7, 2.4) * body_in
    figure = Figure(figsize=(float(widths.sum()) + 0.45, HEIGHT_IN), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    total = float(figure.get_figwidth())
    bottom, tall = 0.4 / HEIGHT_IN, body_in / HEIGHT_IN
    left = figure.add_axes((0.15 / total, bottom, widths[0] / total, tall))
    right = figure.add_axes((0.3 / total + widths[0] / total, bottom, widths[1] / total, tall))
    _page(left, page)
    _paper(right, width_mm, height_mm)
    doubtful = {f.lead for f in recording.findings if f.lead is not None and f.severity is not Severity.INFO}
    for item in placed:
        _strip(right, item, recording.rate_hz, item.strip.lead in doubtful)
    _words(figure, recording, 0.15 / total, 0.3 / total + float(widths[0]) / total)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), np.uint8)  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(pixels[..., :3])


def draw_png(page: Page, recording: Recording) -> bytes:
    """What `draw` draws, as a PNG file."""
    done, data = cv2.imencode(".png", draw(page, recording)[..., ::-1])
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()


def _place(strips: Sequence[Strip], rate_hz: int) -> Iterator[_Placed]:
    """Strips into rows as they were printed: a strip that does not begin later than the last opens a new row."""
    rows: list[list[Strip]] = []
    for strip in strips:
        if not rows or strip.start_s < rows[-1][-1].start_s + rows[-1][-1].samples / rate_hz - 0.1:
            rows.append([])
        rows[-1].append(strip)
    level = MARGIN_MM
    below = 0.0
    for row in rows:
        over, under = _reach_mm(row)
        level += max(below + over + 3.0, ROW_MM if below else over + 4.0)
        below = under
        for strip in row:
            yield _Placed(strip, level)


def _reach_mm(row: Sequence[Strip]) -> tuple[float, float]:
    """How far a row goes up and down: its 0.5 % and 99.5 % heights, so that one spike does not spread the page."""
    known = np.concatenate([s.millivolts[np.isfinite(s.millivolts)] for s in row])
    if not len(known):
        return 8.0, 8.0
    low, high = np.quantile(known, [0.005, 0.995]) * GAIN_MM_MV
    return float(np.clip(high, 6.0, 40.0)), float(np.clip(-low, 5.0, 40.0))


def _height_mm(placed: Sequence[_Placed]) -> float:
    if not placed:
        return 50.0
    last = placed[-1].level_mm
    return last + max(_reach_mm([p.strip for p in placed if p.level_mm == last])[1], 8.0) + MARGIN_MM


def _page(axes: Axes, page: Page) -> None:
    step = max(1, -(-max(page.image.shape[:2]) // PAGE_SIDE_MAX_PX))
    axes.imshow(page.image[::step, ::step], interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#cccccc")


def _paper(axes: Axes, width_mm: float, height_mm: float) -> None:
    """1 mm and 5 mm squares; the axes are in millimetres, y down."""
    axes.set_facecolor(PAPER)
    axes.set_xlim(0, width_mm)
    axes.set_ylim(height_mm, 0)
    axes.set_aspect("equal")
    for pitch, colour, line in ((1, MINOR, 0.35), (5, MAJOR, 0.6)):
        upright = [[(float(x), 0.0), (float(x), height_mm)] for x in range(0, int(width_mm) + 1, pitch)]
        lying = [[(0.0, float(y)), (width_mm, float(y))] for y in range(0, int(height_mm) + 1, pitch)]
        axes.add_collection(LineCollection(upright + lying, colors=colour, linewidths=line, zorder=0))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(MAJOR)


def _strip(axes: Axes, placed: _Placed, rate_hz: int, doubtful: bool) -> None:
    strip = placed.strip
    x = MARGIN_MM + (strip.start_s + np.arange(strip.samples) / rate_hz) * SPEED_MM_S
    y = placed.level_mm - GAIN_MM_MV * strip.millivolts.astype(np.float64)
    spread = GAIN_MM_MV * strip.sigma_mv.astype(np.float64)
    axes.fill_between(x, y - 2 * spread, y + 2 * spread, color=BAND, alpha=0.28, linewidth=0, zorder=2)
    axes.plot(x, y, color=INK, linewidth=0.75, solid_joinstyle="round", zorder=3)
    bridged = _only(y, strip.seen == Seen.BRIDGED)
    if np.isfinite(bridged).any():
        axes.plot(x, bridged, color=BRIDGED, linewidth=1.3, zorder=4)
    for first, stop in _stretches(~np.isfinite(strip.millivolts)):
        axes.plot(
            x[[first, stop - 1]], [placed.level_mm] * 2, color=BRIDGED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=3
        )
    axes.text(
        x[0] + 0.8 if strip.samples else MARGIN_MM,
        placed.level_mm - 6.5,
        f"{strip.lead} ?" if doubtful else str(strip.lead),
        color=UNSURE if doubtful else INK,
        fontsize=8,
        fontweight="bold",
        va="bottom",
        zorder=5,
        bbox={
            "facecolor": PAPER,
            "edgecolor": UNSURE if doubtful else "none",
            "pad": 0.8,
            "alpha": 0.75,
            "linewidth": 0.6,
        },
    )


def _only(y: Float64, where: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Float64:
    """y where asked for and one sample to either side, NaN elsewhere, so that the coloured stretch touches the line."""
    wide = where.copy()
    wide[1:] |= where[:-1]
    wide[:-1] |= where[1:]
    return np.where(wide, y, np.nan)


def _stretches(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _words(figure: Figure, recording: Recording, left: float, right: float) -> None:
    top, foot = 1 - 0.28 / HEIGHT_IN, 0.14 / HEIGHT_IN
    speed, gain = recording.speed_mm_s, recording.gain_mm_mv
    figure.text(left, top, "The page", fontsize=11, fontweight="bold", color=INK)
    title = f"Digitized   {recording.layout}   {recording.rate_hz} Hz   confidence {recording.confidence_text}"
    figure.text(right, top, title, fontsize=11, fontweight="bold", color=INK)
    printed = f"printed at {speed.value:g} mm/s ({speed.known}), {gain.value:g} mm/mV ({gain.known})"
    printed += "; drawn at 25 mm/s, 10 mm/mV"
    figure.text(right, top - 0.2 / HEIGHT_IN, printed, fontsize=7.5, color="#555555")
    figure.text(left, top - 0.2 / HEIGHT_IN, recording.source.replace("_", " "), fontsize=7.5, color="#555555")
    told = [_told(code, leads) for code, leads in _by_code(recording).items()]
    figure.text(left, foot, _shortened("; ".join(told) or "no findings", 150), fontsize=7, color="#555555")
    handles = [
        Line2D([], [], color=INK, linewidth=1.2, label="read"),
        Line2D([], [], color=BRIDGED, linewidth=1.6, label="bridged or not read"),
        Patch(facecolor=BAND, alpha=0.4, label="± 2 sigma"),
        Line2D([], [], color=UNSURE, marker="$?$", linestyle="none", markersize=5, label="uncertain lead"),
    ]
    figure.legend(
        handles=handles,
        loc="lower right",
        ncols=4,
        fontsize=7,
        frameon=False,
        bbox_to_anchor=(0.995, 0.0),
        borderaxespad=0.2,
    )


def _by_code(recording: Recording) -> dict[str, list[Lead]]:
    found: dict[str, list[Lead]] = {}
    for finding in recording.findings:
        if finding.severity is not Severity.INFO:
            leads = found.setdefault(str(finding.code), [])
            if finding.lead is not None and finding.lead not in leads:
                leads.append(finding.lead)
    return found


def _told(code: str, leads: Sequence[Lead]) -> str:
    words = code.replace("_", " ")
    return f"{words} ({', '.join(leads)})" if leads else words


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
