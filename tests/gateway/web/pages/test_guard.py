"""A page that is open when its session ends, in a real Chromium: no patient stays on the screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from unittest import mock

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from gateway.web.deps import Role
from gateway.web.security.credentials import digest
from tests.browser import DESK, needs_chromium
from tests.gateway.web.pages.people import SESSION_COOKIE, signed_in
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

PATIENCE_MS = 60_000  # the machine may be busy with other things
MINUTE_MS = 60_000
# Takes away a page's own question who is signed in, so that only the word of the other tab is left.
NEVER_ASKS = """const every = window.setInterval;
window.setInterval = (act, ms, ...rest) => (ms === 15000 ? 0 : every(act, ms, ...rest));"""


@pytest.fixture
def sign_in(site: Site, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[[], BrowserContext]]:
    """A browser in which a reviewer of this test's name is signed in; its secret is the context's cookie."""
    contexts: list[BrowserContext] = []

    def signed() -> BrowserContext:
        secret, _ = signed_in(site.store, name_of(request), Role.REVIEWER)
        context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": SESSION_COOKIE, "value": secret, "url": site.base}])
        contexts.append(context)
        return context

    yield signed
    for context in contexts:
        context.close()


def name_of(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^a-z0-9]", "", request.node.name)[-40:]


def secret_of(context: BrowserContext) -> str:
    return str(next(each["value"] for each in context.cookies() if each["name"] == SESSION_COOKIE))


def job_shown(site: Site, page: Page) -> None:
    page.goto(f"{site.base}/jobs/{site.ready.unsure}")
    expect(page.locator("h1")).to_contain_text("Doe, Jane", timeout=PATIENCE_MS)


def gone(page: Page) -> None:
    """At the sign-in, with nothing of the patient left on the page or in the address."""
    expect(page).to_have_url(re.compile("/login"), timeout=PATIENCE_MS)
    expect(page.get_by_label("Password")).to_be_visible(timeout=PATIENCE_MS)
    assert "Doe" not in page.content()
    assert "4711" not in page.url


def test_signing_out_in_one_tab_takes_the_patient_off_every_other(
    site: Site, sign_in: Callable[[], BrowserContext]
) -> None:
    context = sign_in()
    context.add_init_script(NEVER_ASKS)
    job, listing = context.new_page(), context.new_page()
    job_shown(site, job)
    listing.goto(f"{site.base}/?patient=4711&state=held")
    expect(listing.locator("#jobs tbody tr[data-job]").first).to_contain_text("Doe, Jane", timeout=PATIENCE_MS)
    other = context.new_page()
    other.goto(f"{site.base}/dashboard")
    other.get_by_role("button", name="Log out").click()
    gone(other)
    gone(job)
    gone(listing)
    assert "state%3Dheld" in listing.url
    assert listing.evaluate("sessionStorage.length") == 0


def test_a_session_that_was_ended_elsewhere_ends_the_page(site: Site, sign_in: Callable[[], BrowserContext]) -> None:
    context = sign_in()
    page = context.new_page()
    job_shown(site, page)
    site.store.accounts.close_session(digest(secret_of(context)))
    gone(page)


def test_another_role_takes_effect_on_the_page_that_is_open(
    site: Site, sign_in: Callable[[], BrowserContext], request: pytest.FixtureRequest
) -> None:
    page = sign_in().new_page()
    job_shown(site, page)
    expect(page.get_by_role("button", name="Approve…")).to_be_visible(timeout=PATIENCE_MS)
    site.store.accounts.change_user(name_of(request), "administrator", role=Role.VIEWER)
    expect(page.get_by_role("button", name="Approve…")).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.locator("header .role")).to_have_text("viewer", timeout=PATIENCE_MS)


def test_a_page_goes_when_nobody_has_answered_for_as_long_as_a_session_lasts(
    site: Site, sign_in: Callable[[], BrowserContext]
) -> None:
    context = sign_in()
    page = context.new_page()
    page.clock.install()
    job_shown(site, page)
    asked: list[str] = []

    def unheard(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*", unheard)
    page.clock.run_for(5 * MINUTE_MS)
    assert any(url.endswith("/api/v1/me") for url in asked)
    expect(page.locator("h1")).to_contain_text("Doe, Jane")
    page.clock.run_for(26 * MINUTE_MS)
    expect(page.get_by_text("Doe, Jane")).to_have_count(0, timeout=PATIENCE_MS)
    assert any("/login?next=" in url for url in asked)


def test_a_page_that_comes_to_the_front_after_a_while_is_hidden_until_the_gateway_has_answered(
    site: Site, sign_in: Callable[[], BrowserContext]
) -> None:
    page = sign_in().new_page()
    page.clock.install()
    job_shown(site, page)
    held: list[Route] = []
    page.route("**/api/v1/me", lambda route: held.append(route))
    page.clock.fast_forward(2 * MINUTE_MS)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("h1")).to_be_hidden(timeout=PATIENCE_MS)
    for route in held:
        route.continue_()
    expect(page.locator("h1")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("h1")).to_contain_text("Doe, Jane")


def test_a_question_that_nobody_answers_lets_its_connection_go(
    site: Site, sign_in: Callable[[], BrowserContext]
) -> None:
    page = sign_in().new_page()
    job_shown(site, page)
    page.route("**/api/v1/me", lambda route: None)
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/api/v1/me"), timeout=30_000):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("h1")).to_contain_text("Doe, Jane")


def test_asking_who_is_signed_in_is_no_use_of_the_session(site: Site) -> None:
    cookies = {SESSION_COOKIE: signed_in(site.store, "asker", Role.VIEWER)[0]}
    accounts = site.store.accounts
    with mock.patch.object(accounts, "session", wraps=accounts.session) as asked:
        for path in ("/api/v1/me", "/api/v1/layouts"):
            assert httpx2.get(site.base + path, cookies=cookies).status_code == 200
    assert [call.args[2] for call in asked.call_args_list] == [False, True]
