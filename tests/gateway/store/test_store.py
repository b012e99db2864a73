"""AuditQueries into a store, opening and closing it, and databases that fail."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.config import DataSection
from gateway.errors import ConfigError, TryAgain
from gateway.job import State
from gateway.store import Event, Store, database_url
from gateway.store.audit import append
from gateway.store.database import Database
from gateway.store.schema import newest_revision
from tests.gateway.storing import (
    held,
    receive,
    settled,
)

ON_POSTGRESQL = pytest.mark.parametrize("data", [pytest.param("postgresql", marks=pytest.mark.peer)], indirect=True)


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The least careful umask: modes must come from the store, not from whoever starts it."""
    before = os.umask(0)
    yield
    os.umask(before)


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
    assert f"revision {newest_revision()}" in store.check()
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


@ON_POSTGRESQL
def test_a_database_that_became_read_only_is_the_worlds_fault(store: Store) -> None:
    def write_to_a_standby() -> None:
        with store._database.write() as tx:
            tx.execute(text("SET TRANSACTION READ ONLY"))
            append(tx, Event.REPEATED, "0" * 32, "nobody")

    with pytest.raises(TryAgain, match="read-only"):
        write_to_a_standby()


def test_a_damaged_database_is_the_worlds_fault(tmp_path: Path) -> None:
    with Store.open(DataSection(folder=tmp_path, reserve_mb=0)) as store:
        receive(store, b"a page")
    file = tmp_path / "cardioscan.sqlite3"
    file.write_bytes(file.read_bytes()[:100] + b"\xff" * (file.stat().st_size - 100))
    with pytest.raises(TryAgain, match="database_unavailable"):
        Store.open(DataSection(folder=tmp_path, reserve_mb=0))


def test_a_door_is_told_to_try_again_whatever_the_database_did(store: Store) -> None:
    with store._database.write() as tx:
        tx.execute(text("ALTER TABLE jobs RENAME TO other_jobs"))
    for verb in (store.room, lambda: receive(store, b"a page")):
        with pytest.raises(TryAgain, match="database_unavailable"):
            verb()


@pytest.mark.parametrize("data", ["sqlite"], indirect=True)
def test_everything_in_the_data_folder_is_for_its_own_user_only(store: Store, data: DataSection) -> None:
    settled(store, held(), b"a page")
    receive(store, b"another")
    found = [data.folder, *data.folder.rglob("*")]
    assert {"cardioscan.sqlite3", "cardioscan.sqlite3-wal", "cardioscan.sqlite3-shm"} <= {path.name for path in found}
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_embedded_database_lives_in_the_data_folder(tmp_path: Path) -> None:
    assert database_url(DataSection(folder=tmp_path)) == f"sqlite:///{tmp_path}/cardioscan.sqlite3"
