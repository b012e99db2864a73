"""The migrations build what the code expects, on both databases, forwards and backwards and by several at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from gateway.config import DataSection
from gateway.errors import ConfigError
from gateway.store import Store, database_url, upgrade_schema
from gateway.store.database import Database
from gateway.store.schema import downgrade, newest_revision, upgrade
from gateway.store.tables import metadata
from pipeline.recording import Correction
from tests.gateway.storing import DOCUMENTS, claimed, digitized, held, in_processes, on_its_way, settled


@pytest.fixture
def database(data: DataSection) -> Iterator[Database]:
    """An empty database of each kind."""
    opened = Database(database_url(data))
    yield opened
    opened.close()


def schema_of(database: Database) -> dict[str, Any]:
    """Everything that the database itself says about its tables."""
    with database.engine.connect() as connection:
        asked = inspect(connection)
        tables = [name for name in sorted(asked.get_table_names()) if name != "alembic_version"]
        return {
            name: {
                "columns": [{**c, "type": str(c["type"])} for c in asked.get_columns(name)],
                "primary key": asked.get_pk_constraint(name),
                "foreign keys": sorted(asked.get_foreign_keys(name), key=lambda key: str(key["name"])),
                "unique": sorted(asked.get_unique_constraints(name), key=lambda key: str(key["name"])),
                "checks": sorted(asked.get_check_constraints(name), key=lambda key: str(key["name"])),
                "indexes": sorted((_index_facts(index) for index in asked.get_indexes(name)), key=str),
            }
            for name in tables
        }


def _index_facts(index: Any) -> dict[str, Any]:
    """An index with the condition of a partial one as text: SQLAlchemy's own objects are never equal."""
    options = {key: str(value) for key, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def guards_of(database: Database) -> list[str]:
    """Names of the triggers."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        if database.is_sqlite
        else "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = current_schema() ORDER BY 1"
    )
    with database.engine.connect() as connection:
        return list(connection.execute(text(query)).scalars())


def test_the_migrations_build_the_tables_of_the_code(database: Database) -> None:
    upgrade(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_build_the_constraints_of_the_code_too(
    database: Database, data: DataSection, request: pytest.FixtureRequest
) -> None:
    upgrade(database)
    url = f"sqlite:///{data.folder}/models.sqlite3"
    if not database.is_sqlite:
        url = request.getfixturevalue("postgres").fresh_database()
    models = Database(url)
    metadata.create_all(models.engine)
    assert schema_of(database) == schema_of(models)
    models.close()


def test_down_and_up_again_gives_the_same_schema(database: Database) -> None:
    upgrade(database)
    before, guards = schema_of(database), guards_of(database)
    downgrade(database, "base")
    assert schema_of(database) == {}
    assert guards_of(database) == []
    upgrade(database)
    assert (schema_of(database), guards_of(database)) == (before, guards)


def test_upgrading_twice_is_upgrading_once(data: DataSection) -> None:
    url = database_url(data)
    assert upgrade_schema(url) == upgrade_schema(url) == newest_revision()


def test_a_migration_that_fails_leaves_nothing_behind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(database)
    downgrade(database, "base")
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE audit (seq INTEGER)"))
    with pytest.raises(DBAPIError):  # the fourth table of the migration is in its way
        upgrade(database)
    assert list(schema_of(database)) == ["audit"]


def test_a_database_of_a_newer_gateway_is_left_alone(data: DataSection, database: Database) -> None:
    upgrade(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="9999"):
        Store.open(data)


def test_pages_read_before_it_was_kept_what_with_are_as_corrected_unless_they_wait_to_be_read_again(
    data: DataSection,
) -> None:
    correction = Correction(speed_mm_s=50.0)
    with Store.open(data) as store:
        done, waits = (settled(store, held(), content) for content in (b"1", b"2"))
        for job_id in (done, waits):
            store.reviews.correct(job_id, 1, correction, "carl")
        store.settle(claimed(store), held())
    database = Database(database_url(data))
    downgrade(database, "0006")
    upgrade(database)
    database.close()
    with Store.open(data) as store:
        assert [store.pages(job_id)[0].correction for job_id in (done, waits)] == [correction, Correction()]


def test_check_says_when_the_schema_is_behind(data: DataSection, database: Database) -> None:
    with Store.open(data) as store:
        downgrade(database, "base")
        with pytest.raises(ConfigError, match="cardioscan db upgrade"):
            store.check()


def open_from(folder: Path, data: DataSection, _which: int) -> None:
    os.chdir(folder)
    with Store.open(data) as store:
        assert f"revision {newest_revision()}" in store.check()


def test_processes_that_open_an_empty_store_at_once_all_succeed(data: DataSection, tmp_path: Path) -> None:
    """From another folder, to see that the migrations are found from anywhere."""
    in_processes(4, open_from, tmp_path, data)
    with Store.open(data) as store:
        assert store.verify_audit().ok


def test_documents_made_before_a_job_was_done_again_are_known_as_such_from_the_audit(data: DataSection) -> None:
    with Store.open(data) as store:
        sent, redone = (settled(store, digitized(*DOCUMENTS), content) for content in (b"1", b"2"))
        for _ in range(2):
            store.delivered(on_its_way(store, "pacs"), "0000")
        store.delivered(on_its_way(store, "ehr"), "AA")
        store.park(on_its_way(store, "ehr"), "rejected", "unknown patient")
        store.retry(redone, "rita")
        store.resend(sent, "rita", "pacs")
    database = Database(database_url(data))
    downgrade(database, "0004")
    upgrade(database)
    database.close()
    with Store.open(data) as store:
        assert [row.superseded for row in store.deliveries(sent)] == [False, False]
        assert [row.superseded for row in store.deliveries(redone)] == [True, True]
        assert store.verify_audit().ok
