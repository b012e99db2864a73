"""Destinations on both databases: their queues, a pause, the last answer, and whether anybody is there."""

from __future__ import annotations

import pytest

from gateway.errors import NotFound, UnlawfulMove
from gateway.job import State
from gateway.store import DeliveryState, Queue, Store
from tests.gateway.storing import LONG_S, delivery_states, digitized, document, on_its_way, settled


def lane(store: Store, name: str = "pacs") -> Queue:
    (found,) = (queue for queue in store.destination_queues.queues() if queue.destination == name)
    return found


def test_a_paused_destination_gets_nothing_until_it_is_resumed(store: Store) -> None:
    settled(store, digitized(document("pacs"), document("ehr", "1")))
    store.destination_queues.pause("pacs", "ada")
    assert store.claim_delivery("pacs", LONG_S) is None
    assert store.claim_delivery("ehr", LONG_S) is not None
    assert (lane(store).paused_by, lane(store).queued) == ("ada", 1)
    with pytest.raises(UnlawfulMove):
        store.destination_queues.pause("pacs", "ada")
    store.destination_queues.resume("pacs", "ada")
    assert store.claim_delivery("pacs", LONG_S) is not None
    assert lane(store).paused_at is None
    with pytest.raises(UnlawfulMove):
        store.destination_queues.resume("pacs", "ada")
    assert store.verify_audit().ok


def test_what_is_on_its_way_arrives_in_spite_of_a_pause(store: Store) -> None:
    job_id = settled(store, digitized(document()))
    delivery = on_its_way(store)
    store.destination_queues.pause("pacs", "ada")
    store.delivered(delivery, "0x0000")
    assert store.job(job_id).state == State.DELIVERED
    assert lane(store).response == "0x0000"
    assert lane(store).delivered_at is not None


def test_a_queue_tells_its_length_and_its_head(store: Store) -> None:
    settled(store, digitized(document(name="1")), b"1")
    settled(store, digitized(document(name="2")), b"2")
    store.postpone(on_its_way(store), "busy", 0.0)
    seen = lane(store)
    assert (seen.queued, seen.parked, seen.head_attempts, seen.head_why) == (2, 0, 1, "busy")
    store.park(on_its_way(store), "refused", "no")
    assert (lane(store).queued, lane(store).parked) == (1, 1)


def test_a_peer_is_up_or_down_since_it_became_so(store: Store) -> None:
    store.destination_queues.record_answers([("pacs", True, "answers"), ("ehr", False, "no answer")])
    first = lane(store).peer
    assert (first.up, first.text) == (True, "answers")
    store.destination_queues.record_answers([("pacs", True, "answers still")])
    again = lane(store).peer
    assert (again.since, again.text) == (first.since, "answers still")
    assert again.checked_at is not None
    assert first.checked_at is not None
    assert again.checked_at > first.checked_at
    store.destination_queues.record_answers([("pacs", False, "gone")])
    assert lane(store).peer.since == lane(store).peer.checked_at
    assert lane(store, "ehr").peer.up is False


def test_one_parked_document_goes_again_and_its_neighbour_stays(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr", "1")))
    store.park(on_its_way(store, "pacs"), "refused", "no")
    store.park(on_its_way(store, "ehr"), "refused", "no")
    first, second = store.audit_queries.parked(0, None, 10)
    assert store.audit_queries.parked(first.delivery_id, None, 10) == (second,)
    assert store.audit_queries.parked(0, "ehr", 10) == tuple(row for row in (first, second) if row.destination == "ehr")
    assert store.audit_queries.parked(0, None, 10, last=first.delivery_id) == (first,)
    store.resend_parked(first.delivery_id, "rita")
    assert delivery_states(store, job_id)[first.destination] == DeliveryState.QUEUED
    assert store.job(job_id).state == State.HELD
    with pytest.raises(UnlawfulMove):
        store.resend_parked(first.delivery_id, "rita")
    with pytest.raises(NotFound):
        store.resend_parked(12345, "rita")
    store.delivered(on_its_way(store, first.destination), "yes")
    store.resend_parked(second.delivery_id, "rita")
    store.delivered(on_its_way(store, second.destination), "yes")
    assert store.job(job_id).state == State.DELIVERED
    assert store.verify_audit().ok
