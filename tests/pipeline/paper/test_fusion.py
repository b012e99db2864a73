"""Lines and network together: the lattice that explains more of the page is kept, and none is needed."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from pipeline.geometry import Float64
from pipeline.networks import Running
from pipeline.paper import GridFit, fields, find_grid, phases
from pipeline.paper.fields import Fields
from pipeline.recording import Known, Source
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import PageSpec, render
from pipeline.synth.spec import Camera, GridStyle, Paper, Wear
from pipeline.synth.truth import PageTruth, Rendered

FAINT = Paper(style=GridStyle.MAJOR_ONLY, major=(238, 226, 226), texture=0.8)
BENT = Camera(roll_deg=2.0, tilt_deg=(9.0, -7.0), curl_mm=6.0, curl_deg=35.0, curl_wave_mm=180.0)
ROUGH = Wear(noise=0.7, blur=0.5, shadow=0.7, stain=0.6, jpeg_quality=60)
CELL_MM = 0.47


class Silent(nn.Module):
    """Stands for a network; what it would say is put in place of looking."""


@pytest.fixture(scope="module")
def hard() -> Rendered:
    signals = synthetic_ecg(np.random.default_rng(4), 10.0, 500)
    spec = PageSpec(FAINT, camera=BENT, wear=ROUGH, source=Source.PHOTO_OF_PAPER, px_per_mm=5.0, tells_dpi=False)
    return render(signals, 500, spec, 1)


def told(rendered: Rendered, px_mm: float, skew: float = 0.0) -> Fields:
    """What a perfect network says of a page; skew: by how much of their y its x are wrong."""
    height, width = rendered.page.image.shape[:2]
    columns, rows = (round(n / px_mm / CELL_MM) for n in (width, height))
    step = (width / columns, height / rows)
    x, y = ((np.arange(n) + 0.5) * s - 0.5 for n, s in zip((columns, rows), step, strict=True))
    mm = rendered.truth.paper.to_mm(np.stack(np.meshgrid(x, y), axis=-1))
    mm[..., 0] += skew * mm[..., 1]
    coarse, fine = (np.exp(2j * np.pi * mm.transpose(2, 0, 1) / period).astype(np.complex64) for period in (5.0, 1.0))
    return Fields(coarse, fine, np.ones((rows, columns), np.float32), step)


def errors_mm(fit: GridFit, truth: PageTruth, shape: tuple[int, ...]) -> Float64:
    px = truth.paper.nodes_px
    inside = np.all((px > 0) & (px < [shape[1] - 1, shape[0] - 1]), axis=-1)
    off = fit.paper.to_mm(px[inside]) - np.stack(np.meshgrid(truth.paper.x_mm, truth.paper.y_mm), axis=-1)[inside]
    return np.hypot(*(off - np.median(off, axis=0)).T)


def test_takes_the_networks_lattice_where_lines_hardly_show(hard: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "look", lambda *_: told(hard, 5.0))
    image = hard.page.image
    alone, both = find_grid(image), find_grid(image, network=Running(Silent()))
    assert both.known is Known.GRID
    assert both.strength > alone.strength
    errors = [np.quantile(errors_mm(fit, hard.truth, image.shape), 0.95) for fit in (alone, both)]
    assert errors[0] > 0.5
    assert errors[1] < 0.3


def test_keeps_the_lines_where_a_sure_network_explains_less(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = synthetic_ecg(np.random.default_rng(4), 10.0, 500)
    box = (30.0, 40.0, 250.0, 150.0)  # part of the sheet only: the lines are followed, and are not complete
    page = render(signals, 500, PageSpec(Paper(box_mm=box), wear=Wear(noise=0.2), tells_dpi=False), 1)
    monkeypatch.setattr(fields, "look", lambda *_: told(page, 8.0, skew=0.02))
    alone, both = find_grid(page.page.image), find_grid(page.page.image, network=Running(Silent()))
    assert alone.strength < 0.8
    assert both.paper.nodes_px == pytest.approx(alone.paper.nodes_px)


def test_does_not_ask_the_network_of_a_page_whose_lines_all_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> Fields:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(fields, "look", asked)
    page = render(synthetic_ecg(np.random.default_rng(4), 10.0, 500), 500, PageSpec(), 1)
    assert find_grid(page.page.image, page.page.dpi, Running(Silent())).strength > 0.8


def test_falls_back_where_the_network_sees_no_ruling_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "lattice_of", lambda _: None)
    monkeypatch.setattr(fields, "look", lambda *_: None)
    blank = np.full((700, 1000, 3), 255, np.uint8)
    fit = find_grid(blank, (100.0, 100.0), Running(Silent()))
    assert fit.known is Known.DPI
    assert fit.strength == 0.0


def test_does_not_believe_a_network_that_dreams_lines_on_blank_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    signals = synthetic_ecg(np.random.default_rng(4), 10.0, 500)
    page = render(signals, 500, PageSpec(Paper(style=GridStyle.NONE), px_per_mm=4.0), 1)
    monkeypatch.setattr(fields, "look", lambda *_: told(page, 4.0))
    fit = find_grid(page.page.image, page.page.dpi, Running(Silent()))
    assert fit.known is Known.DPI
    assert fit.strength == 0.0
