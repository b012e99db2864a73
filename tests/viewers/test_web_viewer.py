"""The default DICOM object in ecg-dicom-web-viewer, which sorts channels by Code Meaning and draws by that order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from pipeline.recording import TWELVE
from tests.browser import chromium, needs_chromium
from tests.viewers import pages
from tests.viewers.drawing import bundle, page_with, read
from tests.viewers.readers import MICROVOLT, differs_by

pytestmark = [pytest.mark.peer, pytest.mark.browser, needs_chromium]


@pytest.fixture(scope="module")
def viewer() -> Iterator[Page]:
    bundle("web_viewer.js")
    with chromium() as browser, page_with("web_viewer.js", browser) as page:
        yield page


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_web_viewer_shows_the_millivolts_of_the_npz_under_their_own_names(page: str, viewer: Page) -> None:
    recording = pages.recording(page)
    shown = read(viewer, pages.dicom(recording))
    assert shown.names == [*TWELVE]
    assert differs_by(shown, pages.truth(recording)) <= MICROVOLT


def test_a_thirteenth_channel_puts_leads_under_other_names(viewer: Page) -> None:
    """What this gate is here to stop."""
    assert read(viewer, pages.dicom(pages.recording("3x4+1"), encoding="padded")).names[:12] != [*TWELVE]
