"""The shells: who gets which, and that they hold nothing of a patient."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from gateway.config import Config, DataSection
from gateway.identity.order import Order, Patient
from gateway.store import Store
from gateway.web.app import make_app
from gateway.web.deps import Role
from tests.gateway.storing import arrival, receive
from tests.gateway.web.pages.people import SESSION_COOKIE, signed_in

FOR_VIEWERS = ("/", "/dashboard", "/api")
FOR_REVIEWERS = ("/upload",)
FOR_ADMINISTRATORS = ("/rules", "/audit")
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("shells") / "data"
    with Store.open(DataSection(folder=folder, reserve_mb=0)) as opened:
        yield opened


@pytest.fixture(scope="module")
def app_of(store: Store) -> TestClient:
    return TestClient(make_app(Config(), store), follow_redirects=False, headers=PAGE)


@pytest.fixture(scope="module")
def people(store: Store) -> dict[Role, dict[str, str]]:
    return {role: {SESSION_COOKIE: signed_in(store, f"{role}-1", role)[0]} for role in Role}


def get(client: TestClient, cookies: dict[str, str], path: str):  # type: ignore[no-untyped-def]
    client.cookies.clear()
    client.cookies.update(cookies)
    return client.get(path)


@pytest.mark.parametrize("path", FOR_VIEWERS + FOR_REVIEWERS + FOR_ADMINISTRATORS)
def test_sends_a_stranger_to_the_login(app_of: TestClient, path: str) -> None:
    answer = get(app_of, {}, path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("role", list(Role))
def test_gives_each_role_its_pages_and_no_others(
    app_of: TestClient, people: dict[Role, dict[str, str]], role: Role
) -> None:
    wanted = {
        **dict.fromkeys(FOR_VIEWERS, Role.VIEWER),
        **dict.fromkeys(FOR_REVIEWERS, Role.REVIEWER),
        **dict.fromkeys(FOR_ADMINISTRATORS, Role.ADMINISTRATOR),
    }
    for path, least in wanted.items():
        assert get(app_of, people[role], path).status_code == (200 if role.covers(least) else 403), path


@pytest.mark.parametrize("role", list(Role))
def test_offers_in_its_navigation_only_what_the_role_may_open(
    app_of: TestClient, people: dict[Role, dict[str, str]], role: Role
) -> None:
    page = get(app_of, people[role], "/").text
    assert '<a href="/api"' in page.split("<footer")[1]
    for path in (*(set(FOR_VIEWERS) - {"/api"}), *FOR_REVIEWERS, *FOR_ADMINISTRATORS, "/users"):
        assert (f'<li><a href="{path}"' in page) == (get(app_of, people[role], path).status_code == 200), path


def test_holds_nothing_of_a_patient(store: Store, app_of: TestClient, people: dict[Role, dict[str, str]]) -> None:
    order = Order(patient=Patient("SECRET-4711", "", "Secret^Name"), accession_number="SECRET-A")
    job_id = receive(store, b"one page", replace(arrival(), order=order, file_name="SECRET.png")).job_id
    page = get(app_of, people[Role.VIEWER], f"/jobs/{job_id}")
    assert page.status_code == 200
    assert "secret" not in page.text.lower()
    assert f'data-job="{job_id}"' in page.text


def test_tells_every_operation_of_the_api(app_of: TestClient, people: dict[Role, dict[str, str]]) -> None:
    page = get(app_of, people[Role.VIEWER], "/api").text
    schema = get(app_of, people[Role.VIEWER], "/api/v1/openapi.json").json()
    told = set(re.findall(r'<tr><td class="mono">(\w+)</td><td class="mono">([^<]+)</td>', page))
    assert told == {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    assert {"<code>confidence_max</code>", "<code>leave_out</code>"} <= set(re.findall(r"<code>\w+</code>", page))
    assert "<script" not in page.split("<main")[1]


def test_says_not_found_for_a_job_that_is_not_there(app_of: TestClient, people: dict[Role, dict[str, str]]) -> None:
    answer = get(app_of, people[Role.VIEWER], "/jobs/" + "0" * 32)
    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]
    other = get(app_of, people[Role.VIEWER], "/jobs/<script>")
    assert other.status_code == 404
    assert "<script>alert" not in other.text


def test_serves_its_files_and_nothing_beside_them(app_of: TestClient) -> None:
    assert get(app_of, {}, "/static/js/base.js").headers["content-type"].startswith("text/javascript")
    assert get(app_of, {}, "/static/css/base.css").status_code == 200
    assert get(app_of, {}, "/static/../app.py").status_code == 404
    assert get(app_of, {}, "/static/%2e%2e/app.py").status_code == 404


def test_sends_a_strict_policy_with_every_page(app_of: TestClient, people: dict[Role, dict[str, str]]) -> None:
    for path in ("/", "/login", "/static/js/base.js", "/nowhere"):
        policy = get(app_of, people[Role.ADMINISTRATOR], path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy, path


def test_every_page_has_its_own_title(app_of: TestClient, people: dict[Role, dict[str, str]]) -> None:
    titles = set()
    for path in FOR_VIEWERS + FOR_REVIEWERS + FOR_ADMINISTRATORS:
        page = get(app_of, people[Role.ADMINISTRATOR], path).text
        titles.add(page.split("<title>")[1].split("</title>")[0])
        assert page.count("<h1") == 1
        assert '<html lang="en">' in page
    assert len(titles) == 6
