"""The worker and what people say: corrections reach the digitizer, approvals let out what was read, all is told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pypdfium2 import PdfDocument

from gateway.config import Config
from gateway.errors import Refused, UnlawfulMove
from gateway.identity.identify import identified
from gateway.identity.order import Order, Patient, Unread
from gateway.job import Arrival, Door, Job, State, Verdict
from gateway.review import NO_CORRECTION
from gateway.service.worker import Worker
from gateway.store import Store
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode
from pipeline.recording import Correction, Lead, Page, Recording
from tests.recordings import six_by_two, three_by_four

WHOSE = Order(patient=Patient("P-1", name="Test^Review"), acquired_at="20240131143000", acquired_from="test")
KINDS = ("aecg", "dicom_waveform", "hl7v2")


class LoadedDigitizer:
    """A digitizer that is unsure of every page, reads what it is told to, and remembers what it was told."""

    def __init__(
        self, confidence: float = 0.4, unreadable: frozenset[int] = frozenset(), code: str = "no_layout"
    ) -> None:
        self.confidence = confidence
        self.code = code
        self.unreadable = unreadable
        self.corrections: list[Correction] = []

    def __call__(self, page: Page, correction: Correction = NO_CORRECTION, /) -> Recording:
        self.corrections.append(correction)
        if int(page.image[0, 0, 0]) - 200 in self.unreadable and correction == NO_CORRECTION:
            raise Unreadable(self.code, "No known arrangement of leads.")
        read = six_by_two() if correction.layout == "6x2" else three_by_four()
        return replace(read, confidence=self.confidence, findings=(*read.findings, *page.findings))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate(
        {
            "data": {"folder": tmp_path / "data", "reserve_mb": 0},
            "destination": [{"kind": "folder", "name": "out", "folder": tmp_path / "out", "documents": list(KINDS)}],
            "rule": [
                {
                    "name": "a person first",
                    "when": [
                        {"field": "sender", "equals": "doubtful"},
                        {"field": "finding", "equals": "approved_by_person", "negate": True},
                    ],
                    "hold": "somebody must look at pages of this sender",
                },
                {"name": "all", "send": ["out"]},
            ],
        }
    )


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.data) as opened:
        yield opened


def take_in(store: Store, pages: int = 1, order: Order = WHOSE, sender: str = "fax") -> str:
    staged = store.staging / "page.tif"
    images = [Image.fromarray(np.full((40, 60), 200 + n, np.uint8)) for n in range(1, pages + 1)]
    images[0].save(staged, "TIFF", save_all=True, append_images=images[1:])
    sha256 = hashlib.sha256(staged.read_bytes()).hexdigest()
    return store.receive(staged, Arrival(Door.FAX, sender, order=order), sha256=sha256).job_id


def work(config: Config, store: Store, digitizer: LoadedDigitizer, job_id: str) -> Job:
    assert Worker("test", config, store, digitizer, "{}").work_once()
    return store.job(job_id)


def sent(store: Store, job_id: str, kind: str) -> bytes:
    (row,) = (row for row in store.deliveries(job_id) if row.kind == kind)
    return store.object_path(row.sha256).read_bytes()


def test_an_approved_page_goes_out_as_it_was_read_and_is_not_digitized_again(config: Config, store: Store) -> None:
    digitizer, job_id = LoadedDigitizer(), take_in(store)
    assert work(config, store, digitizer, job_id).code == "low_confidence"
    (before,) = store.pages(job_id)
    store.reviews.approve(job_id, "rita", "the traces are plain to see")
    assert store.job(job_id).state == State.RECEIVED
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    assert digitizer.corrections == [NO_CORRECTION]
    (after,) = store.pages(job_id)
    assert (after.verdict, after.recording_npz, after.summary) == (
        Verdict.DIGITIZED,
        before.recording_npz,
        before.summary,
    )
    assert sorted(row.kind for row in store.deliveries(job_id)) == sorted(KINDS)
    for kind in KINDS:
        assert b"let it go out" in sent(store, job_id, kind)
        assert b"rita" not in sent(store, job_id, kind)


def test_the_report_of_an_approved_page_names_who_approved_it(config: Config, store: Store) -> None:
    with_pdf = config.destination[0].model_copy(update={"documents": ["pdf"]})
    digitizer, job_id = LoadedDigitizer(), take_in(store)
    config = config.model_copy(update={"destination": (with_pdf,)})
    work(config, store, digitizer, job_id)
    store.reviews.approve(job_id, "rita")
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    at = store.reviews.of(job_id)[1].approved_at
    assert at is not None
    text = " ".join(PdfDocument(sent(store, job_id, "pdf"))[0].get_textpage().get_text_bounded().split())
    assert f"traces checked by rita on {at:%Y-%m-%d %H:%M:%S} UTC" in text
    assert "PRELIMINARY, DIGITIZED FROM PAPER" in text
    assert "must confirm" not in text
    by_itself = take_in(store, pages=2)
    assert work(config, store, LoadedDigitizer(0.99), by_itself).state == State.DIGITIZED
    first = store.object_path(store.deliveries(by_itself)[0].sha256).read_bytes()
    assert "a person must confirm it" in PdfDocument(first)[0].get_textpage().get_text_bounded()


def test_a_correction_reaches_the_digitizer_and_waits_for_an_approval_however_sure(
    config: Config, store: Store
) -> None:
    digitizer, job_id = LoadedDigitizer(), take_in(store)
    work(config, store, digitizer, job_id)
    correction = Correction(layout="6x2", speed_mm_s=25.0)
    store.reviews.correct(job_id, 1, correction, "carl")
    digitizer.confidence = 0.99
    job = work(config, store, digitizer, job_id)
    assert (job.state, job.code) == (State.HELD, "awaits_approval")
    assert digitizer.corrections == [NO_CORRECTION, correction]
    assert [page.correction for page in store.pages(job_id)] == [correction]
    store.reviews.approve(job_id, "rita")
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    for kind in KINDS:
        document = sent(store, job_id, kind).decode("utf-8", "replace")
        assert "layout 6x2, speed 25 mm/s" in document
        assert "A person told how the page is to be read." in document


def test_an_invalid_lead_goes_out_empty_invalid_and_named(config: Config, store: Store, tmp_path: Path) -> None:
    digitizer, job_id = LoadedDigitizer(), take_in(store)
    work(config, store, digitizer, job_id)
    store.reviews.mark_invalid(job_id, 1, [Lead.V2, Lead.II], "rita")
    store.reviews.approve(job_id, "rita")
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    path = tmp_path / "sent.dcm"
    path.write_bytes(sent(store, job_id, "dicom_waveform"))
    dataset = pydicom.dcmread(path)
    channels = [c for group in dataset.WaveformSequence for c in group.ChannelDefinitionSequence]
    status = {c.ChannelSourceSequence[0].CodeMeaning: c.get("ChannelStatus") for c in channels if "ChannelStatus" in c}
    invalid = {lead for lead, told in status.items() if told and "INVALID" in str(told)}
    assert {re.sub(r"^Lead ", "", lead) for lead in invalid} == {"II", "V2"}
    assert b"its samples were taken out" in sent(store, job_id, "aecg")
    (page,) = store.pages(job_id)
    assert b"lead_marked_invalid" not in page.summary.encode()  # what was read is kept as it was read


def test_marked_leads_on_a_sure_page_wait_for_an_approval_too(config: Config, store: Store) -> None:
    digitizer, job_id = LoadedDigitizer(confidence=0.95), take_in(store, order=replace(WHOSE, patient=Patient()))
    assert work(config, store, digitizer, job_id).code == "no_patient_id"
    store.reviews.mark_invalid(job_id, 1, [Lead.V6], "rita")
    store.identify(job_id, WHOSE, "rita")
    assert work(config, store, digitizer, job_id).code == "awaits_approval"


def test_an_approval_outlives_the_question_whose_page_it_is(config: Config, store: Store) -> None:
    digitizer, job_id = LoadedDigitizer(), take_in(store, order=replace(WHOSE, patient=Patient()))
    assert work(config, store, digitizer, job_id).code == "low_confidence"
    store.reviews.approve(job_id, "rita")
    assert work(config, store, digitizer, job_id).code == "no_patient_id"
    store.identify(job_id, WHOSE, "rita")
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    assert len(digitizer.corrections) == 1


def test_done_again_from_the_start_an_approval_is_forgotten(config: Config, store: Store) -> None:
    digitizer, job_id = LoadedDigitizer(), take_in(store, order=replace(WHOSE, patient=Patient()))
    work(config, store, digitizer, job_id)
    store.reviews.approve(job_id, "rita")
    work(config, store, digitizer, job_id)
    store.retry(job_id, "rita")
    assert work(config, store, digitizer, job_id).code == "low_confidence"


def test_an_unreadable_page_is_corrected_or_left_out_by_name(config: Config, store: Store) -> None:
    digitizer, job_id = LoadedDigitizer(unreadable=frozenset({2})), take_in(store, pages=2)
    assert work(config, store, digitizer, job_id).state == State.HELD
    store.reviews.approve(job_id, "rita", leave_out=[2])
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    assert [page.verdict for page in store.pages(job_id)] == [Verdict.DIGITIZED, Verdict.UNREADABLE]
    assert {row.page for row in store.deliveries(job_id)} == {1}
    assert b"page_left_out" not in store.pages(job_id)[0].summary.encode()  # what was read is kept as it was read
    for kind in KINDS:
        assert b"page 2 was left out by a person" in sent(store, job_id, kind), kind
        assert b"rita" not in sent(store, job_id, kind)


def test_a_page_that_took_too_long_waits_for_a_person_who_has_it_done_again(config: Config, store: Store) -> None:
    slow, job_id = LoadedDigitizer(0.95, frozenset({1}), "took_too_long"), take_in(store)
    job = work(config, store, slow, job_id)
    assert (job.state, job.code) == (State.HELD, "took_too_long")
    assert not store.reviews.approvable(job_id)  # there is nothing that could go out
    assert store.order(job_id) == WHOSE
    store.retry(job_id, "rita")
    assert work(config, store, LoadedDigitizer(0.95), job_id).state == State.DIGITIZED
    other = take_in(store, order=replace(WHOSE, accession_number="A-2", patient=Patient("P-2")))
    assert work(config, store, LoadedDigitizer(unreadable=frozenset({1})), other).state == State.REFUSED


def test_a_document_that_took_too_long_to_open_waits_for_a_person(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = take_in(store)

    def slow(*_: object) -> None:
        raise Refused("too_slow", "Decoding took longer than 20 seconds.")

    monkeypatch.setattr("gateway.service.worker.unpack", slow)
    job = work(config, store, LoadedDigitizer(), job_id)
    assert (job.state, job.code) == (State.HELD, "too_slow")


def test_a_name_that_could_not_be_read_is_answered_by_who_states_it_and_by_no_approval(
    config: Config, store: Store
) -> None:
    unread = Unread("PatientName", FindingCode.CHARACTERS_NOT_READ, must_hold=True)
    order = replace(WHOSE, patient=Patient("P-1"), unread=(unread,))
    digitizer, job_id = LoadedDigitizer(), take_in(store, order=order)
    work(config, store, digitizer, job_id)
    store.reviews.approve(job_id, "rita")
    assert work(config, store, digitizer, job_id).code == "characters_not_read"
    assert not store.reviews.approvable(job_id)
    store.identify(job_id, identified(store.order(job_id), {"name": "Test^Review"}), "rita")
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    assert len(digitizer.corrections) == 1
    assert all(b"attribute PatientName" not in sent(store, job_id, kind) for kind in KINDS)


def test_a_refused_page_can_be_told_how_it_is_read(config: Config, store: Store) -> None:
    digitizer, job_id = LoadedDigitizer(unreadable=frozenset({1})), take_in(store)
    assert work(config, store, digitizer, job_id).state == State.REFUSED
    store.reviews.correct(job_id, 1, Correction(layout="3x4+1"), "carl")
    job = work(config, store, digitizer, job_id)
    assert job.state == State.HELD
    assert store.pages(job_id)[0].recording_npz is not None


def test_what_a_rule_held_meets_it_again_approved(config: Config, store: Store) -> None:
    digitizer, job_id = LoadedDigitizer(confidence=0.95), take_in(store, sender="doubtful")
    assert work(config, store, digitizer, job_id).code == "held_by_rule"
    store.reviews.approve(job_id, "rita")
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    assert store.verify_audit().ok


def with_hold(config: Config, **rule: object) -> Config:
    """The configuration with a rule before the others that holds a patient's pages."""
    hold = {
        "name": "staff",
        "when": [{"field": "order.patient_id", "equals": "P-1"}],
        "hold": "somebody of the ward",
        **rule,
    }
    return Config.model_validate({**config.model_dump(), "rule": [hold, *(each.model_dump() for each in config.rule)]})


