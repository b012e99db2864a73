"""What becomes of each page of a job, as the worker would decide it now: by people's word, by doubt, and by rule."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from gateway.config import Config
from gateway.disposition import decide as disposition
from gateway.disposition.decide import CasePage, Cause, Disposition, Reason
from gateway.disposition.reasons import phrase
from gateway.disposition.rules import Action, Decision
from gateway.identity.order import Order
from gateway.job import Job, PageResult
from gateway.review import NO_REVIEW, PageReview
from gateway.store import Store
from gateway.web.api.recordings import Read, read_of


@dataclass(frozen=True)
class Case:
    """A job with all that the worker knows of it. identified_by: who said whose it is, unapproved since.

    identity_is_unseen: whether it was said whose it is after the last approval, by whomever.
    keep: whether what was read may stay in memory for the next look.
    """

    job: Job
    order: Order
    pages: tuple[PageResult, ...]
    said: Mapping[int, PageReview]
    identified_by: frozenset[str]
    identity_is_unseen: bool = False
    keep: bool = True

    def read(self) -> dict[int, Read]:
        """The pages that were read, by number."""
        of = partial(read_of, keep=self.keep)
        found = ((page.number, of(page, self.said.get(page.number, NO_REVIEW))) for page in self.pages)
        return {number: read for number, read in found if read is not None}


@dataclass(frozen=True)
class PageDisposition:
    """own: what the rules say of this page alone. held: why a person must look first, whatever they say.

    action, destinations, why: what becomes of it in its document, which goes out whole or waits whole. Only what an
    emitter cannot write is not foreseen.
    """

    own: Decision
    held: tuple[str, ...]
    action: Action
    destinations: tuple[str, ...]
    why: str


def case_of(store: Store, job_id: str) -> Case:
    """Raises NotFound."""
    job, order, said = store.job(job_id), store.order(job_id) or Order(), store.reviews.of(job_id)
    unseen = store.reviews.identity_is_unseen(job_id)
    return Case(job, order, store.pages(job_id), said, store.reviews.identified_by(job_id), unseen)


def decided(config: Config, case: Case) -> Disposition:
    """What becomes of the job as it was read, decided as the worker decides it."""
    read = case.read()
    pages = tuple(
        CasePage(page, disposition.as_identified(read[page.number].recording, case.order), read[page.number].review)
        if page.number in read
        else CasePage(page, None, case.said.get(page.number, NO_REVIEW))
        for page in case.pages
    )
    job = case.job
    return disposition.decide(
        config,
        disposition.Case(job.arrival, job.received_at, case.order, pages, case.identified_by, case.identity_is_unseen),
    )


def fates(config: Config, case: Case) -> dict[int, PageDisposition]:
    """The fate of every page that was read, by number."""
    made = decided(config, case)
    return {number: _fate(config, made, number) for number in made.routes}


def approved(case: Case) -> Case:
    """The same once a person who may has approved all that was read: no doubt of a reading holds it any more."""
    said = {page.number: case.said.get(page.number, NO_REVIEW) for page in case.pages}
    for page in case.pages:
        review = said[page.number]
        if page.recording_npz is None:
            said[page.number] = replace(review, left_out_by=review.left_out_by or "approved")
        else:
            sha256 = hashlib.sha256(page.recording_npz).hexdigest()
            again = "approved" if review.approved_sha256 == sha256 and not case.identity_is_unseen else ""
            said[page.number] = replace(review, approved_sha256=sha256, approved_again_by=again)
    return replace(case, said=said, identified_by=frozenset(), identity_is_unseen=False)


def whole(config: Config, case: Case) -> PageDisposition | None:
    """The fate of the document, all that its pages go to in one; None where nothing was read."""
    told = [fate for _, fate in sorted(fates(config, case).items())]
    if not told:
        return None
    names = dict.fromkeys(name for fate in told for name in fate.destinations)
    return replace(told[0], destinations=tuple(names))


def _fate(config: Config, made: Disposition, number: int) -> PageDisposition:
    own = made.routes[number]
    reasons = _nearest_first(made.reasons, number)
    held = tuple(_told(config, reason, number) for reason in reasons if reason.cause is not Cause.RULE)
    why = "; ".join(_told(config, reason, number) for reason in reasons) or own.why
    return PageDisposition(own, held, made.action, made.destinations(number), why)


def _nearest_first(reasons: tuple[Reason, ...], number: int) -> tuple[Reason, ...]:
    """A page's own reasons, then those of the others, then those of the whole document."""
    return tuple(sorted(reasons, key=lambda reason: (reason.page is None, reason.page != number)))


def _told(config: Config, reason: Reason, number: int) -> str:
    words = phrase(config, reason)
    return words if reason.page in (None, number) else f"page {reason.page}: {words}"
