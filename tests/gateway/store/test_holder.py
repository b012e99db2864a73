"""Leases of processes that were killed: given up at once on their own machine, and live ones never taken."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from gateway.config import DataSection
from gateway.job import State
from gateway.store import Store, holder, objects, process_name
from tests.gateway.storing import DOCUMENTS, FORK, LONG_S, claimed, digitized, held, note, noted, on_its_way, receive


def hold(data: DataSection, log: Path, gateway: str, work: Callable[[Store], object]) -> None:
    """Takes a lease, says so, and lives until it is killed."""
    with Store.open(data, gateway) as store:
        work(store)
        note(log, "held")
        time.sleep(600)


Start = Callable[..., BaseProcess]


@pytest.fixture
def start(data: DataSection, tmp_path: Path) -> Iterator[Start]:
    """Starts a process that holds a lease of the store."""
    running: list[BaseProcess] = []

    def run(work: Callable[[Store], object], gateway: str = "") -> BaseProcess:
        log = tmp_path / f"log-{len(running)}"
        process = FORK.Process(target=hold, args=(data, log, gateway, work), daemon=True)
        process.start()
        running.append(process)
        deadline = time.monotonic() + 60
        while not (log.exists() and noted(log)):
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    yield run
    for process in running:
        kill(process)


def kill(process: BaseProcess) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "RELEASED_WAITS_S", 0.0)


@pytest.mark.usefixtures("short_waits")
def test_a_page_of_a_killed_gateway_waits_for_no_lease_and_costs_no_attempt(store: Store, start: Start) -> None:
    receive(store, b"a page")
    for _ in range(3):  # more often than a worker may die over a page
        kill(start(claimed))
        assert store.claim("next", LONG_S, 2) is None
        assert store.end_dead_leases() == 1
        (job,) = store.jobs()
        assert (job.state, job.attempts) == (State.RECEIVED, 0)
    assert claimed(store, worker="next").job.attempts == 1
    assert store.verify_audit().ok


def test_after_a_whole_gateway_died_over_a_page_others_go_first(store: Store, start: Start) -> None:
    oldest, next_one = receive(store, b"a page").job_id, receive(store, b"another").job_id
    kill(start(claimed))
    assert store.end_dead_leases() == 1
    assert claimed(store).job.job_id == next_one
    assert store.claim("next", LONG_S, 2) is None  # the oldest waits a moment
    assert store.job(oldest).state is State.RECEIVED


@pytest.mark.usefixtures("short_waits")
def test_a_page_that_kills_one_gateway_after_another_is_held_and_blocks_no_other(store: Store, start: Start) -> None:
    killer = receive(store, b"a page").job_id
    for _ in range(holder.GATEWAY_DEATHS_MAX):
        kill(start(claimed))
        assert store.end_dead_leases() == 1
    job = store.job(killer)
    assert (job.state, job.code) == (State.HELD, "our_fault_gateway_died")
    assert "5 times" in job.why
    store.retry(killer, "rita")  # a person's word: the count begins anew
    kill(start(claimed))
    store.end_dead_leases()
    assert store.job(killer).state is State.RECEIVED
    assert store.verify_audit().ok


@pytest.mark.usefixtures("short_waits")
def test_deaths_before_a_page_was_done_do_not_count_when_it_is_done_again(store: Store, start: Start) -> None:
    job_id = receive(store, b"a page").job_id
    for _ in range(2):
        for _ in range(holder.GATEWAY_DEATHS_MAX - 1):
            kill(start(claimed))
            store.end_dead_leases()
        store.settle(claimed(store), held())
        store.retry(job_id, "rita")
    assert store.job(job_id).state is State.RECEIVED


def test_a_page_of_a_killed_worker_goes_to_the_next_at_once_and_counts(store: Store, start: Start) -> None:
    receive(store, b"a page")
    for attempt in (1, 2):
        kill(start(claimed, gateway=store.process))  # this process is the gateway, and lives
        assert store.end_dead_leases() == 1
        (job,) = store.jobs()
        assert (job.state, job.attempts) == (State.RECEIVED, attempt)
    assert store.claim("next", LONG_S, 2) is None
    (job,) = store.jobs()
    assert (job.state, job.code) == (State.HELD, "our_fault_worker_died")
    assert store.verify_audit().ok


def test_a_document_of_a_killed_gateway_is_due_again_at_once(store: Store, start: Start) -> None:
    receive(store, b"a page")
    store.settle(claimed(store), digitized(*DOCUMENTS))
    kill(start(lambda mine: on_its_way(mine, "pacs")))
    assert store.claim_delivery("pacs", LONG_S) is None
    assert store.end_dead_leases() == 1
    assert store.claim_delivery("pacs", LONG_S) is not None
    assert store.verify_audit().ok


def test_what_a_living_process_holds_stays_its_own(store: Store, start: Start) -> None:
    receive(store, b"a page")
    receive(store, b"another")
    mine = claimed(store)
    other = start(claimed)
    assert store.end_dead_leases() == 0
    assert store.claim("next", LONG_S, 2) is None
    store.settle(mine, digitized())
    kill(other)


def test_another_machine_s_leases_are_left_to_run_out(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(store, b"a page")
    kill(start(claimed))
    monkeypatch.setattr(process_name, "machine", lambda: "beef")
    assert store.end_dead_leases() == 0


def test_a_gateway_s_living_children_keep_their_leases_though_another_machine_removed_their_folders(
    store: Store, start: Start
) -> None:
    """As the sweep of a machine does that cannot see their locks through a share."""
    receive(store, b"a page")
    receive(store, b"another")
    mine = claimed(store)
    child = start(claimed, gateway=store.process)
    for folder in store.staging.parent.iterdir():
        if folder.is_dir() and folder != store.staging:
            shutil.rmtree(folder)
    assert child.pid is not None
    assert store.end_dead_leases([child.pid]) == 0
    kill(child)
    assert store.end_dead_leases([]) == 1
    store.settle(mine, digitized())


def test_where_a_process_s_own_folder_was_removed_it_calls_nobody_dead(store: Store, start: Start) -> None:
    receive(store, b"a page")
    claimed(store)
    receive(store, b"another")
    start(claimed)
    for folder in store.staging.parent.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    assert store.end_dead_leases() == 0


def test_opening_leaves_another_machine_s_folders_alone(
    store: Store, data: DataSection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock may not be seen from here: to sweep it would take what a living gateway receives."""
    monkeypatch.setattr(process_name, "machine", lambda: "beef")
    theirs = Store.open(data)
    (theirs.staging / "half").write_bytes(b"half a page")
    theirs._objects._lock.close()  # as a lock looks that this machine cannot see
    monkeypatch.undo()
    with Store.open(data):
        assert (theirs.staging / "half").exists()
    theirs.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ESTALE, errno.ENOLCK])
def test_who_cannot_be_judged_counts_as_alive(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    receive(store, b"a page")
    kill(start(claimed))

    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(objects.fcntl, "flock", fails)
    assert store.end_dead_leases() == 0


def test_without_the_staging_folders_nobody_is_called_dead(store: Store, start: Start) -> None:
    """As when the share is not mounted."""
    receive(store, b"a page")
    kill(start(claimed))
    staging = store.staging.parent
    staging.rename(staging.with_name("away"))
    assert store.end_dead_leases() == 0
    staging.with_name("away").rename(staging)
    assert store.end_dead_leases() == 1
