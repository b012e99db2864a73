"""Signals and a specification in, a page and its exact truth out."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.geometry import Float64, Keypoint, PaperMap, Segment
from pipeline.recording import Float32, Known, MadeBy, Page, Recording, Scale, Seen, Source, Strip, UInt8
from pipeline.synth import capture
from pipeline.synth.camera import aim, fold_lines, look, paper_map
from pipeline.synth.canvas import Frame
from pipeline.synth.other import render_not_an_ecg
from pipeline.synth.plan import CHEST, Plan, as_printed, plan_page
from pipeline.synth.random_page import random_spec
from pipeline.synth.sheet import Sheet, print_sheet
from pipeline.synth.sheet_damage import clouds, multiplied, wear_down
from pipeline.synth.spec import PHOTOGRAPHED, Camera, GridStyle, PageSpec, Paper, Print, Wear
from pipeline.synth.truth import PageTruth, Rendered

__all__ = [
    "PageSpec",
    "clean_page",
    "faxed_page",
    "in_picture",
    "random_spec",
    "render",
    "render_not_an_ecg",
    "scanned_page",
    "strip_mm",
]

_MADE_BY = MadeBy("synth")


def render(signals_mv: Float32, rate_hz: int, spec: PageSpec, seed: int) -> Rendered:
    """Draw float32 (12, n) mV, I II III aVR aVL aVF V1..V6, as the page that spec describes.

    The same seed gives the same page. signals_mv holds no NaN.
    """
    rng = np.random.default_rng(seed)
    printed = as_printed(signals_mv, rate_hz, spec.print.trace_rate_hz)
    plan = plan_page(printed, rate_hz, spec, rng)
    spec = replace(spec, px_per_mm=spec.px_per_mm * spec.print_scale)
    whole = _sheet_mm(spec)
    cut = spec.camera.crop_mm
    window = (whole[0] + cut[0], whole[1] + cut[1], whole[2] - cut[2], whole[3] - cut[3])
    image, paper, sheet = (
        _flat(plan, rate_hz, spec, window, rng) if spec.camera.still else _seen(plan, rate_hz, spec, window, rng)
    )
    names = np.array([(x, y) for _, x, y in sheet.names_mm], np.float64).reshape(-1, 2)
    names_px = paper.to_px(names) if len(names) else names
    image, paper, names_px = _squash(image, paper, names_px, spec)
    image = _captured(image, spec, rng)
    image, paper, names_px = _turn(image, paper, names_px, spec.orientation)
    keypoints = tuple(
        Keypoint(lead, float(x), float(y), 1.0) for (lead, _, _), (x, y) in zip(sheet.names_mm, names_px, strict=True)
    )
    truth = PageTruth(
        _recording(plan, rate_hz, spec),
        paper,
        tuple(t.segment for t in plan.traces),
        keypoints,
        tuple((p.x0_mm, p.x1_mm, p.baseline_mm, p.height_mm) for p in plan.pulses),
        spec.orientation,
        spec.source,
        spec.wear.severities(),
        spec.paper.style is not GridStyle.NONE,
        spec.paper.box_mm,
        sheet.scales_mm,
    )
    return Rendered(Page(np.ascontiguousarray(image), _dpi(spec)), truth)


def _sheet_mm(spec: PageSpec) -> tuple[float, float, float, float]:
    ox, oy = spec.paper.origin_mm
    return -ox, -oy, spec.paper.width_mm - ox, spec.paper.height_mm - oy


def _flat(
    plan: Plan, rate_hz: int, spec: PageSpec, window: tuple[float, float, float, float], rng: np.random.Generator
) -> tuple[UInt8, PaperMap, Sheet]:
    """A perfect copy: the sheet's pixels are the image's."""
    s = spec.px_per_mm
    frame = Frame(window[0], window[1], round((window[2] - window[0]) * s), round((window[3] - window[1]) * s), s)
    sheet = print_sheet(plan, rate_hz, spec, frame, rng)
    x_mm, y_mm = (np.arange(np.ceil(window[i] / 5), np.floor(window[i + 2] / 5) + 1) * 5.0 for i in (0, 1))
    nodes = frame.to_px(np.stack(np.meshgrid(x_mm, y_mm), axis=-1))
    folds = fold_lines(spec.camera, (window[2] - window[0], window[3] - window[1]), rng)
    worn = wear_down(sheet.image, frame, spec, folds, ((window[0] + window[2]) / 2, (window[1] + window[3]) / 2), rng)
    return worn.image, PaperMap(x_mm, y_mm, nodes, Known.GRID), sheet


def _seen(
    plan: Plan, rate_hz: int, spec: PageSpec, window: tuple[float, float, float, float], rng: np.random.Generator
) -> tuple[UInt8, PaperMap, Sheet]:
    """The sheet through a camera or a scanner: one resampling."""
    whole = _sheet_mm(spec)
    # drawn a little finer than it is seen, so that the resampling costs no sharpness
    s = spec.px_per_mm * 1.15
    frame = Frame(whole[0], whole[1], round((whole[2] - whole[0]) * s), round((whole[3] - whole[1]) * s), s)
    sheet = print_sheet(plan, rate_hz, spec, frame, rng)
    view = aim(spec, window, rng)
    worn = wear_down(sheet.image, frame, spec, view.folds, view.centre_mm, rng)
    gaze = look(view)
    image = gaze.resample(worn.image, frame)
    if spec.camera.curl_mm or spec.camera.folds:
        image = multiplied(image, gaze.relief(view, rng))
    there = gaze.on_sheet(whole, spec.px_per_mm)
    if worn.gone is not None:
        there = there * (1 - gaze.resample(worn.gone, frame).astype(np.float32) / 255)
    if there.min() < 1:
        image = np.asarray(cv2.blendLinear(image, _beside(image.shape[:2], spec, rng), there, 1 - there), np.uint8)
    return image, paper_map(view, whole), sheet


def _beside(shape: tuple[int, int], spec: PageSpec, rng: np.random.Generator) -> UInt8:
    """What lies around the sheet: a desk, a dark screen's rim, or a scanner's lid."""
    if spec.source not in PHOTOGRAPHED or spec.camera.flatbed:
        tone = int(rng.choice([255, 248, 235, 8]))
        return np.full((*shape, 3), tone, np.uint8)
    if spec.source is Source.PHOTO_OF_SCREEN:
        return np.full((*shape, 3), rng.integers(5, 60, 3), np.uint8)
    colour = rng.uniform(20, 225) * rng.uniform(0.7, 1.0, 3)
    small = clouds((shape[0] // 8 + 1, shape[1] // 8 + 1), int(rng.integers(3, 20)), rng) * rng.uniform(0, 40)
    if rng.random() < 0.5:
        small = small + np.sin(np.arange(small.shape[1]) * rng.uniform(0.1, 1.5))[None, :] * rng.uniform(0, 12)
    desk = np.clip(small[..., None] + colour, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(desk, (shape[1], shape[0])), np.uint8)


def in_picture(rendered: Rendered) -> tuple[npt.NDArray[np.bool_], ...]:
    """For every strip, which of its samples lie inside the image: cut-off ones cannot be read. bool (n,) each."""
    truth, (h, w) = rendered.truth, rendered.page.image.shape[:2]
    found: list[npt.NDArray[np.bool_]] = []
    for strip, segment in zip(truth.recording.strips, truth.segments, strict=True):
        px = truth.paper.to_px(strip_mm(truth.recording, strip, segment))
        inside = (px > -0.5) & (px < [w - 0.5, h - 0.5])
        found.append(np.asarray(inside[:, 0] & inside[:, 1]))
    return tuple(found)


def strip_mm(recording: Recording, strip: Strip, segment: Segment) -> Float64:
    """float64 (n, 2): where on the paper each sample of a strip is printed."""
    chest = recording.chest_gain_mm_mv if segment.lead in CHEST else None
    gain = (chest or recording.gain_mm_mv).value
    x = segment.start_mm + np.arange(strip.samples) / recording.rate_hz * recording.speed_mm_s.value
    return np.column_stack([x, segment.baseline_mm - gain * strip.millivolts.astype(np.float64)])


def _squash(image: UInt8, paper: PaperMap, names_px: np.ndarray, spec: PageSpec) -> tuple[UInt8, PaperMap, np.ndarray]:
    """To a fax's own vertical resolution; its lines are coarser than its columns."""
    if spec.fax_dpi is None:
        return image, paper, names_px
    h = round(image.shape[0] * spec.fax_dpi[1] / spec.fax_dpi[0])
    ratio = np.array([1.0, h / image.shape[0]])
    image = np.asarray(cv2.resize(image, (image.shape[1], h), interpolation=cv2.INTER_AREA), np.uint8)
    paper = replace(paper, nodes_px=(paper.nodes_px + 0.5) * ratio - 0.5)
    return image, paper, (names_px + 0.5) * ratio - 0.5


