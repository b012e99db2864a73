"""What the page of rules tells of a page that is kept, and of a file in hand, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.identity.order import Order
from gateway.job import State
from gateway.store import JobQuery
from gateway.web.deps import Role
from pipeline.recording import Lead
from tests.browser import DESK, in_hand, needs_chromium, pictures_folder
from tests.flow.processes import wait_for
from tests.gateway.web.api.world import png, tiff
from tests.gateway.web.fake_digitizer import an_eye, sees
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.ready import take_in_document, work
from tests.gateway.web.pages.site import RULE, Site
from tests.gateway.web.pages.test_browser import serious
from tests.recordings import order

pytestmark = [pytest.mark.peer, pytest.mark.browser, needs_chromium]

MARKED = {
    "name": "marked",
    "when": [{"field": "finding", "equals": "lead_marked_invalid"}],
    "hold": "a lead is not believed",
    "hold_even_approved": True,
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


HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"


def drop(page: Page, place: str, **files: bytes) -> None:
    hand = in_hand(page, **files)
    for gesture in ("dragenter", "dragover", "drop"):
        page.locator(place).dispatch_event(gesture, {"dataTransfer": hand})


def of_patient_4711(page: Page) -> None:
    """The explanation of tests.gateway.web.fake_digitizer's page, if it is the 4711's."""
    told = page.locator("#explained")
    expect(told.locator(".message")).to_have_text(re.compile(r'Send to pacs, ehr: sent by rule "all"'))
    expect(told.locator("ol > li")).to_have_count(2)
    expect(told.locator("ol > li").last).to_contain_text("all decides")


def test_a_page_that_is_dropped_is_explained_and_becomes_no_job(
    site: Site, open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_eye(monkeypatch, tmp_path, sees(order()))
    jobs = site.store.worklist.newest(JobQuery(), 1000)
    page = open_page("/rules")
    place, over = page.locator("#drop"), re.compile(r"\bover\b")
    hand = in_hand(page, ward=png())
    place.dispatch_event("dragenter", {"dataTransfer": hand})
    expect(place).to_have_class(over)
    place.dispatch_event("drop", {"dataTransfer": hand})
    expect(place).not_to_have_class(over)
    expect(page.locator("#explained h3")).to_have_text("ward.png")
    of_patient_4711(page)
    assert serious(page) == []
    page.locator("section", has=place).screenshot(path=pictures_folder() / "rules-file.png", animations="disabled")
    assert site.store.worklist.newest(JobQuery(), 1000) == jobs


def test_a_picture_that_is_pasted_is_explained(
    open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_eye(monkeypatch, tmp_path, sees(order()))
    page = open_page("/rules")
    paste = """(hand) => document.body.dispatchEvent(
      new ClipboardEvent("paste", { clipboardData: hand, bubbles: true, cancelable: true }))"""
    assert page.evaluate(paste, in_hand(page)) is True  # text is pasted where it is meant
    assert page.evaluate(paste, in_hand(page, image=png())) is False
    expect(page.locator("#explained h3")).to_have_text("image.png")
    of_patient_4711(page)


def test_a_file_that_is_chosen_is_told_page_by_page(
    open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_eye(monkeypatch, tmp_path, sees(Order(), cover=True))
    page = open_page("/rules")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a file…").click()
    assert not chooser.value.is_multiple()
    chooser.value.set_files({"name": "fax.tif", "mimeType": "image/tiff", "buffer": tiff(2)})
    told = page.locator("#explained")
    expect(told.locator("h4")).to_have_text(["Page 1", "Page 2"])
    expect(told.locator(".message").first).to_have_text("Nothing was read: It is a letter.")
    expect(told.locator(".message").last).to_contain_text("no patient id, which identity.require asks for")


def test_what_the_upload_door_refuses_is_told_and_no_page_leaves_for_a_drop_beside_the_place(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = an_eye(monkeypatch, tmp_path, sees(order()))
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.ADMINISTRATOR], "url": site.base}])
    page = context.new_page()  # nobody watches it: an answer of 422 is an error to the console
    page.goto(f"{site.base}/rules")
    drop(page, "#drop", ward=HTML)
    expect(page.locator("#told")).to_contain_text("The file is a web page or a drawing in markup")
    expect(page.locator("#explained")).to_be_empty()
    drop(page, "#drop", one=png(), two=png())
    expect(page.locator("#told")).to_contain_text("One file at a time")
    undone = """(hand) => ["#force", "#replay-text", "#replay-file"].map((place) => ["dragover", "drop"].map((name) =>
      !document.querySelector(place).dispatchEvent(
        new DragEvent(name, { dataTransfer: hand, bubbles: true, cancelable: true }))))"""
    hand = in_hand(page, aside=png())
    assert page.evaluate(undone, hand) == [[True, True], [True, True], [False, False]]  # the last takes it itself
    expect(page.locator("#explained")).to_be_empty()
    assert not kept.exists()
    context.close()


def test_the_answer_to_the_last_question_stands_whichever_comes_last(
    site: Site, open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = f"""import time
while not os.path.exists({str(go)!r}):
    time.sleep(0.02)
"""
    kept = an_eye(monkeypatch, tmp_path, sees(order()), waits)
    page = open_page("/rules")
    drop(page, "#drop", ward=png())
    expect(page.locator("#explained")).to_have_text(re.compile("Reading ward.png"))
    wait_for(kept.exists, 60, "the file to be read")
    page.locator("#explain-job").fill(site.ready.nobody)
    page.get_by_role("button", name="Explain").click()
    told = page.locator("#explained .message")
    expect(told).to_contain_text("no patient id")
    with page.expect_response("**/explain/file"):
        go.touch()
    page.evaluate("() => new Promise((done) => setTimeout(done, 200))")
    expect(told).to_contain_text("no patient id")
