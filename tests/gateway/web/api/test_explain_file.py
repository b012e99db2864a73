"""The rules explained on a file in hand: read as an uploaded page would be, refused as one, and nothing of it kept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.digitizer.one_file import FileReaders
from gateway.digitizer.protocol import Fault, FileMessage, PageMessage
from gateway.errors import TryAgain
from gateway.identity.order import Order
from gateway.job import Verdict
from gateway.role import Role
from gateway.store import AuditQuery
from gateway.web.api import capacity, explain_file, recordings
from gateway.web.api.models import ExplainedFile
from tests.gateway.web.api.test_uploads import REFUSED, upload
from tests.gateway.web.api.world import World, png, tiff
from tests.gateway.web.fake_digitizer import an_eye, sees
from tests.recordings import order

PATH = "/api/v1/rules/explain/file"
HANGS = "import time; time.sleep(600)"


def explain(world: World, *named: tuple[str, bytes], expect: int = 200) -> Any:
    answer = world.who().post(PATH, files=[("file", (name, content, "image/png")) for name, content in named])
    assert answer.status_code == expect, answer.text
    return ExplainedFile.model_validate(answer.json()) if expect == 200 else answer.json()


def nothing_is_kept(world: World) -> bool:
    """No job, no delivery, no bytes: nor any without a name, in a file that is gone and that some process has open."""
    objects = [path for path in (world.config.data.folder / "objects").rglob("*") if path.is_file()]
    staged = [path for path in world.store.staging.iterdir() if path.name != ".lock"]
    return world.get("/jobs")["items"] == [] and objects == [] and staged == [] and open_files(world) == []


def open_files(world: World) -> list[str]:
    """The files in the staging folder that any process has open, those that are gone with them."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # of another's process, or closed meanwhile
            found.append(str(link.readlink()))
    return [each for each in found if each.startswith(str(world.store.staging)) and ".lock" not in each]


def entries(world: World) -> list[tuple[str, str, str, dict[str, object]]]:
    """Of the audit, all but what made the people who ask."""
    found = world.store.audit_queries.audit(AuditQuery(), None, 1000).entries
    return [(e.kind, e.actor, e.job_id, dict(e.detail)) for e in found if e.kind in ("looked", "received")]


def test_a_file_is_explained_as_if_it_had_been_uploaded_and_nothing_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = an_eye(monkeypatch, tmp_path, sees(order()))
    monkeypatch.setattr(recordings, "_recording", lru_cache(recordings.KEPT)(recordings._recording.__wrapped__))
    content = tiff()
    told = explain(world, ("page.tif", content))
    assert (told.file_name, told.media_type, told.refused) == ("page.tif", "image/tiff", "")
    (page,) = told.pages
    assert page.page == 1
    assert page.decision is not None
    assert page.decision.disposition.model_dump() == {
        "action": "send",
        "destinations": ["out", "ehr"],
        "why": 'sent by rule "all"',
    }
    assert [(trace.rule, trace.holds, trace.counted) for trace in page.decision.trace] == [
        ("unsure", False, False),
        ("all", True, True),
    ]
    assert entries(world) == [
        ("looked", "a administrator", "", {"what": "file explained", "sha256": hashlib.sha256(content).hexdigest()})
    ]
    asked = json.loads(kept.read_text())
    assert Path(asked["path"]).parent == world.store.staging
    assert nothing_is_kept(world)
    assert recordings._recording.cache_info().currsize == 0
    assert world.store.verify_audit().ok


