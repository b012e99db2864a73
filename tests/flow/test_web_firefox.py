"""The window in a real Firefox over a store of ready-made recordings: the way of a person from page to page."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
from PIL import Image

from gateway.identity.order import Order
from gateway.job import State
from gateway.web.deps import Role
from tests.browser import DESK, TABLET, pictures_folder
from tests.firefox import DARK, Firefox, FirefoxPage, firefox, needs_firefox
from tests.flow.processes import wait_for
from tests.gateway.web.fake_digitizer import an_eye, sees
from tests.gateway.web.pages.people import PASSWORD
from tests.gateway.web.pages.ready import JANE, rendered, take_in_unsure
from tests.gateway.web.pages.site import Site
from tests.recordings import order

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_firefox,
]

ENTER, ARROW_LEFT = "\ue007", "\ue012"  # as WebDriver calls them
BOXES = """[...document.querySelectorAll("#leads svg.paper .trace")].map((each) => each.getBBox())
  .map(({ width, height }) => width * height)"""
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
COLOUR = "getComputedStyle(document.body).{}.match(/[0-9.]+/g).slice(0, 3).map(Number)"
GROUND, LETTERS = COLOUR.format("backgroundColor"), COLOUR.format("color")
SHADES = """(() => {
  const image = document.querySelector("#picture img");
  const canvas = Object.assign(document.createElement("canvas"), { width: 200, height: 200 });
  const paint = canvas.getContext("2d");
  paint.drawImage(image, 0, 0, 200, 200);
  return new Set(new Uint32Array(paint.getImageData(0, 0, 200, 200).data.buffer)).size;
})()"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Firefox) -> FirefoxPage:
    return browser.new_page()


@pytest.fixture(scope="module")
def pictures() -> Path:
    return pictures_folder()


