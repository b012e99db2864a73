"""Who reviews a page searches a worklist for whose it is, and what is taken over goes out, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from io import BytesIO

import pytest
from playwright.sync_api import Error, Page, Route, expect
from pydicom import Dataset, dcmread

from gateway.identity.order import Order, Patient
from gateway.job import State
from gateway.web.deps import Role
from tests.browser import TABLET, needs_chromium, pictures_folder
from tests.flow.processes import free_port
from tests.gateway.patient_search.ris import Ris, entry, telling
from tests.gateway.web.pages.ready import take_in, take_in_unsure, work
from tests.gateway.web.pages.site import Site
from tests.gateway.web.pages.test_browser import serious
from tests.gateway.web.pages.test_identify import shown, submit, use, whose

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

ALL = (
    *("patient_id", "issuer", "name", "birth_date", "sex", "accession_number", "placer_order_number"),
    *("filler_order_number", "visit_number", "referring_physician", "study_id", "study_uid"),
)
ADA = ("4242", "NORTH", "Able^Ada", "19500101", "F", "N-1", "P-1", "F-1", "V-1", "House^Gregory", "RP1", "1.2.3.1")
NOBODY = Order(acquired_at="20240501101500", acquired_from="test")
BEN = Patient("4243", "NORTH", "Able^Ben", "19600202", "M")


def scheduled(number: int, name: str, patient_id: str) -> Dataset:
    return entry(number, name, patient_id, ScheduledProcedureStepStartDate=f"{date.today():%Y%m%d}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A window whose one worklist knows Ada, and whose other one is down."""
    ris = Ris()
    ris.answering = telling(scheduled(1, "Able^Ada", "4242"))
    worklists = [
        {"name": name, "host": "127.0.0.1", "port": port, "called_ae_title": "RIS", "timeout_s": 20.0}
        for name, port in (("ris", ris.start()), ("old ris", free_port()))
    ]
    site = Site(tmp_path_factory.mktemp("site"), worklist=worklists)
    take_in_unsure(site.store, site.config, "ben", Order(BEN, acquired_at="20240502", acquired_from="test"))
    yield site
    site.stop()
    ris.stop()


