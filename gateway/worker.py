"""Takes one job through: unpack, digitize, route, emit, settle."""

from __future__ import annotations

import hashlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gateway.ahead import keys_ahead
from gateway.config import Config
from gateway.dispatch import documents_for, wants_thumbnails
from gateway.emit import npz
from gateway.emit.thumbnail import thumbnail_png
from gateway.errors import Held, LostLease, Refused, TryAgain
from gateway.job import Claim, Document, Job, Outcome, PageResult, Reading, State, Verdict
from gateway.judging import ahead_in_words, doubts, explained, identity_missing, missing_in_words
from gateway.order import Order
from gateway.review import AWAITS_APPROVAL, NO_REVIEW, Approval, Digitize, PageReview, reviewed
from gateway.rules import Action, Decision, facts_of, route
from gateway.store import Store
from gateway.unpack import Unpacked, unpack
from pipeline.errors import Unreadable
from pipeline.recording import Recording

log = logging.getLogger(__name__)


class Stopped(BaseException):
    """The gateway stops and does not wait for the page in work. Not an Exception: nothing on the way may swallow it."""


@dataclass(frozen=True, eq=False)
class ReadPage:
    """A page of the document, read or not. recording is None exactly where result says why.

    result keeps what was read as it was read; recording is what goes out, with what people said of it.
    """

    result: PageResult
    recording: Recording | None
    thumbnail_png: bytes = b""  # for reports, where a destination gets any
    approval: Approval | None = None  # of this very reading


