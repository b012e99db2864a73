"""What every answer carries, and what failures look like from outside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel

from gateway.errors import (
    ConfigError,
    Conflict,
    GatewayError,
    Held,
    LostLease,
    NotFound,
    OutOfSpace,
    QueueFull,
    Refused,
    TryAgain,
    UnlawfulMove,
)
from gateway.role import Role
from gateway.store import Store
from gateway.web.deps import need
from gateway.web.process import Discreet
from tests.gateway.web.security.visitor import PAGE, House, Visitor

PATIENT = "Doe^Jane 4711-0815"


class Body(BaseModel):
    number: int


@pytest.fixture
def visitor(house: House) -> Visitor:
    """Signed in at a window with three routes that fail."""
    router = APIRouter(prefix="/api/v1/test", dependencies=[Depends(need(Role.VIEWER))])

    @router.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError(PATIENT)

    @router.get("/sql")
    def sql() -> None:
        with house.store._database.read() as connection:
            connection.exec_driver_sql(f"SELECT '{PATIENT}' FROM nowhere")

    @router.post("/body")
    def body(body: Body) -> None: ...

    house.app.include_router(router)
    return house.signed_in("ann", Role.VIEWER)


def test_every_answer_has_the_security_headers(house: House, visitor: Visitor) -> None:
    paths = ("/login", "/healthz", "/account", "/nowhere", "/static/css/base.css", "/static/nothing", "/api/v1/users")
    answers = [visitor.get(path) for path in (*paths, "/api/v1/test/bug")]
    answers.append(house.visitor().client.post("/users", data={"x": "y"}))
    answers.append(visitor.client.post("/login", data={"name": "x" * 100_000}))
    assert {answer.status_code for answer in answers} == {200, 303, 401, 403, 404, 413, 500}
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
    stored = {answer.request.url.path: answer.headers["cache-control"] for answer in answers}
    assert stored["/account"] == stored["/api/v1/users"] == "no-store"
    assert stored["/static/css/base.css"] == "no-cache"


def test_no_address_sends_a_browser_to_the_host_that_the_request_names(visitor: Visitor) -> None:
    for path in ("/users/", "/jobs/", "/api/v1/jobs/"):
        answer = visitor.client.get(path, headers={"host": "evil.example"}, follow_redirects=False)
        assert answer.status_code == 404, path
        assert "evil" not in answer.headers.get("location", "")


@pytest.mark.parametrize("path", ["/api/v1/test/bug", "/api/v1/test/sql"])
def test_our_own_fault_is_told_without_its_trace(visitor: Visitor, path: str) -> None:
    answer = visitor.client.get(path)
    assert answer.status_code == 500
    assert answer.json() == {"code": "our_fault", "why": "something is wrong on our side; the log says where"}


def test_a_fault_is_logged_with_its_place_but_not_with_what_it_says() -> None:
    try:
        raise ZeroDivisionError(PATIENT)
    except ZeroDivisionError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, "Exception in ASGI application\n", (), info)
    assert Discreet().filter(record)
    text = logging.Formatter().format(record)
    assert "ZeroDivisionError" in text
    assert "test_answers.py" in text
    assert PATIENT not in text


def test_what_is_not_valid_is_told_without_repeating_it(visitor: Visitor) -> None:
    header = {"X-CSRF-Token": visitor.csrf}
    answer = visitor.client.post("/api/v1/test/body", json={"number": PATIENT}, headers=header)
    assert answer.status_code == 422
    assert answer.json()["code"] == "not_valid"
    assert "body.number" in answer.json()["why"]
    assert PATIENT not in answer.text
    broken = visitor.client.post(
        "/api/v1/test/body", content=b"{", headers={**header, "content-type": "application/json"}
    )
    assert broken.status_code == 422


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("no job"), 404, "not_found"),
        (UnlawfulMove("no"), 409, "conflict"),
        (Conflict("taken"), 409, "conflict"),
        (LostLease("no"), 409, "conflict"),
        (TryAgain("in_flight", "wait"), 409, "in_flight"),
        (TryAgain("database_unavailable", "wait"), 503, "database_unavailable"),
        (QueueFull("queue_full", "wait"), 503, "queue_full"),
        (OutOfSpace("out_of_space", "full"), 503, "out_of_space"),
        (Refused("not_an_ecg", "no"), 422, "not_an_ecg"),
        (Held("no_patient_id", "no"), 422, "no_patient_id"),
        (ConfigError("wrong"), 422, "configuration"),
        (GatewayError("secret"), 500, "our_fault"),
    ],
)
def test_what_the_gateway_raises_becomes_a_status_a_code_and_a_reason(
    house: House, visitor: Visitor, error: GatewayError, status: int, code: str
) -> None:
    router = APIRouter(dependencies=[Depends(need(Role.VIEWER))])

    @router.get("/api/v1/raise")
    @router.get("/raise")
    def fail() -> None:
        raise error

    house.app.include_router(router)
    answer = visitor.client.get("/api/v1/raise", headers=PAGE)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "secret" not in answer.text
    page = visitor.get("/raise")
    assert page.status_code == status
    assert page.headers["content-type"].startswith("text/html")
    assert answer.json()["why"] in page.text


def test_a_database_that_does_not_answer_is_told_and_lets_nobody_in(
    house: House, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise TryAgain("database_unavailable", "the database did not answer: OperationalError")

    monkeypatch.setattr(type(house.store.accounts), "session", down)
    monkeypatch.setattr(Store, "check", down)
    assert visitor.client.get("/api/v1/me").status_code == 503
    page = visitor.get("/account")
    assert page.status_code == 503
    assert "did not answer" in page.text
    assert visitor.get("/healthz").status_code == 200
    ready = house.visitor().get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"ok": False})


def test_a_larger_request_than_allowed_is_refused_before_it_is_read(open_house: Callable[..., House]) -> None:
    house = open_house(upload_max_mb=1)
    visitor = house.signed_in("ann", Role.ADMINISTRATOR)
    header = {"X-CSRF-Token": visitor.csrf}
    answer = visitor.client.post("/users", data={"name": "x" * 1_000_001}, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    kind = {"content-type": "application/x-www-form-urlencoded"}
    chunked = visitor.client.post("/users", content=endless(), headers={**header, **kind})
    assert chunked.status_code == 413


def test_what_a_stranger_brings_is_not_read(house: House) -> None:
    read: list[int] = []

    def body() -> Iterator[bytes]:
        for number in range(10):
            read.append(number)
            yield b"x" * 100_000

    answer = house.visitor().client.post("/users", content=body())
    assert answer.status_code == 401
    assert read == []


def test_the_api_describes_itself_to_those_who_have_a_role(house: House, visitor: Visitor) -> None:
    assert house.visitor().client.get("/api/v1/openapi.json").status_code == 401
    schema = visitor.client.get("/api/v1/openapi.json").json()
    assert {"token", "session"} == set(schema["components"]["securitySchemes"])
    assert "/api/v1/users" in schema["paths"]
    assert not [path for path in schema["paths"] if not path.startswith("/api/v1/")]
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert visitor.get(path).status_code == 404
