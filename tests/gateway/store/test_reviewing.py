"""What reviewers say, on both databases: which moves it makes, who may say it, and what the audit keeps of it."""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import replace
from datetime import datetime

import pytest

from gateway.errors import NotFound, UnlawfulMove
from gateway.job import Outcome, PageResult, State, Verdict
from gateway.review import Approval, PageReview
from gateway.store import Event, Store
from pipeline.recording import Correction, Lead
from tests.gateway.storing import SHORT_S, claimed, digitized, document, on_its_way, receive, refused, settled

UNSURE = PageResult(1, Verdict.HELD, "low_confidence", "unsure", "{}", b"npz of one page")
UNREAD = PageResult(2, Verdict.UNREADABLE, "no_layout", "no layout")
GIVEN = Correction(orientation=2, layout="3x4", leads=(Lead.I, Lead.II), speed_mm_s=50.0)


def unsure(*pages: PageResult) -> Outcome:
    return Outcome(State.HELD, "low_confidence", "unsure", pages=pages or (UNSURE,))


def test_a_correction_is_kept_and_has_the_page_done_again(store: Store) -> None:
    job_id = settled(store, unsure())
    store.reviews.correct(job_id, 1, GIVEN, "carl", "it is a 3x4 upside down")
    assert store.job(job_id).state == State.RECEIVED
    assert store.reviews.of(job_id) == {1: PageReview(correction=GIVEN, corrected_by="carl")}
    (remark,) = store.reviews.remarks(job_id)
    assert (remark.actor, remark.action, remark.text) == ("carl", "corrected", "it is a 3x4 upside down")
    store.settle(claimed(store), unsure())
    store.reviews.correct(job_id, 1, Correction(), "carl")
    assert store.reviews.of(job_id)[1] == PageReview(corrected_by="carl")


def test_leads_are_marked_where_they_stand_and_nothing_moves(store: Store) -> None:
    job_id = settled(store, unsure())
    store.reviews.mark_invalid(job_id, 1, [Lead.V6, Lead.I, Lead.V6], "rita")
    assert store.reviews.of(job_id)[1] == PageReview(invalid_leads=(Lead.I, Lead.V6), invalid_by="rita")
    assert store.job(job_id).state == State.HELD
    store.reviews.mark_invalid(job_id, 1, [], "rita")
    assert not store.reviews.of(job_id)[1].changed


def test_an_approval_names_the_very_recording(store: Store) -> None:
    job_id = settled(store, unsure())
    assert store.reviews.approvable(job_id).pages == (1,)
    store.reviews.approve(job_id, "rita", "fine")
    review = store.reviews.of(job_id)[1]
    assert (review.approved_sha256, review.approved_by) == (hashlib.sha256(b"npz of one page").hexdigest(), "rita")
    assert store.job(job_id).state == State.RECEIVED


def test_an_approval_tells_by_whom_and_when_until_it_is_taken_back(store: Store) -> None:
    job_id = settled(store, unsure())
    assert store.reviews.of(job_id) == {}
    store.reviews.approve(job_id, "carl")
    store.settle(claimed(store), unsure(replace(UNSURE, recording_npz=b"npz of another reading")))
    store.reviews.approve(job_id, "rita")
    *_, last = (entry for entry in store.audit_queries.job_audit(job_id) if entry.kind == Event.APPROVED)
    approval = store.reviews.of(job_id)[1].approval
    assert approval == Approval("rita", datetime.fromisoformat(last.at))
    store.settle(claimed(store), unsure())
    store.reviews.mark_invalid(job_id, 1, [Lead.I], "rita")
    assert store.reviews.of(job_id)[1].approval is None


def test_only_what_waits_for_an_approval_can_be_approved(store: Store) -> None:
    no_patient = Outcome(
        State.HELD, "no_patient_id", "who?", pages=(PageResult(1, Verdict.DIGITIZED, "", "", "{}", b"x"),)
    )
    for number, outcome in enumerate((refused(), digitized(), digitized(document()), no_patient)):
        job_id = settled(store, outcome, str(number).encode())
        assert not store.reviews.approvable(job_id)
        with pytest.raises(UnlawfulMove):
            store.reviews.approve(job_id, "rita")
    parked = settled(store, digitized(document("ehr")), b"parked")
    store.park(on_its_way(store, "ehr"), "refused", "no")
    assert store.job(parked).state == State.HELD
    with pytest.raises(UnlawfulMove):
        store.reviews.approve(parked, "rita")


def test_pages_that_were_not_read_must_be_left_out_by_name(store: Store) -> None:
    job_id = settled(store, unsure(UNSURE, UNREAD))
    assert store.reviews.approvable(job_id).left_out == (2,)
    with pytest.raises(UnlawfulMove, match="page 2"):
        store.reviews.approve(job_id, "rita")
    store.reviews.approve(job_id, "rita", leave_out=[2])
    assert store.reviews.of(job_id)[2].left_out_by == "rita"


def test_with_four_eyes_who_changed_a_page_may_not_approve_it(store: Store) -> None:
    job_id = settled(store, unsure())
    store.reviews.correct(job_id, 1, GIVEN, "carl")
    store.settle(claimed(store), unsure(replace(UNSURE, correction=GIVEN)))
    store.reviews.mark_invalid(job_id, 1, [Lead.I], "mary")
    for name in ("carl", "mary"):
        with pytest.raises(UnlawfulMove, match="four eyes"):
            store.reviews.approve(job_id, name, four_eyes=True)
    store.reviews.approve(job_id, "rita", four_eyes=True)
    assert store.job(job_id).state == State.RECEIVED


