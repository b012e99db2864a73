"""docs/operate.md: its commands are run in its order, its configuration loads, its files are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.commands import main
from gateway.config import loads

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_step_works_in_the_order_in_which_it_stands(tmp_path: Path) -> None:
    programs, folder = tmp_path / "bin", tmp_path / "site"
    programs.mkdir()
    folder.mkdir()
    cardioscan = programs / "cardioscan"
    cardioscan.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gateway "$@"\n')
    cardioscan.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != "CARDIOSCAN_CONFIG"}
    environment |= {"PATH": f"{programs}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}
    steps = "\n".join(blocks("sh"))
    assert len(steps.splitlines()) > 10
    done = subprocess.run(
        ["sh", "-ex", "-c", steps], cwd=folder, env=environment, capture_output=True, text=True, timeout=880
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 checkpoints agree" in done.stdout
    assert "is restored into" in done.stdout
    assert (folder / "data" / "audit-key.pem").exists()


def test_every_piece_of_configuration_loads_and_together_too(tmp_path: Path) -> None:
    pieces = blocks("toml")
    assert len(pieces) == 3
    for piece in [*pieces, "\n".join(pieces)]:
        loads(piece, tmp_path)


def test_prometheus_could_read_what_is_written_for_it() -> None:
    (scrape,) = (yaml.safe_load(block) for block in blocks("yaml"))
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:8080"]


def test_the_files_that_are_installed_by_hand_are_there() -> None:
    named = {name for block in blocks("console") for name in re.findall(r"packaging/[\w./-]+", block)}
    assert named == {"packaging/cardioscan.service", "packaging/Containerfile"}
    assert all((ROOT / name).is_file() for name in named)


def test_every_command_that_keeps_or_proves_is_told_of() -> None:
    kept = {"init", "backup", "restore", "serve", "check", "demo"}
    commands = [command for command in main.app.registered_commands if command.callback]
    assert kept <= {command.name or command.callback.__name__ for command in commands}
    for name in kept | {"audit verify", "audit checkpoint", "db upgrade", "user add"}:
        assert f"cardioscan {name}" in TEXT, name
