"""Holds the markers to what tests do: one that opens a browser says so, and whole folders are slow."""

from __future__ import annotations

from pathlib import Path

import pytest

BROWSERS = {"blank", "browser", "open_page"}
HERE = Path(__file__).parent
SLOW = [HERE / name for name in ("flow", "conformance", "viewers", "pipeline/training")]  # processes, peers, trainers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the slow folders; fails the run where a test asks for a browser's fixture and lacks the markers for it."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in SLOW):
            item.add_marker("slow")
    unmarked = [item.nodeid for item in items if BROWSERS & _fixtures(item) and not _is_a_browsers(item)]
    if unmarked:
        raise pytest.UsageError(f"these open a browser and lack the markers browser and peer: {unmarked}")


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _is_a_browsers(item: pytest.Item) -> bool:
    return all(item.get_closest_marker(name) for name in ("browser", "peer"))
