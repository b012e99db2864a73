"""What people do to pages, on both databases: retry, identify, give up, and what that withdraws."""

from __future__ import annotations

import pytest

from gateway.errors import NotFound, TryAgain, UnlawfulMove
from gateway.identity.order import Order, Patient
from gateway.job import LAWFUL_MOVES, State, Verdict
from gateway.store import Store
from tests.gateway.storing import (
    LONG_S,
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


def test_a_held_page_can_be_done_again(store: Store) -> None:
    job_id = settled(store, held())
    store.retry(job_id, "a person")
    job = store.job(job_id)
    assert (job.state, job.code, job.why, job.attempts) == (State.RECEIVED, "", "", 0)
    store.settle(claimed(store), digitized())
    assert [page.verdict for page in store.pages(job_id)] == [Verdict.DIGITIZED]


def test_identifying_a_page_replaces_its_order(store: Store) -> None:
    job_id = settled(store, held())
    told = Order(patient=Patient("0815", "HOSPITAL", "Roe^Richard"))
    store.identify(job_id, told, "a person")
    assert claimed(store).job.arrival.order == told
    assert store.order(job_id) == told


def test_a_page_given_up_is_refused_with_the_reason(store: Store) -> None:
    job_id = settled(store, held())
    store.give_up(job_id, "a person", "not ours")
    job = store.job(job_id)
    assert (job.state, job.code, job.why) == (State.REFUSED, "given_up", "not ours")


def test_people_can_only_make_lawful_moves(store: Store) -> None:
    ids = {
        State.DIGITIZED: settled(store, digitized(document()), b"1"),
        State.DELIVERED: settled(store, digitized(), b"2"),
        State.HELD: settled(store, held(), b"3"),
        State.REFUSED: settled(store, refused(), b"4"),
        State.RECEIVED: receive(store, b"5").job_id,
    }
    for state, job_id in ids.items():
        if (state, State.RECEIVED) not in LAWFUL_MOVES:
            with pytest.raises(UnlawfulMove):
                store.retry(job_id, "a person")
        if state is not State.HELD:
            with pytest.raises(UnlawfulMove):
                store.identify(job_id, Order(), "a person")
            with pytest.raises(UnlawfulMove):
                store.give_up(job_id, "a person", "")
        assert store.job(job_id).state is state


def test_what_waited_to_go_out_is_withdrawn_when_a_page_is_identified_anew(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs", "wrong-patient"), document("ehr", "wrong-patient")))
    store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
    store.identify(job_id, Order(patient=Patient("0815")), "a person")
    assert delivery_states(store, job_id) == {"pacs": "withdrawn", "ehr": "withdrawn"}
    assert store.claim_delivery("pacs", LONG_S) is None
    store.settle(claimed(store), digitized(document("pacs", "right-patient")))
    assert on_its_way(store, "pacs").name == "right-patient"


def test_a_page_is_not_done_again_while_a_document_of_it_is_on_its_way(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr")))
    store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
    sending = on_its_way(store, "pacs")
    with pytest.raises(TryAgain, match="on its way"):
        store.retry(job_id, "a person")
    store.delivered(sending, "0000")
    store.retry(job_id, "a person")
    assert delivery_states(store, job_id) == {"pacs": "delivered", "ehr": "withdrawn"}


def test_a_page_done_again_is_not_sent_again_where_it_was_delivered(store: Store) -> None:
    both = digitized(document("pacs"), document("ehr"))
    job_id = settled(store, both)
    store.delivered(on_its_way(store, "pacs"), "0000")
    store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
    store.retry(job_id, "a person")
    store.settle(claimed(store), both)
    assert store.claim_delivery("pacs", LONG_S) is None
    store.delivered(on_its_way(store, "ehr"), "AA")
    assert store.job(job_id).state is State.DELIVERED
    assert len(store.deliveries(job_id)) == 2


def test_a_page_done_again_after_all_was_delivered_is_delivered(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr")))
    store.delivered(on_its_way(store, "pacs"), "0000")
    store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
    store.retry(job_id, "a person")
    store.settle(claimed(store), digitized(document("pacs")))
    assert store.job(job_id).state is State.DELIVERED


@pytest.mark.parametrize("verb", ["job", "pages", "deliveries", "order"])
def test_does_not_know_a_job_that_is_not_there(store: Store, verb: str) -> None:
    with pytest.raises(NotFound):
        getattr(store, verb)("0" * 32)
    with pytest.raises(NotFound):
        store.retry("0" * 32, "a person")
