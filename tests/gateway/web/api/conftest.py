"""A fresh world for each test, its schema built once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, DataSection
from gateway.store import Store
from gateway.web.api.access_log import accesses
from tests.gateway.web.api.world import CONFIG, World


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty_api") / "data"
    Store.open(DataSection(folder=folder, reserve_mb=0)).close()
    return folder


@pytest.fixture
def make_world(empty_folder: Path, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """A world whose configuration has these tables besides."""
    stores: list[Store] = []

    def made(**tables: Any) -> World:
        folder = Path(shutil.copytree(empty_folder, tmp_path / "data"))
        destinations = [
            {**each, "folder": tmp_path / "out"} if each["kind"] == "folder" else each for each in CONFIG["destination"]
        ]
        config = Config.model_validate(
            {**CONFIG, "destination": destinations, "data": {"folder": folder, "reserve_mb": 0}, **tables}
        )
        stores.append(Store.open(config.data))
        return World(config, stores[-1])

    yield made
    for store in stores:
        store.close()
    accesses.forget()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
