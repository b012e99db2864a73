"""Brings a database's schema to the newest migration, and says where it stands."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.errors import ConfigError
from gateway.store.database import Database, translated
from gateway.store.objects import private_file

# Beside this package, in a checkout as in site-packages; not imported, because any folder may hold a "migrations".
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
POSTGRES_UPGRADE_LOCK = 0x4543_4755  # any number that no other lock of this database uses: "ECGU"


def upgrade_schema(url: str) -> str:
    """Brings the database at this address to the newest revision and returns that revision's name."""
    database = Database(url)
    try:
        return upgrade(database)
    finally:
        database.close()


def upgrade(database: Database, revision: str = "head") -> str:
    """Upgrades, one process at a time. ConfigError where a newer gateway has upgraded it further than we know."""
    if revision == "head" and (at := _revision_of_existing(database)) == newest_revision():
        return at
    with _alone(database) as connection:
        configuration = alembic_config(connection)
        revisions = {script.revision for script in ScriptDirectory.from_config(configuration).walk_revisions()}
        now_at = current_revision(connection)
        if now_at is not None and now_at not in revisions:
            raise ConfigError(f"the database is at revision {now_at}, which this version does not know; update it")
        command.upgrade(configuration, revision)
        return current_revision(connection) or ""


def downgrade(database: Database, revision: str) -> None:
    """Takes the schema back to an older revision."""
    with _alone(database) as connection:
        command.downgrade(alembic_config(connection), revision)


def newest_revision() -> str:
    """The revision this version of the gateway works with."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""


def current_revision(connection: Connection) -> str | None:
    """The revision a database is at, None where it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration, without an alembic.ini: our folder, and the connection to work on."""
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration


def _revision_of_existing(database: Database) -> str | None:
    if database.is_sqlite and not Path(database.url.database or "").exists():
        return None
    with database.read() as connection:
        return current_revision(connection)


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """A transaction that no other process upgrades beside."""
    if not database.is_sqlite:
        with translated(), database.engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_UPGRADE_LOCK})")
            yield connection
        return
    file = Path(database.url.database or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    # A file lock, because SQLite does not wait for its turn when two processes switch to WAL at once.
    with private_file(file.with_name(f"{file.name}.lock")) as lock, translated():
        fcntl.flock(lock, fcntl.LOCK_EX)
        private_file(file).close()  # SQLite would create it for everybody; its -wal and -shm get the mode of the file
        raw = database.engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
        finally:
            raw.close()
        with database.engine.begin() as connection:
            yield connection
