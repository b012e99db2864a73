"""Empties one destination's outbox: in order, one in flight, backing off, and parking aloud what will not go."""

from __future__ import annotations

import hashlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gateway.config import Backoff, Destination, DicomDestination, FolderDestination, MllpDestination
from gateway.deliver.dicom_scu import DicomScu
from gateway.deliver.folder import FolderDrop
from gateway.deliver.mllp import MllpClient
from gateway.deliver.sender import AnswersLater, Delivered, Later, Sender
from gateway.errors import GatewayError, LostLease, Refused, TryAgain
from gateway.job import Delivery, Document
from gateway.safe_traceback import frames_of

log = logging.getLogger(__name__)

POLL_S = 1.0  # how long a new document may wait for an idle loop: nobody waits on a second
STORE_TROUBLE_S = 10.0  # between two tries to reach a store that fails, so that the log stays readable
REST_S = 5.0  # an idle connection is put away after this: many peers drop one that rests for 30 s
STOP_S = 5.0  # how long stop() waits for the document in flight; its lease covers what it could not
# A send takes at most 4 timeouts (to connect, and three on the wire); a lease that ran out sends the document twice.
LEASE_TIMEOUTS = 5
LEASE_LEAST_S = 60.0
TAKEN_MAX = 1000  # documents taken lately, of which the destination may still say something


class Outbox(Protocol):
    """What the loop needs of the store."""

    def claim_delivery(self, destination: str, lease_s: float) -> Delivery | None:
        """The oldest document that is due, None where none is or where one is in flight."""

    def delivered(self, delivery: Delivery, response: str, answer: str = "") -> None:
        """The destination took it. answer: what it said, as codes, for the audit."""

    def postpone(self, delivery: Delivery, why: str, wait_s: float, code: str = "", answer: str = "") -> None:
        """Not now; again after wait_s, before anything younger."""

    def park(self, delivery: Delivery, code: str, why: str, answer: str = "") -> None:
        """Not without a person."""

    def answered_later(self, delivery: Delivery, answer: str, note: str) -> None:
        """What the destination said of a document after it had taken it. note: for a person, "" for nothing wrong."""

    def object_path(self, sha256: str) -> Path:
        """The file with these bytes."""


