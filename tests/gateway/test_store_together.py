"""Many threads and processes on one store, and processes that are killed: nothing twice, nothing lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from gateway.config import DataSection
from gateway.errors import NotFound
from gateway.job import State
from gateway.store import Store
from tests.gateway.storing import LONG_S, claimed, digitized, document, on_its_way, receive

# Forked, not spawned: a child is at work in milliseconds, so every point of a job's life can be tried.
FORK = multiprocessing.get_context("fork")
DOCUMENTS = (document("pacs", "2.25.1", b"waveform"), document("ehr", "aecg-1", b"<aecg/>"))


def in_processes(number: int, work: Callable[..., None], *arguments: Any) -> None:
    """Runs work in so many processes at once; all must succeed."""
    started = [FORK.Process(target=work, args=(*arguments, which)) for which in range(number)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0] * number


def note(path: Path, line: str) -> None:
    """Adds a line in one write, which the kernel keeps whole even between processes."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def noted(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


# Together


def work_through(data: DataSection, log: Path, which: int) -> None:
    """A worker process of two threads: claims and settles until nothing is left."""

    def work(name: str) -> None:
        while (claim := store.claim(name, LONG_S, 2)) is not None:
            note(log, claim.job.job_id)
            store.settle(claim, digitized(document(name=f"doc-{claim.job.job_id}")))

    with Store.open(data) as store:
        threads = [threading.Thread(target=work, args=(f"worker-{which}-{number}",)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_no_page_is_claimed_twice(data: DataSection, tmp_path: Path) -> None:
    log = tmp_path / "claims"
    with Store.open(data) as store:
        ids = {receive(store, b"%d" % number).job_id for number in range(30)}
    in_processes(3, work_through, data, log)
    assert Counter(noted(log)) == dict.fromkeys(ids, 1)
    with Store.open(data) as store:
        assert store.verify_audit().ok
        assert store.counts()[State.DIGITIZED] == 30
        assert store.queue_depths() == {"pacs": 30}


def deliver_all(data: DataSection, log: Path, which: int) -> None:
    """A delivering process: sends what it may until the queue is empty, and cries if it is not alone."""
    flag = log.with_name("on its way")
    with Store.open(data) as store:
        while store.queue_depths():
            delivery = store.claim_delivery("pacs", LONG_S)
            if delivery is None:
                time.sleep(0.001)
                continue
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))  # FileExistsError where another is on its way too
            note(log, delivery.name)
            flag.unlink()
            store.delivered(delivery, f"from {which}")


def test_a_destination_gets_its_documents_in_order_and_one_at_a_time(data: DataSection, tmp_path: Path) -> None:
    log = tmp_path / "sent"
    with Store.open(data) as store:
        for number in range(20):
            receive(store, b"%d" % number)
            store.settle(claimed(store), digitized(document(name=f"doc-{number}")))
    in_processes(3, deliver_all, data, log)
    assert noted(log) == [f"doc-{number}" for number in range(20)]
    with Store.open(data) as store:
        assert store.verify_audit().ok
        assert store.counts()[State.DELIVERED] == 20


def receive_the_same(data: DataSection, log: Path, which: int) -> None:
    with Store.open(data) as store:
        for number in range(10):
            receipt = receive(store, b"%d" % number)
            note(log, f"{number} {receipt.job_id} {receipt.duplicate}")


def test_the_same_page_from_several_associations_at_once_is_one_job(data: DataSection, tmp_path: Path) -> None:
    log = tmp_path / "receipts"
    Store.open(data).close()
    in_processes(3, receive_the_same, data, log)
    receipts = [line.split() for line in noted(log)]
    assert len({job_id for _, job_id, _ in receipts}) == 10
    assert Counter(duplicate for *_, duplicate in receipts) == {"False": 10, "True": 20}
    with Store.open(data) as store:
        assert store.verify_audit().ok


def do_everything(data: DataSection, which: int) -> None:
    """Receives, works, delivers and re-sends at once: whatever locks there are, somebody holds them."""
    chance = random.Random(which)
    with Store.open(data) as store:
        for number in range(12):
            receive(store, b"%d-%d" % (which, number))
            claim = store.claim(f"worker-{which}", LONG_S, 2)
            if claim is not None:
                store.settle(claim, digitized(*DOCUMENTS))
            for destination in ("pacs", "ehr"):
                delivery = store.claim_delivery(destination, LONG_S)
                if delivery is None:
                    continue
                if chance.random() < 0.3:
                    store.park(delivery, "rejected", "no")
                    # Another process may have sent all that was parked of this job in the meantime.
                    with suppress(NotFound):
                        store.resend(delivery.job_id, "a person", chance.choice([None, destination]))
                else:
                    store.delivered(delivery, "0000")


def test_nobody_waits_for_each_other_forever(data: DataSection) -> None:
    Store.open(data).close()
    in_processes(4, do_everything, data)
    with Store.open(data) as store:
        assert store.verify_audit().problems == ()


# Killed


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
        for door in doors:
            door.start()
        time.sleep(chance.uniform(0.3, 0.6))
        for door in doors:
            door.kill()
            door.join()
    with Store.open(data) as store:
        known = {job.job_id for job in store.jobs(limit=1_000_000)}
        assert set(noted(log)) <= known
        assert len(noted(log)) > 3
        assert store.verify_audit().problems == ()
        assert [path for path in store.staging.parent.iterdir() if path.is_dir()] == [store.staging]


def test_a_writer_waits_for_its_turn(tmp_path: Path) -> None:
    """Another program that holds SQLite's only write lock for a while delays us, and no more."""
    data = DataSection(folder=tmp_path, reserve_mb=0)
    with Store.open(data) as store:
        other = sqlite3.connect(tmp_path / "cardioscan.sqlite3", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
        assert not receive(store, b"a page").duplicate
        other.close()
