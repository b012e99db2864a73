"""Processes killed at every step of a page's life, on both databases: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from gateway.config import DataSection
from gateway.job import State
from gateway.store import Store
from tests.gateway.storing import (
    DOCUMENTS,
    FORK,
    LONG_S,
    claimed,
    digitized,
    note,
    noted,
    on_its_way,
    receive,
)


def killed_at(point: int) -> None:
    """Makes this process kill itself at the n-th point where a disk or a database could be left half done."""
    passed = 0

    def pass_point() -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str, counts: Callable[..., bool] = lambda *_: True) -> None:
        real = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            if counts(*arguments):
                pass_point()
            return real(*arguments, **named)

        setattr(owner, name, wrapped)

    around(os, "fsync")
    around(Path, "replace")
    around(DefaultDialect, "do_commit")
    # The last statement before a commit that has anything to say to the audit.
    around(DefaultDialect, "do_execute", lambda _dialect, _cursor, statement, *_: "UPDATE audit_head" in statement)


def live_a_life(data: DataSection, log: Path, point: int) -> None:
    """A page from its arrival to its deliveries, each step noted once it was acknowledged."""
    with Store.open(data) as store:
        killed_at(point)
        note(log, f"received {receive(store, b'a page').job_id}")
        store.settle(claimed(store, lease_s=0.0), digitized(*DOCUMENTS))
        note(log, "settled")
        for destination in ("pacs", "ehr"):
            store.delivered(on_its_way(store, destination, lease_s=0.0), "accepted")
            note(log, f"delivered {destination}")


def finish(store: Store) -> None:
    """What the next process does with what it finds."""
    claim = store.claim("next worker", LONG_S, 5)
    if claim is not None:
        store.settle(claim, digitized(*DOCUMENTS))
    for destination in ("pacs", "ehr"):
        delivery = store.claim_delivery(destination, LONG_S)
        if delivery is not None:
            store.delivered(delivery, "accepted")


def check_what_was_acknowledged(store: Store, said: list[str]) -> None:
    assert store.verify_audit().problems == ()
    jobs = store.jobs()
    assert len(jobs) <= 1
    for line in said:
        word, _, what = line.partition(" ")
        if word == "received":
            assert store.content(store.job(what)).read_bytes() == b"a page"
        elif word == "settled":
            assert jobs[0].state in (State.DIGITIZED, State.DELIVERED)
        else:
            assert {row.destination: row.state for row in store.deliveries(jobs[0].job_id)}[what] == "delivered"


@pytest.mark.parametrize("part", range(2))
def test_nothing_acknowledged_is_lost_wherever_a_process_is_killed(
    data: DataSection, tmp_path: Path, part: int, request: pytest.FixtureRequest
) -> None:
    """Every second point of a page's life, from both starts; the last life is lived to its end."""
    for point in range(1 + part, 1000, 2):
        at = data.model_copy(update={"folder": tmp_path / str(point)})
        if at.database_url.get_secret_value():
            fresh = request.getfixturevalue("postgres").fresh_database()
            at = at.model_copy(update={"database_url": type(at.database_url)(fresh)})
        log = tmp_path / f"{point}.log"
        Store.open(at).close()
        process = FORK.Process(target=live_a_life, args=(at, log, point))
        process.start()
        process.join(60)
        with Store.open(at) as store:
            check_what_was_acknowledged(store, noted(log))
            finish(store)
            if store.jobs():
                assert store.jobs()[0].state is State.DELIVERED
                assert len(store.deliveries(store.jobs()[0].job_id)) == len(DOCUMENTS)
            assert store.verify_audit().problems == ()
        if process.exitcode == 0:
            assert noted(log)[1:] == ["settled", "delivered pacs", "delivered ehr"]
            assert point > 25  # or the points were not counted
            return
        assert process.exitcode == -signal.SIGKILL
    pytest.fail("the life of a page never ended")


def receive_without_end(data: DataSection, log: Path, which: int) -> None:
    with Store.open(data) as store:
        for number in range(1_000_000):
            note(log, receive(store, b"%d-%d" % (which, number)).job_id)


def test_nothing_acknowledged_is_lost_when_processes_die_in_the_middle_of_each_other(
    data: DataSection, tmp_path: Path
) -> None:
    chance = random.Random(7)
    log = tmp_path / "receipts"
    Store.open(data).close()
    for _ in range(3):
        doors: list[BaseProcess] = [
            FORK.Process(target=receive_without_end, args=(data, log, chance.randrange(10**9))) for _ in range(3)
        ]
        noted_before = len(noted(log))
        for door in doors:
            door.start()
        deadline = time.monotonic() + 60
        while len(noted(log)) < noted_before + 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        for door in doors:
            door.kill()
            door.join()
    with Store.open(data) as store:
        known = {job.job_id for job in store.jobs(limit=1_000_000)}
        assert set(noted(log)) <= known
        assert len(noted(log)) > 3
        assert store.verify_audit().problems == ()
        assert [path for path in store.staging.parent.iterdir() if path.is_dir()] == [store.staging]
