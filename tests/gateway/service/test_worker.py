"""The worker against a real store: what becomes of a job, and of its neighbours when it goes wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateway.config import Config
from gateway.disposition.decide import ReviewedPage, page_reasons
from gateway.errors import Refused, TryAgain
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Claim, Door, Job, Outcome, PageResult, State, Verdict
from gateway.review import NO_CORRECTION
from gateway.service.worker import Stopped, Worker
from gateway.store import Store
from gateway.unpack import MediaType, Unpacked, unpack
from pipeline.errors import Unreadable
from pipeline.recording import Correction, Finding, Lead, Page, Recording, Severity
from tests.recordings import three_by_four

WHOSE = Order(patient=Patient("P-1", name="Test^Worker"), acquired_at="20240131143000", acquired_from="test")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate(
        {
            "data": {"folder": tmp_path / "data", "reserve_mb": 0},
            "destination": [
                {"kind": "folder", "name": "out", "folder": tmp_path / "out", "documents": ["aecg", "dicom_waveform"]}
            ],
            "rule": [
                {"name": "no", "when": [{"field": "sender", "equals": "stranger"}], "refuse": "we do not know you"},
                {"name": "wait", "when": [{"field": "sender", "equals": "doubtful"}], "hold": "look at this first"},
                {"name": "all", "send": ["out"]},
            ],
        }
    )


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.data) as opened:
        yield opened


@pytest.fixture
def work(config: Config, store: Store, tmp_path: Path) -> Callable[..., Job]:
    """Receives a document of so many pages, lets a worker take it through, and returns the job as it then stands."""

    def run(
        digitize: Callable[[Page], Recording], order: Order | None = WHOSE, sender: str = "fax", pages: int = 1
    ) -> Job:
        staged = store.staging / "page.tif"
        images = [Image.fromarray(np.full((40, 60), 200 + n, np.uint8)) for n in range(pages)]
        images[0].save(staged, "TIFF", save_all=True, append_images=images[1:])
        sha256 = hashlib.sha256(staged.read_bytes()).hexdigest()
        receipt = store.receive(staged, Arrival(Door.FAX, sender, order=order), sha256=sha256)
        worker = Worker("test", config, store, lambda page, _given=NO_CORRECTION: digitize(page), "{}")
        assert worker.work_once()
        return store.job(receipt.job_id)

    return run


def _read(_page: Page, _given: Correction = NO_CORRECTION) -> Recording:
    return three_by_four()


def test_a_read_page_is_digitized_and_queued_once_per_document(work: Callable[..., Job], store: Store) -> None:
    job = work(_read)
    assert job.state == State.DIGITIZED
    assert sorted(row.kind for row in store.deliveries(job.job_id)) == ["aecg", "dicom_waveform"]
    (page,) = store.pages(job.job_id)
    assert page.verdict == Verdict.DIGITIZED
    assert page.recording_npz is not None


def test_nothing_waits(config: Config, store: Store) -> None:
    assert not Worker("test", config, store, _read, "{}").work_once()


def test_a_page_that_is_no_ecg_is_refused_and_nothing_is_queued(work: Callable[..., Job], store: Store) -> None:
    def no_ecg(_page: Page) -> Recording:
        raise Unreadable("not_an_ecg", "It is a letter.")

    job = work(no_ecg)
    assert (job.state, job.code) == (State.REFUSED, "not_an_ecg")
    assert store.deliveries(job.job_id) == ()


def test_a_cover_sheet_is_told_so_and_the_ecg_behind_it_goes_out(work: Callable[..., Job], store: Store) -> None:
    def second_only(page: Page) -> Recording:
        if page.image[0, 0, 0] == 200:
            raise Unreadable("not_an_ecg", "It is a cover sheet.", sure=True)
        return _read(page)

    job = work(second_only, pages=2)
    assert job.state == State.DIGITIZED
    assert [page.verdict for page in store.pages(job.job_id)] == [Verdict.NOT_AN_ECG, Verdict.DIGITIZED]


def test_an_unreadable_ecg_holds_the_readable_one_beside_it(work: Callable[..., Job], store: Store) -> None:
    def first_only(page: Page) -> Recording:
        if page.image[0, 0, 0] == 200:
            return _read(page)
        raise Unreadable("no_traces", "Nothing to read.")

    job = work(first_only, pages=2)
    assert (job.state, job.code) == (State.HELD, "no_traces")
    assert "Page 2" in job.why
    assert store.deliveries(job.job_id) == ()


def test_low_confidence_is_held(work: Callable[..., Job]) -> None:
    job = work(lambda _page: replace(three_by_four(), confidence=0.1))
    assert (job.state, job.code) == (State.HELD, "low_confidence")


def test_a_confidence_just_below_the_threshold_is_told_apart_from_it(work: Callable[..., Job]) -> None:
    job = work(lambda _page: replace(three_by_four(), confidence=0.8969))
    assert "Confidence 89 % is below the configured 90 %." in job.why


def test_a_page_held_for_its_confidence_says_what_it_lacks(work: Callable[..., Job], store: Store) -> None:
    lacks = Finding("least_sure", Severity.INFO, Lead.V3, 1.0, 2.0, "52% of it was read")
    job = work(lambda _page: replace(three_by_four(), confidence=0.6, weakest=lacks))
    (page,) = store.pages(job.job_id)
    assert (job.state, job.code) == (State.HELD, "low_confidence")
    assert [f["detail"] for f in json.loads(page.summary)["findings"]] == ["52% of it was read"]


def test_a_page_that_goes_on_carries_no_doubt(work: Callable[..., Job], store: Store) -> None:
    job = work(lambda _page: replace(three_by_four(), confidence=0.95, weakest=Finding("least_sure", Severity.INFO)))
    (page,) = store.pages(job.job_id)
    assert json.loads(page.summary)["findings"] == []


@pytest.mark.parametrize("confidence_min", [0.0, 0.5, 1.0])
def test_a_finding_of_severity_error_holds_at_every_bound(confidence_min: float) -> None:
    config = Config.model_validate({"pipeline": {"confidence_min": confidence_min}})
    sure = replace(three_by_four(), confidence=1.0)
    doubtful = replace(sure, findings=(Finding("gain_assumed", Severity.ERROR),))
    read = PageResult(1, Verdict.DIGITIZED)
    assert not list(page_reasons(config, ReviewedPage(read, sure)))
    assert [reason.code for reason in page_reasons(config, ReviewedPage(read, doubtful))] == ["gain_assumed"]


def test_a_finding_of_severity_error_holds_the_page(work: Callable[..., Job]) -> None:
    finding = Finding("scale_disagreement", Severity.ERROR, detail="pulse and grid disagree")
    job = work(lambda _page: replace(three_by_four(), findings=(finding,)))
    assert (job.state, job.code) == (State.HELD, "scale_disagreement")


def test_a_doubtful_page_without_a_patient_is_told_both_at_once(work: Callable[..., Job]) -> None:
    job = work(lambda _page: replace(three_by_four(), confidence=0.1), order=Order(acquired_at="20240131"))
    assert (job.state, job.code) == (State.HELD, "low_confidence")
    assert job.why == (
        "Page 1: Confidence 10 % is below the configured 90 %. The page came without patient id; identify it to go on."
    )


def test_no_patient_is_held_never_guessed(work: Callable[..., Job]) -> None:
    job = work(_read, order=Order(acquired_at="20240131"))
    assert (job.state, job.code) == (State.HELD, "no_patient_id")


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (replace(WHOSE, acquired_at=f"{datetime.now(UTC) + timedelta(days=2):%Y%m%d%H%M}"), "acquired_at_ahead"),
        (replace(WHOSE, patient=replace(WHOSE.patient, birth_date="29990101")), "birth_date_ahead"),
    ],
)
def test_a_door_that_tells_a_day_to_come_is_not_believed(work: Callable[..., Job], order: Order, code: str) -> None:
    job = work(_read, order=order)
    assert (job.state, job.code) == (State.HELD, code)
    assert "lies ahead of the day on which the page was received" in job.why


def test_no_acquisition_date_is_held(work: Callable[..., Job]) -> None:
    job = work(_read, order=replace(WHOSE, acquired_at=""))
    assert (job.state, job.code) == (State.HELD, "no_acquisition_date")


def test_rules_hold_and_refuse(work: Callable[..., Job]) -> None:
    assert work(_read, sender="doubtful").state == State.HELD
    refused = work(_read, sender="stranger")
    assert (refused.state, refused.code) == (State.REFUSED, "refused_by_rule")


def test_our_own_fault_is_held_and_the_worker_lives(work: Callable[..., Job]) -> None:
    def broken(_page: Page) -> Recording:
        raise ZeroDivisionError("ours")

    job = work(broken)
    assert (job.state, job.code) == (State.HELD, "our_fault")
    assert "ZeroDivisionError" in job.why
    assert work(_read, sender="another").state == State.DIGITIZED


def test_a_file_that_cannot_be_unpacked_is_refused(config: Config, store: Store) -> None:
    staged = store.staging / "junk"
    staged.write_bytes(b"no image at all")
    sha256 = hashlib.sha256(b"no image at all").hexdigest()
    receipt = store.receive(staged, Arrival(Door.FAX, "fax", order=WHOSE), sha256=sha256)
    Worker("test", config, store, _read, "{}").work_once()
    assert store.job(receipt.job_id).state == State.REFUSED


def test_a_damaged_page_holds_the_document_and_keeps_what_was_read(
    work: Callable[..., Job], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off_after_the_first(*given: object) -> Unpacked:
        whole = unpack(*given)  # type: ignore[arg-type]

        def read(number: int) -> Page:
            if number == 2:
                raise Refused("damaged", "The page is cut off.")
            return whole.read(number)

        return replace(whole, read=read)

    monkeypatch.setattr("gateway.service.worker.unpack", cut_off_after_the_first)
    job = work(_read, pages=2)
    assert (job.state, job.code) == (State.HELD, "damaged")
    first, second = store.pages(job.job_id)
    assert first.recording_npz is not None
    assert second.verdict == Verdict.UNREADABLE


def test_a_world_not_ready_costs_the_job_no_attempt(work: Callable[..., Job], store: Store) -> None:
    def not_now(_page: Page) -> Recording:
        raise TryAgain("busy", "Not now.")

    with pytest.raises(AssertionError):  # work_once says False
        work(not_now)
    (job,) = store.jobs(State.RECEIVED)
    assert job.attempts == 0


def test_a_stop_in_the_middle_of_a_page_gives_it_back(work: Callable[..., Job], store: Store) -> None:
    def stopped(_page: Page) -> Recording:
        raise Stopped

    with pytest.raises(Stopped):
        work(stopped)
    (job,) = store.jobs(State.RECEIVED)
    assert job.attempts == 0


def test_a_database_that_does_not_answer_ends_no_worker(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise TryAgain("database_unavailable", "No answer.")

    monkeypatch.setattr(store, "claim", silent)
    assert not Worker("test", config, store, _read, "{}").work_once()


def test_an_outcome_that_cannot_be_kept_is_our_fault(
    work: Callable[..., Job], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, tries = store.settle, []

    def fails_once(claim: Claim, outcome: Outcome) -> None:
        tries.append(outcome)
        if len(tries) == 1:
            raise ValueError("ours")
        settle(claim, outcome)

    monkeypatch.setattr(store, "settle", fails_once)
    assert work(_read).code == "our_fault"


def test_what_was_found_while_a_page_was_decoded_holds_it_too(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch, work: Callable[..., Job]
) -> None:
    found = (Finding("page_damaged", Severity.ERROR, detail="rows 700 to 1100 are missing"),)

    def damaged(*_arguments: object) -> Unpacked:
        page = Page(np.full((40, 60, 3), 200, np.uint8), None, found)
        return Unpacked(MediaType.TIFF, WHOSE, 1, lambda _number: page)

    monkeypatch.setattr("gateway.service.worker.unpack", damaged)
    job = work(lambda page: replace(three_by_four(), findings=page.findings))
    assert (job.state, job.code) == (State.HELD, "page_damaged")
    assert "rows 700 to 1100 are missing" in job.why
