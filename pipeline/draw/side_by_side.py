"""Draws a page beside its digitized leads, so that a person can compare them at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageColor, ImageDraw

from pipeline.fonts import BOLD, REGULAR, truetype
from pipeline.geometry import Float64
from pipeline.recording import Lead, Page, Recording, Seen, Severity, Strip, UInt8

BODY_PX = 940  # height of the page and of the leads
HEAD_PX, FOOT_PX, GAP_PX = 80, 60, 22
SPEED_MM_S, GAIN_MM_MV = 25.0, 10.0  # drawn as most devices print, whatever the page was printed at
ROW_MM = 25.0  # the least distance between drawn rows
MARGIN_MM = 6.0
WIDEST = 2.4  # of a picture's width to the height of the body
SUBPIXEL_BITS = 4  # cv2 draws at sixteenths of a pixel

PAPER, MINOR, MAJOR = "#fff8f6", "#f9dcd7", "#f0b3ab"
INK, BAND, BRIDGED, UNSURE, GREY = "#14213d", "#5b7fd1", "#e4572e", "#b3541e", "#555555"
LEGEND = (
    ("?", UNSURE, "uncertain lead"),
    ("■", BAND, "± 2 sigma"),
    ("—", BRIDGED, "bridged or not read"),
    ("—", INK, "read"),
)
TITLE, SMALL, NAME = (BOLD, 23), (REGULAR, 15), (BOLD, 17)


@dataclass(frozen=True)
class _Placed:
    """A strip and the level of 0 mV it is drawn at, in millimetres from the top."""

    strip: Strip
    level_mm: float


def draw(page: Page, recording: Recording) -> UInt8:
    """The page on the left, its leads on drawn ECG paper on the right. uint8 (H, W, 3) RGB."""
    left, right = _page(page), _leads(recording)
    width = left.shape[1] + right.shape[1] + 3 * GAP_PX
    canvas = np.full((HEAD_PX + BODY_PX + FOOT_PX, width, 3), 255, np.uint8)
    second = left.shape[1] + 2 * GAP_PX
    for image, x in ((left, GAP_PX), (right, second)):
        y = HEAD_PX + (BODY_PX - image.shape[0]) // 2
        canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    return _lettered(canvas, recording, second)


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


def _page(page: Page) -> UInt8:
    """The page, reduced or enlarged to the height of the picture; a very long one to its width."""
    height, width = page.image.shape[:2]
    return _fitted(page.image, *_size_px(width / height))


def _size_px(ratio: float) -> tuple[int, int]:
    """Width and height of a picture with this ratio of both: as high as the others unless it is wider than most."""
    width = round(min(ratio, WIDEST) * BODY_PX)
    return width, round(width / ratio)


def _fitted(image: UInt8, width_px: int, height_px: int) -> UInt8:
    shrinks = width_px < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=how), np.uint8)


def _leads(recording: Recording) -> UInt8:
    """The strips on drawn paper."""
    placed = tuple(_place(recording.strips, recording.rate_hz))
    width_mm = max(recording.duration_s, 2.5) * SPEED_MM_S + 2 * MARGIN_MM
    height_mm = _height_mm(placed)
    width_px, height_px = _size_px(width_mm / height_mm)
    px_mm = width_px / width_mm
    canvas = _paper(width_px, height_px, px_mm)
    doubtful = {f.lead for f in recording.findings if f.lead is not None and f.severity is not Severity.INFO}
    for item in placed:
        _strip(canvas, item, recording.rate_hz, px_mm)
    image = Image.fromarray(canvas)
    for item in placed:
        _name(ImageDraw.Draw(image), item, px_mm, item.strip.lead in doubtful)
    return np.asarray(image, np.uint8)


def _paper(width_px: int, height_px: int, px_mm: float) -> UInt8:
    """1 mm and 5 mm squares. uint8 (H, W, 3) RGB."""
    canvas = np.full((height_px, width_px, 3), ImageColor.getrgb(PAPER), np.uint8)
    for pitch_mm, colour in ((1, MINOR), (5, MAJOR)):
        pitch_px = pitch_mm * px_mm
        canvas[:, np.arange(0, width_px, pitch_px).astype(int)] = ImageColor.getrgb(colour)
        canvas[np.arange(0, height_px, pitch_px).astype(int)] = ImageColor.getrgb(colour)
    return canvas


def _strip(canvas: UInt8, placed: _Placed, rate_hz: int, px_mm: float) -> None:
    """Draws the band of +-2 sigma, the trace, and what is bridged or missing, into the canvas."""
    strip = placed.strip
    x = px_mm * (MARGIN_MM + (strip.start_s + np.arange(strip.samples) / rate_hz) * SPEED_MM_S)
    y = px_mm * (placed.level_mm - GAIN_MM_MV * strip.millivolts.astype(np.float64))
    spread = 2 * px_mm * GAIN_MM_MV * strip.sigma_mv.astype(np.float64)
    tinted = canvas.copy()
    for first, stop in _stretches(np.isfinite(y + spread)):
        around = np.concatenate([y[first:stop] - spread[first:stop], (y + spread)[first:stop][::-1]])
        across = np.concatenate([x[first:stop], x[first:stop][::-1]])
        cv2.fillPoly(tinted, [_points(across, around)], ImageColor.getrgb(BAND), cv2.LINE_AA, SUBPIXEL_BITS)
    cv2.addWeighted(tinted, 0.28, canvas, 0.72, 0, dst=canvas)
    _line(canvas, x, y, INK, 1)
    _line(canvas, x, _only(y, strip.seen == Seen.BRIDGED), BRIDGED, 2)
    level_px = round(px_mm * placed.level_mm)
    for first, stop in _stretches(~np.isfinite(strip.millivolts)):  # dotted, where nothing was read
        canvas[level_px, np.arange(x[first], x[stop - 1], 3).astype(int)] = ImageColor.getrgb(BRIDGED)


def _line(canvas: UInt8, x: Float64, y: Float64, colour: str, width_px: int) -> None:
    lines = [_points(x[first:stop], y[first:stop]) for first, stop in _stretches(np.isfinite(y))]
    cv2.polylines(canvas, lines, False, ImageColor.getrgb(colour), width_px, cv2.LINE_AA, SUBPIXEL_BITS)


def _points(x: Float64, y: Float64) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Points in cv2's fixed point, int32 (N, 2)."""
    return np.round(np.stack([x, y], axis=1) * (1 << SUBPIXEL_BITS)).astype(np.int32)


