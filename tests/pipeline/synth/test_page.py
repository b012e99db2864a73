"""The renderer from outside: repeatable, complete, every layout and every kind of image."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.recording import Float32, Lead, Source
from pipeline.synth.fax import encode_fax_tiff
from pipeline.synth.layouts import LAYOUTS
from pipeline.synth.page import PageSpec, clean_page, faxed_page, random_spec, render, render_not_an_ecg, scanned_page
from pipeline.synth.signals import synthetic_ecg
from pipeline.synth.spec import Paper, Print, Wear
from pipeline.synth.truth import Rendered

RATE_HZ = 500


@functools.cache
def _signals(seed: int = 0) -> Float32:
    return synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ)


def test_the_same_seed_gives_the_same_page() -> None:
    spec = random_spec(np.random.default_rng(5), source=Source.PHOTO_OF_PAPER, px_per_mm=4.0)
    one, two = (render(_signals(), RATE_HZ, spec, 9) for _ in range(2))
    assert np.array_equal(one.page.image, two.page.image)
    assert np.array_equal(one.truth.paper.nodes_px, two.truth.paper.nodes_px)
    assert one.truth.keypoints == two.truth.keypoints


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_every_layout_shows_its_leads(layout: str) -> None:
    spec = random_spec(np.random.default_rng(2), source=Source.DIGITAL_RENDER, layout=layout, px_per_mm=2.5)
    truth = render(_signals(), RATE_HZ, spec, 3).truth
    expected = [lead for row in LAYOUTS[layout].rows for lead in row]
    assert [s.lead for s in truth.segments if not s.rhythm] == expected
    assert sum(s.rhythm for s in truth.segments) == LAYOUTS[layout].rhythms
    assert truth.recording.layout == layout


@pytest.mark.parametrize("source", [s for s in Source if s is not Source.NOT_AN_ECG])
def test_every_kind_of_image_renders(source: Source) -> None:
    spec = random_spec(np.random.default_rng(4), source=source, px_per_mm=3.0)
    page = render(_signals(), RATE_HZ, spec, 3).page
    assert page.image.std() > 3


def test_a_fax_is_one_bit_and_tells_its_oblong_pixels() -> None:
    rendered = _fax(fine=False)
    assert set(np.unique(rendered.page.image)) == {0, 255}
    assert rendered.page.dpi == (204.0, 98.0)
    nodes = rendered.truth.paper.nodes_px
    across = np.linalg.norm(nodes[:, 1:] - nodes[:, :-1], axis=-1).mean() / 5
    down = np.linalg.norm(nodes[1:] - nodes[:-1], axis=-1).mean() / 5
    assert across / down == pytest.approx(204 / 98, rel=0.005)


@pytest.mark.parametrize("orientation", range(8))
def test_orientation_turns_the_truth_with_the_page(orientation: int) -> None:
    spec = PageSpec(paper=Paper(height_mm=120.0), print=Print("3x4", top_mm=20.0), px_per_mm=3.0)
    upright = render(_signals(), RATE_HZ, spec, 1)
    turned = render(_signals(), RATE_HZ, replace(spec, orientation=orientation), 1)
    image = upright.page.image[:, ::-1] if orientation >= 4 else upright.page.image
    assert np.array_equal(np.rot90(image, orientation % 4), turned.page.image)
    for before, after in zip(_marked(upright), _marked(turned), strict=True):
        assert after == pytest.approx(before)


def _marked(rendered: Rendered) -> list[float]:
    """The light in a square around every keypoint and every inner node."""
    image = rendered.page.image.sum(axis=2).astype(float)
    inner = rendered.truth.paper.nodes_px[2:-2, 2:-2].reshape(-1, 2)
    points = [(k.x_px, k.y_px) for k in rendered.truth.keypoints] + [tuple(p) for p in inner]
    # bilinear, because mirroring moves a point between pixels to the other side
    return [float(cv2.getRectSubPix(image.astype(np.float32), (5, 5), p).sum()) for p in points]


def test_severity_zero_is_a_clean_page() -> None:
    spec = random_spec(np.random.default_rng(8), source=Source.COLOUR_SCAN, severity=0.0)
    assert spec.camera.still
    assert spec.wear == Wear()


@functools.cache
def _fax(*, fine: bool) -> Rendered:
    return faxed_page(_signals(), RATE_HZ, 1, fine=fine)


@pytest.mark.parametrize("preset", [clean_page, scanned_page, lambda *_: _fax(fine=True)], ids=["clean", "scan", "fax"])
def test_presets_are_3x4_with_rhythm_at_usual_scales(preset: Callable[[Float32, int, int], Rendered]) -> None:
    recording = preset(_signals(), RATE_HZ, 2).truth.recording
    assert (recording.layout, recording.speed_mm_s.value, recording.gain_mm_mv.value) == ("3x4+1", 25.0, 10.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_page_that_is_no_ecg_renders_alike_each_time(seed: int) -> None:
    one, two = render_not_an_ecg(seed), render_not_an_ecg(seed)
    assert one.image.std() > 5
    assert np.array_equal(one.image, two.image)


def test_a_fax_tiff_keeps_pixels_and_resolution_of_every_page(tmp_path: Path) -> None:
    pages = [_fax(fine=fine).page for fine in (True, False)]
    encode_fax_tiff(pages, tmp_path / "fax.tif")
    with Image.open(tmp_path / "fax.tif") as tiff:
        assert tiff.n_frames == 2
        for i, page in enumerate(pages):
            tiff.seek(i)
            assert tiff.info["compression"] == "group4"
            assert tuple(float(v) for v in tiff.info["dpi"]) == page.dpi
            assert np.array_equal(np.asarray(tiff.convert("L")), page.image[..., 0])


def test_an_inverted_avr_is_what_its_strip_holds() -> None:
    printed = Print("12x1-cabrera", negative_avr=True, row_mm=15.0, top_mm=20.0)
    strips = {
        s.lead: s for s in render(_signals(), RATE_HZ, PageSpec(print=printed, px_per_mm=3.0), 1).truth.recording.strips
    }
    assert np.array_equal(strips[Lead.AVR].millivolts, -_signals()[3, : strips[Lead.AVR].samples])
    assert np.array_equal(strips[Lead.AVL].millivolts, _signals()[4, : strips[Lead.AVL].samples])


def test_columns_follow_one_another_in_time_or_show_the_same_seconds() -> None:
    for simultaneous in (False, True):
        spec = PageSpec(print=Print("3x4", simultaneous=simultaneous), px_per_mm=3.0)
        strip = render(_signals(), RATE_HZ, spec, 1).truth.recording.longest(Lead.V1)
        assert strip is not None
        at = 0 if simultaneous else 2 * strip.samples
        assert np.array_equal(strip.millivolts, _signals()[6, at : at + strip.samples])


def test_degradations_are_told_with_their_severity() -> None:
    spec = PageSpec(paper=Paper(height_mm=120.0), wear=Wear(stain=0.7, moire=0.4), px_per_mm=3.0)
    assert render(_signals(), RATE_HZ, spec, 1).truth.degradations == (0, 0, 0, 0, 0, 0.4, 0.7, 0, 0)
