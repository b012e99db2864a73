"""The default DICOM object in the ECG viewport that OHIF and others show waveforms with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page

from pipeline.recording import TWELVE
from tests.browser import chromium, needs_chromium, pictures_folder
from tests.viewers import pages
from tests.viewers.drawing import Drawing, bundle, draw, page_with
from tests.viewers.readers import MICROVOLT

pytestmark = [pytest.mark.peer, pytest.mark.browser, needs_chromium]

PX_PER_MV = 10  # the least; a wave of 0.1 mV is then as high as the line that draws it is wide
NAME_PX = 14  # the size that names are written in
ASTRAY_PX = 1.0  # a pixel of a line's smoothed edge


@pytest.fixture(scope="module")
def viewer() -> Iterator[Page]:
    bundle("viewport.js")
    with chromium() as browser, page_with("viewport.js", browser) as page:
        yield page


@pytest.fixture(scope="module")
def drawn(viewer: Page) -> Callable[[str], Drawing]:
    """The drawing of a page's default object, made once; its picture is kept for people to look at."""
    made: dict[str, Drawing] = {}

    def of(page: str) -> Drawing:
        if page not in made:
            made[page] = draw(viewer, pages.dicom(pages.recording(page)))
            name = page.replace(" ", "_").replace("/", "_per_")
            (pictures_folder() / f"ecg_viewport_{name}.png").write_bytes(made[page].png)
        return made[page]

    return of


def worst_px(drawing: Drawing, leads: npt.NDArray[np.floating[Any]]) -> float:
    return max(drawing.astray_px(row, lead) for row, lead in zip(drawing.rows, leads, strict=True))


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_viewport_shows_twelve_leads_under_their_own_names(page: str, drawn: Callable[[str], Drawing]) -> None:
    assert drawn(page).names == [*TWELVE]
    assert drawn(page).names_apart_px >= NAME_PX


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_viewport_draws_a_millivolt_large_enough_to_read(page: str, drawn: Callable[[str], Drawing]) -> None:
    assert min(row.px_per_mv for row in drawn(page).rows) >= PX_PER_MV


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_viewport_is_given_the_millivolts_of_the_npz(page: str, drawn: Callable[[str], Drawing]) -> None:
    drawing, truth = drawn(page), pages.truth(pages.recording(page))
    assert drawing.rate_hz == truth.rate_hz
    given = np.stack([row.millivolts for row in drawing.rows])
    assert given.shape == truth.drawn.shape
    assert np.abs(given - truth.drawn).max() <= MICROVOLT


@pytest.mark.parametrize("page", pages.PAGES)
def test_each_trace_lies_where_its_own_millivolts_belong(page: str, drawn: Callable[[str], Drawing]) -> None:
    assert worst_px(drawn(page), pages.truth(pages.recording(page)).drawn) <= ASTRAY_PX


def test_a_trace_that_lies_elsewhere_is_found(drawn: Callable[[str], Drawing]) -> None:
    """Another lead's, one of 4 ms later, one of nine tenths of the height."""
    drawing, leads = drawn("3x4+1"), pages.truth(pages.recording("3x4+1")).drawn
    exchanged = leads[[0, 2, 1, *range(3, 12)]]
    for wrong in (exchanged, np.roll(leads, 2, axis=1), leads * 0.9):
        assert worst_px(drawing, wrong) > ASTRAY_PX


def test_padding_makes_the_viewport_draw_a_flat_line_and_a_thirteenth_lead(viewer: Page) -> None:
    """What this gate is here to stop: the viewport scales its rows on the padding value."""
    padded = draw(viewer, pages.dicom(pages.recording("3x4+1"), encoding="padded"))
    assert max(row.px_per_mv for row in padded.rows) < 2
    assert len(padded.names) == 13


def test_of_several_groups_the_viewport_shows_the_first(viewer: Page) -> None:
    assert draw(viewer, pages.dicom(pages.recording("3x4+1"), encoding="groups")).names == ["I", "II", "III"]