@pytest.mark.parametrize("four_eyes", [False, True])
def test_a_rule_holds_a_page_that_was_approved_before_it_was_said_whose_it_is(
    config: Config, store: Store, four_eyes: bool
) -> None:
    config = with_hold(Config.model_validate({**config.model_dump(), "web": {"four_eyes": four_eyes}}))
    digitizer, job_id = LoadedDigitizer(), take_in(store, order=replace(WHOSE, patient=Patient()))
    work(config, store, digitizer, job_id)
    store.reviews.approve(job_id, "anna", four_eyes=four_eyes)
    assert work(config, store, digitizer, job_id).code == "no_patient_id"
    store.identify(job_id, WHOSE, "carl")
    assert work(config, store, digitizer, job_id).code == ("awaits_approval" if four_eyes else "held_by_rule")
    store.reviews.approve(job_id, "anna", four_eyes=four_eyes)  # two people are enough, though one of them was first
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    assert len(digitizer.corrections) == 1


def test_a_rule_holds_what_was_approved_before_a_repeat_at_the_door_said_whose_it_is(
    config: Config, store: Store
) -> None:
    config, digitizer, nobody = with_hold(config), LoadedDigitizer(), Patient("P-1")
    job_id = take_in(store, order=replace(WHOSE, patient=nobody, acquired_at="20990101"))
    work(config, store, digitizer, job_id)
    store.reviews.approve(job_id, "anna")
    assert work(config, store, digitizer, job_id).code == "acquired_at_ahead"
    assert take_in(store, order=WHOSE) == job_id
    assert work(config, store, digitizer, job_id).code == "held_by_rule"


