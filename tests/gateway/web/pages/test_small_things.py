"""Keys from anywhere, one time zone, names for people, and findings in their own row, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from gateway.web.deps import Role
from tests.browser import needs_chromium
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

OUTSIDE = """() => {
  const lines = [...document.querySelectorAll('#leads .mark rect')].map((each) => each.getBBox());
  const rows = [...new Set([...document.querySelectorAll('#leads path.pulse')].map((each) => {
    const box = each.getBBox(); return box.y + box.height; }))].sort((a, b) => a - b);
  const halfOf = (row) => Math.min(...rows.filter((other) => other !== row).map((other) => Math.abs(other - row))) / 2;
  const within = ({ y, height }, row) => y >= row - halfOf(row) - 0.01 && y + height <= row + halfOf(row) + 0.01;
  return lines.filter((line) => !rows.some((row) => within(line, row))).length;
}"""


def test_keys_work_from_anywhere_and_times_are_of_one_zone(open_page: Callable[..., Page]) -> None:
    page = open_page("/", Role.ADMINISTRATOR, timezone_id="Europe/Vienna")
    expect(page.locator("#jobs tbody tr[data-job]").first).to_be_visible()
    expect(page.locator("#zone")).to_contain_text("Times are those of this browser: UTC+0")
    page.locator("h1").first.click()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#q")).to_have_value("?")
    page.locator("#q").fill("")
    page.locator("h1").first.click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def test_a_findings_bar_stays_in_the_row_of_its_lead(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/jobs/{site.ready.delivered}", Role.VIEWER)
    expect(page.locator("#leads .mark").first).to_be_attached()
    page.locator("#leads select").first.select_option("12x1")
    expect(page.locator("#leads path.pulse")).to_have_count(12)
    assert page.locator("#leads .mark rect").count() >= 3
    assert page.evaluate(OUTSIDE) == 0
