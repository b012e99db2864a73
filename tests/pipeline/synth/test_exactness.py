"""The truth is where the ink is: measured on the pixels, on flat and on bent pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.recording import Float32
from pipeline.synth.page import PageSpec, in_picture, render, strip_mm
from pipeline.synth.spec import Camera, GridStyle, Paper, Place, Print, Separator
from pipeline.synth.truth import Rendered

RATE_HZ = 500
BENT = Camera(
    roll_deg=2.0, tilt_deg=(5.0, -4.0), lens=0.02, curl_mm=4.0, curl_wave_mm=250.0, folds=1, fold_mm=2.0, flatbed=False
)
CRUMPLED = replace(BENT, roll_deg=-3.0, curl_mm=7.0, curl_wave_mm=170.0, curl_deg=35.0, folds=3, lens=-0.03)
VIEWS = pytest.mark.parametrize("camera", [Camera(), BENT, CRUMPLED], ids=["flat", "bent", "crumpled"])


def _bare(camera: Camera, layout: str = "12x1") -> PageSpec:
    """Nothing on the page but traces."""
    paper = Paper(200.0, 215.0, style=GridStyle.NONE)
    printed = Print(
        layout,
        pulse=Place.NONE,
        separator=Separator.NONE,
        labels_missing=1.1,
        header_lines=0,
        measurements=False,
        footer=False,
        top_mm=12,
        row_mm=17,
    )
    return PageSpec(paper, printed, camera)


def _gentle() -> Float32:
    """Slow waves, different in every lead, so that a pixel column holds one clean crossing of the line."""
    t = np.arange(5000) / RATE_HZ
    return np.stack([0.3 * np.sin(2 * np.pi * (0.5 + 0.07 * k) * t + k) for k in range(12)]).astype(np.float32)


def _dark(rendered: Rendered) -> np.ndarray:
    return 255.0 - rendered.page.image[..., 1].astype(np.float64)


def _centroid_errors(rendered: Rendered) -> np.ndarray:
    """Ink centroid of pixel columns minus the truth, px."""
    ink, truth = _dark(rendered), rendered.truth
    errors = []
    for strip, segment in zip(truth.recording.strips, truth.segments, strict=True):
        curve = truth.paper.to_px(strip_mm(truth.recording, strip, segment))
        for column in range(int(curve[0, 0]) + 10, int(curve[-1, 0]) - 10, 11):
            true_y = np.interp(column, curve[:, 0], curve[:, 1])
            rows = np.arange(round(true_y) - 7, round(true_y) + 8)
            part = np.maximum(ink[rows, column] - np.median(ink[rows, column]), 0)  # relief shades bent paper
            errors.append((part * rows).sum() / part.sum() - true_y)
    return np.array(errors)


def test_ink_lies_on_the_truth_of_a_clean_page() -> None:
    errors = _centroid_errors(render(_gentle(), RATE_HZ, _bare(Camera()), 1))
    assert len(errors) > 500
    assert abs(errors.mean()) < 0.01
    assert np.percentile(np.abs(errors), 99) < 0.1


def test_ink_lies_on_the_truth_of_a_bent_page() -> None:
    errors = _centroid_errors(render(_gentle(), RATE_HZ, _bare(BENT), 1))
    assert len(errors) > 500
    assert abs(errors.mean()) < 0.03
    assert np.percentile(np.abs(errors), 99) < 0.2


@VIEWS
def test_nodes_lie_on_the_crossings_of_the_strong_lines(camera: Camera) -> None:
    paper = Paper(120.0, 90.0, (2.0, 3.0), style=GridStyle.MAJOR_ONLY, major=(0, 0, 0), major_mm=0.3)
    spec = replace(_bare(camera, "3x4"), paper=paper)
    spec = replace(spec, print=replace(spec.print, trace=(255, 255, 255), left_mm=1.0, right_mm=1.0))
    rendered = render(_gentle(), RATE_HZ, spec, 4)
    dark, (h, w) = _dark(rendered), rendered.page.image.shape[:2]
    errors = []
    for x, y in rendered.truth.paper.nodes_px[1:-1, 1:-1].reshape(-1, 2):
        column, row = round(x), round(y)
        if not (14 < column < w - 15 and 14 < row < h - 15):
            continue
        near = np.arange(-6, 7)
        # beside the crossing, one line alone: its place averaged from both sides
        places_x = [_centroid(dark[row + d, column + near]) + column - 6 for d in (-9, 9)]
        places_y = [_centroid(dark[row + near, column + d]) + row - 6 for d in (-9, 9)]
        errors.append((np.mean(places_x) - x, np.mean(places_y) - y))
    assert len(errors) > 100
    assert np.percentile(np.abs(errors), 95) < 0.25
    assert np.abs(np.mean(errors, axis=0)).max() < 0.05


def _centroid(profile: np.ndarray) -> float:
    above = np.maximum(profile - np.median(profile), 0)
    return float((above * np.arange(len(profile))).sum() / above.sum())


@VIEWS
def test_keypoints_are_the_centres_of_the_letters(camera: Camera) -> None:
    spec = _bare(camera, "3x4")
    printed = replace(spec.print, labels_missing=0.0, trace=(255, 255, 255), row_mm=40.0, top_mm=30.0)
    rendered = render(_gentle(), RATE_HZ, replace(spec, print=printed), 2)
    ink = _dark(rendered)
    assert len(rendered.truth.keypoints) == 12
    for name in rendered.truth.keypoints:
        x, y = round(name.x_px), round(name.y_px)
        near = ink[y - 25 : y + 26, x - 45 : x + 46]
        rows, columns = np.nonzero(near > 90)
        assert (columns.min() + columns.max()) / 2 - 45 == pytest.approx(name.x_px - x, abs=1.5)
        assert (rows.min() + rows.max()) / 2 - 25 == pytest.approx(name.y_px - y, abs=1.5)


def test_a_pulse_is_one_millivolt_high_where_the_truth_says() -> None:
    spec = _bare(Camera(), "3x4")
    spec = replace(spec, print=replace(spec.print, pulse=Place.LEFT, gain_mm_mv=20.0, row_mm=45.0, top_mm=40.0))
    rendered = render(_gentle(), RATE_HZ, spec, 2)
    ink = _dark(rendered)
    for x0, x1, baseline, height in rendered.truth.pulses_mm:
        assert (x1 - x0, height) == pytest.approx((5.0, 20.0))
        x, y = rendered.truth.paper.to_px(np.array([(x0 + x1) / 2, baseline - height]))
        assert _centroid(ink[round(y) - 6 : round(y) + 7, round(x)]) + round(y) - 6 == pytest.approx(y, abs=0.1)


def test_half_gain_chest_leads_are_drawn_at_half_gain() -> None:
    spec = _bare(Camera())
    spec = replace(spec, print=replace(spec.print, chest_gain_mm_mv=5.0))
    errors = _centroid_errors(render(_gentle(), RATE_HZ, spec, 1))
    assert np.percentile(np.abs(errors), 99) < 0.1


def test_samples_cut_off_with_the_page_are_not_in_the_picture() -> None:
    spec = _bare(Camera())
    whole = in_picture(render(_gentle(), RATE_HZ, spec, 1))
    assert all(inside.all() for inside in whole)
    cut = in_picture(render(_gentle(), RATE_HZ, replace(spec, camera=Camera(crop_mm=(58.02, 0.0, 0.0, 0.0))), 1))
    # the trace starts at 8 mm, so a hair over 50 mm are gone: 2 s at 25 mm/s
    assert [int((~inside).sum()) for inside in cut] == [1001] * 12