def _name(drawing: ImageDraw.ImageDraw, placed: _Placed, px_mm: float, doubtful: bool) -> None:
    strip = placed.strip
    text, colour = (f"{strip.lead} ?", UNSURE) if doubtful else (str(strip.lead), INK)
    at = (px_mm * (MARGIN_MM + strip.start_s * SPEED_MM_S + 1), px_mm * (placed.level_mm - ROW_MM / 3))
    left, top, right, bottom = drawing.textbbox(at, text, truetype(*NAME))
    drawing.rectangle((left - 3, top - 3, right + 3, bottom + 3), PAPER, UNSURE if doubtful else None)
    drawing.text(at, text, colour, truetype(*NAME))


def _only(y: Float64, where: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Float64:
    """y where asked for and one sample to either side, NaN elsewhere, so that the coloured stretch touches the line."""
    wide = where.copy()
    wide[1:] |= where[:-1]
    wide[:-1] |= where[1:]
    return np.where(wide, y, np.nan)


def _stretches(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _lettered(canvas: UInt8, recording: Recording, second: int) -> UInt8:
    """The picture with its titles, scales, findings and legend. second: where the leads begin, pixels."""
    image = Image.fromarray(canvas)
    drawing = ImageDraw.Draw(image)
    speed, gain = recording.speed_mm_s, recording.gain_mm_mv
    title = f"Digitized   {recording.layout}   {recording.rate_hz} Hz   confidence {recording.confidence_text}"
    printed = f"printed at {speed.value:g} mm/s ({speed.known}), {gain.value:g} mm/mV ({gain.known})"
    printed += "; drawn at 25 mm/s, 10 mm/mV"
    for x, heading, below in ((GAP_PX, "The page", recording.source.replace("_", " ")), (second, title, printed)):
        drawing.text((x, GAP_PX / 2), heading, INK, truetype(*TITLE))
        drawing.text((x, HEAD_PX / 2), below, GREY, truetype(*SMALL))
    texts = [_finding_text(code, leads) for code, leads in _by_code(recording).items()]
    foot = HEAD_PX + BODY_PX + FOOT_PX / 3
    left: float = image.width - GAP_PX
    drawing.text((GAP_PX, foot), _shortened("; ".join(texts) or "no findings", 150), GREY, truetype(*SMALL))
    for mark, colour, text in LEGEND:
        left -= drawing.textlength(f"{mark} {text}   ", truetype(*SMALL))
        drawing.text((left, foot), mark, colour, truetype(*SMALL))
        drawing.text((left + drawing.textlength(f"{mark} ", truetype(*SMALL)), foot), text, GREY, truetype(*SMALL))
    return np.asarray(image, np.uint8)


def _by_code(recording: Recording) -> dict[str, list[Lead]]:
    found: dict[str, list[Lead]] = {}
    for finding in recording.findings:
        if finding.severity is not Severity.INFO:
            leads = found.setdefault(str(finding.code), [])
            if finding.lead is not None and finding.lead not in leads:
                leads.append(finding.lead)
    return found


def _finding_text(code: str, leads: Sequence[Lead]) -> str:
    words = code.replace("_", " ")
    return f"{words} ({', '.join(leads)})" if leads else words


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
