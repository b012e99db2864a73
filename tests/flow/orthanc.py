"""Orthanc as a PACS, on loopback with a configuration of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.flow.processes import free_port, wait_for

BINARY = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")


class Orthanc:
    """A running Orthanc. AE title ORTHANC on port; get() asks its REST interface."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.http_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Orthanc:
        assert BINARY is not None
        settings = {
            "Name": "test",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "DicomAet": "ORTHANC",
            "DicomPort": self.port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "Plugins": [],
        }
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(settings), encoding="utf-8")
        log = (self.folder / "orthanc.log").open("wb")
        self._process = subprocess.Popen([BINARY, str(path)], stdout=log, stderr=log)
        wait_for(self._up, 30, "Orthanc to answer")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
            return json.load(answer)

    def file(self, instance: str) -> bytes:
        return self.fetch(f"/instances/{instance}/file")

    def fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
            return bytes(answer.read())

    def _up(self) -> bool:
        try:
            return bool(self.get("/system"))
        except (urllib.error.URLError, ConnectionError):
            return False