def test_what_a_rule_sees_of_the_way_is_that_of_the_door_for_uploads(
    make_world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And a page whose patient nobody says is told to be held, as it would be."""
    fields = {"door": "web", "sender": "a administrator", "media_type": "image/tiff"}
    rule = {"name": "mine", "when": [{"field": field, "equals": seen} for field, seen in fields.items()], "send": []}
    world = make_world(rule=[rule])
    an_eye(monkeypatch, tmp_path, sees(Order(), cover=True))
    told = explain(world, ("fax.tif", tiff(2)))
    cover, page = told.pages
    assert (cover.decision, cover.code, cover.why) == (None, "not_an_ecg", "It is a letter.")
    assert page.decision.rules == ["mine"]
    assert page.decision.disposition.action == "hold"
    assert "no patient id, which identity.require asks for" in page.decision.held_before


def test_a_file_of_which_nothing_is_read_is_told_to_be_refused_by_the_page_that_is_at_fault(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    letter = PageMessage(number=1, verdict=Verdict.NOT_AN_ECG, code="not_an_ecg", why="It is a letter.")
    blurred = PageMessage(number=2, verdict=Verdict.UNREADABLE, code="no_grid", why="It shows no grid.")
    an_eye(monkeypatch, tmp_path, FileMessage(order=Order().to_dict(), pages=(letter, blurred)))
    told = explain(world, ("fax.tif", tiff(2)))
    assert told.refused == "Page 2: It shows no grid."
    assert [page.decision for page in told.pages] == [None, None]


@REFUSED
def test_what_the_upload_door_refuses_is_refused_here_by_the_same_words_and_read_by_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes, code: str
) -> None:
    kept = an_eye(monkeypatch, tmp_path, sees(order()))
    told = explain(world, (name, content), expect=422)
    assert told["code"] == code
    assert "<script" not in told["why"]
    (as_upload,) = upload(world, (name, content))
    assert (as_upload.code, as_upload.why) == (told["code"], told["why"])
    assert not kept.exists()
    assert entries(world) == []
    assert nothing_is_kept(world)


def test_a_file_above_the_bound_is_refused(make_world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = make_world(web={"upload_max_mb": 1})
    kept = an_eye(monkeypatch, tmp_path, sees(order()))
    assert explain(world, ("page.png", png() + bytes(1_100_000)), expect=413)["code"] == "too_large"

    def in_chunks() -> Any:  # which says no length beforehand
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + png()
        for _ in range(1100):
            yield bytes(1000)
        yield b"\r\n--x--\r\n"

    answer = world.who().post(PATH, content=in_chunks(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (413, 422)
    assert answer.json()["code"] == "too_large"
    assert not kept.exists()
    assert nothing_is_kept(world)


def test_a_file_larger_than_any_other_request_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    an_eye(monkeypatch, tmp_path, sees(order()))
    assert explain(world, ("page.png", png() + bytes(3_000_000))).pages[0].decision is not None


def test_one_file_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = an_eye(monkeypatch, tmp_path, sees(order()))
    assert explain(world, ("a.png", png()), ("b.png", png()), expect=422)["code"] == "too_many_files"
    answer = world.who().post(PATH, data={"file": "text"}, files={})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_multipart")
    told = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + png() + b"\r\n--x"
    answer = world.who().post(PATH, content=told, headers={"content-type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "broken_off")
    assert not kept.exists()
    assert nothing_is_kept(world)


def test_who_may_not_change_the_rules_may_not_try_them(world: World) -> None:
    for role in (Role.VIEWER, Role.REVIEWER):
        assert world.who(role).post(PATH, files={"file": png()}).status_code == 403
    assert nothing_is_kept(world)


@pytest.mark.parametrize(
    ("before", "status", "code"),
    [
        ("os.kill(os.getpid(), 9)", 503, "reading_ended"),
        ("sys.exit('of Jane Doe')", 500, "our_fault"),
        ("print('of Jane Doe')", 500, "our_fault"),
    ],
)
def test_a_process_that_dies_over_a_file_is_told_and_leaves_nothing(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    before: str,
    status: int,
    code: str,
) -> None:
    an_eye(monkeypatch, tmp_path, sees(order()), before)
    with caplog.at_level(logging.INFO):
        told = explain(world, ("page.tif", tiff()), expect=status)
    assert told["code"] == code
    assert "Doe" not in told["why"] + caplog.text
    assert nothing_is_kept(world)


def test_what_the_process_says_of_a_file_is_told(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    an_eye(monkeypatch, tmp_path, Fault(again=False, code="too_many_pages", why="The document has 6 pages."))
    assert explain(world, ("page.tif", tiff(6)), expect=422) == {
        "code": "too_many_pages",
        "why": "The document has 6 pages.",
    }
    an_eye(monkeypatch, tmp_path, Fault(again=True, code="decoder_ended", why="The decoder did not start."))
    assert explain(world, ("page.tif", tiff()), expect=503)["code"] == "decoder_ended"
    assert nothing_is_kept(world)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_file_that_takes_too_long_is_given_up_and_its_process_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    an_eye(monkeypatch, tmp_path, sees(order()), f"open({str(pid)!r}, 'w').write(str(os.getpid())); {HANGS}")
    monkeypatch.setattr(explain_file, "file_readers", FileReaders(within_s=3.0))
    assert explain(world, ("page.tif", tiff()), expect=503)["code"] == "too_slow"
    assert not is_alive(int(pid.read_text()))
    assert nothing_is_kept(world)


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_stop_waits_for_no_file_and_no_other_is_begun(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = an_eye(monkeypatch, tmp_path, sees(order()), HANGS)
    file_readers, told = FileReaders(), []

    def read() -> None:
        with pytest.raises(TryAgain) as error:
            file_readers.read(world.config, tmp_path / "page.tif")
        told.append(error.value.code)

    asking = threading.Thread(target=read)
    asking.start()
    wait_for_file(kept)
    file_readers.close()
    asking.join(30)
    assert told == ["reading_ended"]
    read()
    assert told == ["reading_ended", "stopping"]


def test_one_file_is_read_at_a_time_and_all_else_is_answered(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = f"""import time
while not os.path.exists({str(go)!r}):
    time.sleep(0.02)
"""
    kept = an_eye(monkeypatch, tmp_path, sees(order()), waits)
    monkeypatch.setattr(capacity, "EYE_WAIT_S", 0.5)
    who = [world.who(Role.ADMINISTRATOR, name).headers["authorization"] for name in ("the one", "the other")]

    async def asking() -> None:
        transport = httpx2.ASGITransport(world.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:

            async def hand_in(asks: str, shade: int) -> httpx2.Response:
                files = {"file": ("a.tif", tiff(shade=shade), "image/tiff")}
                return await client.post(PATH, files=files, headers={"authorization": asks}, timeout=60)

            first = asyncio.create_task(hand_in(who[0], 1))
            while not kept.exists():
                await asyncio.sleep(0.02)
            for number, asks in enumerate((*who, *who)):
                answer = await hand_in(asks, 2 + number)
                assert (answer.status_code, answer.json()["code"]) == (503, "eyes_busy")
                assert answer.headers["retry-after"]
            jobs = await client.get("/api/v1/jobs", headers={"authorization": who[1]})
            assert jobs.status_code == 200
            assert not first.done()
            go.touch()
            assert (await first).status_code == 200
            assert (await hand_in(who[1], 1)).status_code == 200  # the place is free again

    asyncio.run(asking())
    assert len(kept.read_text().split('"path"')) == 3
    assert nothing_is_kept(world)
