"""Rendered pages that several tests look at, drawn once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from printed_strips import RATE_HZ, heart

from pipeline.synth.page import PageSpec, clean_page, render
from pipeline.synth.truth import Rendered


@pytest.fixture(scope="session")
def clean() -> Rendered:
    """3x4+1 at 25 mm/s and 10 mm/mV, 200 dpi, names and ticks printed."""
    return clean_page(heart(), RATE_HZ, 7)


@pytest.fixture(scope="session")
def nameless() -> Rendered:
    """The same without a lead name."""
    spec = PageSpec()
    return render(heart(), RATE_HZ, replace(spec, print=replace(spec.print, labels_missing=1.0)), 7)


@pytest.fixture(scope="session")
def six_by_two() -> Rendered:
    """6x2 with a rhythm strip."""
    spec = PageSpec()
    printed = replace(spec.print, layout="6x2+1", row_mm=21.0, top_mm=45.0)
    return render(heart(), RATE_HZ, replace(spec, print=printed), 7)
