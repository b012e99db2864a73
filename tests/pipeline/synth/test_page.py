from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.recording import Source
from pipeline.synth.fax import encode_fax_tiff
from pipeline.synth.layouts import LAYOUTS
from pipeline.synth.page import PageSpec, clean_page, faxed_page, random_spec, render, render_not_an_ecg, scanned_page
from pipeline.synth.signals import synthetic_ecg
from pipeline.synth.spec import Camera, GridStyle, Paper, Place, Print, Separator, Wear
from pipeline.synth.truth import Rendered

RATE_HZ = 500


def _signals(seed: int = 0) -> np.ndarray:
    return synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ)


def _bare(layout: str = "12x1", **camera: object) -> PageSpec:
    """Nothing on the page but traces."""
    paper = Paper(style=GridStyle.NONE)
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
    return PageSpec(paper, printed, Camera(**camera))


def _gentle() -> np.ndarray:
    """Slow waves, different in every lead, so that a pixel column holds one clean crossing of the line."""
    t = np.arange(5000) / RATE_HZ
    return np.stack([0.3 * np.sin(2 * np.pi * (0.5 + 0.07 * k) * t + k) for k in range(12)]).astype(np.float32)


def _centroid_errors(rendered: Rendered) -> np.ndarray:
    """Ink centroid of pixel columns minus the truth, px."""
    ink = 255.0 - rendered.page.image[..., 1].astype(np.float64)
    truth = rendered.truth
    errors = []
    for strip, segment in zip(truth.recording.strips, truth.segments, strict=True):
        x = segment.start_mm + np.arange(strip.samples) / RATE_HZ * truth.recording.speed_mm_s.value
        y = segment.baseline_mm - truth.recording.gain_mm_mv.value * strip.millivolts
        curve = truth.paper.to_px(np.column_stack([x, y]))
        for column in range(int(curve[0, 0]) + 10, int(curve[-1, 0]) - 10, 11):
            true_y = np.interp(column, curve[:, 0], curve[:, 1])
            rows = np.arange(round(true_y) - 7, round(true_y) + 8)
            part = ink[rows, column]
            errors.append((part * rows).sum() / part.sum() - true_y)
    return np.array(errors)


def test_ink_lies_on_the_truth_of_a_clean_page() -> None:
    errors = _centroid_errors(render(_gentle(), RATE_HZ, _bare(), 1))
    assert len(errors) > 500
    assert abs(errors.mean()) < 0.03
    assert np.percentile(np.abs(errors), 99) < 0.1


def test_ink_lies_on_the_truth_of_a_curled_and_tilted_page() -> None:
    spec = _bare(roll_deg=2.0, tilt_deg=(5.0, -4.0), lens=0.02, curl_mm=4.0, curl_wave_mm=250.0, folds=1, fold_mm=2.0)
    errors = _centroid_errors(render(_gentle(), RATE_HZ, spec, 1))
    assert len(errors) > 500
    assert abs(errors.mean()) < 0.05
    assert np.percentile(np.abs(errors), 99) < 0.2


def test_the_same_seed_gives_the_same_page() -> None:
    spec = random_spec(np.random.default_rng(5), source=Source.PHOTO_OF_PAPER, px_per_mm=4.0)
    one, two = (render(_signals(), RATE_HZ, spec, 9) for _ in range(2))
    assert np.array_equal(one.page.image, two.page.image)
    assert np.array_equal(one.truth.paper.nodes_px, two.truth.paper.nodes_px)
    assert one.truth.keypoints == two.truth.keypoints


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_shows_its_leads(layout: str) -> None:
    spec = random_spec(np.random.default_rng(2), source=Source.DIGITAL_RENDER, layout=layout, px_per_mm=4.0)
    truth = render(_signals(), RATE_HZ, spec, 3).truth
    expected = [lead for row in LAYOUTS[layout].rows for lead in row]
    assert [s.lead for s in truth.segments if not s.rhythm] == expected
    assert sum(s.rhythm for s in truth.segments) == LAYOUTS[layout].rhythms
    assert truth.recording.layout == layout


@pytest.mark.parametrize("source", [s for s in Source if s is not Source.NOT_AN_ECG])
def test_every_kind_of_image_renders(source: Source) -> None:
    spec = random_spec(np.random.default_rng(4), source=source, px_per_mm=4.0)
    page = render(_signals(), RATE_HZ, spec, 3).page
    assert page.image.std() > 3


def test_a_fax_is_one_bit_and_tells_its_oblong_pixels() -> None:
    rendered = faxed_page(_signals(), RATE_HZ, 1, fine=False)
    assert set(np.unique(rendered.page.image)) == {0, 255}
    assert rendered.page.dpi == (204.0, 98.0)
    nodes = rendered.truth.paper.nodes_px
    across = np.linalg.norm(nodes[:, 1:] - nodes[:, :-1], axis=-1).mean() / 5
    down = np.linalg.norm(nodes[1:] - nodes[:-1], axis=-1).mean() / 5
    assert across / down == pytest.approx(204 / 98, rel=0.005)


@pytest.mark.parametrize("orientation", range(8))
def test_orientation_turns_the_truth_with_the_page(orientation: int) -> None:
    spec = replace(PageSpec(), px_per_mm=4.0)
    upright = render(_signals(), RATE_HZ, spec, 1)
    turned = render(_signals(), RATE_HZ, replace(spec, orientation=orientation), 1)
    image = upright.page.image[:, ::-1] if orientation >= 4 else upright.page.image
    assert np.array_equal(np.rot90(image, orientation % 4), turned.page.image)
    for a, b in zip(upright.truth.keypoints, turned.truth.keypoints, strict=True):
        before = upright.page.image[round(a.y_px) - 5 : round(a.y_px) + 6, round(a.x_px) - 5 : round(a.x_px) + 6]
        after = turned.page.image[round(b.y_px) - 5 : round(b.y_px) + 6, round(b.x_px) - 5 : round(b.x_px) + 6]
        assert before.astype(int).sum() == pytest.approx(after.astype(int).sum(), rel=0.05)


def test_severity_zero_is_a_clean_page() -> None:
    spec = random_spec(np.random.default_rng(8), source=Source.COLOUR_SCAN, severity=0.0)
    assert spec.camera.still
    assert spec.wear == Wear()


def test_presets_are_3x4_with_rhythm_at_usual_scales() -> None:
    for preset in (clean_page, scanned_page, faxed_page):
        recording = preset(_signals(), RATE_HZ, 2).truth.recording
        assert (recording.layout, recording.speed_mm_s.value, recording.gain_mm_mv.value) == ("3x4+1", 25.0, 10.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_page_that_is_no_ecg_renders_alike_each_time(seed: int) -> None:
    one, two = render_not_an_ecg(seed), render_not_an_ecg(seed)
    assert one.image.std() > 5
    assert np.array_equal(one.image, two.image)


def test_a_fax_tiff_keeps_pixels_and_resolution_of_every_page(tmp_path: Path) -> None:
    pages = [faxed_page(_signals(), RATE_HZ, 1, fine=fine).page for fine in (True, False)]
    encode_fax_tiff(pages, tmp_path / "fax.tif")
    with Image.open(tmp_path / "fax.tif") as tiff:
        assert tiff.n_frames == 2
        for i, page in enumerate(pages):
            tiff.seek(i)
            assert tiff.info["compression"] == "group4"
            assert tuple(float(v) for v in tiff.info["dpi"]) == page.dpi
            assert np.array_equal(np.asarray(tiff.convert("L")), page.image[..., 0])
