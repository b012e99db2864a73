"""Takes one job through: unpack, digitize, route, emit, settle."""

from __future__ import annotations

import hashlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gateway.config import Config
from gateway.disposition.decide import (
    OF_A_READING,
    Disposition,
    ReviewedDocument,
    ReviewedPage,
    as_identified,
    decide,
    not_opened,
    reviewed_page,
)
from gateway.disposition.read_page import read_page
from gateway.disposition.reasons import sentence, why
from gateway.disposition.rules import Action
from gateway.emit import npz
from gateway.emit.plan import documents_for, wants_thumbnails
from gateway.emit.thumbnail import thumbnail_png
from gateway.errors import Held, LostLease, Refused, TryAgain
from gateway.identity.order import Order
from gateway.job import Claim, Document, Job, Outcome, PageResult, Reading, State, Verdict
from gateway.review import NO_REVIEW, Digitize, PageReview
from gateway.store import Store
from gateway.unpack import Unpacked, unpack

log = logging.getLogger(__name__)

STATE_OF = {Action.SEND: State.DIGITIZED, Action.HOLD: State.HELD, Action.REFUSE: State.REFUSED}


class Stopped(BaseException):
    """The gateway stops and does not wait for the page in work. Not an Exception: nothing on the way may swallow it."""


@dataclass(frozen=True, eq=False)
class ReadPage:
    """A page of the document with what was said of this very reading, and its picture for reports."""

    reviewed: ReviewedPage
    thumbnail_png: bytes = b""  # where a destination gets reports


