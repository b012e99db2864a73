"""What becomes of each page of a job, as the worker would decide it now: by people's word, by doubt, and by rule."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from gateway.config import Config
from gateway.disposition.decide import (
    OF_THE_ROUTE,
    Disposition,
    Reason,
    ReviewedDocument,
    ReviewedPage,
    as_identified,
    decide,
)
from gateway.disposition.reasons import phrase
from gateway.disposition.rules import Action, Decision
from gateway.identity.order import Order
from gateway.job import Job, PageResult
from gateway.review import NO_REVIEW, PageReview
from gateway.store import Store
from gateway.web.api.recordings import Read, read_of


@dataclass(frozen=True)
class ReviewedJob:
    """A job with all that the worker knows of it. identified_by: who said whose it is, unapproved since.

    identity_is_unseen: whether it was said whose it is after the last approval, by whomever.
    keep: whether what was read may stay in memory for the next look.
    """

    job: Job
    order: Order
    pages: tuple[PageResult, ...]
    reviews: Mapping[int, PageReview]
    identified_by: frozenset[str]
    identity_is_unseen: bool = False
    keep: bool = True

    def read(self) -> dict[int, Read]:
        """The pages that were read, by number."""
        of = partial(read_of, keep=self.keep)
        found = ((page.number, of(page, self.reviews.get(page.number, NO_REVIEW))) for page in self.pages)
        return {number: read for number, read in found if read is not None}


@dataclass(frozen=True)
class PageDisposition:
    """own: what the rules say of this page alone. held: why a person must look first, whatever the rules say.

    action, destinations, why: what becomes of it in its document, which goes out whole or waits whole.
    """

    own: Decision
    held: tuple[str, ...]
    action: Action
    destinations: tuple[str, ...]
    why: str


def reviewed_job(store: Store, job_id: str) -> ReviewedJob:
    """Raises NotFound."""
    job, order, reviews = store.job(job_id), store.order(job_id) or Order(), store.reviews.of(job_id)
    unseen = store.reviews.identity_is_unseen(job_id)
    return ReviewedJob(job, order, store.pages(job_id), reviews, store.reviews.identified_by(job_id), unseen)


def decide_job(config: Config, reviewed: ReviewedJob) -> Disposition:
    """What becomes of the job as it was read, decided as the worker decides it."""
    job, order = reviewed.job, reviewed.order
    read = reviewed.read()
    pages = tuple(
        ReviewedPage(page, as_identified(read[page.number].recording, order), read[page.number].review)
        if page.number in read
        else ReviewedPage(page, None, reviewed.reviews.get(page.number, NO_REVIEW))
        for page in reviewed.pages
    )
    document = ReviewedDocument(
        job.arrival, job.received_at, order, pages, reviewed.identified_by, reviewed.identity_is_unseen
    )
    return decide(config, document)


def page_dispositions(config: Config, reviewed: ReviewedJob) -> dict[int, PageDisposition]:
    """What becomes of every page that was read, by number."""
    document = decide_job(config, reviewed)
    return {number: page_disposition(config, document, number) for number in document.routes}


def approved(reviewed: ReviewedJob) -> ReviewedJob:
    """The same once a person who may has approved all that was read: no doubt of a reading holds it any more."""
    reviews = {page.number: reviewed.reviews.get(page.number, NO_REVIEW) for page in reviewed.pages}
    for page in reviewed.pages:
        review = reviews[page.number]
        if page.recording_npz is None:
            reviews[page.number] = replace(review, left_out_by=review.left_out_by or "approved")
        else:
            sha256 = hashlib.sha256(page.recording_npz).hexdigest()
            again = "approved" if review.approved_sha256 == sha256 and not reviewed.identity_is_unseen else ""
            reviews[page.number] = replace(review, approved_sha256=sha256, approved_again_by=again)
    return replace(reviewed, reviews=reviews, identified_by=frozenset(), identity_is_unseen=False)


def document_disposition(config: Config, reviewed: ReviewedJob) -> PageDisposition | None:
    """What becomes of the document, with the destinations of all its pages; None where nothing was read."""
    pages = [page for _, page in sorted(page_dispositions(config, reviewed).items())]
    if not pages:
        return None
    names = dict.fromkeys(name for page in pages for name in page.destinations)
    return replace(pages[0], destinations=tuple(names))


def page_disposition(config: Config, of_document: Disposition, number: int) -> PageDisposition:
    """What becomes of one page that was read, as its document is disposed of."""
    own = of_document.routes[number]
    reasons = _nearest_first(of_document.reasons, number)
    held = tuple(_text_of(config, reason, number) for reason in reasons if reason.cause not in OF_THE_ROUTE)
    why = "; ".join(_text_of(config, reason, number) for reason in reasons) or own.why
    return PageDisposition(own, held, of_document.action, of_document.destinations(number), why)


def _nearest_first(reasons: tuple[Reason, ...], number: int) -> tuple[Reason, ...]:
    """A page's own reasons, then those of the others, then those of the whole document."""
    return tuple(sorted(reasons, key=lambda reason: (reason.page is None, reason.page != number)))


def _text_of(config: Config, reason: Reason, number: int) -> str:
    text = phrase(config, reason)
    return text if reason.page in (None, number) else f"page {reason.page}: {text}"