@pytest.mark.parametrize("what", ["leads", "correction"])
def test_with_four_eyes_who_took_back_what_another_said_may_not_approve_it(store: Store, what: str) -> None:
    job_id = settled(store, unsure())
    if what == "leads":
        store.reviews.mark_invalid(job_id, 1, [Lead.V1], "mary")
        store.reviews.mark_invalid(job_id, 1, [], "carl")
    else:
        for correction in (GIVEN, Correction()):
            store.reviews.correct(job_id, 1, correction, "mary" if correction == GIVEN else "carl")
            store.settle(claimed(store), unsure(replace(UNSURE, correction=correction)))
    with pytest.raises(UnlawfulMove, match="four eyes"):
        store.reviews.approve(job_id, "carl", four_eyes=True)
    store.reviews.approve(job_id, "rita", four_eyes=True)


def test_a_page_that_could_not_be_read_again_as_corrected_cannot_be_approved(store: Store) -> None:
    """Its workers die over it, and what is there is the reading from before the correction."""
    job_id = settled(store, unsure())
    store.reviews.correct(job_id, 1, GIVEN, "carl")
    while (claim := store.claim("worker-1", SHORT_S, 2)) is not None:
        time.sleep(2 * SHORT_S)
        assert claim.job.job_id == job_id
    assert (store.job(job_id).state, store.pages(job_id)[0].correction) == (State.HELD, Correction())
    assert not store.reviews.approvable(job_id)
    with pytest.raises(UnlawfulMove):
        store.reviews.approve(job_id, "rita")
    store.reviews.correct(job_id, 1, Correction(), "carl")
    store.settle(claimed(store), unsure())
    assert store.reviews.approvable(job_id).pages == (1,)


def test_a_page_says_what_it_was_read_with(store: Store) -> None:
    job_id = settled(store, unsure(replace(UNSURE, correction=GIVEN), UNREAD))
    assert [page.correction for page in store.pages(job_id)] == [GIVEN, Correction()]
    assert [page.correction for page in store.page_heads(job_id)] == [GIVEN, Correction()]


def test_who_approved_what_a_rule_of_one_person_holds_again_may_approve_it_again(store: Store) -> None:
    """As every page that an older gateway held by a rule although it was approved."""
    job_id = settled(store, unsure())
    store.reviews.approve(job_id, "rita")
    read = replace(UNSURE, verdict=Verdict.DIGITIZED, code="", why="")
    store.settle(claimed(store), Outcome(State.HELD, "held_by_rule", "look at it", pages=(read,)))
    assert store.reviews.approvable(job_id).barred(four_eyes=True) == frozenset()
    store.reviews.approve(job_id, "rita")
    assert store.reviews.of(job_id)[1].approvals == 1
    store.settle(claimed(store), Outcome(State.HELD, "awaits_second_approval", "look at it", pages=(read,)))
    assert store.reviews.approvable(job_id).barred(four_eyes=False) == {"rita"}
    with pytest.raises(UnlawfulMove, match="second person"):
        store.reviews.approve(job_id, "rita")
    store.reviews.approve(job_id, "carl")
    assert store.reviews.of(job_id)[1].approvals == 2


def test_a_change_takes_an_approval_back(store: Store) -> None:
    job_id = settled(store, unsure())
    store.reviews.approve(job_id, "rita")
    no_patient = PageResult(1, Verdict.DIGITIZED, "", "", "{}", b"npz of one page")
    store.settle(claimed(store), Outcome(State.HELD, "no_patient_id", "who?", pages=(no_patient,)))
    store.reviews.mark_invalid(job_id, 1, [Lead.V1], "carl")
    assert store.reviews.of(job_id)[1].approved_by == ""
    assert store.reviews.approvable(job_id).pages == (1,)


def test_what_is_not_there_cannot_be_reviewed(store: Store) -> None:
    job_id = settled(store, unsure())
    with pytest.raises(NotFound):
        store.reviews.correct(job_id, 2, GIVEN, "carl")
    with pytest.raises(NotFound):
        store.reviews.mark_invalid("0" * 32, 1, [], "carl")
    waiting = receive(store, b"another").job_id
    for change in (
        lambda: store.reviews.correct(waiting, 1, GIVEN, "carl"),
        lambda: store.reviews.mark_invalid(waiting, 1, [], "carl"),
        lambda: store.reviews.approve(waiting, "carl"),
    ):
        with pytest.raises(UnlawfulMove):
            change()


def test_the_audit_says_who_changed_what_and_no_word_of_a_comment(store: Store) -> None:
    job_id = settled(store, unsure())
    store.reviews.mark_invalid(job_id, 1, [Lead.V2], "rita", "Mrs Doe moved")
    store.reviews.approve(job_id, "carl", "Mrs Doe is fine")
    told = {entry.kind: entry for entry in store.audit_queries.job_audit(job_id)}
    assert (told[Event.LEADS_MARKED].actor, told[Event.LEADS_MARKED].detail["leads"]) == ("rita", "V2")
    assert (told[Event.APPROVED].actor, told[Event.APPROVED].detail["pages"]) == ("carl", "1")
    stream = io.StringIO()
    store.export_audit(stream)
    assert "Doe" not in stream.getvalue()
    assert store.verify_audit().ok
