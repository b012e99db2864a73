"""What becomes of a document is decided once: the worker, the window's preview and `rules explain` say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.commands import explain
from gateway.config import Config, load
from gateway.digitizer.load import LoadedDigitizer
from gateway.disposition.decide import (
    TOO_SLOW,
    Cause,
    ReviewedDocument,
    ReviewedPage,
    decide,
    not_opened,
    reviewed_page,
)
from gateway.disposition.rules import Action
from gateway.emit import npz
from gateway.emit.kinds import lacks
from gateway.emit.plan import documents_for
from gateway.errors import Held, Refused
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Document, DocumentKind, Door, Job, PageResult, Reading, State, Verdict
from gateway.review import NO_CORRECTION, NO_REVIEW, PageReview
from gateway.service.worker import Worker
from gateway.unpack import MediaType, Unpacked
from gateway.web.api import preview
from pipeline.errors import Unreadable
from pipeline.recording import Correction, Finding, Lead, Page, Recording, Severity
from tests.recordings import three_by_four

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
WHOSE = Order(patient=Patient("4711", name="Test^Ada"), acquired_at="20240131143000", acquired_from="test")
STATE = {Action.SEND: State.DIGITIZED, Action.HOLD: State.HELD, Action.REFUSE: State.REFUSED}
EXAMPLE = Path(__file__).parents[3] / "config.example.toml"


@cache
def reading(confidence: float, error: bool) -> tuple[Recording, str, bytes, str]:
    """A recording, the summary and bytes under which it is stored, and their SHA-256."""
    findings = (Finding("scale_disagreement", Severity.ERROR, detail="pulse and grid disagree"),) if error else ()
    read = replace(three_by_four(), confidence=confidence, findings=findings)
    data = npz.to_npz(read)
    return read, npz.summary_json(read), data, hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Sheet:
    """A page as it is read, and what people have said of it."""

    read: tuple[float, bool] | Unreadable | Refused
    review: PageReview


READ = st.tuples(st.sampled_from((0.5, 0.92, 0.97)), st.booleans())
UNREAD = st.sampled_from(
    (
        Unreadable("not_an_ecg", "A letter.", sure=True),
        Unreadable("not_an_ecg", "Nothing like beats."),
        Unreadable("no_grid", "There is no grid."),
        Unreadable("took_too_long", "Given up after 60 seconds."),
        Refused("damaged", "The page is damaged."),
    )
)


@st.composite
def sheets(draw: st.DrawFn) -> Sheet:
    read = draw(st.one_of(READ, READ, UNREAD))
    review = PageReview(
        correction=draw(st.sampled_from((NO_CORRECTION, NO_CORRECTION, Correction(speed_mm_s=25.0)))),
        invalid_leads=draw(st.sampled_from(((), (), (Lead.V1,)))),
    )
    if isinstance(read, tuple):
        sha256 = draw(st.sampled_from(("", reading(*read)[3], reading(*read)[3], "0" * 64)))
        again = draw(st.sampled_from(("", "carl"))) if sha256 else ""
        approved = replace(review, approved_sha256=sha256, approved_by="rita", approved_at=NOW, approved_again_by=again)
        return Sheet(read, approved if sha256 else review)
    return Sheet(read, replace(review, left_out_by=draw(st.sampled_from(("", "rita")))))


CONDITIONS: tuple[Mapping[str, Any], ...] = (
    {"field": "door", "equals": "fax"},
    {"field": "quality.confidence", "less_than": 0.95},
    {"field": "finding", "equals": "scale_disagreement"},
    {"field": "finding", "equals": "approved_by_person", "negate": True},
    {"field": "finding", "equals": "lead_marked_invalid"},
    {"field": "order.accession_number", "present": True},
)


EHR = st.sampled_from(
    (
        {"kind": "folder", "name": "ehr", "folder": "out/ehr", "documents": ["csv"]},
        {"kind": "folder", "name": "ehr", "folder": "out/ehr", "documents": ["hl7v2"]},
        {"kind": "mllp", "name": "ehr", "host": "ehr.test", "port": 2575},
        {"kind": "mllp", "name": "ehr", "host": "ehr.test", "port": 2575, "aecg_layout": "none"},
        {"kind": "dicom", "name": "ehr", "host": "ehr.test", "port": 104, "called_ae_title": "EHR"},
    )
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    rules = []
    for number in range(draw(st.integers(0, 4))):
        action = draw(
            st.sampled_from(
                (
                    {"send": ["pacs"]},
                    {"send": ["pacs", "ehr"]},
                    {"send": []},
                    {"hold": "look at it"},
                    {"hold": "look at it twice", "hold_even_approved": True},
                    {"refuse": "not here"},
                )
            )
        )
        when = draw(st.lists(st.sampled_from(CONDITIONS), max_size=2))
        rules.append({"name": f"rule {number}", "when": when, **action})
    return Config.model_validate(
        {
            "destination": [{"kind": "folder", "name": "pacs", "folder": "out/pacs"}, draw(EHR)],
            "pipeline": {"confidence_min": draw(st.sampled_from((0.6, 0.9)))},
            "identity": {"require": draw(st.sampled_from(([], ["patient_id"], ["patient_id", "accession_number"])))},
            "routing": {
                "match": draw(st.sampled_from(("first", "all"))),
                "otherwise": draw(st.sampled_from(("hold", "send_all"))),
            },
            "web": {"four_eyes": draw(st.booleans())},
            "rule": rules,
        }
    )


ORDERS = st.sampled_from(
    (
        WHOSE,
        replace(WHOSE, accession_number="A-1"),
        replace(WHOSE, acquired_at="20260101"),
        replace(WHOSE, acquired_at=""),
        Order(acquired_at="20240131"),
        Order(),
    )
)


@dataclass
class World:
    """A job as a worker meets it, without disk, database and sandbox."""

    config: Config
    order: Order
    pages: tuple[Sheet, ...]
    identified_by: frozenset[str] = frozenset()
    identity_is_unseen: bool = False

    @property
    def said(self) -> dict[int, PageReview]:
        return {number: sheet.review for number, sheet in enumerate(self.pages, 1)}

    @property
    def job(self) -> Job:
        arrival = Arrival(Door.FAX, "ward 3", order=self.order)
        return Job("j1", State.RECEIVED, arrival, "5f" * 32, 1, NOW, NOW, attempts=1)

    @property
    def unpacked(self) -> Unpacked:
        return Unpacked(MediaType.TIFF, self.order, len(self.pages), self._decode)

    def _decode(self, number: int) -> Page:
        page = three_by_four_page(number)
        sheet = self.pages[number - 1]
        if isinstance(sheet.read, Refused):
            raise sheet.read
        return page

    def digitize(self, page: Page, correction: Correction = NO_CORRECTION, /) -> Recording:
        sheet = self.pages[int(page.image[0, 0, 0]) - 1]
        if isinstance(sheet.read, tuple):
            return reading(*sheet.read)[0]
        raise sheet.read

    def stored(self) -> tuple[PageResult, ...]:
        """The pages as they were settled last."""
        return tuple(self._stored(number, sheet) for number, sheet in enumerate(self.pages, 1))

    def _stored(self, number: int, sheet: Sheet) -> PageResult:
        if isinstance(sheet.read, tuple):
            _, summary, data, _ = reading(*sheet.read)
            return PageResult(number, Verdict.HELD, "", "", summary, data, sheet.review.correction)
        sure = getattr(sheet.read, "sure", False)
        verdict = Verdict.NOT_AN_ECG if sure else Verdict.UNREADABLE
        return PageResult(number, verdict, sheet.read.code, sheet.read.why, correction=sheet.review.correction)

    def worked(self) -> tuple[State, str, dict[int, list[str]]]:
        """The state and code that the worker gives the job, and where it sends each page."""
        reviews = SimpleNamespace(
            of=lambda _: self.said,
            identified_by=lambda _: self.identified_by,
            identity_is_unseen=lambda _: self.identity_is_unseen,
        )
        store: Any = SimpleNamespace(
            reviews=reviews, pages=lambda _: self.stored(), content=lambda _: EXAMPLE, readings=lambda _: {}
        )
        worker = Worker("w", self.config, store, self.digitize, "{}")
        with (
            patch("gateway.service.worker.unpack", lambda *_: self.unpacked),
            patch("gateway.service.worker.documents_for", _documents_for),
        ):
            outcome = worker.take_through(self.job)
        sent: dict[int, list[str]] = {}
        for document in outcome.documents:
            sent.setdefault(document.page, []).append(document.destination)
        return outcome.state, outcome.code, sent

    def previewed(self) -> preview.ReviewedJob:
        return preview.ReviewedJob(
            self.job, self.order, self.stored(), self.said, self.identified_by, self.identity_is_unseen
        )

    def explained(self) -> list[str]:
        with (
            patch("gateway.commands.explain.unpack", lambda *_: self.unpacked),
            patch("gateway.commands.explain.recognise", lambda _: MediaType.TIFF),
            patch("gateway.commands.explain._fax_order", lambda *_: (self.order, "told")),
            patch("gateway.commands.explain.load_digitizer", lambda *_: LoadedDigitizer(self.digitize, "{}")),
            patch("gateway.commands.explain.datetime", SimpleNamespace(now=lambda _: NOW)),
        ):
            return list(explain.explain_file(self.config, EXAMPLE, sender="ward 3", called="", door=Door.FAX))


def three_by_four_page(number: int) -> Page:
    import numpy as np

    return Page(np.full((2, 2, 3), number, np.uint8))


def _documents_for(_config: Config, name: str, _job: Job, _order: Order, number: int, *_: object) -> Iterator[Document]:
    yield Document(DocumentKind.NPZ, name, f"{name}-{number}", number, b"x")


worlds = st.builds(
    World,
    configs(),
    ORDERS,
    st.lists(sheets(), min_size=1, max_size=3).map(tuple),
    st.sampled_from((frozenset(), frozenset({"carl"}))),
    st.booleans(),
)
slowly = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slowly
@given(worlds)
def test_the_window_foretells_what_the_worker_does(world: World) -> None:
    state, code, sent = world.worked()
    made = preview.decide_job(world.config, world.previewed())
    assert STATE[made.action] == state
    assert (made.reasons[0].code if made.reasons else "") == code
    told = preview.page_dispositions(world.config, world.previewed())
    assert {number: list(each.destinations) for number, each in told.items() if each.destinations} == sent
    assert all(each.action is made.action for each in told.values())


@slowly
@given(worlds)
def test_rules_explain_foretells_what_the_worker_does_with_a_new_file(world: World) -> None:
    world = replace_reviews(world)
    state, _, _ = world.worked()
    lines = world.explained()
    holds = ("held before any rule", "held for what it is sent as", "it holds the document")
    waits = any(hold in line for hold in holds for line in lines)
    decisions = [line.strip() for line in lines if line.startswith(("  send", "  hold:", "  refuse:"))]
    goes = bool(decisions) and not waits and all(line.startswith("send") for line in decisions)
    assert goes == (state is State.DIGITIZED)
    if len(world.pages) > 1 and decisions:
        assert ("does not go out" in lines[-1]) == (state is not State.DIGITIZED)


def replace_reviews(world: World) -> World:
    """The same file on its first day: nobody has said anything of it."""
    return World(world.config, world.order, tuple(Sheet(sheet.read, NO_REVIEW) for sheet in world.pages))


@slowly
@given(worlds)
def test_an_approval_releases_all_but_what_it_does_not_answer(world: World) -> None:
    case = preview.approved(world.previewed())
    made = preview.decide_job(world.config, case)
    still = {reason.cause for reason in made.reasons} if made.action is Action.HOLD else set()
    # of a page that was too slow there is nothing to approve
    read = any(page.recording_npz is not None for page in case.pages)
    assert still <= {Cause.MISSING, Cause.AHEAD, Cause.RULE, Cause.INCOMPLETE} | (set() if read else {Cause.UNREAD})
    if Cause.RULE in still:
        assert any(rule.hold_even_approved for rule in world.config.rule)
        twice = preview.decide_job(world.config, preview.approved(case))
        assert twice.action is not Action.HOLD or Cause.RULE not in {reason.cause for reason in twice.reasons}


def one_page(confidence: float, review: PageReview = NO_REVIEW, error: bool = False) -> tuple[ReviewedPage, ...]:
    read, summary, data, _ = reading(confidence, error)
    return (reviewed_page(PageResult(1, Verdict.DIGITIZED, "", "", summary, data, review.correction), read, review),)


def approval(confidence: float, error: bool = False, **more: Any) -> PageReview:
    sha256 = reading(confidence, error)[3]
    return PageReview(approved_sha256=sha256, approved_by="rita", approved_at=NOW, **more)


HOLDS: dict[str, tuple[float, bool, PageReview, Mapping[str, Any]]] = {
    "the example's rule about unsure faxes": (0.92, False, NO_REVIEW, {}),
    "confidence_min": (0.5, False, NO_REVIEW, {}),
    "a finding of severity error": (0.97, True, NO_REVIEW, {}),
    "a correction": (0.97, False, PageReview(correction=Correction(speed_mm_s=25.0), corrected_by="carl"), {}),
    "a lead marked invalid": (0.97, False, PageReview(invalid_leads=(Lead.V1,), invalid_by="carl"), {}),
    "four eyes": (0.97, False, NO_REVIEW, {"web": {"four_eyes": True}}),
    "no rule for it": (0.97, False, NO_REVIEW, {"rule": []}),
}


@pytest.mark.parametrize("what", HOLDS)
def test_an_approval_releases_every_hold_of_the_example(what: str) -> None:
    confidence, error, review, changes = HOLDS[what]
    config = example(changes)
    arrival, carl = Arrival(Door.FAX, "ward 3"), frozenset({"carl"} if "web" in changes else ())
    held = decide(config, ReviewedDocument(arrival, NOW, WHOSE, one_page(confidence, review, error), carl))
    assert held.action is Action.HOLD
    said = replace(approval(confidence, error), correction=review.correction, invalid_leads=review.invalid_leads)
    made = decide(config, ReviewedDocument(arrival, NOW, WHOSE, one_page(confidence, said, error)))
    assert made.action is Action.SEND
    somewhere = {name for rule in config.rule for name in rule.send}
    by_rules = tuple(destination.name for destination in config.destination if destination.name in somewhere)
    assert made.destinations(1) == (by_rules if what == "no rule for it" else ("pacs", "ehr"))


def example(changes: Mapping[str, Any]) -> Config:
    """The example; without its rules it gets one that is for none of these pages."""
    config = load(EXAMPLE, {})
    if changes.get("rule") == []:
        none = {"name": "others", "when": [{"field": "door", "equals": "web"}], "send": ["pacs"]}
        changes = {"rule": [none]}
    return Config.model_validate({**config.model_dump(exclude_unset=True), **changes})


def test_hold_even_approved_waits_for_a_second_person() -> None:
    config = example({})
    rules = [rule.model_copy(update={"hold_even_approved": bool(rule.hold)}) for rule in config.rule]
    config = config.model_copy(update={"rule": tuple(rules)})
    arrival = Arrival(Door.FAX, "ward 3")
    once = decide(config, ReviewedDocument(arrival, NOW, WHOSE, one_page(0.92, approval(0.92))))
    assert (once.action, once.reasons[0].code) == (Action.HOLD, "awaits_second_approval")
    twice = decide(
        config, ReviewedDocument(arrival, NOW, WHOSE, one_page(0.92, approval(0.92, approved_again_by="carl")))
    )
    assert twice.action is Action.SEND


def test_an_approval_given_before_it_was_said_whose_page_it_is_answers_no_rule() -> None:
    config = example({})
    arrival, twice = Arrival(Door.FAX, "ward 3"), approval(0.92, approved_again_by="carl")
    for said in (approval(0.92), twice):
        made = decide(config, ReviewedDocument(arrival, NOW, WHOSE, one_page(0.92, said), identity_is_unseen=True))
        assert (made.action, made.reasons[0].code) == (Action.HOLD, "held_by_rule")
    doubtful = decide(
        config, ReviewedDocument(arrival, NOW, WHOSE, one_page(0.5, approval(0.5)), identity_is_unseen=True)
    )
    assert {reason.cause for reason in doubtful.reasons} == {Cause.RULE}  # of the reading it is an approval still


@pytest.mark.parametrize("code", ["damaged", "unknown_format", *sorted(TOO_SLOW)])
def test_a_file_that_cannot_be_opened_is_refused_and_one_that_takes_too_long_waits(code: str) -> None:
    made = not_opened(code, "It cannot be opened.")
    assert made.action is (Action.HOLD if code in TOO_SLOW else Action.REFUSE)
    assert [(reason.code, reason.page) for reason in made.reasons] == [(code, None)]


def test_what_every_emitter_cannot_write_without_is_foreseen() -> None:
    """An emitter that asks for a patient or a date holds a page only where `lacks` said so before."""
    config = example({})
    read = reading(0.97, False)[0]
    for order in (WHOSE, replace(WHOSE, acquired_at=""), replace(WHOSE, patient=Patient()), Order()):
        for name in ("pacs", "ehr"):
            destination = next(each for each in config.destination if each.name == name)
            foreseen = set(lacks(destination, order))
            job = Job("j1", State.RECEIVED, Arrival(Door.FAX, "f"), "5f" * 32, 1, NOW, NOW, attempts=1)
            if not foreseen:
                assert documents_for(config, name, job, order, 1, read, Reading(NOW))
                continue
            with pytest.raises(Held) as caught:
                documents_for(config, name, job, order, 1, read, Reading(NOW))
            assert caught.value.code in foreseen


def test_a_page_that_is_perhaps_no_ecg_holds_the_others() -> None:
    read, summary, data, _ = reading(0.97, False)
    good = ReviewedPage(PageResult(1, Verdict.DIGITIZED, "", "", summary, data), read)
    config = example({})
    for verdict, action in ((Verdict.UNREADABLE, Action.HOLD), (Verdict.NOT_AN_ECG, Action.SEND)):
        other = ReviewedPage(PageResult(2, verdict, "not_an_ecg", "Nothing like beats."), None)
        assert decide(config, ReviewedDocument(Arrival(Door.FAX, "f"), NOW, WHOSE, (good, other))).action is action
