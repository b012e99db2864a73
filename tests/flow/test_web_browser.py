"""A page through a whole gateway by the window alone: uploaded, reviewed, mended and approved in a real browser, and
acknowledged by a real MLLP receiver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gateway.job import Job, State
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import scanned_page
from tests.browser import DESK, Watch, chromium, needs_chromium, pictures_folder
from tests.flow.mllp_receiver import Receiver
from tests.flow.processes import PATIENCE_S, GatewayProcess, free_port, wait_for

expect.set_options(timeout=120_000)  # the machine may be busy with other things

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

# No page is sure enough for this gateway: every one waits for a person who approves it.
CONFIG = """
[data]
folder = "@FOLDER@/data"
[dicom_scp]
port = @PORT@
[web]
port = {web}
[pipeline]
confidence_min = 1.0
[worker]
poll_s = 0.1
[[destination]]
kind = "mllp"
name = "ehr"
host = "127.0.0.1"
port = {ehr}
"""
NAME = "administrator"
PASSWORD = "a heart beats twelve times"
PATIENCE_MS = 3 * 1000 * PATIENCE_S  # beside the gateway a browser and its window want the processor too


class Window:
    """A gateway with its window, a receiver behind it, and a browser before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ehr = Receiver()
        self.port = free_port()
        self.gateway = GatewayProcess(folder, CONFIG.format(web=self.port, ehr=self.ehr.port))
        self.base = f"http://127.0.0.1:{self.port}"
        try:
            self.gateway.start()
            # the gateway itself listens for the window, long before the window's process has loaded what it needs
            wait_for(self.answers, 3 * PATIENCE_S, "the window to open")
        except BaseException:
            self.stop()
            raise

    def answers(self) -> bool:
        try:
            return httpx2.get(f"{self.base}/healthz", timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    def one_time_password(self) -> str:
        log = (self.folder / "gateway.log").read_text(encoding="utf-8")
        found = re.search(r"one-time password (\S+)", log)
        assert found is not None
        return found[1]

    def job_of(self, file_name: str) -> Job:
        with self.gateway.store() as store:
            return next(job for job in store.jobs(None, 10, 0) if job.arrival.file_name == file_name)

    def stop(self) -> None:
        self.gateway.stop()
        self.ehr.stop()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    window = Window(tmp_path_factory.mktemp("window"))
    yield window
    window.stop()


@pytest.fixture(scope="module")
def pictures() -> Path:
    return pictures_folder()


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def page(window: Window, watch: Watch) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_context(viewport=DESK).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(120_000)
        watch.on(page, window.base)
        yield page


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.png"
    rendered = scanned_page(synthetic_ecg(np.random.default_rng(11), 10.0, 500), 500, seed=11)
    Image.fromarray(rendered.page.image).save(path)
    return path


def wait_for_words(page: Page, words: str) -> None:
    expect(page.locator("#header")).to_contain_text(words, timeout=PATIENCE_MS)


# The tests follow one another, as the person does.


def test_the_first_administrator_signs_in_with_the_printed_password_and_must_choose_another(
    window: Window, page: Page, pictures: Path
) -> None:
    page.goto(window.base)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill(window.one_time_password())
    page.screenshot(path=pictures / "flow-login.png")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Password until now").fill(window.one_time_password())
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()
    page.wait_for_load_state()
    if "/login" in page.url:
        page.get_by_label("Name").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
    page.goto(window.base)
    expect(page.get_by_role("heading", name="Worklist")).to_be_visible()


def test_an_uploaded_page_arrives_and_a_file_that_is_no_page_is_refused_with_the_reason(
    window: Window, page: Page, scan: Path, pictures: Path
) -> None:
    page.goto(f"{window.base}/upload")
    fake = {"name": "page.png", "mimeType": "image/png", "buffer": b"<html><script>alert(1)</script></html>"}
    page.locator("#files").set_input_files(scan)
    page.locator("#files").set_input_files([fake])  # type: ignore[list-item]
    refused = page.locator("#list li", has_text="page.png")
    expect(refused).to_contain_text("Not taken")
    expect(page.locator("#sent-words")).to_contain_text("2 files, 1 taken, 1 not taken")
    taken = page.locator("#list li", has_text="scan.png")
    expect(taken).to_contain_text("Held", timeout=PATIENCE_MS)
    page.screenshot(path=pictures / "flow-upload.png")
    taken.get_by_role("link").click()
    wait_for_words(page, "Nobody has said whose ECG this is")


def test_the_page_and_its_leads_stand_side_by_side(page: Page, pictures: Path) -> None:
    expect(page.locator("#leads svg.paper .trace")).to_have_count(13, timeout=PATIENCE_MS)
    image = page.locator("#picture img")
    wait_for(lambda: image.evaluate("each => each.naturalWidth") > 500, 30, "the page's picture")
    page.screenshot(path=pictures / "flow-held.png", full_page=True)
    page.get_by_role("button", name="Laid flat, with traces").click()
    wait_for(lambda: "rectified" in (image.get_attribute("src") or ""), 30, "the rectified picture")
    wait_for(lambda: image.evaluate("each => each.complete && each.naturalWidth") > 500, 60, "the rectified picture")
    page.screenshot(path=pictures / "flow-rectified.png")


def test_a_reviewer_says_whose_it_is(page: Page) -> None:
    form = page.locator("details", has_text="Whose ECG is this?")
    form.get_by_label("Patient id").fill("WEB-1")
    form.get_by_label("Name", exact=True).fill("Straße^Jörg")
    form.get_by_label("Born").fill("19540131")
    form.get_by_label("Recorded at").fill("20240131143000")
    form.get_by_role("button", name="This is whose it is").click()
    page.get_by_role("dialog").get_by_role("button", name="File under this patient").click()
    wait_for_words(page, "Straße, Jörg")
    wait_for_words(page, "Confidence")
    expect(page.get_by_role("button", name="Approve…")).to_be_visible(timeout=PATIENCE_MS)


def test_a_reviewer_corrects_layout_and_gain_and_it_is_digitized_again(page: Page, pictures: Path) -> None:
    expect(page.locator("#measured")).to_contain_text("3x4+1")
    page.locator("summary", has_text="Correct how the page is read").click()
    form = page.locator("details", has_text="Correct how the page is read")
    form.get_by_label("Layout", exact=True).select_option("3x4+1")
    form.get_by_label("Speed", exact=True).select_option("25")
    form.get_by_label("Gain", exact=True).select_option("20")
    form.get_by_label("Long strip, segment 1").select_option("V1")
    form.get_by_label("Comment").fill("The calibration pulse is 20 mm high.")
    page.screenshot(path=pictures / "flow-correct.png", full_page=True)
    form.get_by_role("button", name="Digitize again with this").click()
    expect(page.locator("#measured")).to_contain_text("20 mm/mV, told by a person", timeout=PATIENCE_MS)
    expect(page.locator('#leads g[data-rhythm="true"]')).to_have_attribute("data-lead", "V1", timeout=PATIENCE_MS)
    expect(page.locator("#measured")).to_contain_text(f"Corrected by{NAME}")


def test_an_approved_page_is_acknowledged_by_the_receiver(window: Window, page: Page, pictures: Path) -> None:
    page.get_by_role("button", name="Approve…").click(timeout=PATIENCE_MS)
    page.get_by_label("Comment (may be empty)").fill("Looked at, lead by lead.")
    page.get_by_role("button", name="Approve", exact=True).click()
    wait_for_words(page, "Delivered")
    row = page.locator("#deliveries tr", has_text="ehr")
    expect(row).to_contain_text("Delivered", timeout=PATIENCE_MS)
    expect(row).to_contain_text(re.compile(r"AA"))
    page.screenshot(path=pictures / "flow-delivered.png", full_page=True)
    message = next(m for m in window.ehr.messages if "WEB-1" in str(m.segment("PID")))
    # what a person changed is told to whoever receives it
    assert "Gain 20 mm/mV, given by a person" in str(message)
    assert window.job_of("scan.png").state == State.DELIVERED


def test_the_audit_tells_what_the_person_did_and_holds(window: Window, page: Page, pictures: Path) -> None:
    trail = page.locator("#history")
    for kind in ("received", "identified", "corrected", "approved", "delivered"):
        expect(trail).to_contain_text(kind)
    page.goto(f"{window.base}/audit")
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.locator("#verdict")).to_contain_text("The chain holds", timeout=PATIENCE_MS)
    page.screenshot(path=pictures / "flow-audit.png")


def test_the_worklist_follows_what_happens_without_being_asked(window: Window, page: Page, scan: Path) -> None:
    page.goto(window.base)
    expect(page.locator("#jobs tbody")).not_to_contain_text("Fetching")
    expect(page.locator("#lamp")).to_have_text("Live")
    before = page.locator("#jobs tbody tr[data-job]").count()
    other = page.context.new_page()
    other.goto(f"{window.base}/upload")
    copy = {"name": "again.png", "mimeType": "image/png", "buffer": scan.read_bytes() + b"\n"}
    other.locator("#files").set_input_files([copy])  # type: ignore[list-item]
    expect(page.locator("#jobs tbody tr[data-job]")).to_have_count(before + 1)
    other.close()


def test_nothing_was_complained_of_and_no_request_left_the_host(watch: Watch) -> None:
    assert watch.strangers == []
    assert watch.complaints == []
