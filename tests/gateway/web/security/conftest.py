"""A window with an empty store behind it, and visitors who come with a browser of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from gateway.config import Config, DataSection, WebSection
from gateway.store import Store
from gateway.web.security import passwords
from tests.gateway.web.security.visitor import House


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Argon2 with a thousandth of the work: its cost is not what is tested here."""
    passwords._nobodys.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield
    passwords._nobodys.cache_clear()


@pytest.fixture(scope="session")
def empty_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty store, made once: its schema takes longer than most of these tests."""
    folder = tmp_path_factory.mktemp("empty") / "data"
    Store.open(DataSection(folder=folder, reserve_mb=0)).close()
    return folder


@pytest.fixture
def open_house(empty_data: Path, tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Opens a window whose [web] has these keys."""
    houses: list[House] = []

    def opened(**web: object) -> House:
        folder = Path(shutil.copytree(empty_data, tmp_path / f"data{len(houses)}"))
        config = Config(
            data=DataSection(folder=folder, reserve_mb=0),
            web=WebSection.model_validate(web),
        )
        houses.append(House(config, Store.open(config.data)))
        return houses[-1]

    yield opened
    for house in houses:
        house.store.close()


@pytest.fixture
def house(open_house: Callable[..., House]) -> House:
    """A window with nothing configured."""
    return open_house()
