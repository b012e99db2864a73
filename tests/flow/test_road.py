"""A page through a whole gateway between real peers: dcmtk sends, Orthanc and an independent MLLP receiver take."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hl7
import numpy as np
import pytest
from lxml import etree
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage, TwelveLeadECGWaveformStorage

from gateway.demo.secondary_capture import secondary_capture
from gateway.job import State
from pipeline.recording import TWELVE
from pipeline.score import kaggle_db
from pipeline.synth.fax import encode_fax_tiff
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.other import render_not_an_ecg
from pipeline.synth.page import faxed_page, scanned_page
from tests.flow.mllp_receiver import Receiver
from tests.flow.orthanc import BINARY, Orthanc
from tests.flow.processes import ENDED, PATIENCE_S, GatewayProcess, free_port, wait_for

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(BINARY is None, reason="Orthanc is not installed"),
    pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed"),
]

CONFIG = """
[data]
folder = "@FOLDER@/data"
[dicom_scp]
port = @PORT@
[web]
enabled = false
[worker]
poll_s = 0.1
[[fax_inbox]]
name = "fax"
folder = "@FOLDER@/inbox"
poll_s = 0.3
settle_s = 0.3
[[destination]]
kind = "dicom"
name = "pacs"
host = "127.0.0.1"
port = {pacs}
called_ae_title = "ORTHANC"
[[destination]]
kind = "mllp"
name = "ehr"
host = "127.0.0.1"
port = {ehr}
[[destination]]
kind = "dicom"
name = "down"
host = "127.0.0.1"
port = {down}
called_ae_title = "NOBODY"
[[rule]]
name = "archive"
when = [{{ field = "sender", equals = "TO_NOBODY" }}]
send = ["down", "ehr"]
[[rule]]
name = "all"
send = ["pacs", "ehr"]
"""


class Road:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ehr = Receiver()
        self.orthanc = Orthanc(folder).start()
        toml = CONFIG.format(pacs=self.orthanc.port, ehr=self.ehr.port, down=free_port())
        self.gateway = GatewayProcess(folder, toml)
        self.gateway.start()

    def stop(self) -> None:
        self.gateway.stop()
        self.orthanc.stop()
        self.ehr.stop()

    def storescu(self, path: Path, sender: str = "SCANNER") -> None:
        command = ["storescu", "-aet", sender, "-aec", "CARDIOSCAN", "127.0.0.1", str(self.gateway.port), str(path)]
        subprocess.run(command, check=True, timeout=PATIENCE_S)

    def job_from(self, name: str):  # type: ignore[no-untyped-def]
        store = self.gateway.store()
        try:
            return next((j for j in store.jobs(None, 100, 0) if name in (j.arrival.sender, j.arrival.file_name)), None)
        finally:
            store.close()

    def ended(self, name: str):  # type: ignore[no-untyped-def]
        def look():  # type: ignore[no-untyped-def]
            job = self.job_from(name)
            return job if job and job.state in ENDED else None

        return wait_for(look, PATIENCE_S, f"the job of {name} to end")

    def cardioscan(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway", *words, "--config", str(self.gateway.path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    road = Road(tmp_path_factory.mktemp("road"))
    yield road
    road.stop()


def _signals(seed: int) -> np.ndarray:
    return synthetic_ecg(np.random.default_rng(seed), 10.0, 500)


def _encapsulated(message: hl7.Message, what: str) -> bytes:
    (found,) = [obx for obx in message.segments("OBX") if str(obx[3]).startswith(f"{what}^") and str(obx[2]) == "ED"]
    return base64.b64decode(str(found[5]).split("^")[-1])


def _millivolts(data: bytes) -> np.ndarray:
    ds = dcmread(io.BytesIO(data))
    volts = ds.waveform_array(0).T
    raw = np.frombuffer(ds.WaveformSequence[0].WaveformData, "<i2").reshape(volts.shape[1], -1).T
    channels = ds.WaveformSequence[0].ChannelDefinitionSequence
    unit = {"uV": 1e-3, "mV": 1.0}[channels[0].ChannelSensitivityUnitsSequence[0].CodeValue]
    millivolts = np.where(raw == -32768, np.nan, volts * unit)
    out = np.full((12, volts.shape[1]), np.nan)
    names = [str(lead) for lead in TWELVE]
    for channel, values in zip(channels, millivolts, strict=True):
        row = names.index(channel.ChannelLabel.removeprefix("Lead ").split(" ")[0])
        if np.isfinite(values).sum() > np.isfinite(out[row]).sum():
            out[row] = values
    return out


def test_a_scanned_page_arrives_as_waveform_and_aecg(road: Road, tmp_path: Path) -> None:
    rendered = scanned_page(_signals(11), 500, seed=11)
    path = tmp_path / "page.dcm"
    path.write_bytes(secondary_capture(rendered.page.image, "ROAD-1", "Straße^Jörg", "20240131143000"))
    road.storescu(path, "SCANNER")
    assert road.ended("SCANNER").state == State.DELIVERED
    instances = road.orthanc.get("/instances")
    files = [road.orthanc.file(i) for i in instances]
    mine = {ds.SOPClassUID: f for f in files if (ds := dcmread(io.BytesIO(f))).PatientID == "ROAD-1"}
    data, pdf = mine[TwelveLeadECGWaveformStorage], dcmread(io.BytesIO(mine[EncapsulatedPDFStorage]))
    ds = dcmread(io.BytesIO(data))
    assert pdf.StudyInstanceUID == ds.StudyInstanceUID
    assert pdf.EncapsulatedDocument.startswith(b"%PDF-")
    source = dcmread(path)
    assert ds.StudyInstanceUID == source.StudyInstanceUID
    assert str(ds.PatientName) == "Straße^Jörg"
    assert kaggle_db(rendered.truth.recording.twelve().millivolts, _millivolts(data)) >= 14.0
    message = next(m for m in road.ehr.messages if "ROAD-1" in str(m.segment("PID")))
    assert str(message.segment("OBR")[25]) == "P"
    aecg = _encapsulated(message, "AECG")
    assert _encapsulated(message, "REPORT").startswith(b"%PDF-")
    assert etree.fromstring(aecg).tag == "{urn:hl7-org:v3}AnnotatedECG"


def test_a_fax_with_a_cover_sheet_arrives_and_the_cover_sheet_is_told_so(road: Road) -> None:
    rendered = faxed_page(_signals(14), 500, seed=14, ruled=True)
    inbox = road.folder / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / "f1.json").write_text(json.dumps({"patient_id": "ROAD-2", "acquired_at": "20240201081500"}))
    encode_fax_tiff([render_not_an_ecg(3), rendered.page], inbox / "f1.tif")
    job = road.ended("f1.tif")
    assert job.state == State.DELIVERED, (job.code, job.why)
    assert (inbox / "taken" / "f1.tif").exists()
    shown = road.cardioscan("jobs", "show", job.job_id).stdout
    assert "page 1: not_an_ecg" in shown
    assert "page 2: digitized" in shown


def test_a_fax_without_identity_is_held_until_a_person_says_whose_it_is(road: Road) -> None:
    inbox = road.folder / "inbox"
    inbox.mkdir(exist_ok=True)
    encode_fax_tiff([faxed_page(_signals(13), 500, seed=13, ruled=True).page], inbox / "f2.tif")
    job = road.ended("f2.tif")
    assert (job.state, job.code) == (State.HELD, "no_patient_id")
    words = ("--patient-id", "ROAD-3", "--acquired-at", "20240201", "--actor", "nurse")
    answer = road.cardioscan("jobs", "identify", job.job_id, *words)
    assert answer.returncode == 0, answer.stderr
    wait_for(lambda: road.job_from("f2.tif").state == State.DELIVERED, PATIENCE_S, "the identified job to be delivered")
    assert any("ROAD-3" in str(m.segment("PID")) for m in road.ehr.messages)


def test_a_letter_is_refused_as_no_ecg(road: Road, tmp_path: Path) -> None:
    path = tmp_path / "letter.dcm"
    path.write_bytes(secondary_capture(render_not_an_ecg(4).image, "ROAD-4", "Letter^A", "20240131"))
    road.storescu(path, "LETTERS")
    job = road.ended("LETTERS")
    assert job.state == State.REFUSED, (job.code, job.why)


def test_a_destination_that_is_down_blocks_no_other(road: Road, tmp_path: Path) -> None:
    path = tmp_path / "page.dcm"
    image = scanned_page(_signals(14), 500, seed=14).page.image
    path.write_bytes(secondary_capture(image, "ROAD-5", "Down^Peer", "20240131143000"))
    road.storescu(path, "TO_NOBODY")
    wait_for(lambda: any("ROAD-5" in str(m.segment("PID")) for m in road.ehr.messages), PATIENCE_S, "the EHR to get it")
    assert road.job_from("TO_NOBODY").state == State.DIGITIZED


def test_the_audit_holds_after_all_of_it(road: Road) -> None:
    answer = road.cardioscan("audit", "verify")
    assert answer.returncode == 0, answer.stdout + answer.stderr
