"""A file that hangs its decoder holds up whoever handed it in: no other sender, no sign-in, no probe."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.errors import Refused
from gateway.role import Role
from gateway.unpack import Decoder
from gateway.unpack.document import Unpacked
from gateway.web.api import capacity, uploads
from gateway.web.api.decoding import WITHIN_S, Decoding, decoding
from tests.gateway.web.api.world import World, png

HANDED_IN = 42  # more than all threads that answer requests
ANSWERED_WITHIN_S = 15.0  # on a busy machine; behind a stuck decoder it would be for ever


class Stuck:
    """Decoders that hang over files of one width until they are let go, and then refuse them as too slow."""

    def __init__(self) -> None:
        self._real = Decoder.open
        self._go = threading.Event()
        self._lock = threading.Lock()
        self.inside = self.most = self.opened = 0

    def open(self, decoder: Decoder, path: Path, *others: Any) -> Unpacked:
        with self._lock:
            self.opened += 1
        if path.read_bytes()[16:20] != WIDE:
            return self._real(decoder, path, *others)
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self._go.wait(60)
        with self._lock:
            self.inside -= 1
        raise Refused("too_slow", "Decoding took longer than 20 seconds.")

    def let_go(self) -> None:
        self._go.set()


WIDE = (777).to_bytes(4, "big")  # where a PNG says how wide it is


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    made = Stuck()
    monkeypatch.setattr(Decoder, "open", lambda *arguments: made.open(*arguments))
    own = Decoding()
    monkeypatch.setattr(uploads, "decoding", own)
    yield made
    made.let_go()
    own.close()


def test_files_that_hang_their_decoder_leave_everything_else_answering(
    world: World, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "UPLOAD_WAIT_S", 0.5)
    senders = [world.who(Role.REVIEWER, f"sender {number}").headers["authorization"] for number in range(3)]
    viewer = {"authorization": world.who(Role.VIEWER).headers["authorization"]}

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=viewer) as client:

            async def hand_in(number: int) -> dict[str, Any]:
                files = [("files", ("a.png", png(777, 10 + number), "image/png"))]
                who = {"authorization": senders[number % len(senders)]}
                answer = await client.post("/api/v1/uploads", files=files, headers=who)
                assert answer.status_code == 200
                result: dict[str, Any] = answer.json()["items"][0]
                return result

            handed = [asyncio.create_task(hand_in(number)) for number in range(HANDED_IN)]
            while stuck.inside < capacity.UPLOAD_PLACES:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            for url in ("/healthz", "/readyz", "/login", "/api/v1/me", "/api/v1/jobs"):
                answer = await asyncio.wait_for(client.get(url, follow_redirects=True), ANSWERED_WITHIN_S)
                assert answer.status_code == 200, url
            assert time.monotonic() - began < ANSWERED_WITHIN_S
            assert stuck.inside  # all that while
            while sum(task.done() for task in handed) < HANDED_IN - capacity.UPLOAD_PLACES:
                await asyncio.sleep(0.05)
            assert {task.result()["code"] for task in handed if task.done()} == {"uploads_busy"}
            stuck.let_go()
            assert {(await task)["code"] for task in handed} == {"uploads_busy", "too_slow"}

    asyncio.run(asking())
    assert stuck.most == capacity.UPLOAD_PLACES
    assert world.get("/jobs")["items"] == []
    assert [path for path in world.store.staging.iterdir() if path.name != ".lock"] == []


def test_who_hands_in_a_file_that_hangs_holds_one_place_and_another_sender_is_answered(
    world: World, stuck: Stuck
) -> None:
    bad, good = (world.who(Role.REVIEWER, name).headers["authorization"] for name in ("the one", "the other"))

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:

            async def hand_in(who: str, width: int, height: int) -> dict[str, Any]:
                files = [("files", ("a.png", png(width, height), "image/png"))]
                answer = await client.post("/api/v1/uploads", files=files, headers={"authorization": who})
                result: dict[str, Any] = answer.json()["items"][0]
                return result

            hanging = [asyncio.create_task(hand_in(bad, 777, height)) for height in range(10, 14)]
            while not stuck.inside:
                await asyncio.sleep(0.01)
            assert (await hand_in(good, 400, 300))["accepted"]
            assert stuck.inside == 1  # all that while
            stuck.let_go()
            assert {(await task)["code"] for task in hanging} == {"too_slow"}

    asyncio.run(asking())
    assert stuck.most == 1


def test_a_file_that_was_refused_just_now_is_not_decoded_again(world: World, stuck: Stuck) -> None:
    stuck.let_go()
    for _ in range(3):
        answer = world.who(Role.REVIEWER).post("/api/v1/uploads", files=[("files", ("a.png", png(777), "image/png"))])
        assert answer.json()["items"][0]["code"] == "too_slow"
    assert stuck.opened == 1


def test_a_file_that_is_handed_in_gets_as_long_as_a_person_waits() -> None:
    assert vars(uploads)["decoding"] is decoding
    assert decoding._within_s == WITHIN_S <= 20


def test_healthz_needs_no_thread(world: World) -> None:
    """Not even where every thread that answers requests is taken."""
    go = threading.Event()

    async def asking() -> None:
        from anyio import to_thread

        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            most = int(to_thread.current_default_thread_limiter().total_tokens)
            taken = [asyncio.ensure_future(to_thread.run_sync(go.wait, 30)) for _ in range(most)]
            for probe in ("/healthz", "/readyz"):
                answer = await asyncio.wait_for(client.get(probe), ANSWERED_WITHIN_S)
                assert answer.status_code == 200, probe
            go.set()
            await asyncio.gather(*taken)

    asyncio.run(asking())
