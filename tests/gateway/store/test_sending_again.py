"""What went out before a person knew better never goes out again, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.errors import NotFound, UnlawfulMove
from gateway.identity.order import Order, Patient
from gateway.job import Outcome, PageResult, State, Verdict
from gateway.review import AWAITS_APPROVAL
from gateway.store import DeliveryState, Store
from pipeline.recording import Correction, Lead
from tests.gateway.storing import LONG_S, claimed, delivery_states, digitized, document, on_its_way, settled

READ = PageResult(1, Verdict.DIGITIZED, summary="{}", recording_npz=b"npz of one page")
FOUR_EYES = Outcome(State.HELD, AWAITS_APPROVAL, "another person must look", pages=(READ,))
OLD = (document("pacs", "old waveform", b"of 0815"), document("ehr", "old aecg", b"<aecg of 0815/>"))
NEW = (document("pacs", "new waveform", b"of 4711"), document("ehr", "new aecg", b"<aecg of 4711/>"))

PEOPLE: dict[str, Callable[[Store, str], None]] = {
    "identify": lambda store, job_id: store.identify(job_id, Order(patient=Patient("4711")), "rita"),
    "correct": lambda store, job_id: store.reviews.correct(job_id, 1, Correction(speed_mm_s=50.0), "rita"),
    "mark leads": lambda store, job_id: store.reviews.mark_invalid(job_id, 1, [Lead.V6], "rita"),
    "retry": lambda store, job_id: store.retry(job_id, "rita"),
}


def half_sent(store: Store) -> str:
    """A job that its PACS took and its EHR parked."""
    job_id = settled(store, digitized(*OLD))
    store.delivered(on_its_way(store, "pacs"), "0000")
    store.park(on_its_way(store, "ehr"), "rejected", "unknown patient 0815")
    return job_id


@pytest.mark.parametrize("what", PEOPLE)
def test_what_was_sent_before_a_person_knew_better_is_not_sent_while_the_job_is_held(store: Store, what: str) -> None:
    job_id = half_sent(store)
    (parked,) = (row for row in store.deliveries(job_id) if row.state is DeliveryState.PARKED)
    PEOPLE[what](store, job_id)
    store.settle(claimed(store), FOUR_EYES)
    for destination in (None, "pacs", "ehr"):
        with pytest.raises(UnlawfulMove, match="earlier"):
            store.resend(job_id, "rita", destination)
    with pytest.raises(UnlawfulMove):
        store.resend_parked(parked.delivery_id, "rita")
    assert [store.claim_delivery(name, LONG_S) for name in ("pacs", "ehr")] == [None, None]
    assert store.job(job_id).state is State.HELD
    assert store.verify_audit().ok


@pytest.mark.parametrize("what", PEOPLE)
def test_nor_after_what_is_right_went_out(store: Store, what: str) -> None:
    job_id = half_sent(store)
    PEOPLE[what](store, job_id)
    store.settle(claimed(store), digitized(*NEW))
    store.delivered(on_its_way(store, "pacs"), "0000")
    store.delivered(on_its_way(store, "ehr"), "AA")
    assert {row.name: row.superseded for row in store.deliveries(job_id)} == {
        "old waveform": True,
        "old aecg": True,
        "new waveform": False,
        "new aecg": False,
    }
    store.resend(job_id, "rita")
    sent = []
    for name in ("pacs", "ehr"):
        while (delivery := store.claim_delivery(name, LONG_S)) is not None:
            sent.append(delivery.name)
            store.delivered(delivery, "again")
    assert sent == ["new waveform", "new aecg"]
    assert store.job(job_id).state is State.DELIVERED
    assert store.verify_audit().ok


def test_what_is_the_same_after_all_can_be_sent_again_although_it_did_not_need_to_go(store: Store) -> None:
    job_id = half_sent(store)
    store.retry(job_id, "rita")
    assert all(row.superseded for row in store.deliveries(job_id))
    store.settle(claimed(store), digitized(*OLD))
    assert not any(row.superseded for row in store.deliveries(job_id))
    assert delivery_states(store, job_id) == {"pacs": "delivered", "ehr": "queued"}
    store.resend(job_id, "rita", "pacs")
    assert on_its_way(store, "pacs").name == "old waveform"


def test_what_no_destination_was_sent_to_any_more_is_not_sent_there_again(store: Store) -> None:
    job_id = half_sent(store)
    store.retry(job_id, "rita")
    store.settle(claimed(store), digitized(NEW[1]))
    store.delivered(on_its_way(store, "ehr"), "AA")
    with pytest.raises(NotFound):
        store.resend(job_id, "rita", "pacs")


def test_a_mark_on_a_page_whose_document_is_parked_has_it_done_again(store: Store) -> None:
    job_id = half_sent(store)
    store.reviews.mark_invalid(job_id, 1, [Lead.V6], "rita")
    assert store.job(job_id).state is State.RECEIVED
    assert delivery_states(store, job_id) == {"pacs": "delivered", "ehr": "withdrawn"}
    assert store.reviews.of(job_id)[1].invalid_leads == (Lead.V6,)
    assert store.verify_audit().ok
