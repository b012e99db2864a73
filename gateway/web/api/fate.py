"""What becomes of each page of a job, as the worker would decide it now: by people's word, by doubt, and by rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from gateway import rules as routing
from gateway.config import Config
from gateway.job import Job, PageResult, Verdict
from gateway.judging import doubts, unidentified
from gateway.order import Order
from gateway.review import NO_REVIEW, PageReview, reviewed
from gateway.rules import Action, Decision
from gateway.store import Store
from gateway.web.api.reading import Read, read_of


@dataclass(frozen=True)
class Case:
    """A job with all that the worker knows of it. identified_by: who said whose it is, unapproved since.

    keep: whether what was read may stay in memory for the next look.
    """

    job: Job
    order: Order
    pages: tuple[PageResult, ...]
    said: Mapping[int, PageReview]
    identified_by: frozenset[str]
    keep: bool = True

    def read(self) -> dict[int, Read]:
        """The pages that were read, by number."""
        of = partial(read_of, keep=self.keep)
        found = ((page.number, of(page, self.said.get(page.number, NO_REVIEW))) for page in self.pages)
        return {number: read for number, read in found if read is not None}


@dataclass(frozen=True)
class Fate:
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
    return Case(job, order, store.pages(job_id), said, store.reviews.identified_by(job_id))


def fates(config: Config, case: Case) -> dict[int, Fate]:
    """The fate of every page that was read, by number."""
    read = case.read()
    decided = {number: _decide(config, case, each) for number, each in read.items()}
    doubtful = {page.number: tuple(_doubts(config, case, page, read.get(page.number))) for page in case.pages}
    whole = (*unidentified(config, case.order, case.job.received_at), *_four_eyes(config, case))
    told: dict[int, Fate] = {}
    for number, own in decided.items():
        others = (f"page {other}: {why}" for other, whys in doubtful.items() if other != number for why in whys)
        held = (*doubtful[number], *others, *whole)
        told[number] = _fate(own, number, held, decided)
    return told


def approved(case: Case) -> Case:
    """The same once a person who may has approved all that was read: no doubt of a reading holds it any more."""
    said = {page.number: case.said.get(page.number, NO_REVIEW) for page in case.pages}
    for page in case.pages:
        if page.recording_npz is None:
            said[page.number] = replace(said[page.number], left_out_by=said[page.number].left_out_by or "approved")
        else:
            sha256 = hashlib.sha256(page.recording_npz).hexdigest()
            said[page.number] = replace(said[page.number], approved_sha256=sha256)
    return replace(case, said=said, identified_by=frozenset())


def whole(config: Config, case: Case) -> Fate | None:
    """The fate of the document, all that its pages go to in one; None where nothing was read."""
    told = [fate for _, fate in sorted(fates(config, case).items())]
    if not told:
        return None
    names = dict.fromkeys(name for fate in told for name in fate.destinations)
    return replace(told[0], destinations=tuple(names))


def _fate(own: Decision, number: int, held: tuple[str, ...], decided: Mapping[int, Decision]) -> Fate:
    if held:
        return Fate(own, held, Action.HOLD, (), "; ".join(held))
    # the first page whose rule does not send it decides over the document
    for other, decision in sorted(decided.items()):
        if decision.action is not Action.SEND:
            why = decision.why if other == number else f"page {other}: {decision.why}"
            return Fate(own, (), decision.action, (), why)
    return Fate(own, (), own.action, own.destinations, own.why)


def _decide(config: Config, case: Case, read: Read) -> Decision:
    names = tuple(destination.name for destination in config.destination)
    facts = routing.facts_of(case.job.arrival, case.order, reviewed(read.recording, read.review))
    return routing.route(facts, config.rule, config.routing, names)


def _doubts(config: Config, case: Case, page: PageResult, read: Read | None) -> Iterator[str]:
    """Why this page stops its document."""
    if read is None:
        if page.verdict == Verdict.UNREADABLE and not case.said.get(page.number, NO_REVIEW).left_out_by:
            yield f"it was not read ({page.code})"
        return
    if read.review.approved_sha256:
        return
    yield from (doubt.setting for doubt in doubts(config, read.recording))
    if read.review.changed:
        yield "a person changed how it is read, and nobody has approved what came of it"


def _four_eyes(config: Config, case: Case) -> Iterator[str]:
    if config.web.four_eyes and case.identified_by:
        yield "four eyes: a person said whose it is, and another one has not approved it"
