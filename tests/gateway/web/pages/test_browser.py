"""Every page in a real Chromium over a store of ready-made recordings: what is shown, by which keys, for whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from gateway.identity.order import Order, Patient
from gateway.job import State
from gateway.web.deps import Role
from tests.browser import DESK, TABLET, needs_chromium, pictures_folder
from tests.flow.processes import wait_for
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.ready import Ready, take_in_unsure
from tests.gateway.web.pages.site import Site
from tests.gateway.web.pages.test_identify import agree

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def pictures() -> Path:
    return pictures_folder()


def settled(page: Page, path: str) -> None:
    """Waits until a page has fetched what it shows."""
    if path == "/":
        expect(page.locator("#jobs tbody tr[data-job]").first).to_be_visible()
    elif path.startswith("/jobs/"):
        expect(page.locator("#header .chip").first).to_be_visible()
        expect(page.locator("#history tbody tr").first).to_be_visible()
        expect(page.locator("#leads")).not_to_contain_text("Fetching")
        expect(page.locator("#documents")).not_to_be_empty()
        image = page.locator("#picture img")
        wait_for(lambda: image.evaluate("each => each.complete"), 30, "the picture")
    elif path == "/dashboard":
        expect(page.locator("#tiles .tile").first).to_be_visible()
        expect(page.locator("#parked")).not_to_be_empty()
    elif path == "/rules":
        expect(page.locator("#force")).not_to_be_empty()
    elif path == "/audit":
        expect(page.locator("#entries tbody tr").nth(2)).to_be_visible()
    elif path == "/api":
        expect(page.locator("main table").first).to_be_visible()


PATHS = (
    "/",
    "/upload",
    "/dashboard",
    "/rules",
    "/audit",
    "/users",
    "/account",
    "/account/password",
    "/tokens",
    "/api",
    "/jobs/unsure",
    "/jobs/parked",
)


def path_of(path: str, ready: Ready) -> str:
    kind, _, name = path.rpartition("/")
    return f"{kind}/{getattr(ready, name)}" if kind == "/jobs" else path


SETTLED = """async () => {
  for (let drawn = 0; drawn < 2; drawn++) await new Promise((go) => requestAnimationFrame(go));
  const fading = document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(fading.map((each) => each.finished));
}"""


def serious(page: Page) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds that keeps people from using a page, once no colour fades into another any more."""
    page.evaluate(SETTLED)
    result = Axe().run(page).response
    assert result["passes"], "axe looked at nothing"
    return [
        (each["id"], each["help"], [node["html"][:120] for node in each["nodes"][:3]])
        for each in result["violations"]
        if each["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_no_serious_accessibility_finding_and_fits_a_tablet(
    site: Site, open_page: Callable[..., Page], pictures: Path, path: str
) -> None:
    page = open_page(path_of(path, site.ready))
    settled(page, path_of(path, site.ready))
    name = path.strip("/").replace("/", "-") or "worklist"
    page.screenshot(path=pictures / f"{name}.png", full_page=True, animations="disabled")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=pictures / f"{name}-dark.png", full_page=True, animations="disabled")
    assert serious(page) == []
    page.set_viewport_size(TABLET)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")
    page.screenshot(path=pictures / f"{name}-tablet.png", full_page=True, animations="disabled")
    assert page.evaluate("document.documentElement.scrollWidth") <= TABLET["width"]


def test_the_login_has_no_serious_accessibility_finding(site: Site, browser: Browser, pictures: Path) -> None:
    page = browser.new_page(viewport=DESK)  # type: ignore[arg-type]
    page.goto(f"{site.base}/login")
    page.screenshot(path=pictures / "login.png")
    assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=pictures / "login-dark.png", animations="disabled")
    assert serious(page) == []
    page.close()


