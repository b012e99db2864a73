"""From a peer's odd answer over MLLP to what a person sees of it: the delivery, the job, the audit, check."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.check import check_all
from gateway.config import Backoff, Config, DataSection, MllpDestination
from gateway.deliver.mllp import MllpClient
from gateway.deliver.queue import DeliveryLoop
from gateway.job import Document, DocumentKind, State
from gateway.store import Store
from tests.gateway.storing import digitized, settled
from tests.gateway.test_deliver_mllp import PATIENCE_S, Serve, ack, answers, message, peer, read_message

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
    monkeypatch.setattr("gateway.check._weights", tuple)
    sections = {"data": {"folder": tmp_path / "data", "reserve_mb": 0}, "dicom_scp": {"port": 0}, "web": {"port": 0}}
    told = [line.words for line in check_all(Config.model_validate(sections), peers=False) if line.what == "advice"]
    assert (
        'destination "ehr": 1 document(s) of the last 7 days were taken (CA), and then its application refused them; '
        "the jobs say why"
    ) in told