def _captured(image: UInt8, spec: PageSpec, rng: np.random.Generator) -> UInt8:
    wear = spec.wear
    image = capture.shine(image, wear, rng)
    if wear.glare > 0:
        image = capture.glare(image, wear.glare, rng)
    if wear.moire > 0:
        image = capture.moire(image, wear.moire, spec.px_per_mm, rng)
    image = capture.defocus(image, wear.blur, spec.px_per_mm, rng)
    image = capture.grain(image, wear.noise, rng)
    if wear.sharpen > 0:
        image = capture.sharpened(image, wear.sharpen, spec.px_per_mm)
    if spec.grey:
        image = capture.grey(image, rng, harden=spec.source in (Source.BW_SCAN, Source.MOULDY_BW_SCAN))
    if spec.fax_dpi is not None:
        image = capture.one_bit(image, spec.halftone, rng)
    image = capture.drop_lines(image, wear.line_drop_out, rng)
    return capture.jpeg(image, wear.jpeg_quality) if wear.jpeg_quality and spec.fax_dpi is None else image


def _turn(image: UInt8, paper: PaperMap, names_px: np.ndarray, orientation: int) -> tuple[UInt8, PaperMap, np.ndarray]:
    """The mirror first, then the quarter turns counter-clockwise."""
    nodes = paper.nodes_px
    if orientation >= 4:
        nodes, names_px = (_mirrored(points, image.shape[1]) for points in (nodes, names_px))
        image = image[:, ::-1]
    for _ in range(orientation % 4):
        nodes, names_px = (_quarter(points, image.shape[1]) for points in (nodes, names_px))
        image = np.rot90(image)
    return image, replace(paper, nodes_px=nodes), names_px


