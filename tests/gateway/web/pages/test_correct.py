"""What a person says of how a page is read is taken as it was shown, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from gateway.identity.order import Order
from gateway.web.deps import Role
from pipeline.recording import Correction, Lead
from tests.browser import needs_chromium
from tests.gateway.web.pages.ready import take_in_unsure
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

USUAL = ["I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6", "II"]


def correct_form(site: Site, page: Page, name: str) -> tuple[str, Locator]:
    """A new job and its opened form."""
    job_id = take_in_unsure(site.store, site.config, name, Order())
    page.goto(f"{site.base}/jobs/{job_id}")
    form = page.locator("details", has_text="Correct how the page is read")
    form.locator("summary").click()
    return job_id, form


def send(form: Locator) -> None:
    form.get_by_role("button", name="Digitize again with this").click()
    expect(form.page.locator("#told")).to_contain_text("Corrected.")


def test_the_usual_names_are_said_too_once_a_person_chose_the_layout(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id, form = correct_form(site, open_page("/upload", Role.REVIEWER), "usual names")
    form.locator("#correct-layout").select_option("3x4+1")
    form.locator("#correct-speed_mm_s").select_option("50")
    expect(form.get_by_label("Long strip, segment 1")).to_have_value("II")
    send(form)
    said = site.store.reviews.of(job_id)[1].correction
    assert said == Correction(layout="3x4+1", leads=tuple(Lead(name) for name in USUAL), speed_mm_s=50.0)


def test_a_name_is_changed_where_nobody_chose_a_layout_and_the_one_found_is_said_with_it(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id, form = correct_form(site, open_page("/upload", Role.REVIEWER), "one name")
    chosen = form.locator("#correct-layout option:checked")
    expect(chosen).to_have_text("as the gateway finds it (3×4 + rhythm, 3x4+1)")
    form.get_by_label("Long strip, segment 1").select_option("V1")
    expect(chosen).to_have_text("3×4 + rhythm, 3x4+1")
    send(form)
    said = site.store.reviews.of(job_id)[1].correction
    assert said == Correction(layout="3x4+1", leads=tuple(Lead(name) for name in [*USUAL[:-1], "V1"]))


def test_names_that_nobody_touched_are_left_to_the_gateway(site: Site, open_page: Callable[..., Page]) -> None:
    job_id, form = correct_form(site, open_page("/upload", Role.REVIEWER), "no name")
    form.locator("#correct-gain_mm_mv").select_option("20")
    send(form)
    assert site.store.reviews.of(job_id)[1].correction == Correction(gain_mm_mv=20.0)


FITS = """each => {
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = getComputedStyle(each).font;
  const arrow = 24; // px, at most, of the mark at the end of a box
  const wide = (text) => pen.measureText(text).width > each.clientWidth - arrow;
  return [...each.options].map((one) => one.text).filter(wide);
}"""


def test_a_layout_is_read_whole_in_its_box(site: Site, open_page: Callable[..., Page]) -> None:
    _, form = correct_form(site, open_page("/upload", Role.REVIEWER), "a long name")
    layout = form.locator("#correct-layout")
    expect(layout.locator("option").first).to_have_text("as the gateway finds it (3×4 + rhythm, 3x4+1)")
    layout.evaluate("each => each.options[0].text = 'as the gateway finds it (Cabrera 3×4 + rhythm, 3x4+1-cabrera)'")
    assert layout.evaluate(FITS) == []
