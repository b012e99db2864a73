"""Training patches of stage 2: a piece of a row cut from a page as in use, disturbed as stages 0 and 1 will err."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.geometry import Float64, PaperMap, Segment
from pipeline.recording import Float32
from pipeline.training.data.pages import PooledPage
from pipeline.waveform.decode import BIN_MM
from pipeline.waveform.network import hints, normalise
from pipeline.waveform.strip import (
    COLUMNS_PER_MM,
    HALF_HEIGHT_MM,
    ROWS_PER_MM,
    TALL_HALF_HEIGHT_MM,
    RowStrip,
    cut_strip,
)

USUAL_HINT_MM, POOR_HINT_MM = 0.2, 0.5  # standard deviation of each part of a hint
USUAL_HINTS = 0.7  # of the pages; digitize() places ends to 0.2 mm on most
MARGIN_MM = 8.0  # as in use: the reader sees what lies beside the row


@dataclass(frozen=True)
class Size:
    """columns and half the height, in mm, of the patches of one batch."""

    columns: int
    half_height_mm: float

    @property
    def width_mm(self) -> float:
        return self.columns / COLUMNS_PER_MM


ORDINARY = Size(512, HALF_HEIGHT_MM)
TALL = Size(256, TALL_HALF_HEIGHT_MM)  # as costly; the reader is asked for these where a trace leaves the strip


@dataclass(frozen=True, eq=False)
class Patch:
    """pixels: float32 (3, rows, columns). hints: float32 (HINTS, rows/4, columns/4).

    target: float32 (columns,), the ink's height as a fractional bin from the top, NaN where the row has none; the
    outermost bin where the ink lies beyond the strip, so that the reader learns to ask for a taller one.
    counted: bool (columns,), False where the image does not show the ink.
    """

    pixels: Float32
    hints: Float32
    target: Float32
    counted: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Bend:
    """How the assumed paper differs from the true one over a patch; lengths in mm, the rest ratios."""

    shift: float = 0.0
    slope: float = 0.0
    stretch_x: float = 0.0
    stretch_y: float = 0.0
    wave: float = 0.0
    wavelength: float = 100.0
    phase: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Bend:
        return cls(
            shift=float(rng.normal(0, 1.3)),
            slope=float(rng.normal(0, 0.003)),
            stretch_x=float(rng.normal(0, 0.004)),
            stretch_y=float(rng.normal(0, 0.006)),
            wave=float(rng.normal(0, 0.15)),
            wavelength=float(rng.uniform(60, 250)),
            phase=float(rng.uniform(0, 2 * np.pi)),
        )

    def true_x(self, x: Float64, centre_x: float) -> Float64:
        return centre_x + (x - centre_x) * (1 + self.stretch_x)

    def offset(self, x: Float64, centre_x: float) -> Float64:
        """mm by which the true row lies below the assumed one at x."""
        u = x - centre_x
        return self.shift + self.slope * u + self.wave * np.sin(2 * np.pi * u / self.wavelength + self.phase)


def draw_patch(page: PooledPage, rng: np.random.Generator, size: Size = ORDINARY, *, plain: bool = False) -> Patch:
    """A random patch of a random row; plain leaves out every disturbance that is not the page's own."""
    segments = page.rendered.truth.segments
    number = _segment(page, rng, plain).row
    row = [segment for segment in segments if segment.row == number]
    start_mm = _start(row, size, rng)
    bend = Bend() if plain else Bend.draw(rng)
    strip = _cut(page, row[0].baseline_mm, start_mm, size, bend)
    target, counted = _target(page, row, strip, bend)
    if not plain:
        strip, target = disturb(strip, target, rng)
    pixels = normalise(strip.pixels, strip.on_page)
    if not plain:
        pixels *= np.float32(rng.uniform(0.8, 1.2))
    spans, names = told(page, row, rng, plain)
    return Patch(pixels, hints(strip, spans, names), target, counted)


