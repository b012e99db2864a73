"""Who says whose ECG it is never mixes two patients, in a real Chromium: what the form shows is what stands after."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from gateway.identity.order import Order, Patient
from gateway.web.deps import Role
from tests.browser import needs_chromium
from tests.gateway.web.pages.people import SESSION_COOKIE
from tests.gateway.web.pages.ready import take_in_document, take_in_unsure
from tests.gateway.web.pages.site import Site

pytestmark = [
    pytest.mark.peer,
    pytest.mark.browser,
    needs_chromium,
]

ADA = Order(
    Patient("4242", "NORTH", "Able^Ada", "19500101", "F"),
    study_uid="1.2.3.4",
    accession_number="N-1",
    referring_physician="House^Gregory",
    placer_order_number="P-1",
    acquired_at="20240501",
    acquired_from="test",
    visit_number="V-1",
)
BEN = Order(Patient("4243", "SOUTH", "Able^Ben"), acquired_at="20240502", acquired_from="test")
NAMESAKES_ID = Order(Patient("4242", "SOUTH", "Able^Cleo", sex="F"), accession_number="N-1", acquired_at="20240503")
PLAIN = ("patient_id", "issuer", "name", "birth_date", "sex", "accession_number")
OF_A_VISIT = ("placer_order_number", "visit_number", "referring_physician")


@pytest.fixture(scope="module")
def people(site: Site) -> None:
    for name, order in (("ada", ADA), ("ben", BEN), ("cleo", NAMESAKES_ID)):
        take_in_unsure(site.store, site.config, name, order)


def whose(page: Page, address: str) -> Locator:
    """The form of a job, opened."""
    page.goto(address)
    form = page.locator("details", has=page.locator("#identify-search"))
    form.wait_for(state="attached")
    if not page.locator("#identify-search").is_visible():
        form.locator("summary").first.click()
    return form


def use(form: Locator, words: str, *told: str) -> None:
    """Takes over the one order found that says all of this."""
    form.locator("#identify-search").fill(words)
    form.page.keyboard.press("Enter")
    line = form.locator(".found li")
    for each in told:
        line = line.filter(has_text=each)
    expect(line).to_have_count(1)
    line.get_by_role("button", name="Use").click()


def shown(form: Locator, *names: str) -> tuple[str, ...]:
    return tuple(form.locator(f"#identify-{name}").input_value() for name in names)


def agree(page: Page) -> None:
    """Files the ECG under the patient that the dialog shows, although others know something else under that id.

    Who they are depends on the tests that came before; that the dialog asks for each is a test of its own.
    """
    dialog = page.get_by_role("dialog")
    file = dialog.get_by_role("button", name="File under this patient")
    expect(file).to_be_visible()
    for contradicting in dialog.get_by_role("checkbox").all():
        contradicting.check()
    file.click()


def submit(form: Locator) -> None:
    form.get_by_role("button", name="This is whose it is").click()
    agree(form.page)
    expect(form.page.locator("#told")).to_contain_text("Identified.")


@pytest.mark.usefixtures("people")
def test_nothing_of_an_order_taken_over_first_stays_beside_the_second(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_unsure(site.store, site.config, "one then the other", Order())
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    use(form, "able", "Ada")
    assert shown(form, *PLAIN) == ("4242", "NORTH", "Able^Ada", "19500101", "F", "")
    use(form, "able", "Ben")
    assert shown(form, *PLAIN) == ("4243", "SOUTH", "Able^Ben", "", "", "")
    submit(form)
    order = site.store.order(job_id)
    assert order is not None
    assert (order.patient, order.accession_number) == (BEN.patient, "")


@pytest.mark.usefixtures("people")
def test_a_page_that_came_as_one_s_keeps_nothing_of_them_when_it_is_another_s(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_unsure(site.store, site.config, "came as ada", ADA)
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    assert shown(form, *OF_A_VISIT) == ("P-1", "V-1", "House^Gregory")
    use(form, "able", "Ben")
    assert shown(form, *OF_A_VISIT, "acquired_at") == ("", "", "", "20240501")
    submit(form)
    assert site.store.order(job_id) == Order(BEN.patient, acquired_at="20240501", acquired_from="test", by_person=True)


@pytest.mark.usefixtures("people")
def test_two_hospitals_with_one_id_are_two_lines_and_never_one_patient(
    site: Site, open_page: Callable[..., Page]
) -> None:
    without_issuer = Order(
        Patient("4242", "", "Able^Ada", "19500101", "F"), study_uid="1.2.3.5", accession_number="N-1"
    )
    job_id = take_in_unsure(site.store, site.config, "no issuer", without_issuer)
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    use(form, "4242", "of NORTH", "born", "female", "accession N-1")
    use(form, "4242", "of SOUTH", "female", "accession N-1")
    assert shown(form, *PLAIN) == ("4242", "SOUTH", "Able^Cleo", "", "F", "")
    submit(form)
    order = site.store.order(job_id)
    assert order is not None
    assert (order.patient, order.accession_number, order.study_uid) == (NAMESAKES_ID.patient, "", "")


@pytest.mark.usefixtures("people")
def test_another_id_empties_what_nobody_typed_and_its_own_id_brings_it_back(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_unsure(site.store, site.config, "typed", ADA)
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    form.locator("#identify-birth_date").fill("19600202")
    form.locator("#identify-patient_id").fill("4299")
    assert shown(form, *PLAIN) == ("4299", "", "", "19600202", "", "")
    assert shown(form, *OF_A_VISIT, "acquired_at") == ("", "", "", "20240501")
    form.locator("#identify-patient_id").fill("4242")
    assert shown(form, *PLAIN) == ("4242", "NORTH", "Able^Ada", "19600202", "F", "N-1")
    form.locator("#identify-issuer").fill("WEST")
    assert shown(form, *PLAIN) == ("4242", "WEST", "", "19600202", "", "")
    form.locator("#identify-name").fill("Able^Dora")
    submit(form)
    order = site.store.order(job_id)
    expected = Patient("4242", "WEST", "Able^Dora", "19600202")
    assert order == Order(expected, acquired_at="20240501", acquired_from="test", by_person=True)


@pytest.mark.usefixtures("people")
def test_a_field_is_said_only_when_it_was_changed_and_what_stays_is_told(
    site: Site, open_page: Callable[..., Page]
) -> None:
    job_id = take_in_unsure(site.store, site.config, "one field", ADA)
    page = open_page("/upload", Role.REVIEWER)
    form = whose(page, f"{site.base}/jobs/{job_id}")
    form.locator("#identify-visit_number").fill("")
    expect(form).to_contain_text("An empty field changes nothing. This stays: Visit V-1.")
    form.locator("#identify-birth_date").fill("19500110")
    with page.expect_request(re.compile("/identify$")) as asked:
        submit(form)
    posted = asked.value.post_data_json or {}
    said = {name: text for name, text in posted.items() if name not in ("revision", "all_pages", "even_so")}
    assert said == {"birth_date": "19500110", "afresh": False}
    order = site.store.order(job_id)
    assert order is not None
    assert (order.patient.birth_date, order.visit_number, order.study_uid) == ("19500110", "V-1", "1.2.3.4")


@pytest.mark.usefixtures("people")
def test_a_field_that_cannot_be_read_is_marked_where_it_is_and_dates_are_taken_as_printed(
    site: Site, browser: Browser
) -> None:
    job_id = take_in_unsure(site.store, site.config, "typed by hand", Order())
    context = browser.new_context()  # not watched: a refusal is what the browser would complain of
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.secrets[Role.REVIEWER], "url": site.base}])
    form = whose(context.new_page(), f"{site.base}/jobs/{job_id}")
    for name, text in (("patient_id", "5150"), ("name", "Meier, Hans"), ("birth_date", "03/04/1960")):
        form.locator(f"#identify-{name}").fill(text)
    form.locator("#identify-acquired_at").fill("11.03.2025 04:29")
    form.get_by_role("button", name="This is whose it is").click()  # and no dialog of what cannot be read
    born = form.locator("#identify-birth_date")
    expect(born).to_have_attribute("aria-invalid", "true")
    expect(born).to_be_focused()
    expect(form.locator("#identify-birth_date-wrong")).to_contain_text("This may be two different days")
    expect(form.page.locator("#told .bad")).to_have_count(0)
    born.fill("03.04.1960")
    expect(form.locator(".wrong")).to_have_count(0)
    submit(form)
    order = site.store.order(job_id)
    assert order is not None
    assert order.patient == Patient("5150", "", "Meier^Hans", "19600403")
    assert order.acquired_at == "202503110429"
    context.close()


def test_a_reason_of_several_pages_is_told_once(site: Site, open_page: Callable[..., Page]) -> None:
    job_id = take_in_document(site.store, site.config, "one reason", 2)
    form = whose(open_page("/upload", Role.REVIEWER), f"{site.base}/jobs/{job_id}")
    hint = form.locator(".hint", has_text="still waits for an approval")
    assert hint.inner_text().count("Confidence 74") == 1


@pytest.mark.usefixtures("people")
def test_nobody_is_filed_against_what_is_known_without_saying_so(site: Site, open_page: Callable[..., Page]) -> None:
    job_id = take_in_unsure(site.store, site.config, "contradicted", Order())
    page = open_page("/upload", Role.REVIEWER)
    form = whose(page, f"{site.base}/jobs/{job_id}")
    for name, text in (("patient_id", "4242"), ("issuer", "NORTH"), ("name", "Able^Ada"), ("birth_date", "19770707")):
        form.locator(f"#identify-{name}").fill(text)
    form.get_by_role("button", name="This is whose it is").click()
    dialog = page.get_by_role("dialog")
    contradicting = dialog.get_by_role("checkbox", name="knows another birth date under this id")
    expect(contradicting.first).to_be_visible()
    dialog.get_by_role("button", name="File under this patient").click(force=True)
    expect(dialog).to_be_visible()
    assert site.store.order(job_id) == Order()
    agree(page)
    expect(page.locator("#told")).to_contain_text("Identified.")
    order = site.store.order(job_id)
    assert order is not None
    assert order.patient.birth_date == "19770707"
