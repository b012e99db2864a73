"""Decides what becomes of a document: sent to whom, held or refused why; in codes, whose words are made elsewhere.

A document goes out whole or waits whole. What holds it, in this order: its pages (one that was not read, or was read
with doubt), whose it is, four eyes, and then the rules. An approval is of the reading, and answers what the reading and
the configuration hold it for; it does not answer whose it is, nor a rule that nobody has seen hold it: once it is said
anew whose it is, the rules that hold ask for an approval again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gateway.config import Config
from gateway.disposition.rules import Action, Decision, facts_of, route
from gateway.emit.kinds import lacks
from gateway.identity.future_dates import future_keys
from gateway.identity.order import Order
from gateway.job import Arrival, PageResult, Verdict
from gateway.review import (
    AWAITS_APPROVAL,
    AWAITS_SECOND_APPROVAL,
    HELD_BY_RULE,
    NO_REVIEW,
    PageReview,
    of_this_reading,
    reviewed,
)
from pipeline.findings import FindingCode
from pipeline.recording import Recording, Severity

LOW_CONFIDENCE = "low_confidence"
REFUSED_BY_RULE = "refused_by_rule"
NO_PAGES = "no_pages"
# Of a decoder and of the digitizer. Their clocks run on a busy machine too, so the page itself need not be at fault.
TOO_SLOW = frozenset(("too_slow", "took_too_long"))
# What is told on every page of an attribute that could not be read.
OF_UNREAD = frozenset((FindingCode.CHARACTERS_NOT_READ, FindingCode.STUDY_UID_NOT_KEPT, FindingCode.TIME_NOT_READ))


@dataclass(frozen=True, eq=False)
class ReviewedPage:
    """A page of the document. recording: as it was read, None where result says why it was not.

    review: what people said of this very reading.
    """

    result: PageResult
    recording: Recording | None
    review: PageReview = NO_REVIEW

    @property
    def number(self) -> int:
        """From 1."""
        return self.result.number

    @property
    def going(self) -> Recording | None:
        """What goes out of it: as it was read, with what people said of it."""
        return None if self.recording is None else reviewed(self.recording, self.review)


@dataclass(frozen=True, eq=False)
class ReviewedDocument:
    """All that is decided by. identified_by: who said whose it is and has not been approved by another since.

    identity_is_unseen: whether it was said whose it is, by a person or a door, after the last approval.
    """

    arrival: Arrival
    received_at: datetime
    order: Order
    pages: tuple[ReviewedPage, ...]
    identified_by: frozenset[str] = frozenset()
    identity_is_unseen: bool = False


class Cause(StrEnum):
    """What holds a document, or refuses it."""

    UNREAD = "unread"  # a page was not read, and nobody let the document go without it
    CONFIDENCE = "confidence"
    FINDING = "finding"
    CHANGED = "changed"  # a person changed how a page is read, and nobody has approved what came of it
    MISSING = "missing"  # a key that identity.require asks for
    AHEAD = "ahead"  # a date that has not come yet
    ILLEGIBLE = "illegible"  # who the patient is was stated, and could not be read
    FOUR_EYES = "four_eyes"
    RULE = "rule"
    INCOMPLETE = "incomplete"  # a document that the rules send cannot be written without something unknown


OF_A_READING = (Cause.CONFIDENCE, Cause.FINDING, Cause.CHANGED)
OF_THE_ORDER = (Cause.MISSING, Cause.AHEAD, Cause.ILLEGIBLE)
OF_THE_ROUTE = (Cause.RULE, Cause.INCOMPLETE)  # what holds a document because of where the rules send it


@dataclass(frozen=True)
class Reason:
    """Why a document does not go out. page: None where it is of the whole document.

    code: stable, for the worklist and the audit. detail: what the words need beside the code: the key of an order, the
    confidence, a finding's or a rule's own words.
    """

    cause: Cause
    code: str
    page: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Disposition:
    """What becomes of a document. reasons: why it is held or refused, the first one first; () where it is sent.

    routes: for each page that was read, by number, what the rules say of it by itself; they count where it is sent.
    """

    action: Action
    reasons: tuple[Reason, ...]
    routes: Mapping[int, Decision]

    def destinations(self, page: int) -> tuple[str, ...]:
        """Where a page goes; () where the document does not."""
        return self.routes[page].destinations if self.action is Action.SEND and page in self.routes else ()


def reviewed_page(result: PageResult, recording: Recording | None, review: PageReview) -> ReviewedPage:
    """A page with what was said of this very reading: an approval of another one is none of it."""
    sha256 = "" if result.recording_npz is None else hashlib.sha256(result.recording_npz).hexdigest()
    return ReviewedPage(result, recording, of_this_reading(review, sha256, result.correction))


def as_identified(recording: Recording, order: Order) -> Recording:
    """The recording without findings of attributes that could not be read and that a person has stated since."""
    still_unread = {(unread.code, unread.detail) for unread in order.unread}
    findings = tuple(f for f in recording.findings if f.code not in OF_UNREAD or (f.code, f.detail) in still_unread)
    return recording if len(findings) == len(recording.findings) else replace(recording, findings=findings)


def decide(config: Config, document: ReviewedDocument) -> Disposition:
    """What becomes of a document as it stands.

    An emitter may still hold it for what only it can see: a value that its format forbids, a message that is too long.
    """
    routes = {page.number: _routed(config, document, page) for page in document.pages if page.recording is not None}
    if not routes:
        reason = _nothing_read(document.pages)
        return Disposition(_action_unread(reason.code), (reason,), routes)
    reasons = (
        *_pages(config, document),
        *order_reasons(config, document.order, document.received_at),
        *_four_eyes(config, document),
    )
    if reasons:
        return Disposition(Action.HOLD, reasons, routes)
    for number, route_ in sorted(routes.items()):  # the first page whose rule does not send it decides
        if route_.action is not Action.SEND:
            code = _code_of_rule(route_.action, _approvals(document, number))
            return Disposition(route_.action, (Reason(Cause.RULE, code, number, route_.why),), routes)
    incomplete = tuple(_incomplete(config, document.order, routes.values()))
    return Disposition(Action.HOLD if incomplete else Action.SEND, incomplete, routes)


def not_opened(code: str, why: str) -> Disposition:
    """What becomes of a document none of whose pages can be reached. code, why: of the Refused that says so."""
    return Disposition(_action_unread(code), (Reason(Cause.UNREAD, code, detail=why),), {})


def page_reasons(config: Config, page: ReviewedPage) -> Iterator[Reason]:
    """Why a page holds its document, whatever the rules say.

    A finding of severity error holds a page whatever its confidence, and too low a confidence whatever its findings.
    """
    number = page.number
    if page.recording is None:
        if page.result.verdict == Verdict.UNREADABLE and not page.review.left_out_by:
            yield Reason(Cause.UNREAD, page.result.code, number, page.result.why)
        return
    if page.review.approved_sha256:
        return
    if is_unsure(config, page.recording):
        yield Reason(Cause.CONFIDENCE, LOW_CONFIDENCE, number, page.recording.confidence_text)
    for finding in page.recording.findings:
        if finding.severity == Severity.ERROR:
            yield Reason(Cause.FINDING, finding.code, number, finding.detail)
    if page.review.changed:
        yield Reason(Cause.CHANGED, AWAITS_APPROVAL, number)


def is_unsure(config: Config, recording: Recording) -> bool:
    """Whether its confidence is below the bound in force."""
    return recording.confidence < config.pipeline.confidence_min


def order_reasons(config: Config, order: Order, received_at: datetime) -> Iterator[Reason]:
    """Why whose ECG it is, or when it was recorded, holds a document; no approval answers it."""
    for key in config.identity.require:
        if not getattr(order.patient if hasattr(order.patient, key) else order, key):
            yield Reason(Cause.MISSING, f"no_{key}", detail=key)
    for key in future_keys(order, received_at):
        yield Reason(Cause.AHEAD, f"{key}_ahead", detail=key)
    for unread in order.unread:
        if unread.must_hold:
            yield Reason(Cause.ILLEGIBLE, unread.code, detail=unread.keyword)


def _action_unread(code: str) -> Action:
    return Action.HOLD if code in TOO_SLOW else Action.REFUSE


def _incomplete(config: Config, order: Order, routes: Iterable[Decision]) -> Iterator[Reason]:
    """What the documents that the rules send must say and the order does not. detail: the destinations."""
    names = {name for route_ in routes for name in route_.destinations}
    lacking = [(code, each.name) for each in config.destination if each.name in names for code in lacks(each, order)]
    for code in dict.fromkeys(code for code, _ in lacking):
        yield Reason(Cause.INCOMPLETE, code, detail=", ".join(name for other, name in lacking if other == code))


def _pages(config: Config, document: ReviewedDocument) -> Iterator[Reason]:
    for page in document.pages:
        yield from page_reasons(config, page)


def _four_eyes(config: Config, document: ReviewedDocument) -> Iterator[Reason]:
    if config.web.four_eyes and document.identified_by:
        yield Reason(Cause.FOUR_EYES, AWAITS_APPROVAL)


def _routed(config: Config, document: ReviewedDocument, page: ReviewedPage) -> Decision:
    names = tuple(destination.name for destination in config.destination)
    facts = facts_of(document.arrival, document.order, page.going)
    return route(facts, config.rule, config.routing, names, _approvals(document, page.number))


def _approvals(document: ReviewedDocument, number: int) -> int:
    """How many people have approved what was read on a page as this patient's."""
    if document.identity_is_unseen:
        return 0
    return next(page.review.approvals for page in document.pages if page.number == number)


def _code_of_rule(action: Action, approvals: int) -> str:
    """What a rule's hold or refusal is called. One that holds what is approved asks for a second person."""
    if action is Action.HOLD:
        return AWAITS_SECOND_APPROVAL if approvals else HELD_BY_RULE
    return REFUSED_BY_RULE


def _nothing_read(pages: tuple[ReviewedPage, ...]) -> Reason:
    unread = [page for page in pages if page.result.verdict == Verdict.UNREADABLE]
    slow = [page for page in unread if page.result.code in TOO_SLOW]  # may be read another time
    first = next(iter((*slow, *unread, *pages)), None)
    if first is None:
        return Reason(Cause.UNREAD, NO_PAGES, detail="The document has no page.")
    return Reason(Cause.UNREAD, first.result.code, first.number, first.result.why)