def test_filters_live_in_the_address_bar(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    settled(page, "/")
    rows = page.locator("#jobs tbody tr[data-job]")
    everything = rows.count()
    page.get_by_role("radio", name="Held").check()
    expect(page).to_have_url(re.compile(r"\?state=held$"))
    expect(rows).to_have_count(3)
    page.get_by_label("Patient id").fill("4711")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"patient=4711"))
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)
    assert page.get_by_label("Patient id").input_value() == "4711"
    page.go_back()
    page.go_back()
    expect(rows).to_have_count(everything)
    page.goto(f"{site.base}/?q=0815")
    expect(rows.first).to_contain_text("Straße, Jörg")


def test_a_day_of_the_worklist_is_the_day_of_who_asks(site: Site, open_page: Callable[..., Page]) -> None:
    now = datetime.now(UTC)
    zone, hours = ("Pacific/Kiritimati", 14) if now.hour >= 10 else ("Pacific/Pago_Pago", -11)
    today = (now + timedelta(hours=hours)).date()
    assert today != now.date()  # or this test could not fail
    page = open_page(f"/?from={today}&to={today}", timezone_id=zone)
    rows = page.locator("#jobs tbody tr[data-job]")
    expect(rows).to_have_count(len(site.store.jobs()))
    page.get_by_label("From").fill(str(today + timedelta(days=1)))
    expect(page.locator("#jobs .nothing")).to_be_visible()


