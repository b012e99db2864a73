"""The outbox on both databases: order, one at a time, back-off, parking, sending again."""

from __future__ import annotations

import time

import pytest

from gateway.errors import LostLease, NotFound, UnlawfulMove
from gateway.job import State
from gateway.store import DeliveryState, Store
from tests.gateway.storing import (
    LONG_S,
    SHORT_S,
    claimed,
    delivery_states,
    digitized,
    document,
    held,
    on_its_way,
    receive,
    refused,
    settled,
)


def test_sends_in_the_order_in_which_documents_were_queued(store: Store) -> None:
    for number in range(3):
        settled(store, digitized(document(name=f"{number}a"), document(name=f"{number}b")), b"%d" % number)
    sent = []
    while (delivery := store.claim_delivery("pacs", LONG_S)) is not None:
        sent.append(delivery.name)
        store.delivered(delivery, "0000")
    assert sent == ["0a", "0b", "1a", "1b", "2a", "2b"]


def test_one_document_is_on_its_way_to_a_destination_at_a_time(store: Store) -> None:
    settled(store, digitized(document("pacs", "1"), document("pacs", "2"), document("ehr", "3")))
    first = on_its_way(store, "pacs")
    assert store.claim_delivery("pacs", LONG_S) is None
    assert on_its_way(store, "ehr").name == "3"
    store.delivered(first, "0000")
    assert on_its_way(store, "pacs").name == "2"


def test_a_head_that_waits_blocks_its_own_queue_and_no_other(store: Store) -> None:
    settled(store, digitized(document("pacs", "1"), document("pacs", "2"), document("ehr", "3")))
    store.postpone(on_its_way(store, "pacs"), "refused the association", 30.0)
    assert store.claim_delivery("pacs", LONG_S) is None
    assert on_its_way(store, "ehr").name == "3"
    assert store.queue_depths() == {"ehr": 1, "pacs": 2}


