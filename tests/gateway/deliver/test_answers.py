"""From a peer's odd answer over MLLP to what a person sees of it: the delivery, the job, the audit, check."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from gateway.commands.check import check_all
from gateway.config import Backoff, Config, DataSection, MllpDestination
from gateway.deliver.mllp import MllpClient
from gateway.deliver.queue import DeliveryLoop, stop_all
from gateway.deliver.sender import Delivered
from gateway.errors import TryAgain
from gateway.job import Delivery, Document, DocumentKind, State
from gateway.store import Store
from tests.gateway.deliver.test_mllp import (
    PATIENCE_S,
    Serve,
    ack,
    answers,
    message,
    peer,
    read_message,
)
from tests.gateway.storing import digitized, settled

COMMIT = b"\x0b\x06\x1c\r"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(DataSection(folder=tmp_path / "data", reserve_mb=0)) as opened:
        yield opened


@contextmanager
def loop_to(store: Store, serve: Serve, timeout_s: float = 2.0) -> Iterator[DeliveryLoop]:
    backoff = Backoff(first_s=1e-6, ceiling_s=1e-6)
    with peer(serve) as port:
        fields = {"kind": "mllp", "name": "ehr", "host": "127.0.0.1", "port": port, "timeout_s": timeout_s}
        destination = MllpDestination.model_validate({**fields, "backoff": backoff})
        sender = MllpClient(destination)
        yield DeliveryLoop(store, destination, sender)
        sender.close()


def result(name: str = "MSG1") -> Document:
    return Document(DocumentKind.HL7V2, "ehr", name, 1, message(name))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (ack(number=""), "MSA-2 is empty"),
        (ack(number="MSG"), "names another message"),
        (b"\x0bhello\x1c\r", "no HL7 v2 message"),
        (COMMIT, "MLLP release 2"),
    ],
)
def test_an_answer_that_is_no_yes_is_got_three_times_and_then_parked_with_the_reason(
    store: Store, answer: bytes, says: str
) -> None:
    """An EHR that says AA each time must not get three hundred copies."""
    job = settled(store, digitized(result()))
    got: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while received := read_message(connection):
            got.append(received)
            connection.sendall(answer)

    with loop_to(store, serve, timeout_s=0.3) as loop:
        until = time.monotonic() + PATIENCE_S
        while store.job(job).state is not State.HELD and time.monotonic() < until:
            loop.step()
    assert len(got) == 3
    (row,) = store.deliveries(job)
    assert row.state == "parked"
    assert says in row.why
    assert "(tried 3 times)" in row.why


def test_what_the_application_refuses_after_the_commit_answer_shows_in_the_job_and_in_check(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = settled(store, digitized(result()))
    both = ack("CA") + ack("AE", tail="ERR||PID^1^3|204^Unknown\r")
    with loop_to(store, answers(both)) as loop:
        assert loop.step()
        loop.step()
    assert store.job(job).state is State.DELIVERED
    (row,) = store.deliveries(job)
    assert row.response == "MSA|CA|MSG1\nMSA|AE|MSG1; 204 unknown key identifier at PID^1^3"
    assert row.why == "taken (CA), and then the application answered AE: 204 unknown key identifier at PID^1^3"
    monkeypatch.setattr("gateway.commands.check._weights", tuple)
    sections = {"data": {"folder": tmp_path / "data", "reserve_mb": 0}, "dicom_scp": {"port": 0}, "web": {"port": 0}}
    told = [line.text for line in check_all(Config.model_validate(sections), peers=False) if line.what == "advice"]
    assert (
        'destination "ehr": 1 document(s) of the last 7 days were taken (CA), and then its application refused them; '
        "the jobs say why"
    ) in told


def test_stopping_waits_for_no_second_answer_and_loses_none_that_has_come(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """The peer says CA at once and AE to the first of two when asked to; the other AE would take two minutes."""
    jobs = [settled(store, digitized(result(name)), name.encode()) for name in ("MSG1", "MSG2")]
    got: list[bytes] = []
    says, said = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        for name in ("MSG1", "MSG2"):
            got.append(read_message(connection))
            connection.sendall(ack("CA", number=name))
        assert says.wait(PATIENCE_S)
        connection.sendall(ack("AE", number="MSG1"))
        said.set()
        connection.settimeout(PATIENCE_S)
        assert connection.recv(1) == b""  # nothing is sent twice: the gateway hangs up

    with loop_to(store, serve, timeout_s=120.0) as loop:
        loop.start()
        until = time.monotonic() + PATIENCE_S
        while store.job(jobs[1]).state is not State.DELIVERED and time.monotonic() < until:
            time.sleep(0.01)
        with store_that_waits(loop):  # so that the answer comes after the last step before the stop
            says.set()
            assert said.wait(PATIENCE_S)
            loop.halt()
        began = time.monotonic()
        loop.stop(PATIENCE_S)
        assert time.monotonic() - began < 60  # half of what is listened for
        assert not loop._thread.is_alive()
    assert [store.job(job_id).state for job_id in jobs] == [State.DELIVERED, State.DELIVERED]
    first, second = (store.deliveries(job_id)[0] for job_id in jobs)
    assert first.response == "MSA|CA|MSG1\nMSA|AE|MSG1"
    assert first.why == "taken (CA), and then the application answered AE"
    assert (second.response, second.why) == ("MSA|CA|MSG2", "")
    assert len(got) == 2
    assert "stopped before its application answered messages that were taken (CA)" in caplog.text
    assert store.claim_delivery("ehr", 1.0) is None
    assert store.verify_audit().ok


@contextmanager
def store_that_waits(loop: DeliveryLoop) -> Iterator[None]:
    """Lets the loop's thread come to its next look for a document, and holds it there."""
    real = loop._store.claim_delivery
    came, goes = threading.Event(), threading.Event()

    def waits(destination: str, lease_s: float) -> Delivery | None:
        came.set()
        goes.wait(PATIENCE_S)
        return real(destination, lease_s)

    with patch.object(loop._store, "claim_delivery", waits):
        assert came.wait(PATIENCE_S)
        yield
        goes.set()
        while loop._thread.is_alive() and not loop._stopping.is_set():
            time.sleep(0.01)


def test_loops_are_stopped_together(store: Store) -> None:
    """Each has a document in flight whose peer says nothing: the stop waits for all of them at once."""
    names = ("a", "b", "c")
    documents = [Document(DocumentKind.HL7V2, name, f"MSG{name}", 1, message(f"MSG{name}")) for name in names]
    settled(store, digitized(*documents))
    hang = threading.Event()
    taken = threading.Semaphore(0)

    class Hangs:
        def send(self, document: Document) -> Delivered:
            taken.release()
            hang.wait(PATIENCE_S)
            raise TryAgain("timeout", "no answer")

        def close(self) -> None:
            pass

    section = {"kind": "mllp", "host": "127.0.0.1", "port": 1}
    loops = [DeliveryLoop(store, MllpDestination.model_validate({**section, "name": name}), Hangs()) for name in names]
    for loop in loops:
        loop.start()
    for _ in names:
        assert taken.acquire(timeout=PATIENCE_S)
    waited: list[float] = []
    with patch.object(threading.Thread, "join", lambda thread, timeout: waited.append(timeout) or time.sleep(timeout)):
        stop_all(loops, 0.3)
    assert sum(waited) < 2 * 0.3
    hang.set()
    for loop in loops:
        loop._thread.join(PATIENCE_S)
