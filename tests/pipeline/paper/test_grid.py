"""The grid of rendered pages is found where the renderer put it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.paper import GridFit, find_grid
from pipeline.recording import Float32, Known, Page, Source
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import PageSpec, render
from pipeline.synth.spec import Camera, GridStyle, Paper, Print, Wear
from pipeline.synth.truth import PageTruth, Rendered

DARK = Paper(minor=(120, 120, 120), major=(60, 60, 60))
SCAN = Wear(noise=0.15, blur=0.2, dirt=0.2, jpeg_quality=88)


@pytest.fixture(scope="module")
def signals() -> Float32:
    return synthetic_ecg(np.random.default_rng(4), 10.0, 500)


def drawn(signals: Float32, spec: PageSpec, seed: int = 1) -> Rendered:
    return render(signals, 500, spec, seed)


def node_errors_mm(fit: GridFit, truth: PageTruth, page: Page) -> np.ndarray:
    """How far the true crossings of the 5 mm lines lie from where the fit has them, but for one offset; mm."""
    height, width = page.image.shape[:2]
    px = truth.paper.nodes_px
    mm = np.stack(np.meshgrid(truth.paper.x_mm, truth.paper.y_mm), axis=-1)
    inside = (px > 0).all(axis=-1) & (px < [width - 1, height - 1]).all(axis=-1)
    off = fit.paper.to_mm(px[inside]) - mm[inside]
    return np.abs(off - np.median(off, axis=0))


def test_finds_every_node_of_a_clean_page_within_a_hundredth_of_a_millimetre(signals: Float32) -> None:
    page = drawn(signals, PageSpec())
    fit = find_grid(page.page.image, page.page.dpi)
    assert fit.known is Known.GRID
    assert fit.strength > 0.7
    errors = node_errors_mm(fit, page.truth, page.page)
    assert np.median(errors) < 0.005
    assert np.percentile(errors, 95) < 0.03


@pytest.mark.parametrize("roll_deg", [-3.0, 0.4, 3.0])
def test_follows_the_skew_of_a_scan(signals: Float32, roll_deg: float) -> None:
    page = drawn(signals, PageSpec(camera=Camera(roll_deg=roll_deg), wear=SCAN, source=Source.COLOUR_SCAN))
    fit = find_grid(page.page.image, page.page.dpi)
    assert fit.skew_deg == pytest.approx(roll_deg, abs=0.03)
    assert np.percentile(node_errors_mm(fit, page.truth, page.page), 95) < 0.04


def test_needs_no_resolution_in_the_file(signals: Float32) -> None:
    page = drawn(signals, PageSpec(camera=Camera(roll_deg=1.0), wear=SCAN, tells_dpi=False))
    assert page.page.dpi is None
    fit = find_grid(page.page.image, None)
    assert fit.pitch_px == pytest.approx((200 / 25.4, 200 / 25.4), rel=0.001)


def test_measures_both_pitches_of_a_standard_fax(signals: Float32) -> None:
    page = drawn(
        signals,
        PageSpec(
            DARK,
            Print(trace_mm=0.35),
            Camera(roll_deg=0.3),
            Wear(noise=0.2),
            Source.FAX_STANDARD,
            px_per_mm=204 / 25.4,
            grey=True,
            fax_dpi=(204.0, 98.0),
        ),
    )
    fit = find_grid(page.page.image, page.page.dpi)
    assert fit.known is Known.GRID
    assert fit.pitch_px == pytest.approx((204 / 25.4, 98 / 25.4), rel=0.002)
    assert np.percentile(node_errors_mm(fit, page.truth, page.page), 95) < 0.06


def test_follows_perspective_and_curl_of_a_photograph(signals: Float32) -> None:
    camera = Camera(roll_deg=2.0, tilt_deg=(8.0, -6.0), curl_mm=3.0, curl_deg=30.0)
    wear = Wear(noise=0.2, blur=0.25, shadow=0.5, jpeg_quality=85)
    page = drawn(signals, PageSpec(camera=camera, wear=wear, source=Source.PHOTO_OF_PAPER, tells_dpi=False))
    fit = find_grid(page.page.image, None)
    errors = node_errors_mm(fit, page.truth, page.page)
    assert np.median(errors) < 0.02
    assert np.percentile(errors, 90) < 0.1


@pytest.mark.parametrize("style", [GridStyle.MAJOR_ONLY, GridStyle.DOTTED_MINOR])
def test_tells_1_mm_from_5_mm_lines(signals: Float32, style: GridStyle) -> None:
    page = drawn(signals, PageSpec(paper=Paper(style=style), tells_dpi=False))
    fit = find_grid(page.page.image, None)
    assert fit.known is Known.GRID
    assert fit.pitch_px == pytest.approx((200 / 25.4, 200 / 25.4), rel=0.002)


def gridless(tells_dpi: bool, roll_deg: float) -> PageSpec:
    fax = PageSpec(Paper(style=GridStyle.NONE), Print(trace_mm=0.35), Camera(roll_deg=roll_deg), Wear(dirt=0.2))
    fax = replace(fax, source=Source.FAX_FINE, px_per_mm=204 / 25.4, grey=True, fax_dpi=(204.0, 196.0))
    return replace(fax, tells_dpi=tells_dpi)


@pytest.mark.parametrize("roll_deg", [-0.5, 0.3])
def test_takes_a_gridless_faxs_scale_from_its_resolution_and_its_skew_from_its_letters(
    signals: Float32, roll_deg: float
) -> None:
    page = drawn(signals, gridless(True, roll_deg))
    fit = find_grid(page.page.image, page.page.dpi)
    assert fit.known is Known.DPI
    assert fit.strength == 0.0
    assert fit.pitch_px == pytest.approx((204 / 25.4, 196 / 25.4))
    assert fit.skew_deg == pytest.approx(roll_deg, abs=0.08)
    assert np.percentile(node_errors_mm(fit, page.truth, page.page), 95) < 0.25


def test_says_that_it_assumed_the_size_of_a_page_that_tells_nothing(signals: Float32) -> None:
    page = drawn(signals, gridless(False, 0.0))
    fit = find_grid(page.page.image, None)
    assert fit.known is Known.ASSUMED
    assert fit.paper.known is Known.ASSUMED


def test_does_not_believe_a_screens_resolution(signals: Float32) -> None:
    page = drawn(signals, gridless(False, 0.0))
    assert find_grid(page.page.image, (72.0, 72.0)).known is Known.ASSUMED


@pytest.mark.parametrize("shape", [(40, 30, 3), (400, 900, 3)])
def test_finds_no_grid_on_an_empty_page(shape: tuple[int, int, int]) -> None:
    fit = find_grid(np.full(shape, 255, np.uint8), None)
    assert fit.known is Known.ASSUMED
    assert fit.strength == 0.0


def test_finds_no_grid_in_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    assert find_grid(noise, None).known is Known.ASSUMED