def test_a_rule_for_two_people_counts_those_who_saw_whose_page_it_is(config: Config, store: Store) -> None:
    config = with_hold(config, hold_even_approved=True)
    digitizer, job_id = LoadedDigitizer(), take_in(store, order=replace(WHOSE, patient=Patient()))
    work(config, store, digitizer, job_id)
    store.reviews.approve(job_id, "anna")
    work(config, store, digitizer, job_id)
    store.identify(job_id, WHOSE, "carl")
    assert work(config, store, digitizer, job_id).code == "held_by_rule"
    store.reviews.approve(job_id, "carl")
    assert work(config, store, digitizer, job_id).code == "awaits_second_approval"
    with pytest.raises(UnlawfulMove, match="second person"):
        store.reviews.approve(job_id, "carl")
    store.reviews.approve(job_id, "anna")
    assert work(config, store, digitizer, job_id).state == State.DIGITIZED
    review = store.reviews.of(job_id)[1]
    assert (review.approved_by, review.approved_again_by) == ("carl", "anna")


def test_what_is_sent_says_that_a_person_said_whose_it_is(config: Config, store: Store) -> None:
    told = b"Whose ECG this is was said by a person"
    job_id = take_in(store, order=Order(acquired_at="20240131143000", acquired_from="test"))
    assert work(config, store, LoadedDigitizer(0.99), job_id).code == "no_patient_id"
    said = identified(store.order(job_id), {"patient_id": "P-1", "name": "Test^Review"})
    store.identify(job_id, said, "rita")
    assert work(config, store, LoadedDigitizer(0.99), job_id).state == State.DIGITIZED
    for kind in KINDS:
        assert told in sent(store, job_id, kind), kind
        assert b"rita" not in sent(store, job_id, kind)
    by_itself = take_in(store, pages=2)
    assert work(config, store, LoadedDigitizer(0.99), by_itself).state == State.DIGITIZED
    assert not any(told in store.object_path(row.sha256).read_bytes() for row in store.deliveries(by_itself))
