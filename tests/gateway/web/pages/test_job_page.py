"""What one job's page says of whose it is, of what is typed and of what is out of date, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from gateway.identity.order import Order, Patient
from gateway.web.deps import Role
from tests.browser import DESK, needs_chromium, pictures_folder
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.ready import take_in, take_in_unsure
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]


def test_another_patient_of_the_same_id_stands_apart_and_is_compared_with_nothing(
    site: Site, open_page: Callable[..., Page]
) -> None:
    anna = Patient("5555", "", "Alpha^Anna", "19400101", "F")
    bob = Patient("5555", "", "Zeta^Bob", "19990909", "M")
    for name, patient in (("bob", bob), ("anna before", anna), ("anna now", anna)):
        order = Order(patient, acquired_at="20240101100000", acquired_from="test")
        job_id = take_in(site.store, site.config, name, order, 0.96)
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    earlier = page.locator("#earlier")
    expect(earlier.get_by_role("button", name="Compare")).to_have_count(1)
    hers = earlier.get_by_role("table", name="Other recordings of this patient")
    expect(hers.locator("tbody tr")).to_have_count(1)
    expect(hers).to_contain_text("Alpha, Anna")
    expect(hers).not_to_contain_text("Zeta")
    his = earlier.get_by_role("table", name="Recordings of the same id that may be another person's")
    expect(his.locator("tbody tr")).to_contain_text("Zeta, Bob")
    expect(his.locator("tbody tr")).to_contain_text("1999-09-09")
    expect(earlier.locator(".warn")).to_contain_text("contradicts this recording (the name, the birth date, the sex)")
    hers.get_by_role("button", name="Compare").click()
    expect(earlier.locator(".ecg-key")).to_contain_text("the other, Alpha, Anna, born 1940-01-01, female, recorded")
    earlier.screenshot(path=pictures_folder() / "same-id.png")


def test_a_reading_before_a_correction_says_so_and_hands_out_no_document(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_unsure(site.store, site.config, "corrected", Order(Patient("31", "", "Old^Ida")))
    outdated = True

    def told(route: Route) -> None:
        job = route.fetch().json()
        for each in job["page_list"]:
            each["outdated"] = outdated
        route.fulfill(json=job)

    page = open_page("/upload", Role.REVIEWER)
    page.route(f"**/api/v1/jobs/{job_id}", told)
    page.goto(f"{site.base}/jobs/{job_id}")
    words = "Reading before the correction; being digitized again."
    for part in ("#leads", "#findings", "#measured", "#documents"):
        expect(page.locator(f"{part} .warn").first).to_have_text(words)
    expect(page.locator("#leads path.trace").first).to_be_visible()
    expect(page.locator("#documents a, #documents button")).to_have_count(0)
    outdated = False
    page.reload()
    expect(page.locator("#documents a").first).to_be_visible()
    expect(page.get_by_text(words)).to_have_count(0)


def test_the_turn_of_the_page_laid_flat_is_not_taken_for_that_of_the_page_received(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"/jobs/{site.ready.unsure}", Role.REVIEWER)
    page.locator("summary", has_text="Correct how the page is read").click()
    page.locator("#show-rectified").click()
    page.get_by_role("button", name="Take the turn of the picture").click()
    assert page.locator("#correct-orientation").input_value() == ""
    expect(page.locator("#review form").get_by_text("This is the page laid flat.")).to_be_visible()
    page.locator("#show-source").click()
    page.get_by_role("button", name="Turn right").click()
    page.get_by_role("button", name="Take the turn of the picture").click()
    assert page.locator("#correct-orientation").input_value() == "1"


def test_a_lead_that_no_field_is_named_after_is_told_before_it_is_sent(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"/jobs/{site.ready.unsure}", Role.REVIEWER)
    page.locator("summary", has_text="Correct how the page is read").click()
    page.get_by_label("Layout", exact=True).last.select_option("3x4+1")
    wrong = page.locator("#review fieldset .wrong")
    expect(wrong).to_be_empty()
    page.get_by_label("Row 1, segment 3").select_option("V2")
    expect(wrong).to_contain_text("No field is named V1")
    page.get_by_label("Row 2, segment 3").select_option("V1")
    expect(wrong).to_be_empty()


def test_a_picture_that_failed_is_fetched_again_when_asked_and_by_itself(site: Site, browser: Browser) -> None:
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.VIEWER], "url": site.base}])
    page = context.new_page()  # not watched: the browser complains of the failure that this is about
    asked: list[str] = []

    def fails_twice(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) <= 2:
            route.fulfill(status=503, json={"code": "busy", "why": "busy"})
        else:
            route.continue_()

    page.route("**/pages/1/image*", fails_twice)
    page.goto(f"{site.base}/jobs/{site.ready.delivered}")
    told = page.locator("#picture output")
    expect(told).to_have_text("This picture could not be fetched.")
    page.get_by_role("button", name="Fetch this picture again").click()
    page.wait_for_function("() => document.querySelector('#picture img').naturalWidth > 0", timeout=60_000)
    expect(told).to_have_text("100 %")
    expect(page.get_by_role("button", name="Fetch this picture again")).to_be_hidden()
    assert len(asked) == 3
    context.close()


def test_every_attempt_is_told_with_what_the_receiver_answered(site: Site, open_page: Callable[..., Page]) -> None:
    job_id = site.ready.delivered
    row = next(each for each in site.store.deliveries(job_id) if each.destination == "ehr")

    def with_a_try(route: Route) -> None:
        told = route.fetch().json()
        of = {"delivery_id": row.delivery_id, "destination": "ehr", "kind": row.kind, "name": row.name}
        said = {"code": "peer_error", "answer": "MSA|AE|4711; 207: busy", "why_sha256": "a" * 64, "wait_s": 30.0}
        told["items"].append({**told["items"][-1], "kind": "postponed", "detail": {**of, "attempts": 1, **said}})
        route.fulfill(json=told)

    page = open_page("/upload", Role.REVIEWER)
    page.route(f"**/api/v1/jobs/{job_id}/audit", with_a_try)
    page.goto(f"{site.base}/jobs/{job_id}")
    deliveries = page.locator("#deliveries tr", has_text="ehr")
    deliveries.locator("summary").click()
    tries = deliveries.locator("li")
    expect(tries.last).to_contain_text("postponed: peer error, answer MSA|AE|4711; 207: busy, wait s 30")
    expect(deliveries.locator("ol")).not_to_contain_text("aaaa")


def test_nothing_of_a_refused_job_is_offered(site: Site, open_page: Callable[..., Page]) -> None:
    job_id = take_in_unsure(site.store, site.config, "refused", Order(Patient("32", "", "Old^Otto")))
    site.store.give_up(job_id, "carl", "not an ECG")
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    expect(page.locator("#documents")).to_have_text("This job was refused: nothing of it is handed out.")
