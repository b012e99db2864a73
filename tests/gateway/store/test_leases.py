"""Lending pages to workers, on both databases: order, leases that run out, workers that die."""

from __future__ import annotations

import time

import pytest

from gateway.errors import LostLease
from gateway.job import State
from gateway.store import WORKER_DIED, Store, leases
from tests.gateway.storing import (
    LONG_S,
    SHORT_S,
    claimed,
    digitized,
    document,
    receive,
)


def test_lends_the_oldest_page_first_and_each_once(store: Store) -> None:
    ids = [receive(store, content).job_id for content in (b"1", b"2", b"3")]
    assert [claimed(store).job.job_id for _ in ids] == ids
    assert store.claim("worker-2", LONG_S, 2) is None


def test_a_claim_counts_the_attempt_and_a_release_takes_it_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RELEASED_WAITS_S", 0.0)
    receive(store, b"a page")
    claim = claimed(store)
    assert claim.job.attempts == 1
    store.release(claim)
    assert store.job(claim.job.job_id).attempts == 0
    assert claimed(store).job.attempts == 1


def test_a_page_given_back_lets_the_others_pass_and_comes_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (receive(store, content).job_id for content in (b"1", b"2"))
    monkeypatch.setattr(leases, "RELEASED_WAITS_S", 3600.0)
    store.release(claimed(store))
    assert claimed(store).job.job_id == second
    assert store.claim("worker-2", LONG_S, 2) is None
    third = receive(store, b"3").job_id
    monkeypatch.setattr(leases, "RELEASED_WAITS_S", 0.5)
    claim = claimed(store)
    released_at = time.monotonic()
    store.release(claim)
    again = store.claim("worker-2", LONG_S, 2)
    while again is None:
        assert time.monotonic() < released_at + 60
        time.sleep(0.05)
        again = store.claim("worker-2", LONG_S, 2)
    assert time.monotonic() - released_at >= 0.5
    assert (again.job.job_id, again.job.attempts) == (third, 1)
    assert store.job(first).state is State.RECEIVED


def test_a_heartbeat_keeps_a_lease(store: Store) -> None:
    receive(store, b"a page")
    claim = claimed(store, lease_s=SHORT_S)
    renewed = store.heartbeat(claim, LONG_S)
    time.sleep(2 * SHORT_S)
    assert renewed.expires_at > claim.expires_at
    assert store.claim("worker-2", LONG_S, 2) is None


def test_a_lease_that_ran_out_goes_to_another_worker_and_the_first_has_lost_it(store: Store) -> None:
    receive(store, b"a page")
    first = claimed(store, lease_s=SHORT_S)
    time.sleep(2 * SHORT_S)
    second = claimed(store, worker="worker-2")
    assert second.job.attempts == 2
    for verb in (
        lambda: store.heartbeat(first, LONG_S),
        lambda: store.release(first),
        lambda: store.settle(first, digitized(document())),
    ):
        with pytest.raises(LostLease):
            verb()
    assert store.deliveries(second.job.job_id) == ()
    store.settle(second, digitized(document()))


def test_late_work_counts_where_nobody_else_took_over(store: Store) -> None:
    receive(store, b"a page")
    claim = claimed(store, lease_s=SHORT_S)
    time.sleep(2 * SHORT_S)
    store.settle(claim, digitized())
    assert store.job(claim.job.job_id).state is State.DELIVERED


def test_a_page_whose_workers_die_is_held_as_ours_and_the_next_is_lent(store: Store) -> None:
    poison, good = receive(store, b"poison").job_id, receive(store, b"good").job_id
    for _ in range(2):
        assert claimed(store, lease_s=SHORT_S).job.job_id == poison
        time.sleep(2 * SHORT_S)
    assert claimed(store).job.job_id == good
    job = store.job(poison)
    assert (job.state, job.code, job.attempts) == (State.HELD, WORKER_DIED, 2)
    store.retry(poison, "a person")
    assert claimed(store).job.attempts == 1


def test_a_job_is_settled_once(store: Store) -> None:
    receive(store, b"a page")
    claim = claimed(store)
    store.settle(claim, digitized(document()))
    with pytest.raises(LostLease):
        store.settle(claim, digitized(document()))
    assert len(store.deliveries(claim.job.job_id)) == 1
