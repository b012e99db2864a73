"""Whose ECG it may be, by the API: what is known, who did not answer, and that waiting for one holds up nobody."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

import httpx2
import pytest

from gateway.identity.candidate import OrderCandidate
from gateway.identity.order import Order, Patient
from gateway.patient_search.worklist import Answer
from gateway.role import Role
from gateway.store import AuditQuery, Store
from gateway.web.api import orders
from tests.flow.processes import free_port
from tests.gateway.patient_search.ris import Ris, entry, telling
from tests.gateway.web.api.world import World
from tests.recordings import order

PATIENCE_S = 60.0  # on a busy machine
ADA = Patient("4242", "NORTH", "Able^Ada", "19500101", "F")
FROM_FEED = OrderCandidate(Order(ADA, visit_number="V-7"), "adt", datetime(2026, 11, 23, 9).astimezone(), "ward 3")


def today(number: int, name: str, patient_id: str, **texts: str) -> Any:
    return entry(number, name, patient_id, **{"ScheduledProcedureStepStartDate": f"{date.today():%Y%m%d}", **texts})


@pytest.fixture
def ris() -> Iterator[Ris]:
    ris = Ris()
    yield ris
    ris.stop()


def worklist(port: int, **settings: Any) -> dict[str, Any]:
    return {"name": "ris", "host": "127.0.0.1", "port": port, "called_ae_title": "RIS", **settings}


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that spoke of Ada once."""
    monkeypatch.setattr(Store, "find_orders", lambda _store, _words, _most: [FROM_FEED])


@pytest.mark.usefixtures("feed")
def test_every_source_is_told_with_its_name_and_its_moment(make_world: Callable[..., World], ris: Ris) -> None:
    ris.answering = telling(today(1, "Able^Ada", "4242"))
    world = make_world(worklist=[worklist(ris.start())])
    job = world.job(whose=order(patient=Patient("4243", "SOUTH", "Able^Ben")))
    answer = world.get("/orders", Role.REVIEWER, q="able")
    assert answer["unanswered"] == []
    scheduled, told, earlier = answer["items"]
    assert scheduled["sources"] == [{"source": "worklist", "name": "ris"}]
    assert (scheduled["what"], scheduled["at"][11:16]) == ("Resting ECG", "10:30")
    assert (
        scheduled["order"] | {"study_uid": "1.2.3.1", "accession_number": "N-1", "visit_number": "V-1"}
        == (scheduled["order"])
    )
    assert (told["sources"], told["what"]) == ([{"source": "feed", "name": "adt"}], "ward 3")
    assert (told["order"]["patient_id"], told["order"]["visit_number"]) == ("4242", "V-7")
    assert earlier["sources"] == [{"source": "earlier", "name": ""}]
    assert earlier["at"] == world.get(f"/jobs/{job}")["received_at"]


def test_who_did_not_answer_is_named_with_the_reason(make_world: Callable[..., World]) -> None:
    world = make_world(worklist=[worklist(free_port())])
    world.job()
    answer = world.get("/orders", Role.REVIEWER, q="doe")
    assert len(answer["items"]) == 1
    (silent,) = answer["unanswered"]
    assert (silent["name"], silent["code"]) == ("ris", "unreachable")
    assert silent["why"].startswith("no connection to 127.0.0.1:")


def test_a_viewer_may_not_search_and_a_search_needs_words(world: World) -> None:
    world.get("/orders", Role.VIEWER, expect=403, q="doe")
    world.get("/orders", Role.REVIEWER, expect=422)
    world.get("/orders", Role.REVIEWER, expect=422, q="x" * 201)
    assert world.get("/orders", Role.REVIEWER, q="\x00 ")["items"] == []


@pytest.mark.usefixtures("feed")
def test_the_look_tells_how_many_orders_of_whom_were_seen_and_names_nobody(
    make_world: Callable[..., World], ris: Ris
) -> None:
    ris.answering = telling(today(1, "Able^Ada", "4242"), today(2, "Able^Ben", "4243"))
    world = make_world(worklist=[worklist(ris.start())])
    job = world.job(whose=order(patient=Patient("4243", "SOUTH", "Able^Ben")))
    shown = world.get("/orders", Role.REVIEWER, q="able")["items"]
    (look,) = world.store.audit_queries.audit(AuditQuery(kind="looked"), None, 10).entries
    assert look.detail["asked"] == "words given, 1 of feed adt, 2 of worklist ris"
    assert (look.actor, look.detail["jobs"], look.detail["rows"]) == ("a reviewer", job, len(shown))
    assert len(shown) > len(look.detail["jobs"].split())
    assert "able" not in json.dumps(look.detail).casefold()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """Worklists that answer nobody before they are let go."""
    made = Hanging()
    monkeypatch.setattr("gateway.patient_search.search.find", made.find)
    yield made
    made.goes.set()