def _segment(page: PooledPage, rng: np.random.Generator, plain: bool) -> Segment:
    """The segment whose row is drawn: any, or for half of the training patches one by how steep it is.

    More than half of the error's power lies in steep strokes, which are a seventh of the samples.
    """
    segments = page.rendered.truth.segments
    if plain or rng.random() < 0.5:
        return segments[rng.integers(len(segments))]
    strips = page.rendered.truth.recording.strips
    steepness = np.array([np.nanmean(np.abs(np.diff(strip.millivolts))) for strip in strips], np.float64)
    steepness = np.nan_to_num(steepness) + 1e-6  # a flat line is drawn, too, if seldom
    return segments[rng.choice(len(segments), p=steepness / steepness.sum())]


def _start(row: list[Segment], size: Size, rng: np.random.Generator) -> float:
    """Left end of the patch: half of them hold a lead's start or end well inside, where most is read wrong."""
    if rng.random() < 0.5:
        segment = row[rng.integers(len(row))]
        edge = segment.start_mm if rng.random() < 0.7 else segment.end_mm
        return float(edge - rng.uniform(4, size.width_mm - 4))
    low, high = row[0].start_mm - MARGIN_MM, row[-1].end_mm + MARGIN_MM - size.width_mm
    return float(rng.uniform(min(low, high), max(low, high)))


def _cut(page: PooledPage, baseline_mm: float, start_mm: float, size: Size, bend: Bend) -> RowStrip:
    centre, height = start_mm + size.width_mm / 2, size.half_height_mm
    x = np.linspace(start_mm - 1, start_mm + size.width_mm + 1, 28)
    y = baseline_mm + np.linspace(-height - 1, height + 1, 28)
    true_x = np.broadcast_to(bend.true_x(x, centre), (len(y), len(x)))
    true_y = baseline_mm + (y - baseline_mm)[:, None] * (1 + bend.stretch_y) + bend.offset(x, centre)[None, :]
    truth = page.rendered.truth.paper
    assumed = PaperMap(x, y, truth.to_px(np.stack([true_x, true_y], axis=-1)), truth.known)
    return cut_strip(page.rendered.page.image, assumed, start_mm, start_mm + size.width_mm, baseline_mm, height)


