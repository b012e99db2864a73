"""The contracts between modules hold, and each way round them that somebody might take fails `lint-imports`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# a file, the lines to add to its end, and a word of the contract that must break
SABOTAGES = {
    "a new module at the gateway's root": ("gateway/helpers.py", "", "gateway's layers"),
    "a new module at the pipeline's root": ("pipeline/helpers.py", "", "pipeline's layers"),
    "disposition asks the database itself": ("gateway/disposition/decide.py", "import sqlalchemy", "SQL"),
    "disposition speaks DICOM to a peer": ("gateway/disposition/decide.py", "import pynetdicom", "pynetdicom"),
    "the search asks the database itself": ("gateway/patient_search/search.py", "import sqlalchemy", "SQL"),
    "the search reads tables": ("gateway/patient_search/search.py", "from gateway.store import tables", "tables"),
    "a circle by an import inside a function": (
        "gateway/emit/channels.py",
        "def _circle() -> object:\n    from gateway.emit import catalogue\n\n    return catalogue",
        "imports itself",
    ),
    "an emitter knows the window": ("gateway/emit/channels.py", "from gateway.web import deps", "gateway's layers"),
    "the pipeline knows a hospital": (
        "pipeline/quality/assess.py",
        "def _hospital() -> object:\n    from gateway import job\n\n    return job",
        "no hospital",
    ),
    "the worker builds HL7 messages": ("gateway/service/worker.py", "import hl7apy", "hl7apy"),
    "the worker loads networks": ("gateway/service/worker.py", "import torch", "digitizer"),
    "the mapping reads DICOM objects": ("gateway/mapping.py", "import pydicom", "pydicom"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own Python files and contracts, somewhere else."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("gateway", "pipeline"):
        for path in (ROOT / package).rglob("*.py"):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return folder


def test_the_contracts_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_way_round_them_fails(copy: Path, name: str) -> None:
    file, lines, contract = SABOTAGES[name]
    path = copy / file
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n\n{lines}\n", encoding="utf-8")
    try:
        done = lint(copy)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(contract in line for line in broken), broken
