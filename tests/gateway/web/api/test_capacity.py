"""A page that hangs its decoder holds up pictures only: signing in, the worklist and the probes go on answering."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.unpack import sandbox
from gateway.web.api import capacity, documents, pictures
from gateway.web.api.decoding import Decoding
from gateway.web.api.pictures import Pictures
from pipeline.recording import Page
from tests.gateway.web.api.world import World

ASKED = 60  # more than all threads that answer requests
ANSWERED_WITHIN_S = 15.0  # on a busy machine; behind a stuck decoder it would be for ever


class Stuck:
    """A decoder that hangs until it is let go."""

    def __init__(self, real: Callable[..., Page]) -> None:
        self._real = real
        self._go = threading.Event()
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Page:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self._go.wait(60)
        with self._lock:
            self.inside -= 1
        return self._real(*arguments)

    def let_go(self) -> None:
        self._go.set()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    decoder = Stuck(pictures.unpacked_page)
    for module in (pictures, documents):
        monkeypatch.setattr(module, "unpacked_page", decoder)
    monkeypatch.setattr(pictures, "pictures", Pictures())
    monkeypatch.setattr(capacity, "WAIT_S", 0.5)
    yield decoder
    decoder.let_go()


def test_a_stuck_decode_leaves_everything_else_answering(world: World, stuck: Stuck) -> None:
    jobs = [world.job(0.5) for _ in range(capacity.PLACES + 1)]  # held: documents not sent would have to be made
    headers = {"authorization": world.who().headers["authorization"]}

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            pages = [f"/api/v1/jobs/{job_id}/pages/1" for job_id in jobs]
            urls = [f"{pages[number % len(pages)]}/image?width={16 + number}" for number in range(ASKED)]
            urls += [f"{pages[0]}/rectified", f"/api/v1/jobs/{jobs[0]}/documents/pdf"]
            asked = [asyncio.create_task(client.get(url)) for url in urls]
            while not stuck.inside:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            for url in ("/healthz", "/readyz", "/login", "/api/v1/me", "/api/v1/jobs", "/api/v1/dashboard"):
                answer = await asyncio.wait_for(client.get(url, follow_redirects=True), ANSWERED_WITHIN_S)
                assert answer.status_code == 200, url
            assert time.monotonic() - began < ANSWERED_WITHIN_S
            assert stuck.inside  # all that while
            busy = len(asked) - capacity.PLACES
            while sum(task.done() for task in asked) < busy:
                await asyncio.sleep(0.05)
            refused = [task.result() for task in asked if task.done()]
            assert {answer.status_code for answer in refused} == {503}
            assert {answer.json()["code"] for answer in refused} == {"pictures_busy"}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
            stuck.let_go()
            late = [await task for task in asked]
            assert {answer.status_code for answer in late} == {200, 503}
            assert (await client.get(urls[0])).status_code == 200

    asyncio.run(asking())
    assert stuck.most <= capacity.PLACES


def test_a_picture_that_is_kept_needs_no_place(world: World, stuck: Stuck) -> None:
    job_id = world.job()
    pages = [f"/api/v1/jobs/{each}/pages/1" for each in (job_id, *(world.job() for _ in range(capacity.PLACES - 1)))]
    headers = {"authorization": world.who().headers["authorization"]}

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            sha256 = world.store.job(job_id).sha256
            pictures.pictures.get(("image", sha256, "1", "200"), lambda: b"kept before")
            asked = [asyncio.create_task(client.get(f"{page}/image?width=300")) for page in pages]
            while stuck.inside < capacity.PLACES:
                await asyncio.sleep(0.01)
            answer = await asyncio.wait_for(client.get(f"{pages[0]}/image?width=299"), ANSWERED_WITHIN_S)
            assert (answer.status_code, answer.content) == (200, b"kept before")
            stuck.let_go()
            await asyncio.gather(*asked)

    asyncio.run(asking())


def test_the_text_of_a_document_on_its_way_needs_no_place(world: World, stuck: Stuck) -> None:
    jobs = [world.job() for _ in range(capacity.PLACES)]
    headers = {"authorization": world.who().headers["authorization"]}

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            asked = [asyncio.create_task(client.get(f"/api/v1/jobs/{each}/pages/1/image?width=300")) for each in jobs]
            while stuck.inside < capacity.PLACES:
                await asyncio.sleep(0.01)
            words = client.get(f"/api/v1/jobs/{jobs[0]}/documents/dicom_waveform/text")
            answer = await asyncio.wait_for(words, 4 * ANSWERED_WITHIN_S)  # what reads it is loaded first
            assert (answer.status_code, "Patient ID" in answer.text) == (200, True)
            stuck.let_go()
            await asyncio.gather(*asked)

    asyncio.run(asking())


HANGS_ON = """
import sys, time
from pathlib import Path
from gateway.unpack import child
real = child.open_document
def opening(path, *others):
    if path.name == sys.argv[1]:
        Path(sys.argv[2]).touch()
        time.sleep(600)
    return real(path, *others)
child.open_document = opening
child.main()
"""


def test_a_page_that_hangs_its_decoder_stops_no_other_page_and_is_not_tried_again_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bad, good = world.job(0.5), world.job(0.5)
    path = world.store.content(world.store.job(bad))
    hangs = tmp_path / "hangs"
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-c", HANGS_ON, path.name, str(hangs)))
    monkeypatch.setattr(pictures, "pictures", Pictures())
    own = Decoding(within_s=30.0)  # for the start of a child too, on a busy machine
    monkeypatch.setattr(pictures, "decoding", own)
    headers = {"authorization": world.who().headers["authorization"]}

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            hanging = f"/api/v1/jobs/{bad}/pages/1/image"
            stuck = [asyncio.create_task(client.get(f"{hanging}?width=200"))]
            while not hangs.exists():  # so that this one has the job's turn
                assert not stuck[0].done()
                await asyncio.sleep(0.01)
            stuck += [asyncio.create_task(client.get(f"{hanging}?width={width}")) for width in (400, 800, 1600)]
            answer = await client.get(f"/api/v1/jobs/{good}/pages/1/image")
            assert answer.status_code == 200
            assert not stuck[0].done()  # all that while
            answers = await asyncio.gather(*stuck)
            assert {(each.status_code, each.json()["code"]) for each in answers} <= {
                (422, "too_slow"),
                (503, "pictures_busy"),
            }
            assert answers[0].status_code == 422
            began = time.monotonic()
            again = await client.get(f"{hanging}?width=1200")
            assert (again.status_code, again.json()["code"]) == (422, "too_slow")
            assert time.monotonic() - began < 5

    asyncio.run(asking())
    own.close()