def test_the_worklist_is_walked_and_a_job_opened_by_keys_alone(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    settled(page, "/")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("Boolean(document.activeElement.closest('tr[data-job]'))"):
            break
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 2
    page.keyboard.press("x")
    expect(page.locator("#bulk")).to_contain_text("1 job chosen")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    wanted = page.evaluate("document.activeElement.closest('tr')?.dataset.job ?? ''")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/jobs/{wanted}$"))


def test_a_viewer_is_offered_nothing_to_change(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/", Role.VIEWER)
    settled(page, "/")
    assert page.locator("#jobs input[type=checkbox]:visible").count() == 0
    page.goto(f"{site.base}/jobs/{site.ready.unsure}")
    settled(page, "/jobs/")
    expect(page.locator("#review")).to_be_empty()
    for words in ("Approve…", "Reject…", "Digitize again", "Send again"):
        assert page.get_by_role("button", name=words).count() == 0


def test_a_job_shows_its_leads_with_gap_bridge_ribbon_and_findings(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/jobs/{site.ready.delivered}")
    settled(page, "/jobs/")
    paper = page.locator("#leads svg.paper")
    expect(paper.locator(".trace")).to_have_count(13)
    v2 = paper.locator('g[data-lead="V2"] .trace').get_attribute("d") or ""
    assert v2.count("M") == 2
    assert paper.locator('g[data-lead="V2"] .ribbon').get_attribute("d")
    rhythm = paper.locator('g[data-lead="II"][data-rhythm="true"]')
    assert rhythm.locator(".bridged").get_attribute("d")
    expect(page.locator("#findings li")).to_have_count(4)
    expect(paper.locator('[data-finding="2"] title')).to_contain_text("could not be read")
    expect(page.locator("#measured")).to_contain_text("25 mm/s, measured on the grid")


def test_a_recording_is_laid_over_an_earlier_one(site: Site, open_page: Callable[..., Page], pictures: Path) -> None:
    page = open_page(f"/jobs/{site.ready.delivered}")
    settled(page, "/jobs/")
    row = page.locator("#earlier tr", has_text="2023-01-31")
    row.get_by_role("button", name="Compare").click()
    expect(page.locator("#earlier svg.paper .earlier-trace")).to_have_count(12)
    expect(page.locator("#earlier svg.paper .trace")).to_have_count(12)
    page.locator("#earlier").screenshot(path=pictures / "comparison.png")


def test_a_delivery_shows_the_receiver_s_own_words(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/jobs/{site.ready.delivered}")
    settled(page, "/jobs/")
    ehr = page.locator("#deliveries tr", has_text="ehr")
    expect(ehr).to_contain_text("MSA|AA|")
    for document in ("12-lead ECG", "PDF report"):
        row = page.locator("#deliveries tr", has_text="pacs").filter(has_text=document)
        expect(row).to_contain_text("0x0000 Success")
    page.goto(f"{site.base}/jobs/{site.ready.parked}")
    settled(page, "/jobs/")
    expect(page.locator("#deliveries tr", has_text="ehr")).to_contain_text("unknown patient")


def test_a_delivery_s_button_says_that_all_documents_for_its_receiver_go_again(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"/jobs/{site.ready.delivered}", Role.REVIEWER)
    row = page.locator("#deliveries tr", has_text="pacs").first
    row.get_by_role("button", name="Send to pacs again").click()
    expect(page.get_by_role("dialog")).to_contain_text("All documents of this job that were made for it")
    page.keyboard.press("Escape")


def test_the_picture_is_zoomed_moved_and_turned_by_keys(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/jobs/{site.ready.delivered}")
    settled(page, "/jobs/")
    page.locator(".picture").focus()
    for key in ("+", "+", "ArrowLeft", "r"):
        page.keyboard.press(key)
    transform = page.locator("#picture img").evaluate("each => each.style.transform")
    assert "rotate(90deg)" in transform
    assert "translate(60px" in transform
    expect(page.locator("#picture output")).to_contain_text("156 %")
    page.keyboard.press("0")
    expect(page.locator("#picture output")).to_contain_text("100 %")


def test_documents_are_viewed_and_had(site: Site, open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(f"/jobs/{site.ready.delivered}")
    settled(page, "/jobs/")
    aecg = page.locator("#documents tr", has_text="aECG")
    aecg.get_by_role("button", name="View").click()
    expect(page.locator("pre.document")).to_contain_text("<AnnotatedECG")
    report = page.locator("#documents tr", has=page.get_by_text("PDF report", exact=True))
    report.get_by_role("button", name="View").click()
    sheet = page.locator("img.document")  # in this page: a tab of its own would outlive the session
    expect(sheet).to_be_visible()
    assert sheet.evaluate("each => each.naturalWidth") > 2000
    sheet.screenshot(path=pictures_folder() / "report.png")
    seen = {"DICOM 12-lead ECG waveform": "Patient's Name", "WFDB record": ".dat 16 ", "EDF+ file": "ECG V6: "}
    for words, text in seen.items():
        row = page.locator("#documents tr", has=page.get_by_text(words, exact=True))
        row.get_by_role("button", name="View").click()
        expect(page.locator("pre.document")).to_contain_text(text)
    assert page.get_by_role("button", name="View").count() == page.locator("#documents tbody tr").count()
    wanted = {"DICOM 12-lead ECG waveform": b"\0" * 128 + b"DICM", "PDF report": b"%PDF-", "EDF+ file": b"0  "}
    for words, start in wanted.items():
        row = page.locator("#documents tr", has=page.get_by_text(words, exact=True))
        with page.expect_download() as download:
            row.get_by_role("link", name="Download").click()
        download.value.save_as(tmp_path / "had")
        assert (tmp_path / "had").read_bytes().startswith(start), words


def test_a_document_that_cannot_be_made_says_why(site: Site, browser: Browser) -> None:
    job_id = take_in_unsure(site.store, site.config, "without a day", Order(Patient("4711")))
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.VIEWER], "url": site.base}])
    page = context.new_page()  # nobody watches it: an answer of 422 is an error to the console
    page.goto(f"{site.base}/jobs/{job_id}")
    downloads: list[object] = []
    page.on("download", lambda each: downloads.append(each))
    row, told = page.locator("#documents tr", has_text="aECG"), page.locator("#told .message")
    for wanted in (row.get_by_role("link", name="Download"), row.get_by_role("button", name="View")):
        wanted.click()
        expect(told).to_contain_text("nothing says when this ECG was recorded")
        told.get_by_role("button", name="Close").click()
        expect(told).to_have_count(0)
    assert downloads == []
    context.close()


def test_a_report_that_cannot_be_made_says_why_under_view_and_download(site: Site, browser: Browser) -> None:
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.VIEWER], "url": site.base}])
    page = context.new_page()
    page.goto(f"{site.base}/jobs/{site.ready.unsure}")
    row, told = page.get_by_role("row", name="PDF report ecg-"), page.locator("#told .message")
    row.wait_for()
    bytes_of = site.store.content(site.store.job(site.ready.unsure))
    aside = bytes_of.rename(bytes_of.with_suffix(".aside"))  # as on a share that is not mounted: no thumbnail
    try:
        for wanted in (row.get_by_role("link", name="Download"), row.get_by_role("button", name="View")):
            wanted.click()
            expect(told).to_contain_text("the received bytes are not in the data folder")
            told.get_by_role("button", name="Close").click()
            expect(told).to_have_count(0)
    finally:
        aside.rename(bytes_of)
    context.close()