def test_an_order_of_a_worklist_is_found_taken_over_by_keyboard_and_sent(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in(site.store, site.config, "nobody's", NOBODY, 0.96)
    page = open_page("/upload", Role.REVIEWER)
    form = whose(page, f"{site.base}/jobs/{job_id}")
    form.locator("#identify-search").fill("able, ada")
    page.keyboard.press("Enter")
    line = form.locator(".found li")
    expect(line).to_have_count(1)
    for words in ("Able, Ada", "4242", "of NORTH", "accession N-1", "visit V-1", "referring House, Gregory"):
        expect(line).to_contain_text(words)
    expect(line.locator("small")).to_contain_text("worklist ris: Resting ECG, scheduled ")
    expect(line.locator("small")).to_contain_text("10:30")
    expect(form).to_contain_text("Worklist old ris did not answer: no connection to 127.0.0.1:")
    assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    assert serious(page) == []
    page.emulate_media(color_scheme="light")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(form.get_by_role("button", name="Use Able, Ada")).to_be_focused()
    page.keyboard.press("Enter")
    expect(form.locator(".taken")).to_contain_text("Taken over from worklist ris: Able, Ada 4242, with accession N-1,")
    expect(form.locator(".taken")).to_contain_text("study UID 1.2.3.1")
    assert shown(form, *ALL, "acquired_at") == (*ADA, "20240501101500")
    page.screenshot(path=pictures_folder() / "order-taken-over.png", full_page=True, animations="disabled")
    assert serious(page) == []
    page.set_viewport_size(TABLET)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= TABLET["width"]
    submit(form)
    order = site.store.order(job_id)
    assert order is not None
    assert (order.patient.patient_id, order.study_uid, order.by_person) == ("4242", "1.2.3.1", True)
    work(site.store, site.config, job_id, 0.96)
    assert site.store.job(job_id).state is State.DIGITIZED
    sent = next(row for row in site.store.deliveries(job_id) if row.destination == "pacs")
    waveform = dcmread(BytesIO(site.store.object_path(sent.sha256).read_bytes()))
    assert (waveform.PatientID, waveform.IssuerOfPatientID, str(waveform.PatientName)) == ADA[:3]
    assert (waveform.AccessionNumber, waveform.StudyInstanceUID, waveform.StudyID) == ("N-1", "1.2.3.1", "RP1")
    assert (waveform.AdmissionID, waveform.ReferringPhysicianName) == ("V-1", "House^Gregory")
    message = next(row for row in site.store.deliveries(job_id) if row.destination == "ehr")
    fields = site.store.object_path(message.sha256).read_bytes()
    assert b"ORC|RE|P-1|F-1" in fields
    assert site.store.verify_audit().ok


def test_nothing_of_the_worklist_s_order_stays_beside_an_earlier_patient(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_unsure(site.store, site.config, "one then the other, of the worklist", NOBODY)
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    use(form, "4242", "worklist ris")
    assert shown(form, *ALL) == ADA
    use(form, "able", "Ben", "an earlier ECG, which came")
    expect(form.locator(".taken")).to_have_text("Taken over from an earlier ECG: Able, Ben 4243, and no request.")
    assert shown(form, *ALL) == ("4243", "NORTH", "Able^Ben", "19600202", "M", *[""] * 7)
    submit(form)
    order = site.store.order(job_id)
    assert order == Order(BEN, acquired_at="20240501101500", acquired_from="test", by_person=True)


def test_another_id_empties_what_the_worklist_told(site: Site, open_page: Callable[..., Page]) -> None:
    job_id = take_in_unsure(site.store, site.config, "taken over, then typed", NOBODY)
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    use(form, "4242", "worklist ris")
    form.locator("#identify-patient_id").fill("4299")
    assert shown(form, *ALL) == ("4299", *[""] * 11)
    expect(form.locator(".taken")).to_be_empty()


def test_a_page_stays_in_the_study_it_came_in_when_nobody_tells_this_patient_another(
    site: Site, open_page: Callable[..., Page]
) -> None:
    came = Order(BEN, study_uid="1.7.7", study_id="S7", acquired_at="20240503", acquired_from="test")
    job_id = take_in_unsure(site.store, site.config, "in a study", came)
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    use(form, "4243", "an earlier ECG")
    assert shown(form, "study_uid", "study_id") == ("1.7.7", "S7")
    use(form, "4242", "worklist ris")
    assert shown(form, "study_uid", "study_id") == ("1.2.3.1", "RP1")


def test_an_answer_that_comes_late_is_not_shown_under_newer_words(site: Site, open_page: Callable[..., Page]) -> None:
    job_id = take_in_unsure(site.store, site.config, "typed again", NOBODY)
    page = open_page("/upload", Role.REVIEWER)
    form = whose(page, f"{site.base}/jobs/{job_id}")
    held: list[Route] = []
    page.route("**/api/v1/orders?q=4242", lambda route: held.append(route))
    search, lines = form.locator("#identify-search"), form.locator(".found li")
    search.fill("4242")
    page.keyboard.press("Enter")
    expect(form).to_contain_text("Asking…")
    search.fill("4243")
    expect(form).not_to_contain_text("Asking…")
    page.keyboard.press("Enter")
    expect(lines.first).to_contain_text("Able, Ben")
    assert held
    late = held[0].fetch()
    with suppress(Error):  # the browser has given it up, and a browser that had not would be shown Ada now
        held[0].fulfill(response=late)
    page.wait_for_timeout(500)
    expect(lines.filter(has_text="Ada")).to_have_count(0)
    expect(lines.first).to_contain_text("Able, Ben")
    search.press_sequentially("9")
    expect(lines).to_have_count(0)
    expect(form.locator(".silent")).to_be_empty()


def test_two_searches_one_after_the_other_show_the_second_whichever_answers_last(
    site: Site, open_page: Callable[..., Page]
) -> None:
    """As the test above, for a browser whose aborted requests are answered all the same."""
    job_id = take_in_unsure(site.store, site.config, "searched twice", NOBODY)
    page = open_page("/upload", Role.REVIEWER)
    page.add_init_script(
        "const real = window.fetch; window.fetch = (url, options = {}) => real(url, {...options, signal: undefined});"
    )
    form = whose(page, f"{site.base}/jobs/{job_id}")
    held: list[Route] = []
    page.route("**/api/v1/orders?q=4242", lambda route: held.append(route))
    search, lines = form.locator("#identify-search"), form.locator(".found li")
    for words in ("4242", "4243"):
        search.fill(words)
        page.keyboard.press("Enter")
    expect(lines.first).to_contain_text("Able, Ben")
    with page.expect_response("**/api/v1/orders?q=4242"):
        held[0].fulfill(response=held[0].fetch())
    page.wait_for_timeout(500)
    expect(lines.filter(has_text="Ada")).to_have_count(0)
    expect(lines.first).to_contain_text("Able, Ben")
