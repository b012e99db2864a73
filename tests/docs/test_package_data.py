"""An installed gateway has every table, template and weight that a checkout has."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_NEEDED = {".py", ".pyc", ".md", ".png"}  # modules come by themselves; the rest is for people who read the source


@pytest.mark.parametrize("package", ["gateway", "pipeline", "mappings"])
def test_every_file_that_a_package_reads_is_installed_with_it(package: str) -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    folder = ROOT / package
    installed = {path for pattern in patterns[package] for path in folder.glob(pattern)}
    there = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in NOT_NEEDED}
    assert {str(path.relative_to(folder)) for path in there - installed} == set()