def test_a_download_has_the_name_that_the_gateway_gives_it_now(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/jobs/{site.ready.unsure}")
    with page.expect_download() as download:
        page.locator("#documents tr", has_text="CSV").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"ecg-{site.ready.unsure[:12]}-1-not-released.csv"


def test_text_from_outside_stays_text(site: Site, open_page: Callable[..., Page]) -> None:
    name = "<img src>^<script>alert(2)</script>"
    page = open_page(f"/jobs/{site.ready.nobody}", Role.REVIEWER)
    settled(page, "/jobs/")
    form = page.locator("details", has_text="Whose ECG is this?")
    expect(form).to_have_attribute("open", "")
    form.get_by_label("Patient id").fill("X-1")
    form.get_by_label("Name", exact=True).fill(name)
    form.get_by_label("Recorded at").fill("20240404101010")
    form.get_by_role("button", name="This is whose it is").click()
    expect(page.get_by_role("dialog")).to_contain_text("<img src>, <script>alert(2)</script>")
    agree(page)
    expect(page.locator("h1")).to_contain_text("<img src>")
    page.goto(f"{site.base}/?q=X-1")
    expect(page.locator("#jobs tbody tr[data-job]")).to_contain_text("<script>alert(2)</script>")
    assert page.locator("main script, h1 img, td img").count() == 0


def test_a_known_patient_is_found_and_taken_over(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/jobs/{site.ready.unsure}", Role.REVIEWER)
    settled(page, "/jobs/")
    summary = page.locator("summary", has_text="Whose ECG is this?")
    if not page.get_by_label("Search orders and patients known here").is_visible():
        summary.click()
    page.get_by_label("Search orders and patients known here").fill("0815")
    page.keyboard.press("Enter")
    found = page.locator(".found li").first
    expect(found).to_contain_text("Straße, Jörg")
    found.get_by_role("button", name="Use").click()
    assert page.get_by_label("Patient id", exact=True).input_value() == "0815"


def test_a_turn_of_the_picture_becomes_the_orientation(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page(f"/jobs/{site.ready.unsure}", Role.REVIEWER)
    settled(page, "/jobs/")
    page.locator("summary", has_text="Correct how the page is read").click()
    page.get_by_role("button", name="Turn right").click()
    page.get_by_role("button", name="Take the turn of the picture").click()
    assert page.locator("#correct-orientation").input_value() == "1"


def test_parked_messages_are_sent_again_from_the_dashboard(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/dashboard", Role.REVIEWER)
    settled(page, "/dashboard")
    row = page.locator("#parked tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("unknown patient")
    row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Send 1 again").click()
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    expect(page.locator("#told")).to_contain_text("1 message sent again")
    expect(page.locator("#parked")).to_contain_text("No message is parked")


def test_a_destination_is_paused_and_goes_on(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/dashboard")
    settled(page, "/dashboard")
    page.get_by_role("button", name="Pause ehr").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    row = page.locator("#peers tr", has_text="ehr")
    expect(row).to_contain_text("paused by administrator")
    page.get_by_role("button", name="Resume ehr").click()
    expect(row).not_to_contain_text("paused")


def test_a_page_is_explained_and_a_changed_configuration_replayed(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/rules")
    settled(page, "/rules")
    expect(page.locator("#force tbody tr")).to_have_count(1)
    page.locator("#explain-job").fill(site.ready.unsure)
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explained")).to_contain_text("a person must look")
    page.locator("#replay-text").fill("[[rule]]\nnam = 1\n")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#replayed")).to_contain_text("This configuration cannot be used")
    changed = """
[[destination]]
kind = "dicom"
name = "pacs"
host = "127.0.0.1"
port = 104
called_ae_title = "PACS"
[[rule]]
name = "pacs only"
send = ["pacs"]
"""
    page.locator("#replay-text").fill(changed)
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#replayed tbody tr").first).to_contain_text("pacs")


def test_the_audit_is_searched_and_verified(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/audit")
    settled(page, "/audit")
    page.get_by_label("What").fill("parked")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"kind=parked"))
    expect(page.locator("#entries tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.locator("#verdict")).to_contain_text("The chain holds", timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export all").click()
    assert b'"kind":"received"' in Path(download.value.path()).read_bytes()


def test_a_day_of_the_audit_is_the_day_of_who_asks(site: Site, open_page: Callable[..., Page]) -> None:
    now = datetime.now(UTC)
    zone, hours = ("Pacific/Kiritimati", 14) if now.hour >= 10 else ("Pacific/Pago_Pago", -11)
    today = (now + timedelta(hours=hours)).date()
    assert today != now.date()  # or this test could not fail
    page = open_page(f"/audit?from={today}&to={today}&kind=received", timezone_id=zone)
    expect(page.locator("#entries tbody tr td.number")).not_to_have_count(0)
    page.get_by_label("From").fill(str(today + timedelta(days=1)))
    page.get_by_label("To", exact=True).fill(str(today + timedelta(days=1)))
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#entries .nothing")).to_be_visible()


def test_many_jobs_are_done_again_at_once(site: Site, open_page: Callable[..., Page]) -> None:
    page = open_page("/?state=refused", Role.REVIEWER)
    settled(page, "/")
    page.get_by_label("Choose all on this page").check()
    page.get_by_role("button", name="Digitize again").click()
    page.get_by_role("dialog").get_by_role("button", name="Digitize again").click()
    expect(page.locator("#told")).to_contain_text("1 of 1 job done")
    expect(page.locator("#jobs tbody")).to_contain_text("No job matches this filter")
    assert site.store.job(site.ready.refused).state == State.RECEIVED


def test_an_action_on_all_that_match_says_how_many_asks_and_does_just_these(
    site: Site, open_page: Callable[..., Page]
) -> None:
    take_in_unsure(site.store, site.config, "another that is held", Order())
    held = len(site.store.jobs(State.HELD))
    page = open_page("/?state=held", Role.REVIEWER)
    settled(page, "/")
    page.locator("#jobs tbody input[type=checkbox]").first.check()
    page.get_by_role("button", name="All that match the filter").click()
    page.locator("#bulk").get_by_role("button", name="Send again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Send again: {held} jobs?")
    expect(dialog).to_contain_text("These are all that match the filter.")
    late = take_in_unsure(site.store, site.config, "late", Order())
    before = {entry.seq for entry in site.store.audit_queries.job_audit(late)}
    dialog.get_by_role("button", name="Send again").click()
    expect(page.locator("#told .good")).to_contain_text(re.compile(rf"Send again: \d+ of {held} jobs done"))
    done = int(re.findall(r"(\d+) of", page.locator("#told .good").inner_text())[0])
    expect(page.locator("#told .bad")).to_contain_text(f"{held - done} jobs left as they were: ")
    times = re.findall(r"(\d+) × ", page.locator("#told .bad").inner_text())
    assert sum(map(int, times)) == held - done
    assert {entry.seq for entry in site.store.audit_queries.job_audit(late)} == before

    page.locator(f'#jobs tr[data-job="{late}"] input').check()
    page.locator("#bulk").get_by_role("button", name="Digitize again").click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("#told .bad")).to_have_count(1)  # who thinks better of it has mended nothing
    page.locator("#bulk").get_by_role("button", name="Digitize again").click()
    dialog.get_by_role("button", name="Digitize again").click()
    expect(page.locator("#told .good").last).to_contain_text("1 of 1 job done")
    expect(page.locator("#told .bad")).to_have_count(0)


def test_an_error_of_a_page_that_draws_itself_goes_when_it_could_be_drawn(open_page: Callable[..., Page]) -> None:
    page = open_page("/dashboard")
    settled(page, "/dashboard")
    page.evaluate("""async () => {
      const { tried } = await import('/static/js/dom.js');
      const fails = () => { throw new Error('no figures'); };
      await tried(fails, 'page');
      await tried(fails, 'page');
      await tried(() => { throw new Error('not done'); });
    }""")
    told = page.locator("#told .bad")
    assert {text.split(" ", 1)[0] for text in told.all_inner_texts()} == {"no", "not"}
    assert told.count() == 2
    page.evaluate("import('/static/js/dom.js').then(({ tried }) => tried(() => {}, 'page'))")
    expect(told).to_have_count(1)
    expect(told).to_contain_text("not done")
    page.evaluate("import('/static/js/dom.js').then(({ tell }) => tell('done now'))")
    expect(told).to_have_count(0)


def test_a_page_that_is_unsure_and_nobody_s_says_in_which_order_it_is_dealt_with(
    site: Site, open_page: Callable[..., Page], pictures: Path
) -> None:
    job_id = take_in_unsure(site.store, site.config, "unsure and nobody's", Order())
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    settled(page, "/jobs/")
    steps = page.locator("#review .steps > li")
    expect(steps).to_have_count(3)
    expect(steps.nth(0)).to_contain_text("Say whose ECG this is")
    expect(steps.nth(0)).to_contain_text("came without patient id")
    expect(steps.nth(1)).to_contain_text("Confidence 74 % is below")
    expect(steps.nth(2)).to_contain_text("Approved without step 1, it stays held")
    page.locator(".review").screenshot(path=pictures / "review-steps.png")
    page.get_by_role("button", name="Approve…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It stays held after this: The page came without patient id")
    dialog.get_by_role("button", name="Cancel").click()
    form = page.locator("details", has_text="Whose ECG is this?")
    expect(form).to_contain_text("still waits for an approval after this")
    form.get_by_label("Patient id").fill("X-2")
    form.get_by_label("Recorded at").fill("20240404101010")
    form.get_by_role("button", name="This is whose it is: digitize again").click()
    expect(dialog).to_contain_text("it waits for a person after this: confidence 74 % is below")
    agree(page)
    expect(page.locator("#told")).to_contain_text("then it waits for an approval")
    assert site.store.job(job_id).state == State.RECEIVED
    take_in_unsure(site.store, site.config, "one more", Order())
    expect(page.locator("#header .message.warn")).not_to_contain_text("came without")
    expect(page.locator("#header .message.warn")).to_contain_text("Confidence 74 % is below")
    expect(page.locator("#review .steps > li")).to_have_count(2)
    page.get_by_role("button", name="Approve…").click()
    expect(dialog).to_contain_text("goes on to its destinations")
    dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(page.locator("#told")).to_contain_text("The gateway goes on with it.")
    take_in_unsure(site.store, site.config, "and another", Order())
    assert site.store.job(job_id).state == State.DIGITIZED
    expect(page.locator("#measured")).to_contain_text("Approved by")