def serious(page: FirefoxPage) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds that keeps people from using a page."""
    told = page.evaluate("axe.run(document)", first=AXE, within_page=True)
    assert told["passes"], "axe looked at nothing"
    return [
        (each["id"], each["help"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in told["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def sign_in(site: Site, page: FirefoxPage, path: str) -> None:
    page.open(site.base + path)
    page.fill("#name", Role.ADMINISTRATOR)
    page.fill("#password", PASSWORD)
    page.click("button", "Sign in")
    page.wait(f"location.pathname === {json.dumps(path)}", "the page that was asked for")


def keep(page: FirefoxPage, pictures: Path, name: str) -> None:
    """A picture of the page as on a desk, which must fit a tablet too, and whoever reads it otherwise than by eye."""
    page.screenshot(pictures / f"firefox-{name}.png", whole=True)
    assert serious(page) == []
    page.resize(TABLET)
    assert page.evaluate("document.documentElement.scrollWidth") <= TABLET["width"]
    page.resize(DESK)


# The tests follow one another, as the person does.


def test_an_administrator_signs_in(site: Site, page: FirefoxPage, pictures: Path) -> None:
    page.open(f"{site.base}/login")
    page.wait("document.querySelector('#password') !== null", "the sign-in")
    keep(page, pictures, "login")
    sign_in(site, page, "/dashboard")


def test_a_page_is_uploaded_and_a_file_that_is_none_is_refused(
    site: Site, page: FirefoxPage, pictures: Path, tmp_path: Path
) -> None:
    scan, fake = tmp_path / "scan.png", tmp_path / "page.png"
    Image.fromarray(rendered(13).page.image).save(scan)
    fake.write_bytes(b"<html><script>alert(1)</script></html>")
    page.open(f"{site.base}/upload")
    page.choose_files("#files", scan, fake)
    page.wait_for_text("#sent-words", "2 files, 1 taken, 1 not taken")
    page.wait_for_text("#list", "Not taken")
    keep(page, pictures, "upload")
    (job,) = (job for job in site.store.jobs(None, 20, 0) if job.arrival.file_name == "scan.png")
    assert (job.arrival.sender, site.store.content(job).read_bytes()) == (Role.ADMINISTRATOR, scan.read_bytes())


def test_the_worklist_is_filtered_and_follows_what_happens(site: Site, page: FirefoxPage, pictures: Path) -> None:
    rows = "document.querySelectorAll('#jobs tbody tr[data-job]').length"
    page.open(site.base)
    page.wait(f"{rows} === 8", "every job")
    page.wait_for_text("#lamp", "Live")
    keep(page, pictures, "worklist")
    page.fill("#patient", "0815")
    page.keys(ENTER)
    page.wait(f"{rows} === 2 && location.search.includes('patient=0815')", "the patient's jobs")
    page.wait_for_text("#jobs tbody", "Straße, Jörg")
    page.open(f"{site.base}/?state=refused")
    page.wait(f"{rows} === 1", "the refused one")
    site.store.give_up(site.ready.unsure, "somebody else", "seen elsewhere")
    page.wait(f"{rows} === 2", "the one that was given up")


def test_a_job_shows_its_page_and_draws_its_leads(site: Site, page: FirefoxPage, pictures: Path) -> None:
    page.open(f"{site.base}/jobs/{site.ready.delivered}")
    page.wait("document.querySelectorAll('#leads svg.paper .trace').length === 13", "thirteen traces")
    page.wait("document.querySelector('#picture img').naturalWidth > 500", "the page as received")
    page.wait("document.querySelector('#picture img').complete", "the whole of it")
    assert page.evaluate(SHADES) > 20
    boxes = page.evaluate(BOXES)
    assert min(boxes) > 100  # square millimetres of paper
    assert page.count("#leads svg.paper .ribbon") >= 13
    page.wait("document.querySelectorAll('#findings li').length === 4", "the findings")
    page.wait_for_text("#measured", "25 mm/s, measured on the grid")
    page.wait_for_text("#deliveries", "MSA|AA|")
    told = page.evaluate("[...document.querySelectorAll('#deliveries pre')].map((each) => each.innerText)")
    assert any("\nMSA|AA|" in text for text in told)  # HL7 ends its lines by a sign at which Firefox breaks none
    page.wait_for_text("#history", "delivered")
    keep(page, pictures, "job")
    page.screenshot(pictures / "firefox-leads.png", of="#leads svg.paper")
    with Image.open(pictures / "firefox-leads.png") as leads:
        inked = np.asarray(leads.convert("L")) < 80
    assert inked.any(axis=0).mean() > 0.5  # a trace in most columns of the paper, and not the grid alone
    assert inked.mean() < 0.2
    page.click("#show-rectified")
    page.wait("document.querySelector('#picture img').src.includes('rectified')", "the rectified page")
    page.wait("document.querySelector('#picture img').complete", "the rectified page")
    assert page.evaluate(SHADES) > 20
    page.screenshot(pictures / "firefox-rectified.png")


def test_the_picture_is_zoomed_moved_and_turned_by_keys(page: FirefoxPage) -> None:
    page.click(".picture")
    page.keys("++" + ARROW_LEFT + "r")
    turned = page.evaluate("document.querySelector('#picture img').style.transform")
    assert "rotate(90deg)" in turned
    page.wait_for_text("#picture output", "156 %")


def test_calipers_measure_by_the_pointer(page: FirefoxPage) -> None:
    page.click("#leads button", "Calipers")
    page.wait("document.querySelector('#leads .caliper-read').textContent.includes('ms')", "a distance in ms")
    read = "document.querySelector('#leads .caliper-read').textContent"
    before = page.evaluate(read)
    page.drag("#leads g[data-end='b'][data-axis='x'] .grip", 60)
    page.wait(f"{read} !== {json.dumps(before)}", "another distance")


def test_a_reviewer_says_whose_it_is(site: Site, page: FirefoxPage, pictures: Path) -> None:
    page.open(f"{site.base}/jobs/{site.ready.nobody}")
    told = {"patient_id": "WEB-1", "name": "Straße^Jörg", "birth_date": "19540131", "acquired_at": "20240131143000"}
    for name, text in told.items():
        page.fill(f"#identify-{name}", text)
    keep(page, pictures, "review")
    page.click("button", "This is whose it is: digitize and send…")
    page.wait_for_text("dialog", "goes to pacs, ehr without a further look")
    page.click("dialog button", "File under this patient")
    page.wait_for_text("#header", "Straße, Jörg")
    order = site.store.order(site.ready.nobody)
    assert order is not None
    assert {**vars(order), **vars(order.patient)}.items() >= told.items()


def test_a_held_page_is_approved_and_goes_on(site: Site, page: FirefoxPage, pictures: Path) -> None:
    order = Order(JANE, accession_number="A-7", acquired_at="20240505120000", acquired_from="test")
    job_id = take_in_unsure(site.store, site.config, "to approve", order)
    page.open(f"{site.base}/jobs/{job_id}")
    page.wait_for_text("#header", "Confidence 74 % is below")
    page.wait("document.querySelectorAll('#leads svg.paper .trace').length === 13", "the traces that are approved")
    keep(page, pictures, "held")
    page.click("#review button", "Approve…")
    page.fill("#ask-comment", "plain to see")
    page.screenshot(pictures / "firefox-approve.png")
    page.click("dialog button", "Approve")
    page.wait_for_text("#told", "Approved. The gateway goes on with it.")
    assert site.store.job(job_id).state is State.RECEIVED
    take_in_unsure(site.store, site.config, "the next one", Order())  # the worker takes the approved one before it
    assert site.store.job(job_id).state is State.DIGITIZED
    assert site.store.reviews.of(job_id)[1].approved_by == Role.ADMINISTRATOR
    assert [remark.text for remark in site.store.reviews.remarks(job_id)] == ["plain to see"]
    page.wait_for_text("#measured", "Approved by")
    page.wait_for_text("#deliveries", "pacs")
    page.wait_for_text("#history", "approved")


@pytest.mark.parametrize(
    ("path", "shown", "words"),
    [
        ("dashboard", "#parked", "unknown patient"),
        ("rules", "#force", "all"),
        ("audit", "#entries", "received"),
    ],
)
def test_a_page_shows_what_the_gateway_does(
    site: Site, page: FirefoxPage, pictures: Path, path: str, shown: str, words: str
) -> None:
    page.open(f"{site.base}/{path}")
    page.wait_for_text(shown, words)
    keep(page, pictures, path)


def test_a_destination_is_paused_and_goes_on(site: Site, page: FirefoxPage) -> None:
    page.open(f"{site.base}/dashboard")
    page.click("#peers button[aria-label='Pause ehr']")
    page.click("dialog button", "Pause")
    page.wait_for_text("#peers", "paused by administrator")


def test_the_audit_is_verified(site: Site, page: FirefoxPage) -> None:
    page.open(f"{site.base}/audit")
    page.click("button", "Verify the chain")
    page.wait_for_text("#verdict", "The chain holds")


def test_nothing_was_complained_of_and_no_request_left_the_host(site: Site, browser: Firefox) -> None:
    watch = browser.watched(site.base)
    assert browser.requests() > 50
    assert watch.strangers == []
    assert watch.complaints == []


def test_every_page_is_dark_for_who_likes_it_so(
    site: Site, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    paths = {
        "/": "#jobs tbody tr[data-job]",
        f"/jobs/{site.ready.delivered}": "#leads svg.paper .trace",
        "/upload": "#choose",
        "/dashboard": "#tiles .tile",
        "/rules": "#force td",
        "/audit": "#entries tbody tr",
    }
    with firefox(tmp_path_factory.mktemp("dark"), DARK) as browser:
        page = browser.new_page()
        sign_in(site, page, "/account")
        for path, shown in paths.items():
            page.open(site.base + path)
            page.wait(f"document.querySelector({json.dumps(shown)}) !== null", f"{path} to be there")
            assert sum(page.evaluate(GROUND)) < 3 * 60, path
            assert sum(page.evaluate(LETTERS)) > 3 * 160, path
            assert serious(page) == [], path
            page.screenshot(pictures / f"firefox-dark-{path.split('/')[1] or 'worklist'}.png", whole=True)
        assert browser.watched(site.base).complaints == []


def test_axe_would_have_found_what_keeps_people_out(site: Site, browser: Firefox) -> None:
    page = browser.new_page()
    page.open(f"{site.base}/login")
    page.evaluate("document.querySelector('label[for=name]').remove()")
    assert "label" in [each[0] for each in serious(page)]


def test_complaints_and_strangers_would_have_been_noticed(site: Site, browser: Firefox) -> None:
    page = browser.new_page()
    page.open(f"{site.base.replace('127.0.0.1', 'localhost')}/login")
    page.evaluate("console.error('oh no')")
    page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.2:9/a.png' }))")

    def noticed() -> bool:
        watch = browser.watched(site.base)
        words = "\n".join(watch.complaints)
        return bool(watch.strangers) and "oh no" in words and "img-src" in words

    wait_for(noticed, 30, "what was done wrong on purpose")


def test_documents_are_had_and_a_file_is_explained(
    site: Site, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a window of its own, whose downloads go to a folder of the test's."""
    an_eye(monkeypatch, tmp_path, sees(order()))
    had, sent = tmp_path / "had", tmp_path / "ward.png"
    had.mkdir()
    Image.new("RGB", (60, 40), "white").save(sent)
    into = {"browser.download.folderList": 2, "browser.download.dir": str(had)}
    with firefox(tmp_path_factory.mktemp("had"), into) as it:
        page = it.new_page()
        sign_in(site, page, f"/jobs/{site.ready.delivered}")
        page.wait("document.querySelectorAll('#documents tbody tr').length > 5", "the documents")
        page.evaluate(
            """[...document.querySelectorAll("#documents tr")].find((each) => each.textContent.includes("WFDB record"))
              .querySelector("a[download]").click()"""
        )
        name = f"ecg-{site.ready.delivered[:12]}-1"
        wait_for(lambda: [each.suffix for each in had.iterdir()] == [".zip"], 60, "the download")
        (file,) = had.iterdir()
        wait_for(lambda: zipfile.is_zipfile(file), 60, "all of it")
        assert file.name.startswith(name)
        page.open(f"{site.base}/rules")
        page.choose_files("#explain-file", sent)
        page.wait_for_text("#explained h3", "ward.png")
        page.wait_for_text("#explained .message", "Send")
        watch = it.watched(site.base)
        assert watch.complaints == []
        assert watch.strangers == []
