"""What a person decides stands before them first: whose, what was read, and where it goes; in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from gateway.identity.order import Order, Patient
from gateway.job import State
from gateway.web.deps import Role
from pipeline.recording import Lead
from tests.browser import needs_chromium, pictures_folder
from tests.gateway.web.pages.ready import take_in, take_in_unsure
from tests.gateway.web.pages.site import Site
from tests.gateway.web.pages.test_identify import agree, whose

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]


def test_nothing_is_filed_before_a_person_has_seen_whose_it_would_be_and_where_it_goes(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in(site.store, site.config, "surely read", Order(), 0.96)
    page = open_page("/upload", Role.REVIEWER)
    form = whose(page, f"{site.base}/jobs/{job_id}")
    for name, text in (("patient_id", "6160"), ("issuer", "NORTH"), ("name", "Meier, Hans"), ("sex", "M")):
        field = form.locator(f"#identify-{name}")
        if name == "sex":
            field.select_option(text)
        else:
            field.fill(text)
    form.locator("#identify-birth_date").fill("13.04.1960")
    form.locator("#identify-accession_number").fill("N-7")
    needed = form.locator("#identify-acquired_at-hint")
    expect(needed).to_contain_text("Nothing else tells it: most documents cannot be made without.")
    form.locator("#identify-name").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(
        "waits for a person after this: nothing says when it was recorded, and what goes to pacs, ehr"
    )
    dialog.get_by_role("button", name="Cancel").click()
    form.locator("#identify-acquired_at").fill("11.03.2025 04:29")
    form.locator("#identify-name").press("Enter")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    for words in ("Meier, Hans", "1960-04-13", "male", "6160", "NORTH", "2025-03-11 04:29", "N-7"):
        expect(dialog.locator(".facts")).to_contain_text(words)
    expect(dialog).to_contain_text("if it is read as surely as before goes to pacs, ehr without a further look")
    dialog.screenshot(path=pictures_folder() / "identify-sure.png")
    page.keyboard.press("Enter")  # pressed once too often
    expect(dialog).to_have_count(0)
    assert (site.store.job(job_id).state, site.store.order(job_id)) == (State.HELD, Order())
    form.locator("#identify-name").press("Enter")
    agree(page)
    expect(page.locator("#told")).to_contain_text("Identified.")
    expect(page.locator("#review")).to_contain_text("It is being read again.")
    order = site.store.order(job_id)
    assert order is not None
    assert order.patient == Patient("6160", "NORTH", "Meier^Hans", "19600413", "M")


def test_a_lead_s_name_and_its_mark_of_doubt_stand_on_paper_where_a_trace_runs_through_them(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"/jobs/{site.ready.unsure}", Role.REVIEWER)
    name = page.locator("#leads svg.paper .words .lead").first
    name.wait_for()
    drawn = name.evaluate("""each => {
      const { paintOrder, stroke, strokeWidth } = getComputedStyle(each);
      const ground = getComputedStyle(each.ownerSVGElement.querySelector(".ground")).fill;
      const [traces, words] = ["traces", "words"].map((part) => each.ownerSVGElement.querySelector(`.${part}`));
      const after = Boolean(traces.compareDocumentPosition(words) & Node.DOCUMENT_POSITION_FOLLOWING);
      return { first: paintOrder.split(" ")[0], paper: stroke === ground, wide: parseFloat(strokeWidth) >= 1, after };
    }""")
    assert drawn == {"first": "stroke", "paper": True, "wide": True, "after": True}


def test_an_approval_shows_whose_it_is_what_was_read_and_where_it_goes(
    site: Site, open_page: Callable[..., Page]
) -> None:
    order = Order(Patient("7170", "", "Kraus^Eva", "19480203", "F"), acquired_at="20240501101500", acquired_from="test")
    job_id = take_in_unsure(site.store, site.config, "to be approved", order)
    site.store.reviews.mark_invalid(job_id, 1, [Lead.V6], "carl")
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    page.get_by_role("button", name="Approve…").click()
    dialog = page.get_by_role("dialog")
    for words in ("Kraus, Eva", "1948-02-03", "female", "7170", "2024-05-01 10:15"):
        expect(dialog.locator(".facts").first).to_contain_text(words)
    read = dialog.locator(".sure-page")
    expect(read).to_contain_text("I aVR V1 V4 II aVL V2 V5 III aVF V3 V6 II")
    expect(read).to_contain_text("25 mm/s, measured on the grid")
    expect(read).to_contain_text("10 mm/mV, from the calibration pulse")
    expect(read.locator("li")).to_have_count(3)  # the two warnings and that of the mark, and none of the notes
    expect(read.locator("li").first).to_contain_text("V2:")
    expect(read.get_by_text("V6", exact=True)).to_be_visible()  # what is not believed
    expect(dialog).to_contain_text("It goes to pacs, ehr.")
    dialog.screenshot(path=pictures_folder() / "approve-sure.png")
    dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("#told")).to_contain_text("The gateway goes on with it.")