class Worker:
    """Claims jobs and settles them, one at a time. digitize comes from outside."""

    def __init__(self, name: str, config: Config, store: Store, digitize: Digitize, made_by: str) -> None:
        self.name = name
        self.config = config
        self.store = store
        self.digitize = digitize
        self.made_by = made_by
        self.with_thumbnails = wants_thumbnails(config)

    def run(self, stop: Callable[[], bool], pause: Callable[[float], object]) -> None:
        """Works until stop() says so; pause(seconds) sleeps between empty looks at the queue."""
        while not stop():
            if not self.work_once():
                pause(self.config.worker.poll_s)

    def work_once(self) -> bool:
        """Takes the next job through. False when nothing waits, or the world is not ready for it."""
        settings = self.config.worker
        try:
            claim = self.store.claim(self.name, settings.lease_s, settings.attempts_max)
        except TryAgain as error:
            log.warning("no job can be claimed: %s", error.code)
            return False
        return claim is not None and self._work_on(claim)

    def _work_on(self, claim: Claim) -> bool:
        job_id = claim.job.job_id
        try:
            with self._lease_kept(claim):
                outcome = self._outcome(claim.job)
                self._settle(claim, outcome)
            log.info("job %s: %s %s", job_id, outcome.state, outcome.code)
        except LostLease:
            log.warning("job %s: the lease was lost, another worker has it", job_id)
        except TryAgain as error:  # the disk is full, say: the page keeps waiting and costs no attempt
            log.warning("job %s: %s", job_id, error.code)
            self._give_back(claim)
            return False
        except Stopped:  # the page is not at fault: it waits for the next worker and costs no attempt
            self._give_back(claim)
            raise
        return True

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        try:
            self.store.settle(claim, outcome)
        except (LostLease, TryAgain):
            raise
        except Exception as error:  # noqa: BLE001  our fault again: the outcome cannot be kept, but the page is
            self.store.settle(claim, self._our_fault(claim.job, error))

    def _give_back(self, claim: Claim) -> None:
        try:
            self.store.release(claim)
        except (LostLease, TryAgain) as error:  # then the lease runs out by itself
            log.warning("job %s: not given back, %s", claim.job.job_id, error)

    def _outcome(self, job: Job) -> Outcome:
        """What became of a job; every failure that is not the world's becomes a state with its reason."""
        try:
            return self.take_through(job)
        except Refused as error:
            state = STATE_OF[not_opened(error.code, error.why).action]
            return Outcome(state, error.code, error.why, made_by=self.made_by)
        except Held as error:
            return Outcome(State.HELD, error.code, error.why, made_by=self.made_by)
        except TryAgain:
            raise
        except Exception as error:  # noqa: BLE001  our fault: the job waits for a person, the process lives
            return self._our_fault(job, error)

    def _our_fault(self, job: Job, error: Exception) -> Outcome:
        """Tells the log where, but not the error's own words: they may quote a patient."""
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("job %s: our fault, %s\n%s", job.job_id, type(error).__name__, frames)
        why = f"An error of the gateway itself ({type(error).__name__}); the log has the details."
        return Outcome(State.HELD, "our_fault", why, made_by=self.made_by)

    def take_through(self, job: Job) -> Outcome:
        """Raises Refused, Held and TryAgain; anything else that escapes is the gateway's own fault."""
        unpacked = unpack(self._bytes_of(job), job.arrival, self.config.limits, self.config.identity)
        order = job.arrival.order or unpacked.order
        reviews = self.store.reviews.of(job.job_id)
        kept = self._kept(job, reviews)
        pages = [
            self._again(kept[number], reviews[number], unpacked, order)
            if number in kept
            else self._read(number, unpacked, reviews.get(number, NO_REVIEW))
            for number in range(1, unpacked.page_count + 1)
        ]
        document = ReviewedDocument(
            job.arrival,
            job.received_at,
            order,
            tuple(page.reviewed for page in pages),
            self.store.reviews.identified_by(job.job_id),
            self.store.reviews.identity_is_unseen(job.job_id),
        )
        disposition = decide(self.config, document)
        results = tuple(self._settled(page.reviewed, disposition) for page in pages)
        if disposition.action is not Action.SEND:
            state = STATE_OF[disposition.action]
            reason = why(self.config, disposition.reasons)
            # of a refused document nothing was read that it could be the order of
            read_order = order if disposition.routes or state is State.HELD else None
            return Outcome(state, disposition.reasons[0].code, reason, results, order=read_order, made_by=self.made_by)
        try:
            documents = tuple(self._documents(job, order, pages, disposition))
        except (Held, Refused) as error:  # Refused by an emitter: what was read cannot be written as asked
            return Outcome(State.HELD, error.code, error.why, results, order=order, made_by=self.made_by)
        return Outcome(State.DIGITIZED, "", "", results, documents, order, self.made_by)

    def _bytes_of(self, job: Job) -> Path:
        """Raises TryAgain where the data folder is not there, as on a share that is not mounted."""
        path = self.store.content(job)
        if not path.exists():
            raise TryAgain("object_missing", "The received bytes are not in the data folder; is it mounted?")
        return path

    def _kept(self, job: Job, reviews: Mapping[int, PageReview]) -> dict[int, PageResult]:
        """The pages that a person let go as they were read, or go without: these are not digitized again."""
        if not any(review.approved_sha256 or review.left_out_by for review in reviews.values()):
            return {}
        before = {page.number: page for page in self.store.pages(job.job_id)}
        return {
            number: before[number]
            for number, review in reviews.items()
            if number in before and (review.left_out_by or _is_approved(before[number], review))
        }

    def _again(self, kept: PageResult, review: PageReview, unpacked: Unpacked, order: Order) -> ReadPage:
        """A page as it was read before."""
        if kept.recording_npz is None or not _is_approved(kept, review):
            return ReadPage(ReviewedPage(kept, None, review))
        recording = as_identified(npz.from_npz(kept.recording_npz, kept.summary), order)
        thumbnail = thumbnail_png(unpacked.read(kept.number)) if self.with_thumbnails else b""
        return ReadPage(reviewed_page(kept, recording, review), thumbnail)

    def _read(self, number: int, unpacked: Unpacked, review: PageReview) -> ReadPage:
        """One page, decoded and digitized."""
        reading = read_page(number, unpacked, self.digitize, self.config.pipeline.confidence_min, review.correction)
        wanted = self.with_thumbnails and reading.recording is not None and reading.page is not None
        thumbnail = thumbnail_png(reading.page) if wanted and reading.page is not None else b""
        return ReadPage(reviewed_page(reading.result, reading.recording, review), thumbnail)

    def _settled(self, page: ReviewedPage, disposition: Disposition) -> PageResult:
        """The page's result with its verdict: held for the first thing that its own reading is held for."""
        if page.recording is None:
            return page.result
        own = next((r for r in disposition.reasons if r.page == page.number and r.cause in OF_A_READING), None)
        if own is None:
            return replace(page.result, verdict=Verdict.DIGITIZED, code="", why="")
        return replace(page.result, verdict=Verdict.HELD, code=own.code, why=sentence(self.config, own))

    def _documents(
        self, job: Job, order: Order, pages: Sequence[ReadPage], disposition: Disposition
    ) -> Iterator[Document]:
        """Every page for everywhere its rules send it. Raises Held and Refused."""
        now = Reading(datetime.now().astimezone().replace(microsecond=0))
        before = self.store.readings(job.job_id)
        for page in pages:
            recording = page.reviewed.going
            if recording is None:
                continue
            number, approval = page.reviewed.number, page.reviewed.review.approval
            for name in disposition.destinations(number):
                yield from documents_for(
                    self.config, name, job, order, number, recording, now, before, page.thumbnail_png, approval
                )

    @contextmanager
    def _lease_kept(self, claim: Claim) -> Iterator[None]:
        """Renews the lease from a thread while the page is worked on; a lost lease shows when the job is settled."""
        done = threading.Event()
        lease_s = self.config.worker.lease_s

        def keep() -> None:
            while not done.wait(lease_s / 3):  # two renewals may fail before the lease runs out
                try:
                    self.store.heartbeat(claim, lease_s)
                except LostLease:
                    return
                except TryAgain as error:
                    log.warning("job %s: lease not renewed, %s", claim.job.job_id, error.code)

        keeper = threading.Thread(target=keep, name="lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()


def _is_approved(page: PageResult, review: PageReview) -> bool:
    """Whether this very recording is the one that was approved."""
    if page.recording_npz is None or not review.approved_sha256:
        return False
    return hashlib.sha256(page.recording_npz).hexdigest() == review.approved_sha256
