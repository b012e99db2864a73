"""Whole gateways and their peers as processes and threads, for the flow tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import StoragePresentationContexts
from pynetdicom.sop_class import Verification

from gateway.config import DataSection, DicomDestination
from gateway.deliver.dicom_scu import DicomScu
from gateway.job import Document, DocumentKind, Job, State
from gateway.store import Store

ENDED = (State.DELIVERED, State.HELD, State.REFUSED)
PATIENCE_S = 240.0  # a page takes seconds; a machine that also does other work, many times that


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], Any], seconds: float, why: str) -> Any:
    """The first true value of what(); AssertionError naming why when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {why}")


class GatewayProcess:
    """`cardioscan serve` in a process of its own, with a configuration file in a folder."""

    def __init__(self, folder: Path, toml: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.path = folder / "config.toml"
        self.path.write_text(toml.replace("@PORT@", str(self.port)).replace("@FOLDER@", str(folder)), encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / "gateway.log").open("ab")
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(self.path)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: answers(self.port), PATIENCE_S, "the DICOM door to open")

    def kill(self) -> None:
        """kill -9 of the gateway process; its workers notice that it is gone and end by themselves."""
        assert self.process is not None
        workers = self.workers()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None
        psutil.wait_procs(workers, timeout=30)

    def kill_all(self) -> None:
        """kill -9 of the gateway and its workers at once, as a system without memory or a container's end does it."""
        assert self.process is not None
        workers = self.workers()
        self.process.send_signal(signal.SIGKILL)
        for worker in workers:
            worker.kill()
        self.process.wait()
        self.process = None
        psutil.wait_procs(workers, timeout=30)

    def kill_worker(self) -> None:
        for worker in self.workers():
            os.kill(worker.pid, signal.SIGKILL)

    def workers(self) -> list[psutil.Process]:
        """The digitizing children; multiprocessing's resource tracker is none."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [c for c in children if c.is_running() and "spawn_main" in " ".join(c.cmdline())]

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def store(self) -> Store:
        return Store.open(DataSection(folder=self.folder / "data"))

    def send(self, part10: bytes) -> None:
        destination = DicomDestination(
            kind="dicom", name="me", host="127.0.0.1", port=self.port, called_ae_title="CARDIOSCAN"
        )
        scu = DicomScu(destination)
        scu.send(Document(DocumentKind.DICOM_WAVEFORM, "me", "page", 1, part10))
        scu.close()

    def one_job(self) -> Job:
        store = self.store()
        try:
            jobs = store.jobs(None, 10, 0)
        finally:
            store.close()
        assert len(jobs) == 1, jobs
        return jobs[0]

    def wait_for_state(self, *states: State, seconds: float = PATIENCE_S) -> Job:
        def reached() -> Job | None:
            job = self.one_job()
            return job if job.state in states else None

        return wait_for(reached, seconds, f"a job in {states}")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Pacs:
    """A C-STORE SCP on a fixed port that can be told to hesitate before it answers. uids in order of arrival."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.uids: list[str] = []
        self.datasets: list[Dataset] = []
        self.hold = threading.Event()
        self.hold.set()
        self.reached = threading.Event()
        self._server: Any = None

    def start(self) -> Pacs:
        ae = AE(ae_title="PACS")
        ae.supported_contexts = StoragePresentationContexts
        ae.add_supported_context(Verification)
        self._server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        return self

    def stop(self) -> None:
        self.hold.set()
        if self._server is not None:
            self._server.shutdown()

    def _store(self, event: evt.Event) -> int:
        self.uids.append(str(event.request.AffectedSOPInstanceUID))
        self.datasets.append(event.dataset)
        self.reached.set()
        self.hold.wait(60)
        return 0x0000
