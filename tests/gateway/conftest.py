"""What the gateway's tests share: a PostgreSQL, and a store on each of the two databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.config import DataSection
from gateway.store import Store
from tests.postgres import Postgres, PostgresMissing

BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.peer))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the whole session; skips where PostgreSQL is not installed."""
    try:
        server = Postgres()
    except PostgresMissing as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(params=BOTH)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> DataSection:
    """A data section with an empty folder and an empty database: SQLite first, then PostgreSQL."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres").fresh_database()
    return DataSection(folder=tmp_path / "data", database_url=SecretStr(url), reserve_mb=0)


@pytest.fixture
def store(data: DataSection) -> Iterator[Store]:
    """An open store on each of the two databases."""
    with Store.open(data) as opened:
        yield opened
