"""The two locks: a hospital installs what the gateway needs to run, developers the same versions and their tools."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = {"pytest", "playwright", "schemathesis", "mypy", "ruff", "hypothesis", "import-linter"}
OURS = {"gateway", "pipeline", "mappings", "migrations", "tests"}


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE))


def declared(*, developers: bool = False) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + (project["optional-dependencies"]["dev"] if developers else [])
    return {normal(re.split(r"[\[<>=~! ;]", line, maxsplit=1)[0]) for line in lines}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_run_lock_holds_no_tools_of_developers() -> None:
    assert not TOOLS & pins("requirements.lock").keys()
    assert pins("requirements-dev.lock").keys() > TOOLS


def test_developers_run_the_versions_that_hospitals_run() -> None:
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert len(run) > 40
    assert {name: dev.get(name) for name in run} == run


def test_the_locks_hold_every_declared_dependency() -> None:
    assert not declared() - {normal(name) for name in pins("requirements.lock")}


def test_what_is_imported_is_declared() -> None:
    """Not left to come along with another package: that one may drop it. Training may need what developers have."""
    owners = packages_distributions()
    training = ROOT / "pipeline" / "training"
    undeclared = set()
    for path in [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "pipeline").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for top in {name.partition(".")[0] for name in names} - OURS - sys.stdlib_module_names:
                owner = {normal(name) for name in owners.get(top, [top])}
                if not owner & declared(developers=path.is_relative_to(training)):
                    undeclared.add(top)
    assert not undeclared
