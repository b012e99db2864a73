"""The first day: serve without a file, a short configuration, the version, a demonstration that stays."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gateway.commands import main
from gateway.commands.init import Site, config_text
from gateway.config import DicomDestination, MllpDestination, load
from gateway.demo import keep
from gateway.errors import ConfigError

run = CliRunner()
WAIT_S = 120.0


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CARDIOSCAN_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_says_its_version() -> None:
    answer = run.invoke(main.app, ["--version"])
    assert (answer.exit_code, answer.stdout) == (0, f"cardioscan {version('cardioscan-gateway')}\n")


def test_init_writes_a_short_configuration_that_check_accepts(empty_folder: Path) -> None:
    words = ["init", "--ae-title", "ECGPAPER", "--pacs", "PACS@10.0.0.5:104", "--ehr", "10.0.0.6:2575"]
    assert run.invoke(main.app, [*words, "--inbox", "faxes"]).exit_code == 0
    path = empty_folder / "config.toml"
    assert len([line for line in path.read_text(encoding="utf-8").splitlines() if line]) <= 25
    config = load(path)
    assert config.dicom_scp.ae_title == "ECGPAPER"
    assert config.fax_inbox[0].folder == empty_folder / "faxes"
    pacs, ehr = config.destination
    assert isinstance(pacs, DicomDestination)
    assert (pacs.host, pacs.port, pacs.called_ae_title, pacs.calling_ae_title) == ("10.0.0.5", 104, "PACS", "ECGPAPER")
    assert isinstance(ehr, MllpDestination)
    assert (ehr.host, ehr.port) == ("10.0.0.6", 2575)
    checked = run.invoke(main.app, ["check", "--no-peers"])
    assert checked.exit_code == 0, checked.output


def test_init_asks_for_what_no_option_gives(empty_folder: Path) -> None:
    answer = run.invoke(main.app, ["init"], input="\nPACS@pacs.example:11112\n\n\n")
    assert answer.exit_code == 0, answer.output
    config = load(empty_folder / "config.toml")
    assert config.dicom_scp.ae_title == "CARDIOSCAN"
    assert [each.name for each in config.destination] == ["pacs"]
    assert config.fax_inbox == ()


@pytest.mark.parametrize(
    ("pacs", "ehr", "told"),
    [("10.0.0.5:104", "", "AE title"), ("PACS@here", "", "AE@HOST:PORT"), ("", "somewhere", "HOST:PORT")],
)
def test_init_says_what_an_address_must_look_like(pacs: str, ehr: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        config_text(Site("CARDIOSCAN", "127.0.0.1", pacs, ehr, ""))


def test_init_leaves_a_file_alone_and_writes_none_that_is_unlawful(empty_folder: Path) -> None:
    words = ["init", "--pacs", "", "--ehr", "", "--inbox", ""]
    assert isinstance(run.invoke(main.app, [*words, "--ae-title", "FAR TOO LONG A TITLE"]).exception, ConfigError)
    assert not (empty_folder / "config.toml").exists()
    (empty_folder / "config.toml").write_text("mine")
    assert isinstance(run.invoke(main.app, [*words, "--ae-title", "OK"]).exception, ConfigError)
    assert (empty_folder / "config.toml").read_text() == "mine"


def test_a_command_that_only_looks_begins_no_gateway(empty_folder: Path) -> None:
    answer = run.invoke(main.app, ["jobs", "list"])
    assert isinstance(answer.exception, ConfigError)
    assert "cardioscan init" in str(answer.exception)
    assert list(empty_folder.iterdir()) == []


def test_a_folder_named_data_is_no_gateway_yet(empty_folder: Path) -> None:
    (empty_folder / "data").mkdir()
    assert isinstance(run.invoke(main.app, ["jobs", "list"]).exception, ConfigError)
    assert list((empty_folder / "data").iterdir()) == []


def test_a_named_file_that_is_not_there_is_an_error(empty_folder: Path) -> None:
    answer = run.invoke(main.app, ["serve", "--config", "elsewhere.toml"])
    assert isinstance(answer.exception, ConfigError)
    assert list(empty_folder.iterdir()) == []


def test_serve_without_a_file_opens_the_window_and_says_so_in_one_line(empty_folder: Path) -> None:
    """On the default ports: waits while something else has them."""
    log = empty_folder / "log"
    until = time.monotonic() + WAIT_S
    while not (_is_free(8080) and _is_free(11112)):
        assert time.monotonic() < until, "ports 8080 and 11112 are taken on this machine"
        time.sleep(0.2)
    environment = {**os.environ, "PYTHONPATH": str(Path(main.__file__).parents[2])}
    with log.open("w") as stream:
        served = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve"], cwd=empty_folder, stderr=stream, env=environment
        )
    try:
        assert _answers(8080)
    finally:
        served.send_signal(signal.SIGTERM)
        assert served.wait(WAIT_S) == 0
    lines = [line for line in log.read_text().splitlines() if "no configuration file" in line]
    assert len(lines) == 1
    assert "window on http://127.0.0.1:8080" in lines[0]
    assert "sent nowhere" in lines[0]
    listed = subprocess.run(
        [sys.executable, "-m", "gateway", "jobs", "list"], cwd=empty_folder, env=environment, check=False
    )
    assert listed.returncode == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _answers(port: int) -> bool:
    ends = time.monotonic() + WAIT_S
    while time.monotonic() < ends:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    return False


def test_a_demonstration_that_stays_has_a_window_and_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pages instead of ten, and no wait for their reading: the door takes them at once."""
    monkeypatch.setattr(keep, "PAGES", 3)
    stopping = threading.Event()
    console = Console(record=True, width=200)
    seen: list[bool] = []

    def said(pattern: str) -> re.Match[str]:
        """What the demonstration says sooner or later."""
        ends = time.monotonic() + WAIT_S
        while (found := re.search(pattern, console.export_text(clear=False))) is None:
            assert time.monotonic() < ends, pattern
            time.sleep(0.2)
        return found

    def look() -> None:
        try:
            seen.append(_answers(int(said(r"http://127.0.0.1:(\d+)")[1])))
            said("faxes are in the inbox")
        finally:
            stopping.set()

    watcher = threading.Thread(target=look)
    watcher.start()
    assert keep.keep_demo(tmp_path, console, port=0, stopping=stopping) == 0
    watcher.join()
    text = console.export_text()
    assert seen == [True]
    assert "one-time password" in text
    assert "3 faxes are in the inbox" in text
