"""Pages, outcomes and deliveries for the store's tests, each said in one line."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.identity.order import Order, Patient
from gateway.job import (
    Arrival,
    Claim,
    Delivery,
    Document,
    DocumentKind,
    Door,
    Outcome,
    PageResult,
    State,
    Verdict,
)
from gateway.store import Receipt, Store

LONG_S = 60.0  # a lease that does not run out in a test
SHORT_S = 0.02  # one that does
# Forked, not spawned: a child is at work in milliseconds, so every point of a job's life can be tried.
FORK = multiprocessing.get_context("fork")


def arrival(
    sender: str = "SCANNER", patient_id: str = "4711-0815", issuer: str = "", door: Door = Door.DICOM
) -> Arrival:
    patient = Patient(patient_id=patient_id, issuer=issuer, name="Doe^Jane")
    return Arrival(door, sender, "127.0.0.1", "CARDIOSCAN", "image/png", "page.png", Order(patient=patient))


def receive(store: Store, content: bytes, came: Arrival | None = None) -> Receipt:
    """Stages bytes as a door does and receives them."""
    staged = store.staging / uuid.uuid4().hex
    staged.write_bytes(content)
    return store.receive(staged, came or arrival(), sha256=hashlib.sha256(content).hexdigest())


def claimed(store: Store, lease_s: float = LONG_S, worker: str = "worker-1", attempts_max: int = 2) -> Claim:
    """The next job, which must be there."""
    claim = store.claim(worker, lease_s, attempts_max)
    assert claim is not None
    return claim


def document(destination: str = "pacs", name: str = "2.25.1", data: bytes = b"waveform") -> Document:
    return Document(DocumentKind.DICOM_WAVEFORM, destination, name, 1, data)


DOCUMENTS = (document("pacs", "2.25.1", b"waveform"), document("ehr", "aecg-1", b"<aecg/>"))


def digitized(*documents: Document) -> Outcome:
    page = PageResult(1, Verdict.DIGITIZED, summary='{"layout":"3x4+1"}', recording_npz=b"npz of one page")
    return Outcome(State.DIGITIZED, pages=(page,), documents=documents, made_by='{"version":"0"}')


def held(code: str = "no_patient_id", why: str = "The page came without patient id.") -> Outcome:
    return Outcome(State.HELD, code, why, pages=(PageResult(1, Verdict.HELD, code, why),))


def refused() -> Outcome:
    return Outcome(State.REFUSED, "no_grid", "No grid was found.", pages=(PageResult(1, Verdict.UNREADABLE),))


def settled(store: Store, outcome: Outcome, content: bytes = b"a page") -> str:
    """Receives a page, settles it with this outcome, and returns the job's id."""
    receipt = receive(store, content)
    store.settle(claimed(store), outcome)
    return receipt.job_id


def on_its_way(store: Store, destination: str = "pacs", lease_s: float = LONG_S) -> Delivery:
    """The head of a queue, which must be there."""
    delivery = store.claim_delivery(destination, lease_s)
    assert delivery is not None
    return delivery


def delivery_states(store: Store, job_id: str) -> dict[str, str]:
    """Destination to state, for a job with one document per destination."""
    return {row.destination: str(row.state) for row in store.deliveries(job_id)}


def note(path: Path, line: str) -> None:
    """Adds a line in one write, which the kernel keeps whole even between processes."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def noted(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def in_processes(number: int, work: Callable[..., None], *arguments: Any) -> None:
    """Runs work in so many processes at once; all must succeed."""
    started = [FORK.Process(target=work, args=(*arguments, which)) for which in range(number)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0] * number
