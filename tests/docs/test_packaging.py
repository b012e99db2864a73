"""What is shipped: a wheel that runs without the repository, a unit, a Containerfile, a NOTICE of every licence."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from gateway.service.watchdog import notify
from tests.docs.test_locks import pins

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
PACKAGES = ("gateway", "pipeline", "mappings", "migrations")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds the wheel, and our dependencies but not this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*pip, "wheel", *options, "--wheel-dir", folder, source], check=True, timeout=600)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment)
    python = environment / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", *options[:1], *options[2:], wheel], check=True, timeout=600)
    (site,) = (environment / "lib").glob("python*/site-packages")
    # A plain path, so that the .pth file by which a checkout is installed there is not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return environment


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the installed gateway, far from the repository."""
    return _far(installed / "bin" / "cardioscan", folder, *words)


def _far(program: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    ours = ("PYTHONPATH", "CARDIOSCAN_CONFIG")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    command = [str(program), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_a_wheel_works_without_the_repository(installed: Path, tmp_path: Path) -> None:
    told = run(installed, tmp_path, "--version")
    assert (told.returncode, told.stdout.split()[0]) == (0, "cardioscan"), told.stderr
    assert run(installed, tmp_path, "init", "--ae-title", "X", "--pacs", "", "--ehr", "", "--inbox", "").returncode == 0
    checked = run(installed, tmp_path, "check", "--no-peers")
    lines = checked.stdout.splitlines()
    assert any(line.startswith("ok  database") for line in lines), checked.stdout + checked.stderr
    weights = [line for line in lines if "weights of" in line]
    assert weights, checked.stdout
    assert all(line.startswith("ok") for line in weights), checked.stdout
    where = "import gateway.mapping, pipeline, migrations; print(gateway.__file__)"
    assert str(installed) in _far(installed / "bin" / "python", tmp_path, "-c", where).stdout


@pytest.mark.slow
def test_the_wheel_holds_weights_mappings_migrations_and_licences(installed: Path) -> None:
    (site,) = (installed / "lib").glob("python*/site-packages")
    patterns = (
        *("pipeline/weights/*.safetensors", "mappings/*.toml", "migrations/versions/*.py"),
        "gateway/web/templates/*",
    )
    for pattern in patterns:
        assert {path.name for path in site.glob(pattern)} == {path.name for path in ROOT.glob(pattern)} != set(), (
            pattern
        )
    (info,) = site.glob("cardioscan_gateway-*.dist-info")
    assert {path.name for path in info.rglob("*") if path.name in ("LICENSE", "NOTICE")} == {"LICENSE", "NOTICE"}


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(PACKAGING / "cardioscan.service")
    return parser


def test_the_unit_runs_as_its_own_user_with_a_watchdog() -> None:
    service = unit()["Service"]
    assert (service["User"], service["Type"], service["NoNewPrivileges"]) == ("cardioscan", "notify", "yes")
    assert int(service["WatchdogSec"]) >= 30
    assert service["ExecStart"].split()[1] == "serve"


def test_systemd_understands_the_unit_and_calls_it_well_confined(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (PACKAGING / "cardioscan.service").read_text(encoding="utf-8")
    path = tmp_path / "cardioscan.service"
    path.write_text(text.replace("/opt/cardioscan/bin/cardioscan", sys.executable), encoding="utf-8")
    checked = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert "cardioscan.service" not in checked.stderr, checked.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", path], capture_output=True, text=True
    )
    assert judged.returncode == 0, judged.stdout[-400:]


def test_the_container_runs_as_nobody_special_and_both_devices_can_be_built() -> None:
    text = (PACKAGING / "Containerfile").read_text(encoding="utf-8")
    user = re.search(r"^USER (\d+):", text, re.MULTILINE)
    assert user is not None
    assert int(user[1]) > 0
    assert "ARG DEVICE=cpu" in text
    assert '"$DEVICE" = cuda' in text
    for package in PACKAGES:
        assert f"COPY {package} {package}" in text
    last = text.rindex("USER ")
    assert "RUN" not in text[last:], "nothing is written after the user was changed: the root is read-only"


def test_the_container_is_built_and_runs_on_a_read_only_root() -> None:
    tool = next((name for name in ("podman", "docker") if shutil.which(name) and _answers(name)), None)
    if tool is None or not os.environ.get("CARDIOSCAN_TEST_CONTAINER"):
        pytest.skip("no container can be built here: needs podman or docker, and CARDIOSCAN_TEST_CONTAINER=1")
    build = [tool, "build", "-f", PACKAGING / "Containerfile", "-t", "cardioscan-test", ROOT]
    subprocess.run(build, check=True, timeout=3600)
    told = subprocess.run(
        [tool, "run", "--rm", "--read-only", "--tmpfs", "/tmp", "cardioscan-test", "cardioscan", "check", "--no-peers"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def _answers(tool: str) -> bool:
    return subprocess.run([tool, "info"], capture_output=True, check=False).returncode == 0


def test_the_notice_names_every_package_that_is_installed_to_run() -> None:
    text = (ROOT / "NOTICE").read_text(encoding="utf-8")
    named = dict(re.findall(r"^- (\S+) \S+: (.+)$", text, re.MULTILINE))
    assert set(pins("requirements.lock")) - set(named) == set()
    assert [name for name, licence in named.items() if licence == "unknown"] == []


def test_the_sbom_lists_what_the_lock_pins(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("cyclonedx-py")
    if not program.exists():
        pytest.skip("cyclonedx-bom is not installed")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"cyclonedx-py (.*)", makefile)
    assert found is not None
    target = tmp_path / "sbom.json"
    words = found[1].replace("dist/sbom.cdx.json", str(target)).split()
    subprocess.run([program, *words], cwd=ROOT, check=True, timeout=600, capture_output=True)
    bom = json.loads(target.read_text(encoding="utf-8"))
    assert bom["bomFormat"] == "CycloneDX"
    listed = {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in bom["components"]}
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in pins("requirements.lock")} <= set(listed)


def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("WATCHDOG=1")
        assert manager.recv(100) == b"WATCHDOG=1"
    notify("READY=1")  # nobody listens any more: that must end nothing
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
