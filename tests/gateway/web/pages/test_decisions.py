"""What is decided in the window is decided on what was shown, in a real Chromium: pages, messages and days."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from gateway.identity.order import Order
from gateway.job import State
from gateway.web.api import rules
from gateway.web.deps import Role
from pipeline.recording import Correction, Lead
from tests.browser import DESK, needs_chromium, pictures_folder
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.ready import take_in_document, take_in_parked, take_in_unsure
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]


def test_a_document_is_approved_only_when_each_of_its_pages_was_opened(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_document(site.store, site.config, "two pages", 2)
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    approve = page.get_by_role("button", name="Approve…")
    to_open = page.locator("#to-open")
    expect(to_open).to_have_text("An approval lets 2 pages out. Before you approve, open page 2.")
    expect(approve).to_be_disabled()
    page.locator(".review").screenshot(path=pictures_folder() / "review-to-open.png")
    to_open.get_by_role("link", name="page 2").click()
    expect(page).to_have_url(re.compile(r"page=2$"))
    expect(page.get_by_role("button", name=re.compile("^Page 2"))).to_have_attribute("aria-pressed", "true")
    expect(approve).to_be_enabled()
    expect(to_open).to_have_count(0)
    approve.click()
    page.get_by_role("dialog").get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("#told")).to_contain_text("The gateway goes on with it.")
    approved = [entry for entry in site.store.audit_queries.job_audit(job_id) if entry.kind == "approved"]
    assert [(entry.actor, entry.detail["pages"]) for entry in approved] == [("reviewer", "1 2")]


def test_a_page_whose_leads_did_not_come_is_still_to_be_opened(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/upload", Role.REVIEWER)
    job_id = take_in_unsure(site.store, site.config, "not shown", Order())
    broken = True
    page.route("**/waveform", lambda route: route.fulfill(json={"breaks": "off"}) if broken else route.continue_())
    page.goto(f"{site.base}/jobs/{job_id}")
    expect(page.locator("#to-open")).to_have_text("An approval is of what was shown. Before you approve, open page 1.")
    expect(page.get_by_role("button", name="Approve…")).to_be_disabled()
    broken = False
    page.locator("#to-open").get_by_role("link", name="page 1").click()
    expect(page.get_by_role("button", name="Approve…")).to_be_enabled()


def mark_v6(page: Page) -> None:
    page.locator("summary", has_text="Leads that must not be believed").click()
    page.get_by_role("checkbox", name="V6", exact=True).check()
    page.get_by_role("button", name="Mark these leads").click()


def correct_speed(page: Page) -> None:
    page.locator("summary", has_text="Correct how the page is read").click()
    page.get_by_label("Speed", exact=True).select_option("50")
    page.get_by_role("button", name="Digitize again with this").click()


def reject(page: Page) -> None:
    page.get_by_role("button", name="Reject…").click()
    dialog: Locator = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("wrong patient")
    dialog.get_by_role("button", name="Reject", exact=True).click()


@pytest.mark.parametrize("decide", [mark_v6, correct_speed, reject])
def test_nobody_decides_on_a_page_that_was_changed_after_it_was_shown(
    site: Site, browser: Browser, decide: Callable[[Page], None]
) -> None:
    job_id = take_in_unsure(site.store, site.config, decide.__name__, Order())
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.REVIEWER], "url": site.base}])
    page = context.new_page()  # not watched: the browser complains of the refusal that this is about
    page.route("**/api/v1/events", lambda route: route.abort())  # no word of the change reaches the page
    page.goto(f"{site.base}/jobs/{job_id}")
    expect(page.get_by_role("button", name="Approve…")).to_be_enabled()
    site.store.reviews.mark_invalid(job_id, 1, [Lead.V1], "carl")
    decide(page)
    expect(page.locator("#told .bad")).to_contain_text("this job was changed after it was shown to you")
    assert site.store.job(job_id).state is State.HELD
    said = site.store.reviews.of(job_id)[1]
    assert (said.invalid_leads, said.correction) == ((Lead.V1,), Correction())
    context.close()


def test_all_parked_messages_are_those_that_were_counted(site: Site, open_page: Callable[..., Page]) -> None:
    take_in_parked(site.store, site.config, "early")
    parked = {row.delivery_id for row in site.store.audit_queries.parked(0, None, 100)}
    assert len(parked) > 1
    page = open_page("/dashboard", Role.REVIEWER)
    page.get_by_role("button", name="Send all again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Send {len(parked)} parked messages again?")
    expect(dialog).to_contain_text("These are all that are parked now.")
    take_in_parked(site.store, site.config, "late")
    late = {row.delivery_id for row in site.store.audit_queries.parked(0, None, 100)} - parked
    assert late
    dialog.get_by_role("button", name="Send again").click()
    expect(page.locator("#told")).to_contain_text(f"{len(parked)} messages sent again")
    assert {row.delivery_id for row in site.store.audit_queries.parked(0, None, 100)} == late


def test_a_day_of_the_replay_is_the_day_of_who_asks(site: Site, open_page: Callable[..., Page]) -> None:
    now = datetime.now(UTC)
    zone, hours = ("Pacific/Kiritimati", 14) if now.hour >= 10 else ("Pacific/Pago_Pago", -11)
    today: date = (now + timedelta(hours=hours)).date()
    assert today != now.date()  # or this test could not fail
    page = open_page("/rules", timezone_id=zone)
    expect(page.locator("#replay-from")).to_have_value(str(today - timedelta(days=1)))
    expect(page.locator("#replay-to")).to_have_value(str(today))
    page.locator("#replay-text").fill("# no destination and no rule\n")
    tried = {}
    for day in (today, today + timedelta(days=1)):
        page.get_by_label("From").fill(str(day))
        page.get_by_label("To", exact=True).fill(str(day))
        with page.expect_response("**/rules/replay") as answer:
            page.get_by_role("button", name="Replay").click()
        tried[day] = answer.value.json()["pages"]
    assert tried[today] > 0
    assert tried[today + timedelta(days=1)] == 0


def test_pages_that_one_replay_does_not_reach_are_replayed_in_turn(
    site: Site, open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "REPLAY_JOBS_MAX", 1)
    page = open_page("/rules")
    page.get_by_label("From").fill("2020-01-01")
    page.locator("#replay-text").fill("# no destination and no rule\n")
    page.get_by_role("button", name="Replay").click()
    told = page.locator("#replayed .message")
    expect(told).to_contain_text("The time holds further pages.")
    first = told.inner_text()
    for _ in range(60):
        if not page.get_by_role("button", name="Replay the pages before these").count():
            break
        with page.expect_response("**/rules/replay"):
            page.get_by_role("button", name="Replay the pages before these").click()
        expect(told).to_be_visible()
    expect(told).not_to_contain_text("further pages")
    assert int(told.inner_text().split()[0]) > int(first.split()[0])