def _target(
    page: PooledPage, row: list[Segment], strip: RowStrip, bend: Bend
) -> tuple[Float32, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    recording = page.rendered.truth.recording
    strips = dict(zip(page.rendered.truth.segments, recording.strips, strict=True))
    centre = strip.x0_mm + strip.pixels.shape[1] / COLUMNS_PER_MM / 2
    x = bend.true_x(strip.x_mm, centre)
    below = np.full(len(x), np.nan)  # mm below the strip's middle
    for segment in row:
        millivolts = strips[segment].millivolts
        inside = (x >= segment.start_mm) & (x < segment.end_mm)
        sample = (x[inside] - segment.start_mm) / recording.speed_mm_s.value * recording.rate_hz
        mv = np.interp(sample, np.arange(len(millivolts)), millivolts)
        true_y = segment.baseline_mm - page.gain_mm_mv(segment) * mv - row[0].baseline_mm
        below[inside] = (true_y - bend.offset(strip.x_mm[inside], centre)) / (1 + bend.stretch_y)
    bins = len(strip.rise_mm) // 2
    target = below / BIN_MM + (bins - 1) / 2
    target = np.clip(target, 0, bins - 1)
    rows = (np.nan_to_num(target) * 2 + 0.5).astype(int)
    on_page = strip.on_page[rows, np.arange(len(x))]
    return target.astype(np.float32), np.isnan(target) | on_page


def told(
    page: PooledPage, row: list[Segment], rng: np.random.Generator, plain: bool
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """What stage 0 would say: lead ends 0.3 mm wrong on most pages, else 0.7 mm, names alike, some or all missed."""
    spans = [(segment.start_mm, segment.end_mm) for segment in row]
    if plain:
        return spans, list(page.names_mm)
    off = USUAL_HINT_MM if rng.random() < USUAL_HINTS else POOR_HINT_MM
    shared = rng.normal(0, off)
    spans = [(start + shared + rng.normal(0, off), end + shared + rng.normal(0, off)) for start, end in spans]
    names = [(x + rng.normal(0, off), y + rng.normal(0, off)) for x, y in page.names_mm if rng.random() < 0.9]
    return spans if rng.random() < 0.88 else [], names if rng.random() < 0.6 else []


def disturb(strip: RowStrip, target: Float32, rng: np.random.Generator) -> tuple[RowStrip, Float32]:
    """Colour, contrast, blur, noise, one-bit copies, foreign letters, and columns torn out of the ink."""
    pixels, target = strip.pixels.copy(), target.copy()
    if rng.random() < 0.25:
        pixels[:] = (pixels @ np.float32(rng.dirichlet([2, 2, 2])))[..., None]
    if rng.random() < 0.25:
        pixels = np.ascontiguousarray(pixels[..., rng.permutation(3)])
    if rng.random() < 0.2:
        _letter(pixels, rng)
    if rng.random() < 0.12:
        _tear(pixels, target, rng)
    pixels[:] = cv2.pow(pixels, float(rng.uniform(0.6, 1.6)))
    pixels *= rng.uniform(0.85, 1.0, 3).astype(np.float32)
    pixels += rng.normal(0, 0.03, 3).astype(np.float32)
    if rng.random() < 0.15:
        sigma = rng.uniform(0.3, 1.3)
        pixels[:] = cv2.GaussianBlur(pixels, (0, 0), sigmaX=sigma * COLUMNS_PER_MM / ROWS_PER_MM, sigmaY=sigma)
    if rng.random() < 0.3:
        noise = rng.standard_normal(pixels.shape[:2], np.float32)[..., None]
        pixels += noise * np.float32(rng.uniform(0.01, 0.1))
    if rng.random() < 0.05:
        level = np.quantile(pixels.mean(axis=2), rng.uniform(0.02, 0.08))
        pixels[:] = pixels.mean(axis=2, keepdims=True) > level
    return RowStrip(np.asarray(pixels, np.float32), strip.on_page, strip.x0_mm, strip.baseline_mm), target


def _letter(pixels: Float32, rng: np.random.Generator) -> None:
    """A lead name or a number somewhere near the trace, in the strip's own ink."""
    word = str(rng.choice(["V1", "V2", "V3", "V4", "V5", "V6", "aVR", "aVL", "aVF", "I", "II", "III", "25", "mV"]))
    rows, columns = pixels.shape[0], pixels.shape[1] * ROWS_PER_MM // COLUMNS_PER_MM  # as wide as high on the paper
    at = (int(rng.integers(0, columns - 12)), int(rng.integers(rows // 4, rows * 3 // 4)))
    ink = float(np.quantile(pixels[::4, ::4], 0.01))
    layer = np.zeros((rows, columns), np.uint8)
    font = [cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX][rng.integers(3)]
    cv2.putText(layer, word, at, font, float(rng.uniform(0.4, 0.9)), 255, int(rng.integers(1, 3)), cv2.LINE_AA)
    layer = cv2.resize(layer, (pixels.shape[1], rows), interpolation=cv2.INTER_LINEAR)
    share = (layer / np.float32(255))[..., None]
    pixels *= 1 - share
    pixels += share * ink


def _tear(pixels: Float32, target: Float32, rng: np.random.Generator) -> None:
    """One to three narrow bands without ink: drop-outs that must be called gaps."""
    for _ in range(int(rng.integers(1, 4))):
        width = round(rng.uniform(0.5, 5.0) * COLUMNS_PER_MM)
        left = int(rng.integers(0, pixels.shape[1] - width))
        pixels[:, left : left + width] = np.median(pixels[:, left : left + width], axis=0, keepdims=True)
        target[left : left + width] = np.nan
