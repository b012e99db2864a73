"""What comes late, or not at all, is never shown as another's, and eight open tabs all answer, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from gateway.web.deps import Role
from tests.browser import DESK, needs_chromium
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.ready import take_in_document
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

TABS = 8  # a browser has six connections to a host
HIDDEN = """hidden => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture(scope="module")
def document(site: Site) -> str:
    return take_in_document(site.store, site.config, "two pages", 2)


@pytest.fixture
def context(site: Site, browser: Browser) -> Iterator[BrowserContext]:
    """A reviewer's browser that is not watched: it complains of the failures that these tests make."""
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.REVIEWER], "url": site.base}])
    yield context
    context.close()


def choose(page: Page, number: int) -> None:
    page.get_by_role("button", name=re.compile(f"^Page {number}")).click()


def leads(page: Page) -> int:
    return page.locator("#leads path.trace").count()


def test_leads_that_come_late_are_not_shown_under_the_page_chosen_meanwhile(
    site: Site, open_page: Callable[..., Page], document: str
) -> None:
    page = open_page("/upload", Role.REVIEWER)
    held: list[Route] = []
    page.route("**/pages/1/waveform", lambda route: held.append(route))
    page.goto(f"{site.base}/jobs/{document}?page=1")
    expect(page.get_by_role("button", name=re.compile("^Page 1"))).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#leads")).to_have_text("Fetching…")
    page.route("**/pages/2/waveform", lambda route: route.fulfill(json=named(route, "page two")))
    choose(page, 2)
    expect(page.locator("#leads-words")).to_contain_text("page two")
    assert held
    for route in held:
        with page.expect_response("**/pages/1/waveform"):
            route.fulfill(json=named(route, "page one"))
    page.wait_for_timeout(500)
    expect(page.locator("#leads-words")).to_contain_text("page two")
    assert "page one" not in page.content()


def named(route: Route, layout: str) -> object:
    """The waveform as the gateway gives it, with a layout to know it by."""
    return {**route.fetch().json(), "layout": layout}


def test_while_leads_are_fetched_and_when_they_cannot_be_none_of_another_page_is_shown(
    site: Site, context: BrowserContext, document: str
) -> None:
    page = context.new_page()
    page.goto(f"{site.base}/jobs/{document}?page=1")
    expect(page.locator("#leads path.trace").first).to_be_visible()
    held: list[Route] = []
    page.route("**/pages/2/waveform", lambda route: held.append(route))
    choose(page, 2)
    expect(page.locator("#leads")).to_have_text("Fetching…")
    expect(page.locator("#leads-words")).to_be_empty()
    expect(page.get_by_role("button", name=re.compile("^Page 2"))).to_have_attribute("aria-pressed", "true")
    held[0].fulfill(status=503, json={"code": "busy", "why": "The gateway is busy."})
    expect(page.locator("#told .bad")).to_contain_text("The gateway is busy.")
    expect(page.locator("#leads")).to_have_text("The leads of this page could not be fetched.")
    assert leads(page) == 0


def test_when_the_job_cannot_be_fetched_the_leads_of_the_page_before_are_gone(
    site: Site, context: BrowserContext, document: str
) -> None:
    page = context.new_page()
    page.goto(f"{site.base}/jobs/{document}?page=1")
    expect(page.locator("#leads path.trace").first).to_be_visible()
    page.route(f"**/jobs/{document}", lambda route: route.fulfill(status=503, json={"code": "busy", "why": "Busy."}))
    choose(page, 2)
    expect(page.locator("#leads")).to_have_text("The leads of this page could not be fetched.")
    expect(page.locator("#findings")).to_be_empty()
    page.unroute(f"**/jobs/{document}")
    choose(page, 1)
    expect(page.locator("#leads path.trace").first).to_be_visible()


def test_an_eighth_tab_is_as_quick_as_the_first_for_hidden_ones_let_go(
    site: Site, context: BrowserContext, document: str
) -> None:
    pages: list[Page] = []
    for number in range(TABS):
        page = context.new_page()
        page.goto(f"{site.base}/{f'jobs/{document}' if number % 2 else ''}")
        expect(page.locator("#lamp")).to_have_text("Live")
        pages.append(page)
        if number + 1 < TABS:
            page.evaluate(HIDDEN, True)
            expect(page.locator("#lamp")).to_have_text("Asleep: touch to wake")
    with pages[0].expect_response("**/api/v1/jobs?*"):
        pages[0].evaluate(HIDDEN, False)
    expect(pages[0].locator("#lamp")).to_have_text("Live")


def test_a_document_that_comes_late_takes_the_place_of_none_that_was_asked_for_after_it(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"/jobs/{site.ready.unsure}", Role.REVIEWER)
    held: list[Route] = []
    page.route("**/documents/csv/text*", lambda route: held.append(route))
    rows = page.locator("#documents tr")
    rows.filter(has_text="CSV samples").get_by_role("button", name="View").click()
    rows.filter(has_text="WFDB record").get_by_role("button", name="View").click()
    shown = page.locator("pre.document")
    expect(shown).to_contain_text(".dat 16 ")
    (late,) = held
    with page.expect_response("**/documents/csv/text*"):
        late.fulfill(body="time_s,late", content_type="text/plain")
    page.wait_for_timeout(300)
    expect(shown).to_contain_text(".dat 16 ")
    assert "time_s,late" not in page.content()