class Hanging:
    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.goes = threading.Event()

    def find(self, *_: object) -> Answer:
        self.asked.release()
        assert self.goes.wait(PATIENCE_S)
        return Answer((), "timeout", "it did not answer")

    async def wait_until_asked(self, times: int) -> None:
        for _ in range(times):
            while not self.asked.acquire(blocking=False):
                await asyncio.sleep(0.01)


def test_a_worklist_that_hangs_holds_up_nothing_else(
    make_world: Callable[..., World], hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WAIT_S", 0.5)
    world = make_world(worklist=[worklist(1, timeout_s=PATIENCE_S)])
    headers = {"authorization": world.who().headers["authorization"]}
    searches = 60  # more than all threads that answer requests

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            asked = [asyncio.create_task(client.get("/api/v1/orders", params={"q": f"a{n}"})) for n in range(searches)]
            await asyncio.wait_for(hanging.wait_until_asked(orders.PLACES), PATIENCE_S)
            for url in ("/healthz", "/login", "/api/v1/me", "/api/v1/jobs", "/api/v1/dashboard"):
                answer = await asyncio.wait_for(client.get(url, follow_redirects=True), PATIENCE_S / 2)
                assert answer.status_code == 200, url
            assert sum(not task.done() for task in asked) >= orders.PLACES  # all that while
            while sum(task.done() for task in asked) < searches - orders.PLACES:
                await asyncio.sleep(0.01)
            hanging.goes.set()
            answers = await asyncio.gather(*asked)
            assert sorted({answer.status_code for answer in answers}) == [200, 503]
            told = [answer.json()["unanswered"][0]["code"] for answer in answers if answer.status_code == 200]
            assert told == ["timeout"] * orders.PLACES

    asyncio.run(asking())


def test_who_finds_no_place_is_told_to_come_again(
    make_world: Callable[..., World], hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WAIT_S", 0.3)
    monkeypatch.setattr(orders, "PLACES", 1)
    world = make_world(worklist=[worklist(1, timeout_s=PATIENCE_S)])
    headers = {"authorization": world.who().headers["authorization"]}

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            first = asyncio.create_task(client.get("/api/v1/orders?q=one"))
            await asyncio.wait_for(hanging.wait_until_asked(1), PATIENCE_S)
            second = await client.get("/api/v1/orders?q=two")
            assert (second.status_code, second.json()["code"]) == (503, "worklists_busy")
            assert not first.done()  # nobody waited for it
            hanging.goes.set()
            assert (await first).status_code == 200
            assert (await client.get("/api/v1/orders?q=three")).status_code == 200  # the place is free again

    asyncio.run(asking())


def test_an_order_of_a_worklist_is_what_stands_after_identifying_with_it(world: World) -> None:
    job = world.job(0.2, whose=order(study_uid="1.9.9", study_id="OLD", study_date="20200101"))
    said = {
        "patient_id": "4242",
        "issuer": "NORTH",
        "name": "Able^Ada",
        "accession_number": "N-1",
        "placer_order_number": "P-1",
        "filler_order_number": "F-1",
        "visit_number": "V-1",
        "referring_physician": "House^Gregory",
        "study_uid": "1.2.3.1",
        "study_id": "RP1",
    }
    world.post(f"/jobs/{job}/identify", {**said, "afresh": True})
    stands = world.store.order(job)
    assert stands is not None
    flat = {**vars(stands), **vars(stands.patient)}
    assert {key: flat[key] for key in said} == said
    assert (stands.by_person, stands.study_date) == (True, "")
    (entry,) = world.store.audit_queries.audit(AuditQuery(kind="identified"), None, 10).entries
    assert entry.actor == "a reviewer"
    assert world.store.verify_audit().ok


def test_another_study_of_the_same_patient_takes_no_day_of_the_first_over(world: World) -> None:
    whose = order(study_uid="1.9.9", study_id="OLD", study_date="20200101", study_time="1200")
    job = world.job(0.2, whose=whose)
    world.post(f"/jobs/{job}/identify", {"study_uid": "1.2.3.1"})
    stands = world.store.order(job)
    assert stands is not None
    assert stands.patient == whose.patient
    assert (stands.study_uid, stands.study_id, stands.study_date, stands.study_time) == ("1.2.3.1", "", "", "")
