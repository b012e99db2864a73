"""Settling a page, on both databases: all that belongs to it in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from gateway.errors import TryAgain, UnlawfulMove
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Door, Outcome, PageResult, State, Verdict
from gateway.store import Store
from tests.gateway.storing import (
    claimed,
    digitized,
    document,
    held,
    receive,
    refused,
    settled,
)


def test_settles_a_digitized_page_with_all_that_belongs_to_it(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr", "aecg-1", b"<aecg/>")))
    assert store.job(job_id).state is State.DIGITIZED
    assert store.pages(job_id) == digitized().pages
    assert store.queue_depths() == {"ehr": 1, "pacs": 1}
    rows = {row.destination: row for row in store.deliveries(job_id)}
    assert store.object_path(rows["ehr"].sha256).read_bytes() == b"<aecg/>"
    assert (rows["ehr"].name, rows["ehr"].size_bytes, rows["ehr"].attempts) == ("aecg-1", 7, 0)


@pytest.mark.parametrize(
    "offset", [-timedelta(hours=5), timedelta(hours=5, minutes=45), timedelta(seconds=3208)], ids=str
)
def test_keeps_when_a_result_was_made_with_the_offset_of_then(store: Store, offset: timedelta) -> None:
    made_at = datetime(2026, 11, 30, 23, 30, 5, tzinfo=timezone(offset))
    job_id = settled(store, digitized(replace(document("pacs"), made_at=made_at)))
    (row,) = store.deliveries(job_id)
    assert row.made_at is not None
    assert row.made_at.isoformat() == made_at.isoformat()
    (reading,) = store.readings(job_id).values()
    assert reading.made_at.isoformat() == made_at.isoformat()


def test_a_digitized_page_with_nothing_to_send_is_delivered(store: Store) -> None:
    assert store.job(settled(store, digitized())).state is State.DELIVERED


@pytest.mark.parametrize(("outcome", "state"), [(held(), State.HELD), (refused(), State.REFUSED)])
def test_says_why_a_page_was_held_or_refused(store: Store, outcome: Outcome, state: State) -> None:
    job = store.job(settled(store, outcome))
    assert (job.state, job.code, job.why) == (state, outcome.code, outcome.why)


def test_keeps_the_order_that_the_worker_read(store: Store) -> None:
    read = Order(patient=Patient("4711", name="Müller^Jürgen"), study_uid="1.2.3")
    receipt = receive(store, b"a fax", Arrival(Door.FAX, "ward 3"))
    store.settle(claimed(store), Outcome(State.HELD, "no_date", "No date.", order=read))
    assert store.order(receipt.job_id) == read
    assert store.job(receipt.job_id).arrival.order is None


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(State.REFUSED, documents=(document(),)),
        Outcome(State.DELIVERED, documents=(document(),)),
        digitized(document(), document()),
        Outcome(State.HELD, pages=(PageResult(1, Verdict.HELD), PageResult(1, Verdict.HELD))),
    ],
    ids=["refused but sent", "delivered but sent", "one name twice", "one page twice"],
)
def test_refuses_an_outcome_that_contradicts_itself(store: Store, outcome: Outcome) -> None:
    receive(store, b"a page")
    claim = claimed(store)
    with pytest.raises(ValueError):  # noqa: PT011  each says something else
        store.settle(claim, outcome)
    assert store.job(claim.job.job_id).state is State.RECEIVED


def test_a_job_cannot_be_settled_as_received(store: Store) -> None:
    receive(store, b"a page")
    with pytest.raises(UnlawfulMove):
        store.settle(claimed(store), Outcome(State.RECEIVED))


def test_nothing_is_written_where_settling_fails_half_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(store, b"a page")
    claim = claimed(store)

    def fail(*_arguments: object) -> None:
        raise TryAgain("database_unavailable", "gone")

    monkeypatch.setattr("gateway.store.settling._queue", fail)
    with pytest.raises(TryAgain):
        store.settle(claim, digitized(document()))
    monkeypatch.undo()
    assert store.job(claim.job.job_id).state is State.RECEIVED
    assert store.pages(claim.job.job_id) == ()
    assert store.verify_audit().ok
    store.settle(claim, digitized(document()))


def test_a_page_counts_once_however_often_it_is_read_again(store: Store) -> None:
    job_id = settled(store, held())
    store.retry(job_id, "a person")
    store.settle(claimed(store), digitized(document()))
    assert store.traffic(("pacs",)).pages == ((Verdict.HELD.value, 1),)
