"""How fast C-STORE is received: our listener, dcmtk's storescp and Orthanc, interleaved in one run.

``python -m tests.bench.bench_receive [--rounds 5] [--objects 100] [--kilobytes 512]``

Every round sends new objects (a repeat is cheaper) to each server in turn, in another order each round, over one
association and over four at once, with dcmtk's storescu. Nagle's algorithm is off on both sides (TCP_NODELAY=1), or
the figures would be those of 40 ms timers. Ours says yes after fsync and commit into SQLite; Orthanc after its fsync
and its index; storescp after write().
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from gateway.config import Config, DataSection, DicomScpSection
from gateway.intake.dicom_scp import PDU_MAX_BYTES, DicomScp
from gateway.store import Store
from tests.dicom_objects import dicom_object, put_pixels, save
from tests.flow.processes import free_port, wait_for

NODELAY = {**os.environ, "TCP_NODELAY": "1"}
ASSOCIATIONS = (1, 4)
UID_ROOT, UID_DIGITS = "1.2.826.0.1.3680043.10.1", 12
AIM = 0.9  # of Orthanc's rate over one association


@dataclass(frozen=True)
class Server:
    """Something that listens. kept() is how many objects it holds, to prove that what it acknowledged is there."""

    name: str
    title: str
    port: int
    folder: Path


@contextmanager
def ours(folder: Path) -> Iterator[Server]:
    """Our listener in a process of its own, with a real store."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.bench_receive", "--serve", str(port), "--folder", str(folder)]
    with _running(command, folder):
        yield _reachable(Server("cardioscan", "CARDIOSCAN", port, folder))


@contextmanager
def storescp(folder: Path) -> Iterator[Server]:
    port = free_port()
    (folder / "objects").mkdir()
    command = ["storescp", "--fork", "-od", str(folder / "objects"), "-pdu", str(PDU_MAX_BYTES), str(port)]
    with _running(command, folder):
        yield _reachable(Server("storescp", "STORESCP", port, folder))


@contextmanager
def orthanc(folder: Path) -> Iterator[Server]:
    port, http_port = free_port(), free_port()
    settings = {
        "Name": "bench",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "DicomAlwaysAllowStore": True,
        "MaximumPduLength": PDU_MAX_BYTES,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    with _running(["Orthanc", str(folder / "orthanc.json")], folder):
        wait_for(lambda: _answers(http_port), 60, "Orthanc to answer")
        yield _reachable(Server("orthanc", "ORTHANC", port, folder))


def _answers(http_port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/system", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**NODELAY, "PATH": path})
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _reachable(server: Server) -> Server:
    command = ["echoscu", "-aec", server.title, "127.0.0.1", str(server.port)]
    wait_for(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0, 60, server.name)
    return server


def serve(port: int, folder: Path) -> None:
    """Our listener until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    config = Config(data=DataSection(folder=folder / "data", queue_max=10**9), dicom_scp=DicomScpSection(port=port))
    with Store.open(config.data) as store:
        scp = DicomScp(config, store)
        scp.start()
        stopping.wait()
        scp.stop()


class Objects:
    """Files whose SOP Instance UID is rewritten before each sending, so that no server has seen one before."""

    def __init__(self, folder: Path, associations: int, each: int, kilobytes: int) -> None:
        folder.mkdir()
        made = dicom_object()
        placeholder = f"{UID_ROOT}.{'1' * UID_DIGITS}"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = placeholder
        pixels = np.random.default_rng(0).integers(0, 256, (1, 2 * kilobytes, 512), np.uint8)
        put_pixels(made, pixels)
        self._template = save(made, folder / "template.dcm").read_bytes()
        self._placeholder = placeholder.encode()
        self._numbers = count(10 ** (UID_DIGITS - 1))
        self.folders = [folder / str(number) for number in range(associations)]
        self._each = each
        for one in self.folders:
            one.mkdir()

    def renew(self) -> None:
        for folder in self.folders:
            for number in range(self._each):
                uid = f"{UID_ROOT}.{next(self._numbers)}".encode()
                (folder / f"{number}.dcm").write_bytes(self._template.replace(self._placeholder, uid))


def send(server: Server, folders: list[Path]) -> float:
    """Seconds until every association has been told yes for every object."""
    command = ["storescu", "+sd", "--max-send-pdu", str(PDU_MAX_BYTES), "-aec", server.title]
    began = time.perf_counter()
    senders = [
        subprocess.Popen([*command, "127.0.0.1", str(server.port), str(folder)], env=NODELAY) for folder in folders
    ]
    codes = [sender.wait(600) for sender in senders]
    took = time.perf_counter() - began
    if any(codes):
        raise RuntimeError(f"{server.name}: storescu ended with {codes}")
    return took


def measure(
    servers: list[Server], rounds: int, each: int, kilobytes: int, scratch: Path
) -> dict[str, dict[int, float]]:
    """Median objects per second by server and number of associations."""
    rates: dict[str, dict[int, list[float]]] = {s.name: {n: [] for n in ASSOCIATIONS} for s in servers}
    for associations in ASSOCIATIONS:
        objects = Objects(scratch / f"of {associations}", associations, each, kilobytes)
        for number in range(rounds + 1):
            for server in servers[number % len(servers) :] + servers[: number % len(servers)]:
                objects.renew()
                rate = associations * each / send(server, objects.folders)
                if number:  # the first round warms caches and imports
                    rates[server.name][associations].append(rate)
    return {name: {n: statistics.median(values) for n, values in of.items()} for name, of in rates.items()}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--objects", type=int, default=100, help="per association and round")
    arguments.add_argument("--kilobytes", type=int, default=512)
    arguments.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.serve:
        serve(chosen.serve, chosen.folder)
        return 0
    found = {"storescp": shutil.which("storescp"), "orthanc": shutil.which("Orthanc", path="/usr/sbin:/usr/bin")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        print(f"not installed, not measured: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        servers = []
        for name, start in (("cardioscan", ours), ("storescp", storescp), ("orthanc", orthanc)):
            if name not in missing:
                (Path(scratch) / name).mkdir()
                servers.append(stack.enter_context(start(Path(scratch) / name)))
        rates = measure(servers, chosen.rounds, chosen.objects, chosen.kilobytes, Path(scratch))
    report(rates, chosen.kilobytes)
    return 0


def report(rates: dict[str, dict[int, float]], kilobytes: int) -> None:
    print(
        f"objects of {kilobytes} KB per second, median (load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)"
    )
    for name, of in rates.items():
        print(f"{name:12}" + "".join(f"{n} association{'s' * (n > 1)}: {rate:7.1f}   " for n, rate in of.items()))
    mine = rates["cardioscan"]
    for name, of in rates.items():
        if name != "cardioscan":
            print(f"ours / {name:9}" + "  ".join(f"{n}: {mine[n] / of[n]:.2f}" for n in ASSOCIATIONS))
    if "orthanc" in rates:
        ratio = mine[1] / rates["orthanc"][1]
        print(f"aim: {AIM} of Orthanc over one association: {'reached' if ratio >= AIM else 'missed'} ({ratio:.2f})")


if __name__ == "__main__":
    sys.exit(main())
