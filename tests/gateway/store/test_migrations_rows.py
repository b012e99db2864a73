"""What stood in the database of an earlier version means the same to this one, and goes on, on both databases."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, text

from gateway.config import DataSection
from gateway.errors import UnlawfulMove
from gateway.job import DocumentKind, Outcome, PageResult, Reading, State, Verdict
from gateway.store import Event, Store, database_url
from gateway.store.database import Database
from gateway.store.schema import downgrade, newest_revision
from tests.gateway.storing import (
    SHORT_S,
    claimed,
    delivery_states,
    digitized,
    document,
    held,
    on_its_way,
    settled,
)

SINCE_0008 = {
    "outbox": {"made_at", "lease_holder", "erased_at"},
    "jobs": {"lease_holder", "gateway_deaths", "erased_at"},
    "reviews": {"approved_again_by"},
}
UNSURE = PageResult(1, Verdict.HELD, "low_confidence", "unsure", "{}", b"npz of one page")
PACS = ("pacs", DocumentKind.DICOM_WAVEFORM, 1)


@pytest.fixture
def old(data: DataSection) -> Database:
    """The database to look at by SQL, as version 0008 had it once as_of_0008 was called."""
    return Database(database_url(data))


def as_of_0008(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Takes the database back to revision 0008; every row of it, as SQL sees it."""
    downgrade(database, "0008")
    rows = everything(database)
    for table, columns in SINCE_0008.items():
        assert rows[table]
        assert not columns & rows[table][0].keys()
    return rows


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    with database.engine.connect() as connection:
        names = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
        return {
            name: [dict(row._mapping) for row in connection.execute(text(f"SELECT * FROM {name}"))] for name in names
        }


def test_every_row_of_revision_0008_means_the_same_afterwards_and_goes_on(data: DataSection, old: Database) -> None:
    with Store.open(data) as store:
        approved = settled(store, Outcome(State.HELD, "low_confidence", "unsure", pages=(UNSURE,)), b"1")
        waits = settled(store, held(), b"2")
        sent = settled(store, digitized(document("pacs", "2.25.31"), document("ehr", "2.25.32")), b"3")
        store.delivered(on_its_way(store, "pacs"), "0000")
        store.postpone(on_its_way(store, "ehr"), "timeout: no answer", 0.0, "timeout")
        twice = settled(store, digitized(document("pacs", "2.25.41"), document("archive", "2.25.43")), b"4")
        store.delivered(on_its_way(store, "pacs"), "0000")
        store.park(on_its_way(store, "archive"), "rejected", "unknown patient")
        store.retry(twice, "rita")
        store.settle(claimed(store), digitized(document("pacs", "2.25.42", b"read again")))
        flying = settled(store, digitized(document("third", "2.25.51")), b"5")
        on_its_way(store, "third", SHORT_S)  # the old version was stopped over it
        store.reviews.approve(approved, "rita", "fine")
        approval = store.reviews.of(approved)[1]
        before = {job_id: store.job(job_id) for job_id in (approved, waits, sent, twice, flying)}
        rows_before = {job_id: store.deliveries(job_id) for job_id in (sent, twice)}
    rows = as_of_0008(old)

    time.sleep(SHORT_S)
    with Store.open(data) as store:
        assert f"revision {newest_revision()}" in store.check()
        now = everything(old)
        for table, were in rows.items():
            kept = [{key: row[key] for key in were[0]} for row in now[table]] if were else now[table]
            assert sorted(map(str, kept)) == sorted(map(str, were)), table  # not a digit of a time or hash has changed
        assert {job_id: store.job(job_id) for job_id in before} == before
        assert store.reviews.of(approved)[1] == approval
        assert approval.approved_by == "rita"
        assert approval.approved_again_by == ""
        for job_id, were_rows in rows_before.items():
            assert [
                (row.state, row.name, row.attempts, row.queued_at, row.due_at) for row in store.deliveries(job_id)
            ] == [(row.state, row.name, row.attempts, row.queued_at, row.due_at) for row in were_rows]
        the_reading_of_then_comes_before_the_next(store, twice)
        the_held_waits_for_a_person_and_the_approved_for_a_worker(store, waits, approved)
        delivery_goes_on(store, sent, twice, flying)
        assert store.verify_audit().ok
    old.close()


def the_reading_of_then_comes_before_the_next(store: Store, twice: str) -> None:
    """Documents of then tell no time of their result; it is when they were queued, and the second is the second."""
    first, _, second = store.deliveries(twice)
    assert first.made_at is None
    reading = store.readings(twice)[PACS]
    assert reading == Reading(second.queued_at.astimezone(), 2, "2.25.42")
    following = Reading(datetime.now().astimezone() - timedelta(days=1)).after(reading)
    assert (following.number, following.made_at) == (3, second.queued_at.astimezone() + timedelta(seconds=1))
    assert store.pages(twice)[0].recording_npz == b"npz of one page"


def the_held_waits_for_a_person_and_the_approved_for_a_worker(store: Store, waits: str, approved: str) -> None:
    assert store.job(waits).state is State.HELD
    with pytest.raises(UnlawfulMove):
        store.reviews.approve(waits, "rita")
    claim = claimed(store)
    assert claim.job.job_id == approved
    store.settle(claim, digitized(document("pacs", "2.25.11")))
    assert store.reviews.of(approved)[1].approved_by == "rita"
    *_, last = (entry for entry in store.audit_queries.job_audit(approved) if entry.kind == Event.APPROVED)
    approval = store.reviews.of(approved)[1].approval
    assert approval is not None
    assert approval.at == datetime.fromisoformat(last.at)


def delivery_goes_on(store: Store, sent: str, twice: str, flying: str) -> None:
    """In the order of then: nothing that was delivered goes again, and the tries of before count."""
    again = on_its_way(store, "ehr")
    assert (again.job_id, again.name, again.attempts) == (sent, "2.25.32", 1)
    store.delivered(again, "AA")
    assert store.job(sent).state is State.DELIVERED
    for job_id, name in ((twice, "2.25.42"), (None, "2.25.11")):
        delivery = on_its_way(store, "pacs")
        assert delivery.name == name
        assert job_id in (None, delivery.job_id)
        store.delivered(delivery, "0000")
    assert store.claim_delivery("pacs", SHORT_S) is None
    assert store.end_dead_leases() == 0  # nobody knows whose the lease of then was: it runs out
    lost = on_its_way(store, "third")
    assert (lost.job_id, lost.name) == (flying, "2.25.51")
    store.delivered(lost, "0000")
    assert delivery_states(store, flying) == {"third": "delivered"}
