"""What one job's page says of whose it is, of what is typed and of what is out of date, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from gateway.order import Order, Patient
from gateway.web.deps import Role
from tests.browser import CHROMIUM, pictures_folder
from tests.gateway.web.pages.ready import take_in
from tests.gateway.web.pages.site import Site

pytestmark = [pytest.mark.peer, pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")]


def test_another_patient_of_the_same_id_stands_apart_and_is_compared_with_nothing(
    site: Site, open_page: Callable[..., Page]
) -> None:
    anna = Patient("5555", "", "Alpha^Anna", "19400101", "F")
    bob = Patient("5555", "", "Zeta^Bob", "19990909", "M")
    for name, patient in (("bob", bob), ("anna before", anna), ("anna now", anna)):
        order = Order(patient, acquired_at="20240101100000", acquired_from="test")
        job_id = take_in(site.store, site.config, name, order, 0.96)
    page = open_page(f"/jobs/{job_id}", Role.REVIEWER)
    earlier = page.locator("#earlier")
    expect(earlier.get_by_role("button", name="Compare")).to_have_count(1)
    hers = earlier.get_by_role("table", name="Other recordings of this patient")
    expect(hers.locator("tbody tr")).to_have_count(1)
    expect(hers).to_contain_text("Alpha, Anna")
    expect(hers).not_to_contain_text("Zeta")
    his = earlier.get_by_role("table", name="Recordings of the same id that may be another person's")
    expect(his.locator("tbody tr")).to_contain_text("Zeta, Bob")
    expect(his.locator("tbody tr")).to_contain_text("1999-09-09")
    expect(earlier.locator(".warn")).to_contain_text("contradicts this recording (the name, the birth date, the sex)")
    hers.get_by_role("button", name="Compare").click()
    expect(earlier.locator(".ecg-key")).to_contain_text("the other, Alpha, Anna, born 1940-01-01, female, recorded")
    earlier.screenshot(path=pictures_folder() / "same-id.png")
