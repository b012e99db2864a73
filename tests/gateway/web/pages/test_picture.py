"""The page laid flat shows the traces of the reading that stands, never those of the one before, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from gateway.identity.order import Order, Patient
from gateway.job import State
from gateway.service.worker import Worker
from gateway.web.deps import Role
from pipeline.recording import Correction, Recording
from pipeline.recording import Page as SourcePage
from tests.browser import needs_chromium
from tests.gateway.web.pages.ready import recording_of, rendered, take_in_unsure
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

HANS = Order(Patient("9001", "", "Meier^Hans"), acquired_at="20240501", acquired_from="test")


def test_the_page_laid_flat_is_fetched_anew_when_a_corrected_reading_arrives(
    site: Site, open_page: Callable[..., Page]
) -> None:
    store = site.store
    while store.counts().get(State.RECEIVED, 0):  # or the worker below would get those
        take_in_unsure(store, site.config, "whatever waits", HANS)
    job_id = take_in_unsure(store, site.config, "laid flat", HANS)
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    expect(page.locator("#documents")).not_to_be_empty()
    page.wait_for_function("() => document.querySelector('#picture img').naturalWidth > 0")  # one picture at a time
    frame = page.locator("#picture .picture")
    with page.expect_response("**/rectified*") as first:
        page.locator("#show-rectified").click()
    assert first.value.ok
    expect(frame).not_to_have_class("picture outdated")

    with page.expect_response(lambda answer: "/rectified" in answer.url and answer.url != first.value.url):
        store.reviews.correct(job_id, 1, Correction(speed_mm_s=50.0), "reviewer")
    expect(frame).to_have_class("picture outdated")
    old = page.locator("#picture img").get_attribute("src")

    def digitize(_page: SourcePage, _given: Correction | None = None) -> Recording:
        return recording_of(rendered(12), 0.91)

    with page.expect_response(lambda answer: "/rectified" in answer.url and not answer.url.endswith(old or "")) as anew:
        assert Worker("worker-0", site.config, store, digitize, '{"version": "0.1.0"}').work_once()
    assert anew.value.ok
    assert anew.value.body() != first.value.body()
    expect(frame).not_to_have_class("picture outdated")