def test_a_postponed_document_is_due_again_and_knows_its_attempts(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs", "1"), document("pacs", "2")))
    assert on_its_way_and_postponed(store) == 0
    assert on_its_way_and_postponed(store) == 1
    again = on_its_way(store)
    assert (again.name, again.attempts) == ("1", 2)
    row = store.deliveries(job_id)[0]
    assert (row.state, row.attempts, row.why) == (DeliveryState.QUEUED, 3, "busy")
    assert row.due_at > row.queued_at


def on_its_way_and_postponed(store: Store) -> int:
    delivery = on_its_way(store)
    store.postpone(delivery, "busy", SHORT_S)
    time.sleep(2 * SHORT_S)
    return delivery.attempts


def test_a_job_is_delivered_with_its_last_document(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr")))
    store.delivered(on_its_way(store, "pacs"), "0000")
    assert store.job(job_id).state is State.DIGITIZED
    store.delivered(on_its_way(store, "ehr"), "AA")
    assert store.job(job_id).state is State.DELIVERED
    assert [row.response for row in store.deliveries(job_id)] == ["0000", "AA"]
    assert all(row.delivered_at is not None for row in store.deliveries(job_id))


def test_parking_holds_the_job_with_the_reason_while_others_go_out(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr")))
    store.park(on_its_way(store, "ehr"), "rejected", "MSA-1 was AR")
    job = store.job(job_id)
    assert (job.state, job.code, job.why) == (State.HELD, "rejected", "MSA-1 was AR")
    store.delivered(on_its_way(store, "pacs"), "0000")
    assert store.job(job_id).state is State.HELD
    assert delivery_states(store, job_id) == {"ehr": "parked", "pacs": "delivered"}


def test_a_parked_document_lets_the_next_pass(store: Store) -> None:
    settled(store, digitized(document("pacs", "1"), document("pacs", "2")))
    store.park(on_its_way(store), "rejected", "not supported")
    assert on_its_way(store).name == "2"


def test_a_parked_document_goes_out_again_when_a_person_says_so(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr")))
    store.delivered(on_its_way(store, "pacs"), "0000")
    store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
    store.resend(job_id, "a person")
    job = store.job(job_id)
    assert (job.state, job.code) == (State.DIGITIZED, "")
    assert store.claim_delivery("pacs", LONG_S) is None
    again = on_its_way(store, "ehr")
    assert again.attempts == 0
    store.delivered(again, "AA")
    assert store.job(job_id).state is State.DELIVERED


def test_sent_again_a_document_has_no_answer_of_the_last_time(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs")))
    store.postpone(on_its_way(store), "busy", 0.0, "timeout")
    store.delivered(on_its_way(store), "AA")
    (row,) = store.deliveries(job_id)
    assert (row.code, row.why, row.response) == ("", "", "AA")  # nor, delivered, why it was not before
    store.resend(job_id, "a person")
    (row,) = store.deliveries(job_id)
    assert (row.response, row.delivered_at) == ("", None)
    store.park(on_its_way(store), "rejected", "no")
    (row,) = store.deliveries(job_id)
    assert (row.code, row.response, row.delivered_at) == ("rejected", "", None)
    assert store.verify_audit().ok


def test_a_job_stays_held_until_its_last_parked_document_is_sent_again(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr")))
    store.park(on_its_way(store, "pacs"), "rejected", "no")
    store.park(on_its_way(store, "ehr"), "rejected", "no")
    store.resend(job_id, "a person", "pacs")
    assert store.job(job_id).state is State.HELD
    store.delivered(on_its_way(store, "pacs"), "0000")
    assert store.job(job_id).state is State.HELD
    store.resend(job_id, "a person", "ehr")
    store.delivered(on_its_way(store, "ehr"), "AA")
    assert store.job(job_id).state is State.DELIVERED


def test_a_delivered_job_can_be_sent_again_with_the_same_names_and_bytes(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs", "2.25.7"), document("ehr", "2.25.8")))
    first = on_its_way(store, "pacs")
    store.delivered(first, "0000")
    store.delivered(on_its_way(store, "ehr"), "AA")
    store.resend(job_id, "a person", "pacs")
    assert store.job(job_id).state is State.DIGITIZED
    again = on_its_way(store, "pacs")
    assert (again.name, again.sha256, again.delivery_id) == (first.name, first.sha256, first.delivery_id)
    store.delivered(again, "0000")
    assert store.job(job_id).state is State.DELIVERED
    assert store.claim_delivery("ehr", LONG_S) is None
    assert len(store.deliveries(job_id)) == 2


def test_what_is_sent_again_queues_behind_what_waits(store: Store) -> None:
    first = settled(store, digitized(document(name="old")), b"1")
    store.delivered(on_its_way(store), "0000")
    settled(store, digitized(document(name="new")), b"2")
    store.resend(first, "a person")
    assert on_its_way(store).name == "new"


def test_a_page_held_for_its_content_stays_held_when_its_documents_are_delivered(store: Store) -> None:
    outcome = held("low_confidence", "Page 2 is faint.")
    job_id = settled(store, type(outcome)(State.HELD, outcome.code, outcome.why, outcome.pages, (document(),)))
    store.delivered(on_its_way(store), "0000")
    job = store.job(job_id)
    assert (job.state, job.code) == (State.HELD, "low_confidence")
    with pytest.raises(UnlawfulMove, match="held"):
        store.resend(job_id, "a person")
    assert store.job(job_id).state is State.HELD


def test_only_what_has_been_sent_can_be_sent_again(store: Store) -> None:
    waiting = settled(store, digitized(document()), b"1")
    with pytest.raises(NotFound):
        store.resend(waiting, "a person")
    with pytest.raises(UnlawfulMove):
        store.resend(settled(store, held(), b"2"), "a person", "pacs")
    with pytest.raises(UnlawfulMove):
        store.resend(settled(store, refused(), b"3"), "a person")
    with pytest.raises(UnlawfulMove):
        store.resend(receive(store, b"4").job_id, "a person")


def test_a_delivery_whose_process_died_is_taken_over_under_the_same_name(store: Store) -> None:
    settled(store, digitized(document(name="2.25.7")))
    dead = on_its_way(store, lease_s=SHORT_S)
    time.sleep(2 * SHORT_S)
    taken = on_its_way(store)
    assert (taken.name, taken.attempts) == ("2.25.7", 1)
    for verb in (
        lambda: store.delivered(dead, "0000"),
        lambda: store.postpone(dead, "busy", 1.0),
        lambda: store.park(dead, "rejected", "no"),
    ):
        with pytest.raises(LostLease):
            verb()
    store.delivered(taken, "0000")
    with pytest.raises(LostLease):
        store.delivered(taken, "0000")


def test_an_answer_is_kept_but_not_without_end(store: Store) -> None:
    job_id = settled(store, digitized(document()))
    store.delivered(on_its_way(store), "A" * 100_000)
    assert store.deliveries(job_id)[0].response == "A" * 4000


def test_a_new_result_replaces_the_bytes_of_a_document_that_never_went_out(store: Store) -> None:
    job_id = settled(store, digitized(document(data=b"first try")))
    store.park(on_its_way(store), "rejected", "no")
    store.retry(job_id, "a person")
    store.settle(claimed(store), digitized(document(data=b"second try")))
    delivery = on_its_way(store)
    assert store.object_path(delivery.sha256).read_bytes() == b"second try"
    assert delivery.attempts == 0
