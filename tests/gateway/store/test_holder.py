"""Leases of processes that were killed: given up at once on their own machine, and live ones never taken."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from gateway.config import DataSection
from gateway.job import State
from gateway.store import Store, holder
from tests.gateway.storing import DOCUMENTS, FORK, LONG_S, claimed, digitized, note, noted, on_its_way, receive


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


def test_a_page_of_a_killed_gateway_waits_for_nothing_and_costs_no_attempt(store: Store, start: Start) -> None:
    receive(store, b"a page")
    for _ in range(3):  # more often than a worker may die over a page
        kill(start(claimed))
        assert store.claim("next", LONG_S, 2) is None
        assert store.end_dead_leases() == 1
        (job,) = store.jobs()
        assert (job.state, job.attempts) == (State.RECEIVED, 0)
    assert claimed(store, worker="next").job.attempts == 1
    assert store.verify_audit().ok


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
    monkeypatch.setattr(holder, "machine", lambda: "another")
    assert store.end_dead_leases() == 0
