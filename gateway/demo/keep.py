"""A gateway that stays: window, stand-in PACS and EHR, and ten pages to review, until somebody ends it."""

from __future__ import annotations

import json
import logging
import signal
import threading
from pathlib import Path

import numpy as np
from rich.console import Console

from gateway.config import Config
from gateway.demo.ehr import StandInEhr
from gateway.demo.pacs import StandInPacs
from gateway.demo.run import RATE_HZ, SECONDS
from gateway.errors import Conflict
from gateway.role import Role
from gateway.service.app import Gateway
from gateway.web.security.administration import add_user
from pipeline.synth.fax import encode_fax_tiff
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import faxed_page

PAGES = 10
REVIEWER = "demo"


def keep_demo(folder: Path, out: Console, port: int = 8080, stopping: threading.Event | None = None) -> int:
    """Runs until Ctrl-C or SIGTERM, or until stopping is set, and returns the exit status.

    The pages are faxes that a rule holds for review; one in three has no sidecar, so that somebody must say whose it
    is. Everything stays in folder: a second run goes on with the same gateway.
    """
    logging.basicConfig(level=logging.ERROR)
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    pacs, ehr = StandInPacs(folder / "pacs"), StandInEhr(folder / "ehr")
    pacs.start()
    ehr.start()
    gateway = Gateway(keep_config(folder, pacs.port, ehr.port, port))
    ended = stopping or _until_signalled()
    try:
        gateway.start()
        _tell(gateway, pacs, ehr, out)
        if not gateway.store.jobs(limit=1):
            drop_pages(folder / "inbox", ended)
            out.print(f"{PAGES} faxes are in the inbox; each is in the worklist once it was read", highlight=False)
        ended.wait()
    finally:
        gateway.stop()
        pacs.stop()
        ehr.stop()
    return 0


def keep_config(folder: Path, pacs_port: int, ehr_port: int, port: int) -> Config:
    """A gateway that holds every page for a reviewer."""
    return Config.model_validate(
        {
            "data": {"folder": folder / "gateway"},
            "dicom_scp": {"port": 0},
            "fax_inbox": [{"name": "fax", "folder": folder / "inbox", "poll_s": 1.0, "settle_s": 0.5}],
            "web": {"port": port},
            "destination": [
                {"kind": "dicom", "name": "pacs", "host": "127.0.0.1", "port": pacs_port, "called_ae_title": "PACS"},
                {"kind": "mllp", "name": "ehr", "host": "127.0.0.1", "port": ehr_port},
            ],
            "rule": [{"name": "everything is reviewed", "hold": "The demonstration holds every page for review."}],
            "logging": {"level": "ERROR"},
        }
    )


def drop_pages(inbox: Path, ended: threading.Event) -> None:
    """Ten faxes of ten patients, as a fax server leaves them: the sidecar first."""
    for number in range(1, PAGES + 1):
        if ended.is_set():
            return
        signals = synthetic_ecg(np.random.default_rng(number), SECONDS, RATE_HZ)
        page = faxed_page(signals, RATE_HZ, seed=number, ruled=True).page
        if number % 3:
            sidecar = {"patient_id": f"DEMO-{number}", "name": f"Muster^Nr {number}", "acquired_at": "20240131143000"}
            (inbox / f"fax-{number:04d}.json").write_text(json.dumps(sidecar), encoding="utf-8")
        whole = inbox.parent / f"fax-{number:04d}.tif"
        encode_fax_tiff([page], whole)
        whole.replace(inbox / whole.name)


def _tell(gateway: Gateway, pacs: StandInPacs, ehr: StandInEhr, out: Console) -> None:
    scp = gateway.scp.port if gateway.scp else 0
    lines = [
        f"window http://127.0.0.1:{gateway.web_port}",
        f"DICOM door CARDIOSCAN on 127.0.0.1:{scp}",
        f"stand-in PACS on 127.0.0.1:{pacs.port}, stand-in EHR on 127.0.0.1:{ehr.port}",
    ]
    try:
        _, password = add_user(gateway.store, REVIEWER, Role.ADMINISTRATOR, "demo")
        lines.append(f"sign in as {REVIEWER} with the one-time password {password}")
    except Conflict:
        lines.append(f"sign in as {REVIEWER} with the password that you chose")
    for line in (*lines, "Ctrl-C ends it"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _until_signalled() -> threading.Event:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended
