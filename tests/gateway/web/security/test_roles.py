"""No route answers without a role: found by asking every route there is, whoever adds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Mount

from gateway.role import Role
from gateway.web.deps import SAFE_METHODS, Need, Scope, need
from gateway.web.principal import How, Principal, scope_of
from tests.gateway.web.security.visitor import House

# What anybody may ask for, each with its reason.
OPEN = {
    ("GET", "/login"): "or nobody could sign in",
    ("POST", "/login"): "the same",
    ("GET", "/login/oidc"): "the way to the hospital's sign-in",
    ("GET", "/login/oidc/callback"): "and back",
    ("GET", "/healthz"): "tells that the process lives, nothing else",
    ("GET", "/readyz"): "tells yes or no",
}
OPEN_MOUNTS = {"/static"}  # our own scripts and styles


@dataclass(frozen=True)
class Way:
    """One method of one route, and what it asks for."""

    method: str
    path: str
    need: Need | None

    @property
    def url(self) -> str:
        """The path with something in the place of every parameter."""
        return re.sub(r"{.*?}", "1", self.path)


def routes_of(routes: list[Any], needs: tuple[Need, ...] = ()) -> Iterator[tuple[Any, tuple[Need, ...]]]:
    """Every route, those of included routers too, with what the way to it asks for."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if isinstance(inner, APIRouter):
            yield from routes_of(inner.routes, needs)
        else:
            yield route, (*needs, *(needs_of(route.dependant) if isinstance(route, APIRoute) else ()))


def needs_of(dependant: Dependant) -> Iterator[Need]:
    if isinstance(dependant.call, Need):
        yield dependant.call
    for one in dependant.dependencies:
        yield from needs_of(one)


def ways(app: FastAPI) -> list[Way]:
    """Every method of every route. Fails for a kind of route that it does not know."""
    found = []
    for route, needs in routes_of(app.routes):
        if isinstance(route, Mount):
            assert route.path in OPEN_MOUNTS, f"{route.path} is mounted and asks for no role"
            continue
        assert isinstance(route, APIRoute), f"{route} is a kind of route whose role nobody checks"
        assert len(needs) <= 1, f"{route.path} asks for two roles"
        found += [Way(method, route.path, needs[0] if needs else None) for method in sorted(route.methods or ())]
    return found


@pytest.fixture
def all_ways(house: House) -> list[Way]:
    found = ways(house.app)
    assert len(found) > 30  # or the search has found nothing at all
    return found


def test_every_route_names_its_role(all_ways: list[Way]) -> None:
    without = {(way.method, way.path) for way in all_ways if way.need is None}
    assert without == set(OPEN), "a new route needs Depends(need(Role…))"


def test_the_search_finds_a_route_that_asks_for_nothing(house: House) -> None:
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: None)
    house.app.include_router(router)
    assert [way.path for way in ways(house.app) if way.need is None and (way.method, way.path) not in OPEN] == [
        "/forgotten"
    ]


def test_no_route_answers_a_stranger(house: House, all_ways: list[Way]) -> None:
    client = house.visitor().client
    for way in all_ways:
        if way.need is not None:
            answer = client.request(way.method, way.url)
            assert answer.status_code == 401, way
            assert answer.json()["code"] == "not_signed_in"
            page = client.request(way.method, way.url, headers={"accept": "text/html"})
            assert page.status_code in ((401,) if way.path.startswith("/api/") else (303,)), way


@pytest.mark.parametrize("role", list(Role))
def test_no_route_answers_a_role_below_its_own(house: House, all_ways: list[Way], role: Role) -> None:
    visitor = house.signed_in("ann", role)
    csrf = visitor.csrf
    for way in all_ways:
        if way.need is None or way.path == "/logout":
            continue
        if not role.covers(way.need.role):
            answer = visitor.client.request(way.method, way.url, headers={"X-CSRF-Token": csrf})
            assert answer.status_code == 403, (way, answer.text)
            assert answer.json()["code"] == "not_allowed"
    assert house.store.accounts.user("ann").role is role


def test_no_change_by_cookie_goes_without_its_csrf_token(house: House, all_ways: list[Way]) -> None:
    """Another site can have a browser send a form with our cookie, but it cannot know the token."""
    visitor = house.signed_in("ann", Role.ADMINISTRATOR)
    other = house.signed_in("bob", Role.ADMINISTRATOR)
    changing = [way for way in all_ways if way.need is not None and way.method not in SAFE_METHODS]
    assert changing
    for way in changing:
        for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": other.csrf}, {"X-CSRF-Token": "é"}):
            encoded = {name.encode(): value.encode() for name, value in headers.items()}
            answer = visitor.client.request(way.method, way.url, headers=encoded)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), way
        answer = visitor.client.request(way.method, way.url, data={"csrf_token": "wrong"})
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), way


