"""The engine, and its two kinds of transaction: a write that processes take turns for, a read of one moment."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, Executable, create_engine, event, func, make_url, select
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.config import DataSection
from gateway.errors import ConfigError, OutOfSpace, TryAgain

SQLITE_FILE = "cardioscan.sqlite3"
BUSY_TIMEOUT_MS = 30_000  # how long a writer waits for its turn; far above the longest transaction
POOL_CONNECTIONS = 5
POOL_OVERFLOW = 45  # every C-STORE association and delivery thread may want one at once
POSTGRES_DISK_FULL = "53100"
# Our statement was wrong; to try that again would never end. All else that a driver raises is the database's state.
OUR_FAULT = (IntegrityError, ProgrammingError, DataError, NotSupportedError)


@dataclass(frozen=True)
class Transaction:
    """A write in progress. now: the database's clock, so that gateways on several machines agree on leases."""

    connection: Connection
    now: datetime

    def execute(self, statement: Executable, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """values: of the statement's parameters. One that is built once and kept costs a third of one built anew."""
        return self.connection.execute(statement, values)


def database_url(data: DataSection) -> str:
    """The address of the database: the configured one, or SQLite in the data folder."""
    configured = data.database_url.get_secret_value()
    return configured or f"sqlite:///{(data.folder / SQLITE_FILE).absolute()}"


def parse_url(url: str) -> URL:
    """An address as SQLAlchemy takes it, with the drivers we ship. ConfigError for any other database."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "data.database_url is not an address; write postgresql://user@host/name, or nothing for SQLite"
        ) from error
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite" if parsed.database not in (None, "", ":memory:"):
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"data.database_url: {parsed.drivername} is not known; use postgresql:// or a sqlite:/// file")


class Database:
    """One database, open. Threads may share it; a forked process may not."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.drivername.startswith("sqlite")
        self.engine = create_engine(
            self.url,
            pool_size=POOL_CONNECTIONS,
            max_overflow=POOL_OVERFLOW,
            hide_parameters=True,  # SQLAlchemy's messages quote them, and they hold patients' names
            pool_pre_ping=not self.is_sqlite,
        )
        # SQLite lets writers wait by sleeping ever longer; threads of one process can be woken in turn instead.
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            _take_over_sqlite_transactions(self.engine)

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction: committed when the block ends, undone when it raises."""
        with translated(), self._turn, self.engine.begin() as connection:
            yield Transaction(connection, self.now(connection))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A view of one moment: nothing that commits meanwhile is seen."""
        options: dict[str, Any] = (
            {"sqlite_begin": "BEGIN"}
            if self.is_sqlite
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        with translated(), self.engine.connect() as connection:
            yield connection.execution_options(**options)

    def close(self) -> None:
        self.engine.dispose()

    def now(self, connection: Connection) -> datetime:
        """The database's clock."""
        if self.is_sqlite:
            return datetime.now(UTC)
        moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)


def _take_over_sqlite_transactions(engine: Engine) -> None:
    """BEGIN IMMEDIATE for every write: a deferred one fails at once when another process wrote since it began."""

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late, and never before DDL
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))


@contextmanager
def translated() -> Iterator[None]:
    """The database's failures as ours: OutOfSpace where its disk is full, TryAgain where it cannot do its work.

    The latter also where it is damaged, or read-only after a fail-over. A statement that is wrong passes as it is.
    """
    try:
        yield
    except OUR_FAULT:
        raise
    except DBAPIError as error:
        if _disk_is_full(error.orig):
            raise OutOfSpace("out_of_space", "the database's disk is full") from error
        if isinstance(error, OperationalError) and _is_our_fault(error.orig):
            raise
        raise _unavailable(error) from error
    except PoolTimeout as error:
        raise _unavailable(error) from error


@contextmanager
def translated_for_a_door() -> Iterator[None]:
    """Everything the database raises as TryAgain, our own fault too: the sender must keep its page and come again."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _unavailable(error) from error


def _unavailable(error: SQLAlchemyError) -> TryAgain:
    cause = error.orig if isinstance(error, DBAPIError) else error
    # Of our own faults the type only: a first line may quote the value that the database could not take.
    what = type(cause).__name__ if isinstance(error, OUR_FAULT) else _first_line(cause)
    return TryAgain("database_unavailable", f"the database did not answer: {what}")


def _disk_is_full(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlstate", None) == POSTGRES_DISK_FULL


def _is_our_fault(error: BaseException | None) -> bool:
    """SQLite's driver calls a wrong statement operational too; to try that again would never end."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _first_line(error: BaseException | None) -> str:
    # The first line names the fault; PostgreSQL's further lines may quote a row, and so a patient.
    return str(error).partition("\n")[0]
