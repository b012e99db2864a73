"""The delivery loop on the real store: order, back-off, parking, our own faults, and destinations that do not meet."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from gateway.config import Backoff, DicomDestination, FolderDestination, MllpDestination
from gateway.deliver.dicom_scu import DicomScu
from gateway.deliver.folder import FolderDrop
from gateway.deliver.mllp import MllpClient
from gateway.deliver.queue import REST_S, DeliveryLoop, make_sender, wait_before
from gateway.deliver.sender import Delivered, Later
from gateway.errors import LostLease, Refused, TryAgain
from gateway.job import Delivery, Document, DocumentKind, State
from gateway.store import Store
from tests.gateway.storing import delivery_states, digitized, document, settled

NO_WAIT = Backoff(first_s=1e-6, ceiling_s=1e-6, attempts_max=5)


def folder(name: str = "pacs", backoff: Backoff = NO_WAIT) -> FolderDestination:
    return FolderDestination(kind="folder", name=name, folder=Path("nowhere"), backoff=backoff)


class Scripted:
    """A sender that gives its answers in turn, and says yes when they have run out."""

    def __init__(self, *answers: Exception | str | Callable[[], None]) -> None:
        self.answers = list(answers)
        self.sent: list[Document] = []
        self.closed = 0

    def send(self, document: Document) -> Delivered:
        self.sent.append(document)
        answer = self.answers.pop(0) if self.answers else "yes"
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer()
            return Delivered("yes")
        return Delivered(answer)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def loop_for(store: Store) -> Iterator[Callable[..., DeliveryLoop]]:
    made: list[DeliveryLoop] = []

    def make(sender: Any, destination: Any = None, **options: Any) -> DeliveryLoop:
        made.append(DeliveryLoop(store, destination or folder(), sender, **options))
        return made[-1]

    yield make
    for loop in made:
        loop.stop()


def run_dry(loop: DeliveryLoop, steps_max: int = 50) -> int:
    """Steps until nothing is due, and how many there were."""
    for steps in range(steps_max):
        if not loop.step():
            return steps
    raise AssertionError("the queue does not run dry")


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


def reason(store: Store, job_id: str) -> tuple[str, str]:
    job = store.job(job_id)
    return job.code, job.why


def test_documents_go_out_in_order_with_their_bytes_and_names(
    store: Store, loop_for: Callable[..., DeliveryLoop]
) -> None:
    jobs = [settled(store, digitized(document(name=f"2.25.{n}", data=b"%d" % n)), b"page %d" % n) for n in range(3)]
    sender = Scripted()
    assert run_dry(loop_for(sender)) == 3
    assert [(d.name, d.data, d.destination, d.kind) for d in sender.sent] == [
        (f"2.25.{n}", b"%d" % n, "pacs", DocumentKind.DICOM_WAVEFORM) for n in range(3)
    ]
    assert all(store.job(job).state is State.DELIVERED for job in jobs)


def test_a_passing_no_is_tried_again_before_anything_younger(
    store: Store, loop_for: Callable[..., DeliveryLoop]
) -> None:
    for n in range(2):
        settled(store, digitized(document(name=f"2.25.{n}")), b"page %d" % n)
    sender = Scripted(TryAgain("timeout", "no answer"), TryAgain("timeout", "no answer"))
    assert run_dry(loop_for(sender)) == 4
    assert [d.name for d in sender.sent] == ["2.25.0", "2.25.0", "2.25.0", "2.25.1"]


def test_the_audit_tells_of_every_try_what_was_answered_in_codes(
    store: Store, loop_for: Callable[..., DeliveryLoop]
) -> None:
    job_id = settled(store, digitized(document(name="2.25.0")), b"a")
    error = TryAgain("peer_error", "the peer answered AE: 207", answer="MSA|AE|MSG1; 207 application internal error")
    sender = Scripted(TryAgain("timeout", "no answer"), error, "MSA|AA|MSG1")
    assert run_dry(loop_for(sender)) == 3
    store.resend(job_id, "rita")
    assert run_dry(loop_for(Scripted(Refused("peer_rejected", "no", "MSA|AR|MSG1")))) == 1
    tries = [e for e in store.audit_queries.job_audit(job_id) if e.kind in ("postponed", "delivered", "parked")]
    assert [(e.kind, e.detail.get("code"), e.detail.get("answer")) for e in tries] == [
        ("postponed", "timeout", None),
        ("postponed", "peer_error", "MSA|AE|MSG1; 207 application internal error"),
        ("delivered", None, "MSA|AA|MSG1"),
        ("parked", "peer_rejected", "MSA|AR|MSG1"),
    ]
    assert store.verify_audit().ok


def test_a_waiting_head_holds_back_what_is_younger(store: Store, loop_for: Callable[..., DeliveryLoop]) -> None:
    for n in range(2):
        settled(store, digitized(document(name=f"2.25.{n}")), b"page %d" % n)
    sender = Scripted(TryAgain("timeout", "no answer"))
    loop = loop_for(sender, folder(backoff=Backoff(first_s=100, ceiling_s=100)), draw=lambda: 1.0)
    assert run_dry(loop) == 1
    assert [d.name for d in sender.sent] == ["2.25.0"]


def test_after_the_last_try_it_is_parked_with_the_reason_and_the_next_one_goes(
    store: Store, loop_for: Callable[..., DeliveryLoop], caplog: pytest.LogCaptureFixture
) -> None:
    stuck = settled(store, digitized(document(name="2.25.0")), b"a")
    next_one = settled(store, digitized(document(name="2.25.1")), b"b")
    sender = Scripted(*[TryAgain("timeout", "no answer")] * 5)
    assert run_dry(loop_for(sender)) == 6
    assert delivery_states(store, stuck) == {"pacs": "parked"}
    assert store.job(stuck).state is State.HELD
    assert reason(store, stuck)[0] == "timeout"
    assert "no answer (tried 5 times)" in reason(store, stuck)[1]
    assert store.job(next_one).state is State.DELIVERED
    assert "parked, timeout" in caplog.text


def test_a_refusal_is_parked_at_once(store: Store, loop_for: Callable[..., DeliveryLoop]) -> None:
    job = settled(store, digitized(document()))
    sender = Scripted(Refused("cannot_understand", "the PACS answered C000"))
    assert run_dry(loop_for(sender)) == 1
    assert delivery_states(store, job) == {"pacs": "parked"}
    assert reason(store, job)[0] == "cannot_understand"


def test_a_tighter_bound_counts_only_the_failures_it_is_for(
    store: Store, loop_for: Callable[..., DeliveryLoop]
) -> None:
    job = settled(store, digitized(document()))
    down, error = TryAgain("connection_refused", "down"), TryAgain("peer_error", "AE", attempts_max=2)
    sender = Scripted(down, down, error, down, error)
    assert run_dry(loop_for(sender, folder(backoff=Backoff(first_s=1e-6, ceiling_s=1e-6, attempts_max=50)))) == 5
    assert delivery_states(store, job) == {"pacs": "parked"}
    assert reason(store, job)[0] == "peer_error"


def test_a_tighter_bound_starts_anew_for_every_document(store: Store, loop_for: Callable[..., DeliveryLoop]) -> None:
    jobs = [settled(store, digitized(document(name=f"2.25.{n}")), b"page %d" % n) for n in range(2)]
    error = TryAgain("peer_error", "AE", attempts_max=2)
    run_dry(loop_for(Scripted(error, "yes", error, "yes")))
    assert all(store.job(job).state is State.DELIVERED for job in jobs)


class AnswersTwice(Scripted):
    """Takes every document, and says later what its application makes of it."""

    is_listening = True

    def __init__(self, *said: Later) -> None:
        super().__init__()
        self.said = list(said)

    def later(self) -> list[Later]:
        told, self.said = self.said, []
        return told


def test_what_a_destination_says_after_its_yes_stands_beside_the_delivery_and_in_the_audit(
    store: Store, loop_for: Callable[..., DeliveryLoop], caplog: pytest.LogCaptureFixture
) -> None:
    job = settled(store, digitized(document("pacs", "A")))
    sender = AnswersTwice()
    loop = loop_for(sender)
    assert loop.step()
    sender.said = [Later("A", "MSA|AE|A; 204", "taken (CA), and then the application answered AE: 204")]
    assert not loop.step()
    (row,) = store.deliveries(job)
    assert (row.state, row.response, row.why) == (
        "delivered",
        "yes\nMSA|AE|A; 204",
        "taken (CA), and then the application answered AE: 204",
    )
    assert store.job(job).state is State.DELIVERED
    last = store.audit_queries.job_audit(job)[-1]
    assert (last.kind, last.detail["answer"], last.detail["state"]) == ("answered_later", "MSA|AE|A; 204", "delivered")
    assert store.objected_counts(7) == {"pacs": 1}
    assert store.verify_audit().ok
    assert "the application answered AE" in caplog.text


def test_a_later_answer_waits_for_a_store_that_fails_and_for_no_document_that_waits_again(
    store: Store, loop_for: Callable[..., DeliveryLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = settled(store, digitized(document("pacs", "A")))
    sender = AnswersTwice()
    loop = loop_for(sender)
    assert loop.step()
    sender.said = [Later("A", "MSA|AA|A", ""), Later("unknown", "MSA|AE|x", "x")]
    with monkeypatch.context() as broken:
        broken.setattr(store, "answered_later", Mock(side_effect=TryAgain("database_busy", "locked")))
        with pytest.raises(TryAgain):
            loop.step()
    assert not loop.step()
    assert store.deliveries(job)[0].response == "yes\nMSA|AA|A"
    assert store.objected_counts(7) == {}


def test_a_connection_on_which_a_second_answer_is_due_is_not_put_away(
    loop_for: Callable[..., DeliveryLoop],
) -> None:
    sender = AnswersTwice()
    loop = loop_for(sender, clock=iter((0.0, REST_S, REST_S + 1)).__next__)
    loop.step()
    assert sender.closed == 0
    sender.is_listening = False
    loop.step()
    assert sender.closed == 1


def test_our_own_fault_is_parked_logged_and_lets_the_next_one_go(
    store: Store, loop_for: Callable[..., DeliveryLoop], caplog: pytest.LogCaptureFixture
) -> None:
    broken = settled(store, digitized(document(name="2.25.0")), b"a")
    fine = settled(store, digitized(document(name="2.25.1")), b"b")
    sender = Scripted(ZeroDivisionError("Muster^Eva"))
    assert run_dry(loop_for(sender)) == 2
    assert reason(store, broken)[0] == "our_fault"
    assert "ZeroDivisionError" in reason(store, broken)[1]
    assert "Muster" not in reason(store, broken)[1]
    assert store.job(fine).state is State.DELIVERED
    assert sender.closed == 1
    assert "in run_dry" in caplog.text or "in send" in caplog.text
    assert "builtins.ZeroDivisionError" in caplog.text
    assert "Muster" not in caplog.text


def test_bytes_that_changed_on_disk_are_not_sent(store: Store, loop_for: Callable[..., DeliveryLoop]) -> None:
    job = settled(store, digitized(document(data=b"waveform")))
    path = store.object_path(hashlib.sha256(b"waveform").hexdigest())
    path.chmod(0o600)
    path.write_bytes(b"wavefarm")
    sender = Scripted()
    run_dry(loop_for(sender))
    assert (sender.sent, reason(store, job)[0]) == ([], "document_damaged")


def test_bytes_that_are_gone_are_told(store: Store, loop_for: Callable[..., DeliveryLoop]) -> None:
    job = settled(store, digitized(document(data=b"waveform")))
    store.object_path(hashlib.sha256(b"waveform").hexdigest()).unlink()
    run_dry(loop_for(Scripted()))
    assert reason(store, job)[0] == "document_lost"


def test_a_destination_that_hangs_blocks_no_other(store: Store, loop_for: Callable[..., DeliveryLoop]) -> None:
    job = settled(store, digitized(document("pacs"), document("ehr", name="2.25.2")))
    hang = threading.Event()
    loops = [loop_for(Scripted(lambda: hang.wait(20)), folder("pacs")), loop_for(Scripted(), folder("ehr"))]
    for loop in loops:
        loop.start()
    try:
        wait_until(lambda: delivery_states(store, job)["ehr"] == "delivered")
        assert delivery_states(store, job)["pacs"] != "delivered"
    finally:
        hang.set()
    wait_until(lambda: store.job(job).state is State.DELIVERED)


def test_the_thread_delivers_what_comes_later_and_stops_promptly(
    store: Store, loop_for: Callable[..., DeliveryLoop]
) -> None:
    sender = Scripted(TryAgain("timeout", "no answer"))
    loop = loop_for(sender)
    loop.start()
    job = settled(store, digitized(document()))
    wait_until(lambda: store.job(job).state is State.DELIVERED)
    start = time.monotonic()
    loop.stop()
    assert time.monotonic() - start < 10
    assert sender.closed >= 1
    assert not loop._thread.is_alive()
    late = settled(store, digitized(document(name="2.25.9")), b"late")
    assert store.job(late).state is State.DIGITIZED


def test_stop_does_not_wait_for_ever(
    store: Store, loop_for: Callable[..., DeliveryLoop], caplog: pytest.LogCaptureFixture
) -> None:
    settled(store, digitized(document()))
    hang, started = threading.Event(), threading.Event()

    def dawdle() -> None:
        started.set()
        hang.wait(60)

    loop = loop_for(Scripted(dawdle))
    loop.start()
    assert started.wait(10)
    start = time.monotonic()
    loop.stop(0.1)
    assert time.monotonic() - start < 20
    assert "stopped with a document in flight" in caplog.text
    hang.set()


def test_waking_looks_at_once(
    loop_for: Callable[..., DeliveryLoop], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.deliver.queue.POLL_S", 60.0)
    loop = loop_for(Scripted())
    loop.start()
    time.sleep(0.1)
    job = settled(store, digitized(document()))
    loop.wake()
    wait_until(lambda: store.job(job).state is State.DELIVERED)


def test_an_idle_connection_is_put_away(loop_for: Callable[..., DeliveryLoop]) -> None:
    now = 100.0
    sender = Scripted()
    loop = loop_for(sender, clock=lambda: now)
    loop.step()
    assert sender.closed == 0
    now += REST_S
    loop.step()
    assert sender.closed == 1


def a_delivery(path: Path) -> Delivery:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    now = datetime(2024, 1, 31, tzinfo=UTC)
    return Delivery(7, "job", "token", "pacs", DocumentKind.AECG, "2.25.1", 1, sha256, 0, now)


class BrokenStore:
    """An outbox with one document whose calls fail in turn."""

    def __init__(self, path: Path, claims: list[Exception | None], closings: list[Exception | None]) -> None:
        self.path, self.claims, self.closings = path, claims, closings
        self.calls: list[str] = []

    def claim_delivery(self, destination: str, lease_s: float) -> Delivery | None:
        self._call("claim", self.claims)
        return a_delivery(self.path) if "delivered" not in self.calls else None

    def delivered(self, delivery: Delivery, response: str, answer: str = "") -> None:
        self._call("", self.closings)
        self.calls.append("delivered")

    def postpone(self, delivery: Delivery, why: str, wait_s: float, code: str = "", answer: str = "") -> None:
        self.calls.append("postpone")

    def park(self, delivery: Delivery, code: str, why: str, answer: str = "") -> None:
        self.calls.append("park")

    def object_path(self, sha256: str) -> Path:
        return self.path

    def _call(self, name: str, failures: list[Exception | None]) -> None:
        failure = failures.pop(0) if failures else None
        if failure is not None:
            raise failure


TROUBLES = [LostLease("gone"), TryAgain("database_busy", "locked"), RuntimeError("the driver died")]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("at", ["claim", "close"])
def test_the_loop_outlives_a_store_that_fails_and_parks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception, at: str
) -> None:
    monkeypatch.setattr("gateway.deliver.queue.STORE_TROUBLE_S", 0.01)
    (tmp_path / "document").write_bytes(b"x")
    store = BrokenStore(tmp_path / "document", [trouble] if at == "claim" else [], [trouble] if at == "close" else [])
    loop = DeliveryLoop(store, folder(), Scripted())
    loop.start()
    wait_until(lambda: store.calls == ["delivered"])
    loop.stop()
    assert store.calls == ["delivered"]
    assert "destination pacs" in caplog.text


def test_the_waits_grow_to_the_ceiling_with_full_jitter() -> None:
    backoff = Backoff(first_s=2, factor=2, ceiling_s=900)
    assert [wait_before(n, backoff, 1.0) for n in (1, 2, 3, 9, 10, 11, 5000)] == [2, 4, 8, 512, 900, 900, 900]
    assert wait_before(3, backoff, 0.25) == 2
    assert wait_before(5000, Backoff(first_s=1e-9, factor=1e9, ceiling_s=1e9), 0.5) == 5e8
    assert wait_before(9, Backoff(first_s=5, factor=1, ceiling_s=900), 1.0) == 5
    assert wait_before(1, Backoff(first_s=50, ceiling_s=10), 1.0) == 10


def test_the_wait_drawn_is_the_wait_stored(store: Store, loop_for: Callable[..., DeliveryLoop]) -> None:
    settled(store, digitized(document()))
    draws = iter([0.0, 0.0, 1.0])
    loop = loop_for(
        Scripted(*[TryAgain("timeout", "x")] * 5), folder(backoff=Backoff(first_s=50)), draw=lambda: next(draws)
    )
    assert run_dry(loop) == 3  # two with no wait, and the third waits


def test_the_lease_outlasts_a_send() -> None:
    slow = MllpDestination(kind="mllp", name="ehr", host="h", port=1, timeout_s=300)
    assert DeliveryLoop(BrokenStore(Path(), [], []), slow, Scripted()).lease_s > 4 * 300


def test_every_kind_of_destination_has_its_sender() -> None:
    dicom = DicomDestination(kind="dicom", name="a", host="h", port=1, called_ae_title="X")
    mllp = MllpDestination(kind="mllp", name="b", host="h", port=1)
    assert isinstance(make_sender(dicom), DicomScu)
    assert isinstance(make_sender(mllp), MllpClient)
    assert isinstance(make_sender(folder()), FolderDrop)


def test_nothing_of_a_document_is_logged(
    store: Store, loop_for: Callable[..., DeliveryLoop], caplog: pytest.LogCaptureFixture
) -> None:
    settled(store, digitized(document(name="SECRETNAME", data=b"SECRETDATA")))
    with caplog.at_level(logging.DEBUG, "gateway"):
        run_dry(loop_for(Scripted(TryAgain("timeout", "SECRETWHY"), Refused("x", "SECRETWHY"))))
    assert "SECRET" not in caplog.text