def test_the_csrf_token_counts_in_the_header_and_in_a_form(house: House) -> None:
    visitor = house.signed_in("ann", Role.ADMINISTRATOR)
    csrf = visitor.csrf
    new = {"name": "eve", "role": "viewer"}
    assert visitor.client.post("/api/v1/users", json=new, headers={"X-CSRF-Token": csrf}).status_code == 201
    form = {"name": "eva", "role": "viewer", "csrf_token": csrf}
    assert visitor.client.post("/users", data=form).status_code == 200
    parts = {name: (None, value) for name, value in {**form, "name": "evi"}.items()}
    assert visitor.client.post("/users", files=parts).status_code == 200
    assert {user.name for user in house.store.accounts.users()} == {"ann", "eve", "eva", "evi"}


# Tokens


def test_a_token_may_do_what_its_scope_says_and_no_more(house: House, all_ways: list[Way]) -> None:
    house.add("ann", Role.ADMINISTRATOR)
    client = house.visitor().client
    included = {
        Scope.READ: {Scope.READ},
        Scope.UPLOAD: {Scope.UPLOAD},
        Scope.METRICS: {Scope.METRICS},
        Scope.REVIEW: {Scope.REVIEW, Scope.READ, Scope.UPLOAD},
        Scope.ADMIN: set(Scope),
    }
    for scope, allowed in included.items():
        header = house.token("ann", scope)
        for way in all_ways:
            wanted = way.need and (way.need.scope or scope_of(way.need.role))
            if wanted is not None and wanted not in allowed:
                answer = client.request(way.method, way.url, headers=header)
                assert answer.status_code == 403, (scope, way)
        assert client.get("/api/v1/me", headers=header).status_code == (200 if Scope.READ in allowed else 403)
        assert client.get("/metrics", headers=header).status_code == (200 if Scope.METRICS in allowed else 403)


def test_a_token_is_told_the_scope_that_it_lacks_and_a_person_the_role(house: House) -> None:
    house.add("ann", Role.ADMINISTRATOR)
    header = house.token("ann", Scope.READ)
    lacking = house.visitor().client.get("/metrics", headers=header)
    assert (lacking.status_code, lacking.json()["why"]) == (403, "this needs a token of the scope metrics")
    house.add("vera", Role.VIEWER)
    browser = house.visitor()
    browser.sign_in("vera")
    page = browser.client.get("/users", headers={"accept": "text/html"})
    assert page.status_code == 403
    assert "this needs the role administrator" in page.text
    assert "a token" not in page.text


def test_a_token_can_do_no_more_than_its_user_may_today(house: House) -> None:
    house.add("ann", Role.ADMINISTRATOR)
    house.add("bob", Role.ADMINISTRATOR)
    client, header = house.visitor().client, house.token("ann", Scope.ADMIN)
    assert client.get("/api/v1/users", headers=header).status_code == 200
    house.store.accounts.change_user("ann", "bob", role=Role.VIEWER)
    assert client.get("/api/v1/users", headers=header).status_code == 403
    assert client.get("/api/v1/me", headers=header).status_code == 200
    house.store.accounts.change_user("ann", "bob", disabled=True)
    assert client.get("/api/v1/me", headers=header).status_code == 401


def test_a_token_needs_no_csrf_token_and_a_wrong_one_is_not_saved_by_a_cookie(house: House) -> None:
    visitor = house.signed_in("ann", Role.ADMINISTRATOR)
    new = {"name": "eve", "role": "viewer"}
    stranger = house.visitor().client
    assert stranger.post("/api/v1/users", json=new, headers=house.token("ann", Scope.ADMIN)).status_code == 201
    for wrong in ("Bearer x", "Basic YW5uOng=", "Bearer", "", "bearer é"):
        answer = visitor.client.get("/api/v1/me", headers={b"authorization": wrong.encode()})
        assert answer.status_code == 401, wrong


def test_the_database_holds_no_token(house: House) -> None:
    house.add("ann", Role.VIEWER)
    secret = house.token("ann", Scope.READ)["authorization"].split()[1]
    with house.store._database.read() as connection:
        dump = "\n".join(connection.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    assert secret not in dump
    assert secret.removeprefix("cardioscan_") not in dump


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_the_ones_below_it_may(role: Role) -> None:
    who = Principal("ann", role, How.SESSION)
    ranks = list(Role)
    assert [who.may(other) for other in ranks] == [ranks.index(other) <= ranks.index(role) for other in ranks]
    assert need(role).role is role
