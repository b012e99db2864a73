"""What the page of rules tells of one page is what becomes of it in its document, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from gateway.job import State
from gateway.web.deps import Role
from pipeline.recording import Lead
from tests.browser import DESK, needs_chromium, pictures_folder
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.ready import take_in_document, work
from tests.gateway.web.pages.site import RULE, Site

pytestmark = [pytest.mark.peer, needs_chromium]

MARKED = {
    "name": "marked",
    "when": [{"field": "finding", "equals": "lead_marked_invalid"}],
    "hold": "a lead is not believed",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), rule=[MARKED, RULE])
    yield site
    site.stop()


def test_a_page_whose_document_another_page_holds_is_told_to_be_held(site: Site, browser: Browser) -> None:
    store = site.store
    job_id = take_in_document(store, site.config, "one page holds", 2)
    store.reviews.mark_invalid(job_id, 2, [Lead.V6], "reviewer")
    store.reviews.approve(job_id, "reviewer")
    work(store, site.config, job_id, 0.74)
    assert store.job(job_id).state is State.HELD
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.ADMINISTRATOR], "url": site.base}])
    page = context.new_page()
    page.goto(f"{site.base}/rules")
    page.locator("#explain-job").fill(job_id)
    page.get_by_role("button", name="Explain").click()
    told = page.locator("#explained .message")
    expect(told.locator("p").first).to_have_text('Hold page 2: a lead is not believed (rule "marked")')
    expect(told.locator("p").last).to_contain_text("By the rules for this page alone: Send to pacs, ehr")
    page.locator("#explained").screenshot(path=pictures_folder() / "rules-explained.png")
    page.locator("#explain-page").fill("2")
    page.get_by_role("button", name="Explain").click()
    expect(told.locator("p")).to_have_text(['Hold a lead is not believed (rule "marked")'])
    context.close()
