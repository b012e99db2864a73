"""What keeps a worker from serving nobody, and a gateway from starting or counting wrongly."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from gateway.config import AuditSection, Config, DataSection
from gateway.digitizer.load import ending_when_stuck
from gateway.job import State
from gateway.service.app import Gateway
from gateway.service.supervisor import Supervisor
from gateway.store import Checkpoints, Store
from gateway.store.signed_note import checkpoint_text, sign
from pipeline.recording import Correction, Page, Recording
from tests.gateway.storing import FORK, LONG_S, claimed, receive
from tests.recordings import three_by_four

HANGS = """
import time
import numpy as np
from gateway.digitizer.load import ending_when_stuck
from pipeline.recording import Page

page = Page(np.zeros((1, 1, 3), np.uint8))
ending_when_stuck(lambda *_: time.sleep(60), 0.3)(page)
print("it went on")
"""


def test_a_process_that_hangs_over_a_page_ends_itself_and_says_where() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "it went on" not in done.stdout


def test_a_page_that_is_done_in_time_ends_nothing() -> None:
    recording = three_by_four()

    def digitize(_page: Page, _given: Correction, /) -> Recording:
        return recording

    watched = ending_when_stuck(digitize, 30.0)
    assert watched(Page(np.zeros((1, 1, 3), np.uint8))) is recording


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A gateway without doors."""
    closed = {"enabled": False}
    return Config.model_validate(
        {"data": {"folder": tmp_path / "data", "reserve_mb": 0}, "dicom_scp": closed, "hl7_feed": closed, "web": closed}
    )


def die_over_a_page(data: DataSection, gateway: str) -> None:
    claimed(Store.open(data, gateway))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_died_just_before_the_gateway_stopped_counts_an_attempt(config: Config) -> None:
    """As when the system ends one process for its memory, and the service manager then stops the service."""
    for _ in range(2):
        gateway = Gateway(config)
        if not gateway.store.jobs():
            receive(gateway.store, b"a page")
        worker = FORK.Process(target=die_over_a_page, args=(config.data, gateway.store.process))
        worker.start()
        worker.join(60)
        gateway.stop()
    with Store.open(config.data) as store:
        assert store.end_dead_leases() == 0
        assert store.claim("next", LONG_S, 2) is None
        assert [(job.state, job.code) for job in store.jobs()] == [(State.HELD, "our_fault_worker_died")]


def test_a_gateway_starts_where_leases_of_dead_processes_cannot_be_looked_for(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(Store, "end_dead_leases", fails)
    monkeypatch.setattr(Supervisor, "check", lambda _self: None)
    gateway = Gateway(config)
    gateway.start()
    gateway.stop()


def test_a_gateway_signs_its_audit_when_it_stops_and_tells_an_older_copy_put_back(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Gateway(config)
    receive(gateway.store, b"a page")
    gateway.stop()
    folder = config.data.folder / "checkpoints"
    (first,) = folder.glob("*.checkpoint")
    assert first.name.startswith("000000000001-")
    later = folder / "000000000009-0000000000000000.checkpoint"
    Gateway(config).stop()
    assert not caplog.records
    with Store.open(config.data) as store:
        checkpoints = store.checkpoints(config.audit)
        later.write_text(_signed_for_nine_rows(checkpoints), encoding="utf-8")
    Gateway(config).stop()
    assert "the audit is not what it was" in caplog.text


def test_a_gateway_whose_checkpoints_cannot_be_written_takes_pages_all_the_same(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share of the archive is away, or the disk is full: somebody is told, and no sender is."""
    monkeypatch.setattr(Supervisor, "check", lambda _self: None)
    (tmp_path / "share").write_text("no folder")
    audit = AuditSection(checkpoint_folder=tmp_path / "share" / "checkpoints")
    gateway = Gateway(config.model_copy(update={"audit": audit}))
    gateway.start()
    assert "the audit is not signed" in gateway._audit_fault
    gateway.stop()
    assert "no checkpoint of the audit" in caplog.text


def _signed_for_nine_rows(checkpoints: Checkpoints) -> str:
    text = checkpoint_text("cardioscan-gateway", 9, "0" * 64, datetime.now(UTC))
    return sign(text, "cardioscan-gateway", checkpoints._key)
