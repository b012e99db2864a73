"""Files dropped on the page of uploads, and the bar of each while it goes, in a real Chromium."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gateway.job import Door, State
from gateway.web.deps import Role
from tests.browser import in_hand, needs_chromium
from tests.gateway.web.pages.site import Site

pytestmark = [pytest.mark.peer, pytest.mark.browser, needs_chromium]

HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
SIDE_PX = 800  # of noise, which no compression makes smaller: 1.9 MB
BYTES_A_SECOND = 1_000_000  # of the line: the file takes long enough to be watched, and little enough to be waited for


def noise(seed: int, side_px: int = 60) -> bytes:
    """A picture that nobody has handed in yet."""
    data = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side_px, side_px, 3), np.uint8)
    Image.fromarray(pixels).save(data, "PNG", compress_level=0)
    return data.getvalue()


def test_files_that_are_dropped_are_taken_or_told_why_not(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/upload", Role.REVIEWER)
    place, rows = page.locator("#drop"), page.locator("#list li")
    hand = in_hand(page, good=noise(1), bad=HTML)
    over = re.compile(r"\bover\b")
    expect(place).not_to_have_class(over)
    for gesture in ("dragenter", "dragover"):
        place.dispatch_event(gesture, {"dataTransfer": hand})
        expect(place).to_have_class(over)
    place.dispatch_event("drop", {"dataTransfer": hand})
    expect(place).not_to_have_class(over)
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="good.png")).to_contain_text("Safe on disk")
    expect(rows.filter(has_text="bad.png")).to_contain_text("The file is a web page or a drawing in markup")
    expect(page.locator("#sent-words")).to_have_text("2 files, 1 taken, 1 not taken")
    link = rows.get_by_role("link", name="Open the job").get_attribute("href")
    assert link is not None
    job = site.store.job(link.rpartition("/")[2])
    assert (job.arrival.door, job.arrival.sender, job.arrival.file_name) == (Door.WEB, "reviewer", "good.png")
    assert job.state is State.RECEIVED
    assert page.url == f"{site.base}/upload"


def test_a_drop_beside_the_place_is_no_way_out_of_the_page(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/upload", Role.REVIEWER)
    hand = in_hand(page, aside=noise(2))
    undone = """(hand) => ["dragover", "drop"].map((name) =>
      !document.querySelector("h1").dispatchEvent(
        new DragEvent(name, { dataTransfer: hand, bubbles: true, cancelable: true })))"""
    assert page.evaluate(undone, hand) == [True, True]  # else a browser opens the file in place of the page
    expect(page.locator("#list li")).to_contain_text("Safe on disk")


WATCH = """() => {
  window.seen = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) if (target.matches("progress")) window.seen.push(target.value);
  }).observe(document.querySelector("#list"), { subtree: true, attributeFilter: ["value"] });
}"""


def test_the_bar_of_a_file_moves_to_its_end(open_page: Callable[..., Page]) -> None:
    page = open_page("/upload", Role.REVIEWER)
    page.evaluate(WATCH)
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": BYTES_A_SECOND},
    )
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files…").click()
    content = noise(3, SIDE_PX)
    chooser.value.set_files({"name": "slow.png", "mimeType": "image/png", "buffer": content})
    bar = page.get_by_role("progressbar", name="Upload of slow.png")
    expect(bar).to_be_visible()
    row = page.locator("#list li")
    expect(row).to_contain_text("Uploading")
    expect(row).to_contain_text("Safe on disk")
    expect(bar).to_have_count(0)
    seen = page.evaluate("window.seen")
    assert len([value for value in seen if 0 < value < 1]) >= 2, seen
    assert seen == sorted(seen)
    assert seen[-1] == 1
