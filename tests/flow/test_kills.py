"""kill -9 of gateway and worker at every state of a job: nothing acknowledged is lost, one UID goes out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from gateway.demo.secondary_capture import secondary_capture
from gateway.job import State
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import clean_page
from tests.flow.processes import PATIENCE_S, GatewayProcess, Pacs, free_port, wait_for

CONFIG = """
[data]
folder = "@FOLDER@/data"
[dicom_scp]
port = @PORT@
[web]
enabled = false
[worker]
lease_s = 20.0
poll_s = 0.1
[[destination]]
kind = "dicom"
name = "pacs"
host = "127.0.0.1"
port = {pacs_port}
called_ae_title = "PACS"
report = false
timeout_s = 2.0
backoff = {{ first_s = 0.2, ceiling_s = 1.0, attempts_max = 1000 }}
[[rule]]
name = "all"
send = ["pacs"]
"""


@pytest.fixture(scope="module")
def page() -> bytes:
    signals = synthetic_ecg(np.random.default_rng(5), 10.0, 500)
    return secondary_capture(clean_page(signals, 500, seed=5).page.image, "KILL-1", "Test^Kill", "20240131143000")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.pacs = Pacs(free_port())
        self.gateway = GatewayProcess(folder, CONFIG.format(pacs_port=self.pacs.port))

    def proves(self) -> None:
        """The end every test asks for: delivered, one UID only, one job, and the audit holds."""
        self.gateway.wait_for_state(State.DELIVERED)
        assert len(set(self.pacs.uids)) == 1
        store = self.gateway.store()
        try:
            report = store.verify_audit()
        finally:
            store.close()
        assert report.ok, report.problems


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.gateway.stop()
    bench.pacs.stop()


def test_a_sender_cut_off_in_the_middle_has_no_yes_and_may_send_again(bench: Bench, page: bytes) -> None:
    bench.pacs.start()
    bench.gateway.start()
    with socket.create_connection(("127.0.0.1", bench.gateway.port)) as half:
        half.sendall(b"\x01\x00\x00\x00\x00\xcd")  # the head of an A-ASSOCIATE-RQ and nothing more
        bench.gateway.kill()
    bench.gateway.start()
    bench.gateway.send(page)
    bench.proves()


def test_killed_right_after_the_yes(bench: Bench, page: bytes) -> None:
    bench.pacs.start()
    bench.gateway.start()
    bench.gateway.send(page)
    bench.gateway.kill()
    assert bench.gateway.one_job().state in (State.RECEIVED, State.DIGITIZED)
    bench.gateway.start()
    bench.proves()


def test_gateway_killed_while_the_worker_digitizes(bench: Bench, page: bytes) -> None:
    bench.pacs.start()
    bench.gateway.start()
    bench.gateway.send(page)
    wait_for(lambda: bench.gateway.one_job().attempts == 1, PATIENCE_S, "a worker to claim the page")
    bench.gateway.kill()
    bench.gateway.start()
    bench.proves()


def test_what_a_killed_gateway_held_waits_for_no_lease(tmp_path: Path, page: bytes) -> None:
    gateway = GatewayProcess(
        tmp_path, CONFIG.format(pacs_port=free_port()).replace("lease_s = 20.0", "lease_s = 3600.0")
    )
    try:
        gateway.start()
        gateway.send(page)
        wait_for(lambda: gateway.one_job().attempts == 1, PATIENCE_S, "a worker to claim the page")
        gateway.kill_all()
        gateway.start()
        wait_for(lambda: claims(gateway) == 2, PATIENCE_S, "the next worker to claim the page")
        assert gateway.one_job().attempts == 1  # the gateway died, not a worker over this page
    finally:
        gateway.stop()


def claims(gateway: GatewayProcess) -> int:
    store = gateway.store()
    try:
        return sum('"claimed"' in line for line in store.audit_lines())
    finally:
        store.close()


def test_worker_killed_while_it_digitizes_is_replaced(bench: Bench, page: bytes) -> None:
    bench.pacs.start()
    bench.gateway.start()
    bench.gateway.send(page)
    wait_for(lambda: bench.gateway.one_job().attempts == 1, PATIENCE_S, "a worker to claim the page")
    bench.gateway.kill_worker()
    bench.proves()
    assert bench.gateway.one_job().attempts == 2


def test_a_worker_that_dies_twice_on_a_page_leaves_it_held_as_ours(bench: Bench, page: bytes) -> None:
    bench.pacs.start()
    bench.gateway.start()
    for attempt in (1, 2):
        if attempt == 1:
            bench.gateway.send(page)
        wait_for(lambda n=attempt: bench.gateway.one_job().attempts == n, PATIENCE_S, f"claim {attempt}")
        bench.gateway.kill_worker()
    job = bench.gateway.wait_for_state(State.HELD)
    assert job.code == "our_fault_worker_died"
    assert bench.pacs.uids == []


def test_killed_with_the_document_waiting_for_its_destination(bench: Bench, page: bytes) -> None:
    bench.gateway.start()  # the PACS is down
    bench.gateway.send(page)
    bench.gateway.wait_for_state(State.DIGITIZED)
    bench.gateway.kill()
    bench.pacs.start()
    bench.gateway.start()
    bench.proves()


def test_killed_while_the_document_is_on_its_way(bench: Bench, page: bytes) -> None:
    bench.pacs.hold.clear()
    bench.pacs.start()
    bench.gateway.start()
    bench.gateway.send(page)
    assert bench.pacs.reached.wait(PATIENCE_S)
    bench.gateway.kill()
    bench.pacs.hold.set()
    bench.gateway.start()
    bench.proves()
    assert len(bench.pacs.uids) == 2  # the PACS saw it twice, under one UID


def test_killed_after_delivery_sends_nothing_again(bench: Bench, page: bytes) -> None:
    bench.pacs.start()
    bench.gateway.start()
    bench.gateway.send(page)
    bench.gateway.wait_for_state(State.DELIVERED)
    bench.gateway.kill()
    bench.gateway.start()
    bench.gateway.send(page)  # the sender did not hear the yes and repeats itself
    bench.proves()
    assert len(bench.pacs.uids) == 1


def test_no_worker_outlives_its_gateway(bench: Bench) -> None:
    bench.gateway.start()
    workers = wait_for(bench.gateway.workers, PATIENCE_S, "a worker process")
    bench.gateway.kill()  # while the worker still loads its networks
    gone, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert not alive
    assert gone
