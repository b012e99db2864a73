"""The report and the files on their way to real peers: Orthanc, storescp, python-hl7's MLLP server, a folder."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage, TwelveLeadECGWaveformStorage
from pynetdicom import AE, evt

from gateway.config import Config, DicomDestination, FolderDestination, MllpDestination
from gateway.deliver.dicom_scu import DicomScu
from gateway.deliver.folder import FolderDrop
from gateway.deliver.mllp import MllpClient
from gateway.deliver.reach import check_peer
from gateway.emit.plan import documents_for
from gateway.errors import Refused
from gateway.job import Arrival, Document, DocumentKind, Door, Job, Reading, State
from tests import recordings as make
from tests.flow.mllp_receiver import Receiver
from tests.flow.orthanc import BINARY, Orthanc
from tests.flow.processes import answers, free_port, wait_for

pytestmark = pytest.mark.peer

JOB = Job("job-1", State.RECEIVED, Arrival(Door.FAX, "fax"), make.SHA256, 1, make.RECEIVED_AT, make.RECEIVED_AT, 0)


def documents(destination: DicomDestination | MllpDestination | FolderDestination) -> list[Document]:
    config = Config(destination=(destination,))
    return documents_for(config, destination.name, JOB, make.order(), 1, make.with_gaps(), Reading(make.MADE_AT))


def pacs(port: int, title: str) -> DicomDestination:
    return DicomDestination(kind="dicom", name="pacs", host="127.0.0.1", port=port, called_ae_title=title, timeout_s=10)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if BINARY is None:
        pytest.skip("Orthanc is not installed")
    running = Orthanc(tmp_path_factory.mktemp("orthanc")).start()
    yield running
    running.stop()


def test_orthanc_takes_waveform_and_report_of_one_study_and_gives_the_pdf_back(orthanc: Orthanc) -> None:
    destination = pacs(orthanc.port, "ORTHANC")
    assert check_peer(destination).ok
    sent = documents(destination)
    scu = DicomScu(destination)
    for document in [*sent, *sent]:  # the second time they are the same objects
        scu.send(document)
    scu.close()
    (study,) = orthanc.get("/studies")
    assert len(orthanc.get(f"/studies/{study}")["Series"]) == 2
    instances = orthanc.get("/instances")
    held = {dcmread(io.BytesIO(orthanc.file(each))).SOPClassUID: each for each in instances}
    assert set(held) == {TwelveLeadECGWaveformStorage, EncapsulatedPDFStorage}
    ds = dcmread(io.BytesIO(orthanc.file(held[EncapsulatedPDFStorage])))
    archive = FolderDestination(kind="folder", name="f", folder=Path("f"), documents=("pdf",))
    (report,) = documents(archive)
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == report.data
    assert orthanc.fetch(f"/instances/{held[EncapsulatedPDFStorage]}/pdf").rstrip(b"\0") == report.data.rstrip(b"\0")


def test_a_waveform_first_and_a_report_after_it_go_over_one_association(tmp_path: Path) -> None:
    if shutil.which("storescp") is None:
        pytest.skip("dcmtk is not installed")
    port = free_port()
    command = ["storescp", "--promiscuous", "-d", "-aet", "STORESCP", "-od", str(tmp_path), str(port)]
    log = tmp_path / "storescp.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_for(lambda: answers(port), 20, "storescp to listen")
            scu = DicomScu(pacs(port, "STORESCP"))
            sent = documents(scu.config)
            for document in sent:
                scu.send(document)
            scu.close()
        finally:
            server.terminate()
            server.wait(10)
    kept = {dcmread(path).SOPInstanceUID for path in tmp_path.iterdir() if path != log}
    assert kept == {document.name for document in sent}
    assert log.read_text(errors="replace").count("Received Store Request") == 2
    assert log.read_text(errors="replace").count("Association Acknowledged") == 1


def test_a_pacs_that_takes_no_reports_is_told_before_the_first_page() -> None:
    ae = AE("PACS")
    ae.add_supported_context("1.2.840.10008.1.1")
    ae.add_supported_context(TwelveLeadECGWaveformStorage)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: 0)])
    assert server is not None
    try:
        destination = pacs(server.socket.getsockname()[1], "PACS")
        told = check_peer(destination)
        assert not told.ok
        assert "does not take Encapsulated PDF Storage; enable it there" in told.text
        waveform, report = documents(destination)
        scu = DicomScu(destination)
        scu.send(waveform)
        with pytest.raises(Refused, match="no_presentation_context"):
            scu.send(report)
        scu.close()
        assert check_peer(destination.model_copy(update={"report": False})).ok
    finally:
        server.shutdown()


def test_python_hl7s_server_takes_the_message_with_aecg_and_report_and_acknowledges_it() -> None:
    receiver = Receiver()
    try:
        destination = MllpDestination(kind="mllp", name="ehr", host="127.0.0.1", port=receiver.port)
        (document,) = documents(destination)
        client = MllpClient(destination)
        assert client.send(document).response == f"MSA|AA|{document.name}"
        client.close()
        (message,) = receiver.messages
        assert str(message.segment("MSH")[10]) == document.name
        found = {str(obx[3][0][0]): obx[5][0] for obx in message.segments("OBX") if str(obx[2]) == "ED"}
        assert set(found) == {"AECG", "REPORT"}
        assert base64.b64decode(str(found["REPORT"][4])).startswith(b"%PDF-")
        assert base64.b64decode(str(found["AECG"][4])).startswith(b"<?xml")
    finally:
        receiver.stop()


def test_a_folder_gets_every_kind_of_file_it_lists(tmp_path: Path) -> None:
    kinds = ("dicom_waveform", "aecg", "hl7v2", "pdf", "csv", "wfdb", "edf")
    destination = FolderDestination(kind="folder", name="archive", folder=tmp_path, documents=kinds)
    drop = FolderDrop(destination)
    for document in documents(destination):
        drop.send(document)
        assert drop.send(document).response == "already there"
    written = {
        ending: list(tmp_path.glob(f"*.{ending}")) for ending in ("dcm", "xml", "hl7", "pdf", "csv", "zip", "edf")
    }
    assert {ending: len(paths) for ending, paths in written.items()} == dict.fromkeys(written, 1)
    assert len(list(tmp_path.iterdir())) == len(kinds)
    assert written["pdf"][0].read_bytes().startswith(b"%PDF-1")
    assert written["edf"][0].read_bytes().startswith(b"0       4711 F 31-JAN-1954")
    assert zipfile.is_zipfile(written["zip"][0])
    assert written["zip"][0].name.endswith(".wfdb.zip")


def test_the_kinds_a_dicom_destination_may_not_get_are_refused() -> None:
    scu = DicomScu(pacs(free_port(), "NOBODY"))
    for kind in set(DocumentKind) - {DocumentKind.DICOM_WAVEFORM, DocumentKind.DICOM_PDF}:
        with pytest.raises(Refused, match="wrong_kind"):
            scu.send(Document(kind, "pacs", "n", 1, b""))
