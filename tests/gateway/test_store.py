"""The store's verbs on both databases: taking pages in, lending them, settling them, and what people do to them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.config import DataSection
from gateway.errors import ConfigError, LostLease, NotFound, OutOfSpace, QueueFull, TryAgain, UnlawfulMove
from gateway.job import LAWFUL_MOVES, Arrival, Door, Outcome, PageResult, State, Verdict
from gateway.order import Order, Patient
from gateway.store import WORKER_DIED, Event, Store, database_url
from gateway.store.audit import append
from gateway.store.database import Database
from tests.gateway.storing import (
    LONG_S,
    SHORT_S,
    arrival,
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

ON_POSTGRESQL = pytest.mark.parametrize("data", [pytest.param("postgresql", marks=pytest.mark.peer)], indirect=True)

# Taking pages in


def test_keeps_a_page_as_it_came(store: Store) -> None:
    receipt = receive(store, b"a page")
    job = store.job(receipt.job_id)
    assert not receipt.duplicate
    assert (job.state, job.arrival, job.size_bytes, job.attempts) == (State.RECEIVED, arrival(), 6, 0)
    assert store.content(job).read_bytes() == b"a page"
    assert list(store.staging.glob("[!.]*")) == []


def test_keeps_a_page_that_came_without_an_order(store: Store) -> None:
    job_id = receive(store, b"a fax", Arrival(Door.FAX, "ward 3")).job_id
    assert store.job(job_id).arrival.order is None
    assert store.order(job_id) is None


def test_a_page_is_on_disk_before_its_row_is_committed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    real_sync, real_replace, real_write = os.fsync, Path.replace, store._database.write

    def sync(handle: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "file"
        steps.append(f"sync {kind}")
        real_sync(handle)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    def write() -> Any:
        steps.append("commit")
        return real_write()

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(store._database, "write", write)
    receive(store, b"a page")
    assert steps == ["sync file", "rename", "sync folder", "commit"]


def test_a_repeated_page_is_the_same_job(store: Store) -> None:
    first = receive(store, b"a page")
    again = receive(store, b"a page")
    assert (again.job_id, again.duplicate) == (first.job_id, True)
    assert store.counts()[State.RECEIVED] == 1
    assert list(store.staging.glob("[!.]*")) == []


@pytest.mark.parametrize(
    "came",
    [arrival(sender="OTHER"), arrival(patient_id="4712"), arrival(issuer="HOSPITAL"), arrival(door=Door.WEB)],
    ids=["sender", "patient", "issuer", "door"],
)
def test_the_same_bytes_from_elsewhere_or_for_another_patient_are_another_job(store: Store, came: Arrival) -> None:
    first = receive(store, b"a page")
    other = receive(store, b"a page", came)
    assert not other.duplicate
    assert other.job_id != first.job_id
    assert store.job(other.job_id).sha256 == store.job(first.job_id).sha256


def test_a_repeat_is_taken_when_the_queue_is_full(data: DataSection) -> None:
    with Store.open(data.model_copy(update={"queue_max": 1})) as store:
        receive(store, b"a page")
        assert receive(store, b"a page").duplicate


def test_a_full_queue_takes_no_page_and_keeps_nothing_of_it(data: DataSection) -> None:
    with Store.open(data.model_copy(update={"queue_max": 2})) as store:
        receive(store, b"1")
        store.room()
        receive(store, b"2")
        with pytest.raises(QueueFull):
            store.room()
        with pytest.raises(QueueFull):
            receive(store, b"3")
        assert store.counts()[State.RECEIVED] == 2
        assert list(store.staging.glob("[!.]*")) == []
        assert not store.object_path(hashlib.sha256(b"3").hexdigest()).exists()


def test_below_the_reserve_no_page_is_taken(data: DataSection, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(data.model_copy(update={"reserve_mb": 100})) as store:
        store.room()
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**12, 10**12, 99_000_000))
        with pytest.raises(OutOfSpace):
            store.room()
        with pytest.raises(OutOfSpace):
            receive(store, b"a page")
        assert list(store.staging.glob("[!.]*")) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_while_a_page_is_kept_is_out_of_space(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutOfSpace):
        receive(store, b"a page")
    monkeypatch.undo()
    assert store.counts()[State.RECEIVED] == 0
    assert list(store.staging.glob("[!.]*")) == []
    assert not receive(store, b"a page").duplicate


def test_bytes_that_were_harmed_on_disk_are_replaced_when_they_come_again(store: Store) -> None:
    job = store.job(receive(store, b"a page").job_id)
    for harmed in (b"a pa", b"a pagf"):
        store.content(job).write_bytes(harmed)
        assert receive(store, b"a page").duplicate
        assert store.content(job).read_bytes() == b"a page"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "AB" * 32, "0" * 63])
def test_an_object_is_never_named_by_anything_but_a_sha256(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.object_path(name)


def test_keeps_text_that_a_database_would_refuse(store: Store) -> None:
    came = Arrival(Door.FAX, "ward\0three", file_name="scan-\udcff.tif", order=Order(patient=Patient("\udcff\0")))
    job = store.job(receive(store, b"a page", came).job_id)
    assert job.arrival.sender == "ward\ufffdthree"
    assert job.arrival.order == came.order


# Lending them to workers


def test_lends_the_oldest_page_first_and_each_once(store: Store) -> None:
    ids = [receive(store, content).job_id for content in (b"1", b"2", b"3")]
    assert [claimed(store).job.job_id for _ in ids] == ids
    assert store.claim("worker-2", LONG_S, 2) is None


def test_a_claim_counts_the_attempt_and_a_release_takes_it_back(store: Store) -> None:
    receive(store, b"a page")
    claim = claimed(store)
    assert claim.job.attempts == 1
    store.release(claim)
    assert store.job(claim.job.job_id).attempts == 0
    assert claimed(store).job.attempts == 1


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


# Settling


def test_settles_a_digitized_page_with_all_that_belongs_to_it(store: Store) -> None:
    job_id = settled(store, digitized(document("pacs"), document("ehr", "aecg-1", b"<aecg/>")))
    assert store.job(job_id).state is State.DIGITIZED
    assert store.pages(job_id) == digitized().pages
    assert store.queue_depths() == {"ehr": 1, "pacs": 1}
    rows = {row.destination: row for row in store.deliveries(job_id)}
    assert store.object_path(rows["ehr"].sha256).read_bytes() == b"<aecg/>"
    assert (rows["ehr"].name, rows["ehr"].size_bytes, rows["ehr"].attempts) == ("aecg-1", 7, 0)


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


# What people do


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


# Looking, opening, closing


def test_lists_the_newest_jobs_first_by_state_and_page(store: Store) -> None:
    first, second = settled(store, held(), b"1"), settled(store, held(), b"2")
    third = receive(store, b"3").job_id
    assert [job.job_id for job in store.jobs()] == [third, second, first]
    assert [job.job_id for job in store.jobs(State.HELD, 1, 1)] == [first]
    assert store.counts() == {
        State.RECEIVED: 1,
        State.HELD: 2,
        State.DIGITIZED: 0,
        State.DELIVERED: 0,
        State.REFUSED: 0,
    }


def test_says_where_the_database_is_without_its_password(store: Store, data: DataSection) -> None:
    assert "revision 0001" in store.check()
    secret = Store.open(data)
    secret._database.url = secret._database.url.set(password="hunter2")
    assert "hunter2" not in secret.check()
    secret.close()


def test_opening_sweeps_what_a_dead_process_had_half_received_but_not_what_a_living_one_has(
    store: Store, data: DataSection
) -> None:
    living = store.staging / "half"
    living.write_bytes(b"half a page")
    dying = Store.open(data)
    (dying.staging / "half").write_bytes(b"half a page")
    dying._objects._lock.close()  # as the kernel does for a process that dies
    with Store.open(data) as opened:
        assert living.exists()
        assert not dying.staging.exists()
        assert opened.staging.is_dir()


def test_what_was_received_is_there_when_the_store_is_opened_again(store: Store, data: DataSection) -> None:
    job_id = receive(store, b"a page").job_id
    store.close()
    with Store.open(data) as again:
        assert again.content(again.job(job_id)).read_bytes() == b"a page"


def test_sqlite_is_used_the_safe_way(tmp_path: Path) -> None:
    with Store.open(DataSection(folder=tmp_path)) as store, store._database.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.parametrize("url", ["mysql://root@127.0.0.1/ecg", "sqlite://", "not an address"])
def test_an_address_of_no_known_database_is_a_configuration_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="database_url"):
        Store.open(DataSection.model_validate({"folder": tmp_path, "database_url": url}))


def test_a_database_that_does_not_answer_is_the_worlds_fault(tmp_path: Path) -> None:
    # Port 1 on loopback: nothing listens there, and the answer is a refusal at once.
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    with pytest.raises(TryAgain, match="database"):
        Store.open(DataSection.model_validate({"folder": tmp_path, "database_url": url}))


@ON_POSTGRESQL
def test_a_database_that_was_restarted_is_found_again(store: Store, data: DataSection) -> None:
    job_id = receive(store, b"a page").job_id
    with Database(database_url(data)).engine.begin() as other:
        other.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
    assert store.job(job_id).state is State.RECEIVED


@ON_POSTGRESQL
def test_a_connection_that_breaks_half_way_is_the_worlds_fault_and_writes_nothing(store: Store) -> None:

    def break_half_way() -> None:
        with store._database.write() as tx:
            append(tx, Event.REPEATED, "0" * 32, "nobody")
            tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(TryAgain, match="did not answer"):
        break_half_way()
    assert store.verify_audit().rows == 0


def test_a_wrong_statement_is_our_fault_and_not_tried_again(store: Store) -> None:
    with pytest.raises(DBAPIError), store._database.write() as tx:
        tx.execute(text("SELECT nothing FROM nowhere"))


def test_the_embedded_database_lives_in_the_data_folder(tmp_path: Path) -> None:
    assert database_url(DataSection(folder=tmp_path)) == f"sqlite:///{tmp_path}/cardioscan.sqlite3"