class DeliveryLoop:
    """One thread for one destination, so that a destination that is down blocks no other.

    A document ends delivered, or parked with the reason: refused by the destination, tried backoff.attempts_max
    times, or our own fault. In between the store holds it back until its next try is due, and what is younger with it.
    """

    def __init__(
        self,
        store: Outbox,
        destination: Destination,
        sender: Sender,
        *,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.destination = destination
        self._store = store
        self._sender = sender
        self._draw = draw
        self._clock = clock
        self._busy_at = clock()
        self._bounded = (-1, 0)  # the delivery that failed with a tighter bound last, and how often
        self._taken: dict[str, Delivery] = {}  # by the document's name
        self._unwritten: list[Later] = []  # kept while the store does not answer
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"deliver {destination.name}", daemon=True)

    @property
    def lease_s(self) -> float:
        """Longer than a send can take."""
        timeout_s = 0.0 if isinstance(self.destination, FolderDestination) else self.destination.timeout_s
        return LEASE_LEAST_S + LEASE_TIMEOUTS * timeout_s

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Something may be due: look now instead of at the next second."""
        self._due.set()

    def halt(self) -> None:
        """No further document. Returns at once."""
        self._stopping.set()
        self._due.set()

    def stop(self, wait_s: float = STOP_S) -> None:
        """No further document; waits for the one in flight, but not for ever, and not for a second answer.

        A document that got CA is delivered: what has come of its second answer by now is written down.
        """
        self.halt()
        if self._thread.is_alive():
            self._thread.join(wait_s)
            if self._thread.is_alive():
                log.warning("destination %s: stopped with a document in flight", self.destination.name)

    def step(self) -> bool:
        """Tries the next document that is due. False where none is.

        Raises what the store raises. The document is then tried again when its lease has run out, which is harmless:
        it goes out under the same name.
        """
        self._take_later_answers()
        delivery = self._store.claim_delivery(self.destination.name, self.lease_s)
        if delivery is None:
            self._rest()
            return False
        self._record(delivery, self._send(delivery))
        self._take_later_answers()
        self._busy_at = self._clock()
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_s = self._step_and_wait_s()
            if wait_s:
                self._due.wait(wait_s)
                self._due.clear()
        self._take_last_answers()
        self._sender.close()

    def _step_and_wait_s(self) -> float:
        """One step; whatever the store does, the loop lives."""
        name = self.destination.name
        try:
            return 0.0 if self.step() else POLL_S
        except LostLease:
            log.warning("destination %s: the lease ran out while a document was in flight", name)
        except TryAgain as error:
            log.warning("destination %s: the store is not to be reached: %s", name, error.code)
        except Exception as error:  # noqa: BLE001 - logged below, without its text
            log.error("destination %s: the store failed\n%s", name, frames_of(error))
        return STORE_TROUBLE_S

    def _rest(self) -> None:
        """Puts an idle connection away, unless a second answer is still waited for on it."""
        listening = isinstance(self._sender, AnswersLater) and self._sender.is_listening
        if self._clock() - self._busy_at >= REST_S and not listening:
            self._sender.close()

    def _take_later_answers(self) -> None:
        """Writes down what the destination said of documents that it had taken. Raises what the store raises."""
        if isinstance(self._sender, AnswersLater):
            self._unwritten += self._sender.later()
        while self._unwritten:
            self._write_down(self._unwritten[0])
            del self._unwritten[0]

    def _take_last_answers(self) -> None:
        name = self.destination.name
        try:
            self._take_later_answers()
        except (GatewayError, OSError) as error:
            log.warning("destination %s: its last answers are not written down: %s", name, error)
        if isinstance(self._sender, AnswersLater) and self._sender.is_listening:
            log.warning("destination %s: stopped before its application answered messages that were taken (CA)", name)

    def _write_down(self, later: Later) -> None:
        delivery = self._taken.get(later.name)
        if delivery is None:
            return
        self._store.answered_later(delivery, later.answer, later.note)
        if later.note:
            name, number = self.destination.name, delivery.delivery_id
            line = "destination %s: delivery %d of job %s: %s"
            log.warning(line, name, number, delivery.job_id, later.note)

    def _send(self, delivery: Delivery) -> Delivered | TryAgain | Refused:
        try:
            return self._sender.send(self._document(delivery))
        except (TryAgain, Refused) as error:
            return error
        except Exception as error:  # noqa: BLE001 - our fault: this document waits for a person, the next may go
            name, number = self.destination.name, delivery.delivery_id
            log.error("destination %s: delivery %d: our fault\n%s", name, number, frames_of(error))
            self._sender.close()
            why = f"an error of the gateway itself ({type(error).__name__}); the log has the details"
            return Refused("our_fault", why)

    def _document(self, delivery: Delivery) -> Document:
        """The document as it was stored. Refused where the bytes are not those any more."""
        try:
            data = self._store.object_path(delivery.sha256).read_bytes()
        except FileNotFoundError as error:
            raise Refused("document_lost", "the document's bytes are missing from the data folder") from error
        if hashlib.sha256(data).hexdigest() != delivery.sha256:
            raise Refused("document_damaged", "the document's bytes in the data folder have changed")
        return Document(delivery.kind, delivery.destination, delivery.name, delivery.page, data)

    def _record(self, delivery: Delivery, answer: Delivered | TryAgain | Refused) -> None:
        name, number = self.destination.name, delivery.delivery_id
        if isinstance(answer, Delivered):
            self._store.delivered(delivery, answer.response, answer.response)
            self._remember(delivery)
            log.info("destination %s: delivery %d of job %s: delivered", name, number, delivery.job_id)
            return
        tries = delivery.attempts + 1
        if isinstance(answer, TryAgain) and not self._exhausted(delivery, answer):
            wait_s = wait_before(tries, self.destination.backoff, self._draw())
            self._store.postpone(delivery, f"{answer.code}: {answer.why}", wait_s, answer.code, answer.answer)
            log.warning("destination %s: delivery %d: %s, again in %.0f s", name, number, answer.code, wait_s)
            return
        why = f"{answer.why} (tried {tries} times)" if isinstance(answer, TryAgain) else answer.why
        self._store.park(delivery, answer.code, why, answer.answer)
        log.error("destination %s: delivery %d of job %s: parked, %s", name, number, delivery.job_id, answer.code)

    def _remember(self, delivery: Delivery) -> None:
        self._taken[delivery.name] = delivery
        if len(self._taken) > TAKEN_MAX:
            del self._taken[next(iter(self._taken))]

    def _exhausted(self, delivery: Delivery, error: TryAgain) -> bool:
        """Whether this was the last try: of all, or of those that failed with an error of a tighter bound.

        The latter are counted here and not in the store: an hour without a network before it must not take from the
        three tries that an AE is worth, and a restart that forgets the count only adds as many.
        """
        if delivery.attempts + 1 >= self.destination.backoff.attempts_max:
            return True
        if error.attempts_max is None:
            return False
        last, count = self._bounded
        self._bounded = (delivery.delivery_id, count + 1 if last == delivery.delivery_id else 1)
        return self._bounded[1] >= error.attempts_max


def stop_all(loops: Sequence[DeliveryLoop], wait_s: float = STOP_S) -> None:
    """Stops loops, and waits for the documents in flight of all of them together."""
    for loop in loops:
        loop.halt()
    until = time.monotonic() + wait_s
    for loop in loops:
        loop.stop(max(0.0, until - time.monotonic()))


def wait_before(failed: int, backoff: Backoff, drawn: float) -> float:
    """Seconds to wait after so many failed tries: exponential up to the ceiling, times a draw from 0..1 (full jitter).

    Jitter keeps many gateways from knocking together at a PACS that has just come up.
    """
    steps = failed - 1
    # by logarithms, for a float to the power of some hundred tries overflows
    if steps * math.log(backoff.factor) >= math.log(backoff.ceiling_s / backoff.first_s):
        return drawn * backoff.ceiling_s
    return drawn * backoff.first_s * backoff.factor**steps


def make_sender(destination: Destination) -> Sender:
    """The way out that a destination is configured for."""
    match destination:
        case DicomDestination():
            return DicomScu(destination)
        case MllpDestination():
            return MllpClient(destination)
        case FolderDestination():
            return FolderDrop(destination)
