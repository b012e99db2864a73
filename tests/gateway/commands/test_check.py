"""What an administrator is told before the gateway runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import pipeline.networks
from gateway.commands.check import HEALTHY, Line, check_all, check_file
from gateway.config import Config
from gateway.intake.dicom_scp import DicomScp
from gateway.store import Store
from pipeline.errors import WeightsError
from pipeline.networks import manifest
from tests.flow.processes import free_port
from tests.gateway.patient_search.ris import Ris, section
from tests.gateway.storing import DOCUMENTS, digitized, settled


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Loading the networks takes a second each time; only the test of it does."""
    if "weights" not in request.node.name:
        monkeypatch.setattr(pipeline.networks, "load", lambda _name: None)


def _config(folder: Path, **sections: object) -> Config:
    data = {"folder": folder / "data", "reserve_mb": 0}
    return Config.model_validate({"data": data, "dicom_scp": {"port": 0}, "web": {"port": 0}, **sections})


def _about(lines: list[Line], what: str) -> Line:
    return next(line for line in lines if line.what.startswith(what))


def test_loads_every_network_of_the_manifest_by_its_hash_weights(tmp_path: Path) -> None:
    lines = check_all(_config(tmp_path), peers=False)
    for name, row in manifest().items():
        line = _about(lines, f"weights of {name}")
        assert line.ok
        assert row.sha256 in line.text


def test_says_which_network_is_altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def altered(name: str) -> None:
        raise WeightsError(f"{name} has another SHA-256")

    monkeypatch.setattr(pipeline.networks, "load", altered)
    name = next(iter(manifest()))
    line = _about(check_all(_config(tmp_path), peers=False), f"weights of {name}")
    assert (line.ok, line.text) == (False, f"{name} has another SHA-256")


def test_gives_advice_without_calling_it_a_problem(tmp_path: Path) -> None:
    lines = check_all(_config(tmp_path), peers=False)
    assert any(line.ok and "no destination" in line.text for line in lines if line.what == "advice")
    assert all(line.ok for line in lines)


def test_tells_of_a_password_in_a_configuration_that_everybody_may_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[data]\ndatabase_url = "postgresql://cardioscan:secret@db/cardioscan"\n')
    path.chmod(0o644)
    (line,) = check_file(path)
    assert (line.what, line.ok) == ("advice", True)
    assert "may read the password in data.database_url" in line.text
    assert "secret" not in line.text.replace("data.database_url", "")
    path.chmod(0o640)
    assert check_file(path) == []
    path.write_text("[data]\nreserve_mb = 1\n")
    path.chmod(0o644)
    assert check_file(path) == []


def test_a_folder_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    archive = {"kind": "folder", "name": "archive", "folder": tmp_path / "nowhere"}
    lines = check_all(_config(tmp_path, destination=[archive]), peers=True)
    assert [line.what for line in lines if "does not exist" in line.text] == ["configuration"]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens that speaks no DICOM: it hangs up."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_another_program_has_is_a_problem(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.commands.check.ASK_OURSELVES_S", 0.3)
    line = _about(check_all(_config(tmp_path, dicom_scp={"port": taken}), peers=False), "DICOM port")
    assert not line.ok
    assert "another program" in line.text


def test_a_port_that_the_gateway_itself_has_is_none(tmp_path: Path) -> None:
    config = _config(tmp_path, dicom_scp={"port": 0, "calling_ae_titles": ["SCANNER"]})
    with closing(Store.open(config.data)) as store:
        scp = DicomScp(config, store)
        scp.start()
        try:
            running = _config(tmp_path, dicom_scp={"port": scp.port, "calling_ae_titles": ["SCANNER"]})
            line = _about(check_all(running, peers=False), "DICOM port")
        finally:
            scp.stop()
    assert line.ok
    assert "the gateway is running" in line.text


def test_a_closed_dicom_door_needs_no_port(tmp_path: Path) -> None:
    lines = check_all(_config(tmp_path, dicom_scp={"enabled": False}), peers=False)
    assert not [line for line in lines if line.what.startswith("DICOM port")]


def test_names_a_queue_that_no_destination_empties(tmp_path: Path) -> None:
    pacs = {"kind": "dicom", "name": "pacs", "host": "127.0.0.1", "port": 1, "called_ae_title": "PACS"}
    config = _config(tmp_path, destination=[pacs])
    with closing(Store.open(config.data)) as store:
        settled(store, digitized(*DOCUMENTS))
    queues = [line for line in check_all(config, peers=False) if line.what.startswith("queue")]
    assert [(line.what, line.ok) for line in queues] == [("queue ehr", False)]
    assert queues[0].text.startswith("1 document")


def test_says_of_every_worklist_whether_it_may_be_asked(tmp_path: Path) -> None:
    ris = Ris()
    try:
        worklists = [section(ris.start()), section(free_port(), name="old ris")]
        lines = check_all(_config(tmp_path, worklist=[each.model_dump() for each in worklists]), peers=True)
    finally:
        ris.stop()
    told = [(line.what, line.ok) for line in lines if line.what.startswith("worklist")]
    assert told == [("worklist ris", True), ("worklist old ris", False)]
    assert "no connection" in _about(lines, "worklist old ris").text


@pytest.mark.parametrize("fault", [PermissionError(13, "Permission denied"), NotADirectoryError(20, "Not a directory")])
def test_a_data_folder_that_cannot_be_used_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError
) -> None:
    def mkdir(*_: object, **__: object) -> None:
        raise fault

    config = _config(tmp_path)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    line = _about(check_all(config, peers=False), "database")
    assert not line.ok
    assert fault.strerror in line.text
    assert str(config.data.folder) in line.text


def test_a_window_that_may_not_open_or_whose_port_is_taken_is_a_problem(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.commands.check.ASK_OURSELVES_S", 0.3)
    line = _about(check_all(_config(tmp_path, web={"port": taken}), peers=False), "window")
    assert (line.ok, "cannot be listened on" in line.text) == (False, True)
    line = _about(check_all(_config(tmp_path, web={"port": 0, "host": "0.0.0.0"}), peers=False), "window")
    assert (line.ok, "beyond this machine" in line.text) == (False, True)


def test_a_window_that_is_open_is_none(tmp_path: Path) -> None:
    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = HEALTHY if self.path == "/healthz" else b""
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        line = _about(check_all(_config(tmp_path, web={"port": server.server_port}), peers=False), "window")
        server.shutdown()
    assert (line.ok, "the gateway is running" in line.text) == (True, True)


def test_says_where_the_networks_would_run(tmp_path: Path) -> None:
    line = _about(check_all(_config(tmp_path, pipeline={"device": "cpu"}), peers=False), "networks")
    assert (line.ok, line.text) == (True, "run on cpu (pipeline.device is 'cpu')")


def test_says_that_a_gpu_asked_for_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    line = _about(check_all(_config(tmp_path, pipeline={"device": "cuda"}), peers=False), "networks")
    assert not line.ok
    assert "no GPU can be used here" in line.text
    assert "pipeline.device" in line.text