def _mirrored(points: np.ndarray, width: int) -> np.ndarray:
    return np.stack([width - 1 - points[..., 0], points[..., 1]], axis=-1)


def _quarter(points: np.ndarray, width: int) -> np.ndarray:
    return np.stack([points[..., 1], width - 1 - points[..., 0]], axis=-1)


def _dpi(spec: PageSpec) -> tuple[float, float] | None:
    if spec.fax_dpi is not None:
        x, y = spec.fax_dpi
    else:
        x = y = spec.px_per_mm / spec.print_scale * 25.4
    dpi = (y, x) if spec.orientation % 2 else (x, y)
    return dpi if spec.tells_dpi else None


def _recording(plan: Plan, rate_hz: int, spec: PageSpec) -> Recording:
    strips = tuple(
        Strip(
            t.segment.lead,
            t.segment.start_s,
            t.millivolts,
            np.zeros(len(t.millivolts), np.float32),
            np.full(len(t.millivolts), Seen.READ, np.uint8),
        )
        for t in plan.traces
    )
    p = spec.print
    chest = Scale(p.chest_gain_mm_mv, Known.GRID) if p.chest_gain_mm_mv else None
    speed, gain = Scale(p.speed_mm_s, Known.GRID), Scale(p.gain_mm_mv, Known.GRID)
    return Recording(strips, rate_hz, p.layout, speed, gain, spec.source, 1.0, _MADE_BY, chest_gain_mm_mv=chest)


def clean_page(signals_mv: Float32, rate_hz: int, seed: int) -> Rendered:
    """A digital render: 3x4+1, 25 mm/s, 10 mm/mV, 200 dpi on 280 x 215 mm."""
    return render(signals_mv, rate_hz, PageSpec(), seed)


def scanned_page(signals_mv: Float32, rate_hz: int, seed: int) -> Rendered:
    """The same page from a flatbed: slightly skewed and noisy."""
    rng = np.random.default_rng(seed)
    camera = Camera(roll_deg=float(rng.uniform(-1, 1)))
    wear = Wear(noise=0.15, blur=0.2, dirt=0.2, colour_cast=0.1, jpeg_quality=88)
    return render(signals_mv, rate_hz, PageSpec(camera=camera, wear=wear, source=Source.COLOUR_SCAN), seed)


def faxed_page(signals_mv: Float32, rate_hz: int, seed: int, *, fine: bool = True, ruled: bool = False) -> Rendered:
    """The same page as a one-bit fax of 204 x 196 dpi, or 204 x 98 when not fine.

    ruled: the 5-mm lines are dark enough to survive the fax machine; else no ruling does.
    """
    rng = np.random.default_rng(seed)
    dpi = (204.0, 196.0) if fine else (204.0, 98.0)
    spec = PageSpec(
        Paper(minor=(225, 225, 225), major=(110, 110, 110) if ruled else (190, 190, 190)),
        Print(trace_mm=0.35),
        Camera(roll_deg=float(rng.uniform(-0.6, 0.6))),
        Wear(noise=0.2, dirt=0.2),
        Source.FAX_FINE if fine else Source.FAX_STANDARD,
        px_per_mm=204 / 25.4,
        grey=True,
        fax_dpi=dpi,
    )
    return render(signals_mv, rate_hz, spec, seed)
