"""The page beside its leads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from printed_strips import page

from pipeline.draw.side_by_side import draw
from pipeline.recording import Finding, Known, Lead, MadeBy, Page, Recording, Scale, Seen, Severity, Source, Strip

PAGE = Page(np.full((300, 400, 3), 200, np.uint8))


def recording(*strips: Strip, findings: tuple[Finding, ...] = ()) -> Recording:
    speed, gain = Scale(25.0, Known.GRID), Scale(10.0, Known.PULSE)
    return Recording(strips, 500, "3x4+1", speed, gain, Source.COLOUR_SCAN, 0.9, MadeBy("1"), findings)


def share(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels of about this colour."""
    return int((np.abs(image.astype(int) - colour).max(axis=2) < 40).sum())


@pytest.fixture(scope="module")
def plain() -> np.ndarray:
    return draw(PAGE, recording(*page()))


def test_draws_rgb_with_the_page_and_ink(plain: np.ndarray) -> None:
    assert plain.dtype == np.uint8
    assert plain.ndim == 3
    assert plain.shape[2] == 3
    assert share(plain, (200, 200, 200)) > 10_000  # the page itself
    assert share(plain, (20, 33, 61)) > 3_000  # the leads


def test_bridged_samples_have_their_own_colour(plain: np.ndarray) -> None:
    strips = page()
    seen = strips[-1].seen.copy()
    seen[500:2500] = Seen.BRIDGED
    bridged = draw(PAGE, recording(*strips[:-1], replace(strips[-1], seen=seen)))
    assert share(bridged, (228, 87, 46)) > share(plain, (228, 87, 46)) + 300


def test_uncertain_leads_are_marked(plain: np.ndarray) -> None:
    marked = draw(PAGE, recording(*page(), findings=(Finding("lead_name_unsure", Severity.WARNING, Lead.V2),)))
    assert share(marked, (179, 84, 30)) > share(plain, (179, 84, 30)) + 50


def test_the_same_recording_gives_the_same_pixels(plain: np.ndarray) -> None:
    assert np.array_equal(plain, draw(PAGE, recording(*page())))


def test_a_strip_that_shows_nothing_can_be_drawn() -> None:
    n = 1250
    empty = Strip(Lead.I, 0.0, np.full(n, np.nan, np.float32), np.full(n, np.nan, np.float32), np.zeros(n, np.uint8))
    assert draw(PAGE, recording(empty)).shape[0] > 500