class Worker:
    """Claims jobs and settles them, one at a time. digitize comes from outside: only app.py knows the pipeline."""

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
            return Outcome(State.REFUSED, error.code, error.why, made_by=self.made_by)
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
        said = self.store.reviews.of(job.job_id)
        kept = self._kept(job, said)
        pages = [
            self._again(kept[number], said[number], unpacked)
            if number in kept
            else self._read(number, unpacked, said.get(number, NO_REVIEW))
            for number in range(1, unpacked.page_count + 1)
        ]
        results = tuple(page.result for page in pages)
        read = [(page, page.recording) for page in pages if page.recording is not None]
        if not read:
            return self._nothing_read(results)
        stopped = self._first_to_hold(results, said)
        if stopped is not None:
            missing = [missing_in_words(key) for key in identity_missing(self.config, order)]
            ahead = map(ahead_in_words, keys_ahead(order, job.received_at))
            why = f"Page {stopped.number}: {stopped.why.removesuffix('.')}."
            return self._held(stopped.code, " ".join([why, *missing, *ahead]), results, order)
        try:
            self._require_identity(order)
            self._require_past(order, job)
            self._require_four_eyes(job)
            return self._sent(job, order, read, results)
        except (Held, Refused) as error:  # Refused by an emitter: what was read cannot be written as asked
            return self._held(error.code, error.why, results, order)

    def _bytes_of(self, job: Job) -> Path:
        """Raises TryAgain where the data folder is not there, as on a share that is not mounted."""
        path = self.store.content(job)
        if not path.exists():
            raise TryAgain("object_missing", "The received bytes are not in the data folder; is it mounted?")
        return path

    def _kept(self, job: Job, said: Mapping[int, PageReview]) -> dict[int, PageResult]:
        """The pages that a person let go as they were read, or go without: these are not digitized again."""
        if not any(review.approved_sha256 or review.left_out_by for review in said.values()):
            return {}
        before = {page.number: page for page in self.store.pages(job.job_id)}
        return {
            number: before[number]
            for number, review in said.items()
            if number in before and (review.left_out_by or _is_approved(before[number], review))
        }

    def _again(self, kept: PageResult, review: PageReview, unpacked: Unpacked) -> ReadPage:
        """A page as it was read before."""
        if kept.recording_npz is None or not _is_approved(kept, review):
            return ReadPage(kept, None)
        recording = reviewed(npz.from_npz(kept.recording_npz, kept.summary), review)
        result = replace(kept, verdict=Verdict.DIGITIZED, code="", why="")
        thumbnail = thumbnail_png(unpacked.read(kept.number)) if self.with_thumbnails else b""
        return ReadPage(result, recording, thumbnail, review.approval)

    def _read(self, number: int, unpacked: Unpacked, review: PageReview) -> ReadPage:
        """One page, decoded and digitized. A damaged page is that page's verdict, not the document's."""
        try:
            page = unpacked.read(number)
            recording = explained(self.config, self.digitize(page, review.given))
        except Unreadable as error:
            verdict = Verdict.NOT_AN_ECG if error.code == "not_an_ecg" else Verdict.UNREADABLE
            return ReadPage(PageResult(number, verdict, error.code, error.why, given=review.given), None)
        except Refused as error:
            return ReadPage(PageResult(number, Verdict.UNREADABLE, error.code, error.why, given=review.given), None)
        verdict, code, why = self._judge(recording, review)
        summary, data = npz.summary_json(recording), npz.to_npz(recording)
        result = PageResult(number, verdict, code, why, summary, data, review.given)
        going = reviewed(recording, replace(review, approved_sha256=""))  # what was approved was another reading
        return ReadPage(result, going, thumbnail_png(page) if self.with_thumbnails else b"")

    def _judge(self, recording: Recording, review: PageReview) -> tuple[Verdict, str, str]:
        doubt = next(doubts(self.config, recording), None)
        if doubt is not None:
            return Verdict.HELD, doubt.code, doubt.why
        if review.changed:
            why = "A person changed how this page is read; what came of it must be looked at and approved."
            return Verdict.HELD, AWAITS_APPROVAL, why
        return Verdict.DIGITIZED, "", ""

    def _nothing_read(self, results: tuple[PageResult, ...]) -> Outcome:
        first = next((r for r in results if r.verdict == Verdict.UNREADABLE), results[0] if results else None)
        if first is None:
            return Outcome(State.REFUSED, "no_pages", "The document has no page.", made_by=self.made_by)
        why = f"Page {first.number}: {first.why}"
        return Outcome(State.REFUSED, first.code, why, results, made_by=self.made_by)

    def _first_to_hold(self, results: tuple[PageResult, ...], said: Mapping[int, PageReview]) -> PageResult | None:
        """A document goes out whole or waits whole: one doubtful ECG page holds the others, a cover sheet does not.

        Nor does a page that a person said the document goes without.
        """
        stopping = (r for r in results if r.verdict in (Verdict.HELD, Verdict.UNREADABLE))
        return next((r for r in stopping if not said.get(r.number, NO_REVIEW).left_out_by), None)

    def _held(self, code: str, why: str, results: tuple[PageResult, ...], order: Order) -> Outcome:
        return Outcome(State.HELD, code, why, results, order=order, made_by=self.made_by)

    def _require_identity(self, order: Order) -> None:
        missing = identity_missing(self.config, order)
        if missing:
            raise Held(f"no_{missing[0]}", " ".join(map(missing_in_words, missing)))

    def _require_past(self, order: Order, job: Job) -> None:
        ahead = keys_ahead(order, job.received_at)
        if ahead:
            raise Held(f"{ahead[0]}_ahead", " ".join(map(ahead_in_words, ahead)))

    def _require_four_eyes(self, job: Job) -> None:
        """Raises Held where one person alone said whose page it is, and two must."""
        if self.config.web.four_eyes and self.store.reviews.identified_by(job.job_id):
            raise Held(AWAITS_APPROVAL, "A person said whose page this is; another one must look at it and approve it.")

    def _sent(
        self, job: Job, order: Order, read: list[tuple[ReadPage, Recording]], results: tuple[PageResult, ...]
    ) -> Outcome:
        """Every page to where its rule says; a rule that holds or refuses one page does so with the document."""
        documents: list[Document] = []
        now = Reading(datetime.now().astimezone().replace(microsecond=0))
        before = self.store.readings(job.job_id)
        for page, recording in read:
            number = page.result.number
            decision = self._decide(job, order, recording)
            if decision.action is Action.REFUSE:
                why = f"Page {number}: {decision.why}"
                return Outcome(State.REFUSED, "refused_by_rule", why, results, order=order, made_by=self.made_by)
            if decision.action is Action.HOLD:
                return self._held("held_by_rule", f"Page {number}: {decision.why}", results, order)
            for name in decision.destinations:
                documents += documents_for(
                    self.config, name, job, order, number, recording, now, before, page.thumbnail_png, page.approval
                )
        return Outcome(State.DIGITIZED, "", "", results, tuple(documents), order, self.made_by)

    def _decide(self, job: Job, order: Order, recording: Recording) -> Decision:
        config = self.config
        names = tuple(destination.name for destination in config.destination)
        return route(facts_of(job.arrival, order, recording), config.rule, config.routing, names)

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
