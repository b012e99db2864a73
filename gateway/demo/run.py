"""Two pages through a whole gateway, on real protocols, and what arrived where."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import dcmread
from rich.console import Console
from rich.table import Table

from gateway.config import Config, DicomDestination
from gateway.deliver.dicom_scu import DicomScu
from gateway.demo.ehr import StandInEhr
from gateway.demo.pacs import StandInPacs
from gateway.demo.secondary_capture import secondary_capture
from gateway.emit import npz
from gateway.job import Document, DocumentKind, Job, State
from gateway.service.app import Gateway
from pipeline.draw.side_by_side import draw_png
from pipeline.recording import TWELVE, Page
from pipeline.score import kaggle_db
from pipeline.synth.fax import encode_fax_tiff
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import faxed_page, scanned_page
from pipeline.synth.truth import Rendered

SECONDS = 10.0
RATE_HZ = 500
PATIENCE_S = 150.0  # two pages take about 20 s on two cores, loading the networks included
SNR_MIN_DB = 14.0  # what the digitizer reaches on such pages; below it a demonstration shows a fault, not a result
ENDED = (State.DELIVERED, State.HELD, State.REFUSED)

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sent:
    """A page that was put in, how, and the truth it was rendered from."""

    patient_id: str
    how: str
    rendered: Rendered


def run_demo(folder: Path, out: Console) -> int:
    """Runs the demonstration and leaves its files in folder.

    The exit status: 0 if every page arrived everywhere, near enough to the truth, with its picture, and the audit is
    verified; else 1.
    """
    logging.basicConfig(level=logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    pacs, ehr = StandInPacs(folder / "pacs"), StandInEhr(folder / "ehr")
    pacs.start()
    ehr.start()
    with TemporaryDirectory(prefix="cardioscan-demo-") as data:
        (Path(data) / "inbox").mkdir()
        gateway = Gateway(_config(Path(data), pacs, ehr))
        out.print(f"stand-in PACS on 127.0.0.1:{pacs.port}, stand-in EHR on 127.0.0.1:{ehr.port}", highlight=False)
        gateway.start()
        try:
            sent = _send(gateway, Path(data) / "inbox", out)
            for page in sent:  # as they were sent, for whoever wants to try the window with one
                Image.fromarray(page.rendered.page.image).save(folder / f"{page.how.lower()}-page.png")
            jobs = _wait(gateway, len(sent), out)
            return _report(gateway, folder, sent, jobs, pacs.files(), ehr.files(), out)
        finally:
            gateway.stop()
            pacs.stop()
            ehr.stop()


def _config(data: Path, pacs: StandInPacs, ehr: StandInEhr) -> Config:
    return Config.model_validate(
        {
            "data": {"folder": data / "gateway"},
            "dicom_scp": {"port": 0, "calling_ae_titles": ["SCANNER"]},
            "fax_inbox": [{"name": "fax", "folder": data / "inbox", "poll_s": 0.5, "settle_s": 0.5}],
            "worker": {"poll_s": 0.2},
            "web": {"enabled": False},
            "destination": [
                {"kind": "dicom", "name": "pacs", "host": "127.0.0.1", "port": pacs.port, "called_ae_title": "PACS"},
                {"kind": "mllp", "name": "ehr", "host": "127.0.0.1", "port": ehr.port},
            ],
            "rule": [{"name": "everything", "send": ["pacs", "ehr"]}],
            "logging": {"level": "ERROR"},
        }
    )


def _send(gateway: Gateway, inbox: Path, out: Console) -> list[Sent]:
    """One page by C-STORE as Secondary Capture, another as a G4 fax with its sidecar."""
    scanned = scanned_page(_signals(1), RATE_HZ, seed=1)
    faxed = faxed_page(_signals(2), RATE_HZ, seed=2, ruled=True)
    modality = DicomDestination(
        kind="dicom",
        name="scanner",
        host="127.0.0.1",
        port=gateway.scp.port if gateway.scp else 0,
        called_ae_title="CARDIOSCAN",
        calling_ae_title="SCANNER",
    )
    part10 = secondary_capture(scanned.page.image, "DEMO-1", "Muster^Anna", "20240131143000")
    scanner = DicomScu(modality)
    scanner.send(Document(DocumentKind.DICOM_WAVEFORM, "scanner", "page", 1, part10))
    scanner.close()
    out.print("sent a scanned page by C-STORE as Secondary Capture: accepted", highlight=False)
    sidecar = {"patient_id": "DEMO-2", "name": "Beispiel^Bert", "sex": "M", "acquired_at": "20240201081500"}
    (inbox / "fax-0001.json").write_text(json.dumps(sidecar), encoding="utf-8")
    encode_fax_tiff([faxed.page], inbox / "fax-0001.tif")
    out.print("dropped a fax (TIFF, Group 4) with its sidecar into the inbox", highlight=False)
    return [Sent("DEMO-1", "C-STORE", scanned), Sent("DEMO-2", "fax", faxed)]


def _signals(seed: int) -> Float32:
    return synthetic_ecg(np.random.default_rng(seed), SECONDS, RATE_HZ)


def _wait(gateway: Gateway, count: int, out: Console) -> list[Job]:
    """The jobs once each has ended, or as they stand when patience is over; every change of state is printed."""
    shown: dict[str, State] = {}
    started = time.monotonic()
    jobs: list[Job] = []
    while time.monotonic() - started < PATIENCE_S:
        jobs = gateway.store.jobs(None, count, 0)
        for job in jobs:
            if shown.get(job.job_id) != job.state:
                shown[job.job_id] = job.state
                elapsed = time.monotonic() - started
                out.print(f"{elapsed:6.1f} s  {job.arrival.door:5}  job {job.job_id}: {job.state}", highlight=False)
        if len(jobs) == count and all(job.state in ENDED for job in jobs):
            break
        time.sleep(0.2)
    return jobs


def _report(
    gateway: Gateway,
    folder: Path,
    sent: Sequence[Sent],
    jobs: Sequence[Job],
    objects: Sequence[Path],
    messages: Sequence[Path],
    out: Console,
) -> int:
    """Says what arrived where, how near the truth it is, and whether the audit holds."""
    datasets = [dcmread(path, force=True) for path in objects]
    waveforms = {str(ds.PatientID): ds for ds in datasets if "WaveformSequence" in ds}
    reported = {str(ds.PatientID) for ds in datasets if "EncapsulatedDocument" in ds}
    for stopped in (job for job in jobs if job.why):
        _say(out, f"{stopped.arrival.door}: {stopped.state} because {stopped.code}: {stopped.why}")
    table = Table("page", "job", "DICOM waveform at the PACS", "HL7 ORU at the EHR", "aECG in it", "SNR against truth")
    good = True
    for page in sent:
        job = next((j for j in jobs if _patient_of(j) == page.patient_id), None)
        dataset = waveforms.get(page.patient_id)
        message = next((m for m in messages if f"|{page.patient_id}".encode() in m.read_bytes()), None)
        aecg = _aecg_of(message) if message else b""
        db = kaggle_db(page.rendered.truth.recording.twelve().millivolts, _millivolts(dataset)) if dataset else None
        picture = _draw(gateway, folder, page, job) if job is not None else None
        good &= job is not None and job.state == State.DELIVERED and bool(aecg) and page.patient_id in reported
        good &= db is not None and db >= SNR_MIN_DB and picture is not None
        table.add_row(
            page.how,
            job.state if job else "lost",
            f"12-Lead ECG, {dataset.WaveformSequence[0].NumberOfWaveformChannels} channels" if dataset else "-",
            message.name if message else "-",
            f"{len(aecg)} bytes" if aecg else "-",
            _snr_text(db),
        )
        if picture is not None:
            _say(out, f"{page.how}: page and its digitized leads in {picture}")
    out.print(table)
    audit = gateway.store.verify_audit()
    _say(out, f"audit chain: {'verified' if audit.ok else 'NOT VERIFIED'}, {audit.rows} rows")
    for problem in audit.problems:
        _say(out, problem)
    return 0 if good and audit.ok else 1


def _snr_text(db: float | None) -> str:
    if db is None:
        return "-"
    return f"{db:.1f} dB" if db >= SNR_MIN_DB else f"{db:.1f} dB, below {SNR_MIN_DB:g}"


def _say(out: Console, line: str) -> None:
    """One line as it is: paths and reasons may hold brackets."""
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def _patient_of(job: Job) -> str:
    return job.arrival.order.patient.patient_id if job.arrival.order else ""


def _aecg_of(message: Path) -> bytes:
    """The aECG an ORU carries as encapsulated data."""
    found = re.search(rb"\^XML\^Base64\^([A-Za-z0-9+/=]+)", message.read_bytes())
    return base64.b64decode(found.group(1)) if found else b""


def _millivolts(dataset: object) -> Float32:
    """float32 (12, n) mV from the waveform as the PACS holds it, 0 where nothing was printed."""
    item = dataset.WaveformSequence[0]  # type: ignore[attr-defined]
    counts = np.frombuffer(item.WaveformData, "<i2").reshape(item.NumberOfWaveformSamples, -1).T
    leads: Float32 = np.full((len(TWELVE), counts.shape[1]), np.nan, np.float32)
    for channel, raw in zip(item.ChannelDefinitionSequence, counts, strict=True):
        row = [str(lead) for lead in TWELVE].index(channel.ChannelLabel.removeprefix("Lead ").split(" ")[0])
        microvolts = float(channel.ChannelSensitivity) * float(channel.ChannelSensitivityCorrectionFactor)
        leads[row] = raw * microvolts / 1000.0
    return leads


def _draw(gateway: Gateway, folder: Path, page: Sent, job: Job) -> Path | None:
    """The picture of a page beside what was read from it; None where nothing was."""
    result = next(iter(gateway.store.pages(job.job_id)), None)
    if result is None or result.recording_npz is None:
        return None
    recording = npz.from_npz(result.recording_npz, result.summary)
    path = folder / f"{page.how.lower()}.png"
    path.write_bytes(draw_png(Page(page.rendered.page.image, page.rendered.page.dpi), recording))
    return path
