"""A small pool of pages, drawn once for all tests of the trainers."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.recording import Source
from pipeline.synth.page import PageSpec, render
from pipeline.synth.signals import synthetic_ecg
from pipeline.synth.spec import Camera, GridStyle, Paper
from pipeline.training.data.pages import Pool, store_page

PLAIN = PageSpec(px_per_mm=5.0)
SPECS = {
    "plain": PLAIN,
    "turned": replace(PLAIN, orientation=1),
    "mirrored": replace(PLAIN, orientation=6),
    "curled": replace(PLAIN, camera=Camera(roll_deg=2.0, tilt_deg=(6.0, -4.0), curl_mm=8.0)),
    "boxed": replace(PLAIN, paper=Paper(box_mm=(5.0, 40.0, 270.0, 200.0))),
    "bare": replace(PLAIN, paper=Paper(style=GridStyle.NONE)),
    "fax": replace(PLAIN, px_per_mm=204 / 25.4, fax_dpi=(204.0, 98.0), grey=True, source=Source.FAX_STANDARD),
}


@pytest.fixture(scope="session")
def drawn_pages(tmp_path_factory):
    """The folder of a pool that holds one page of every spec."""
    folder = tmp_path_factory.mktemp("drawn")
    signals = synthetic_ecg(np.random.default_rng(0), 10.0, 500)
    for number, spec in enumerate(SPECS.values()):
        store_page(render(signals, 500, spec, number), folder, number)
    return folder


@pytest.fixture(scope="session")
def pages(drawn_pages):
    """The pages of the pool by name."""
    return dict(zip(SPECS, Pool(drawn_pages).first(len(SPECS)), strict=True))
