"""Nothing that a person has typed, chosen or handed in is lost without a word, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Dialog, FilePayload, Page, Route, expect

from gateway.identity.order import Order, Patient
from gateway.job import State
from gateway.web.deps import Role
from pipeline.recording import Lead
from tests.browser import needs_chromium
from tests.gateway.web.pages.ready import take_in_document, take_in_unsure
from tests.gateway.web.pages.site import Site
from tests.gateway.web.pages.test_identify import agree

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

CHANGED = "This job has changed since you began to type here."


def unfold(page: Page, words: str) -> None:
    details = page.locator("#review details", has=page.get_by_text(words, exact=False))
    expect(details).to_have_count(1)
    if details.get_attribute("open") is None:
        details.locator("summary").click()


def settled(page: Page) -> None:
    """Waits until the page has drawn what it was given, and was told that it had been opened."""
    expect(page.locator("#leads path.trace").first).to_be_visible()
    expect(page.get_by_role("button", name="Approve…")).to_be_visible()


def test_what_is_typed_stays_when_another_page_of_the_document_is_opened(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_document(site.store, site.config, "typed on", 2)
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    settled(page)
    unfold(page, "Whose ECG is this?")
    page.locator("#identify-accession_number").fill("TYPED")
    unfold(page, "Correct how the page is read")
    page.get_by_label("Speed", exact=True).select_option("50")
    page.get_by_role("button", name=re.compile("^Page 2")).click()
    expect(page.locator("#to-open")).to_have_count(0)
    expect(page.locator("#identify-accession_number")).to_be_visible()
    expect(page.locator("#identify-accession_number")).to_have_value("TYPED")
    expect(page.get_by_label("Speed", exact=True)).to_have_value("")  # that was said of page 1
    page.get_by_role("button", name=re.compile("^Page 1")).click()
    expect(page.get_by_label("Speed", exact=True)).to_have_value("50")


def test_what_is_typed_stays_when_a_colleague_changes_the_job_and_that_is_told(
    site: Site, open_page: Callable[..., Page]
) -> None:
    whose = Order(Patient("77", "", "Whole^Ann"), acquired_at="20240501", acquired_from="test")
    job_id = take_in_unsure(site.store, site.config, "colleague", whose)
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    settled(page)
    unfold(page, "Whose ECG is this?")
    unfold(page, "Leads that must not be believed")
    page.locator("#invalid-comment").fill("looks torn")
    page.locator("#review").get_by_role("checkbox", name="V6", exact=True).check()
    accession = page.locator("#identify-accession_number")
    accession.press_sequentially("HALF")
    site.store.reviews.mark_invalid(job_id, 1, [Lead.V1], "carl")
    expect(page.locator("#review .message", has_text=CHANGED)).to_have_count(2)
    expect(accession).to_be_focused()
    accession.press_sequentially("-DONE")
    expect(accession).to_have_value("HALF-DONE")
    expect(page.locator("#invalid-comment")).to_have_value("looks torn")
    boxes = page.locator("#review").get_by_role("checkbox", checked=True)
    assert [each.get_attribute("value") for each in boxes.all()] == ["V1", "V6"]


def test_a_form_that_was_sent_begins_anew_and_the_others_keep_what_was_typed(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_unsure(site.store, site.config, "three forms", Order())
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    settled(page)
    unfold(page, "Whose ECG is this?")
    page.locator("#identify-patient_id").fill("12345")
    unfold(page, "Leads that must not be believed")
    page.locator("#review").get_by_role("checkbox", name="V6", exact=True).check()
    page.locator("#invalid-comment").fill("torn")
    page.get_by_role("button", name="Mark these leads").click()
    expect(page.locator("#told")).to_contain_text("Marked invalid: V6.")
    expect(page.locator("#invalid-comment")).to_have_value("")
    expect(page.locator("#identify-patient_id")).to_have_value("12345")
    page.locator("#identify-name").fill("Told, Anew")
    page.locator("#identify-acquired_at").fill("2024-05-01")
    page.get_by_role("button", name="This is whose it is").click()
    agree(page)
    expect(page.locator("h1")).to_contain_text("Told, Anew")  # the form sends what stands now, so it is not refused


@pytest.fixture
def parked(open_page: Callable[..., Page]) -> tuple[Page, list[int]]:
    """A dashboard of 120 parked messages, and their numbers, to take some away."""
    numbers = list(range(1, 121))

    def answer(route: Route) -> None:
        query = dict(pair.split("=") for pair in route.request.url.partition("?")[2].split("&") if pair)
        after, limit = int(query.get("after", 0)), int(query.get("limit", 100))
        left = [each for each in numbers if each > after]
        more = left[limit - 1] if len(left) > limit else None
        route.fulfill(json={"items": [message(each) for each in left[:limit]], "next_cursor": more})

    page = open_page("/upload", Role.REVIEWER)
    page.route("**/api/v1/parked*", answer)
    return page, numbers


def message(number: int) -> dict[str, Any]:
    return {
        "delivery_id": number, "job_id": "a" * 32, "destination": "ehr", "kind": "hl7v2", "name": f"n{number}",
        "page": 1, "sha256": "b" * 64, "size_bytes": 1, "state": "parked", "attempts": 3, "code": "ack_ae",
        "why": "AE", "response": "", "queued_at": "2026-11-23T04:00:00Z", "due_at": "2026-11-23T04:00:00Z",
        "delivered_at": None, "superseded": False,
    }  # fmt: skip


def test_chosen_messages_stay_chosen_until_they_are_gone(site: Site, parked: tuple[Page, list[int]]) -> None:
    page, numbers = parked
    page.goto(f"{site.base}/dashboard")
    page.get_by_role("button", name="Show more").click()
    for number in (5, 105, 110):
        page.get_by_label(f"Choose message {number}", exact=True).click()
    expect(page.locator("#parked-buttons")).to_contain_text("Send 3 again")
    numbers.remove(105)
    take_in_unsure(site.store, site.config, "an event", Order())  # and the dashboard draws itself anew
    expect(page.get_by_label("Choose message 105", exact=True)).to_have_count(0)
    expect(page.locator("#parked tbody tr")).to_have_count(119)
    expect(page.locator("#parked-buttons")).to_contain_text("Send 2 again")
    expect(page.get_by_label("Choose message 110", exact=True)).to_be_checked()


def test_who_leaves_while_files_wait_is_asked(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/upload", Role.REVIEWER)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    held: list[Route] = []
    page.route("**/api/v1/uploads", lambda route: held.append(route))
    page.set_input_files("#files", [FilePayload(name="a.png", mimeType="image/png", buffer=png())])
    expect(page.locator("#list li")).to_have_count(1)
    page.get_by_role("link", name="Worklist").first.click()
    expect(page).to_have_url(f"{site.base}/upload")
    assert asked == ["beforeunload"]
    held[0].fulfill(json={"items": [{"accepted": False, "why": "It is blank.", "code": "blank", "job_id": None}]})
    expect(page.locator("#list")).to_contain_text("It is blank.")
    page.get_by_role("link", name="Worklist").first.click()
    expect(page).to_have_url(f"{site.base}/")
    assert asked == ["beforeunload"]


def png() -> bytes:
    data = BytesIO()
    Image.new("RGB", (20, 20), "white").save(data, "PNG")
    return data.getvalue()


def test_a_chosen_job_that_left_the_list_is_not_chosen_any_more(site: Site, open_page: Callable[..., Page]) -> None:
    job_id = take_in_unsure(site.store, site.config, "leaves", Order(Patient("88", "", "Leaves^Lou")))
    page = open_page("/?state=held", Role.REVIEWER)
    row = page.locator(f'tr[data-job="{job_id}"]')
    row.get_by_role("checkbox").check()
    page.locator(f'tr[data-job="{site.ready.unsure}"]').get_by_role("checkbox").check()
    expect(page.locator("#bulk-words")).to_have_text("2 jobs chosen")
    site.store.give_up(job_id, "carl", "not an ECG")
    assert site.store.job(job_id).state is State.REFUSED
    expect(row).to_have_count(0)
    expect(page.locator("#bulk-words")).to_have_text("1 job chosen")
    expect(page.locator("#told")).to_contain_text("1 chosen job left this list and is not chosen any more.")
