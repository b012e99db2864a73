"""Worklists for tests: entries, a pynetdicom one whose answers a test sets, and dcmtk's wlmscpfs."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from gateway.config import WorklistSection
from gateway.errors import TryAgain
from gateway.patient_search.worklist import FIND, VERIFICATION, echo
from tests.flow.processes import free_port, wait_for

TODAY = date(2026, 11, 23)
Answering = Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]


def entry(number: int, name: str, patient_id: str, *, character_set: str = "", **texts: str) -> Dataset:
    """A scheduled procedure. texts: of the request or, by their keyword, of its step."""
    dataset = Dataset()
    if character_set:
        dataset.SpecificCharacterSet = character_set
    step = Dataset()
    request = {
        "PatientName": name,
        "PatientID": patient_id,
        "IssuerOfPatientID": "NORTH",
        "PatientBirthDate": "19500101",
        "PatientSex": "F",
        "AccessionNumber": f"N-{number}",
        "StudyInstanceUID": f"1.2.3.{number}",
        "RequestedProcedureID": f"RP{number}",
        "RequestedProcedureDescription": "ECG",
        "ReferringPhysicianName": "House^Gregory",
        "AdmissionID": f"V-{number}",
        "PlacerOrderNumberImagingServiceRequest": f"P-{number}",
        "FillerOrderNumberImagingServiceRequest": f"F-{number}",
    }
    scheduled = {
        "Modality": "ECG",
        "ScheduledStationAETitle": "CART",
        "ScheduledProcedureStepStartDate": f"{TODAY:%Y%m%d}",
        "ScheduledProcedureStepStartTime": "103000",
        "ScheduledProcedureStepDescription": "Resting ECG",
        "ScheduledProcedureStepID": f"S{number}",
        "ScheduledPerformingPhysicianName": "",
    }
    for keyword, text in {**request, **{key: text for key, text in texts.items() if key not in scheduled}}.items():
        setattr(dataset, keyword, text)
    for keyword, text in {**scheduled, **{key: text for key, text in texts.items() if key in scheduled}}.items():
        setattr(step, keyword, text)
    dataset.ScheduledProcedureStepSequence = [step]
    return dataset


class Ris:
    """A worklist of pynetdicom's that answers as it is told, to whatever it is asked."""

    def __init__(self) -> None:
        self.asked: list[Dataset] = []
        self.answering: Answering = lambda _event: iter(())
        self.associations = 0
        self._server: Any = None

    def start(self, *classes: str) -> int:
        """Listens on a free port, taking these classes of questions; the worklist's and C-ECHO unless told."""
        ae = AE("RIS")
        for uid in classes or (VERIFICATION, FIND):
            ae.add_supported_context(uid)
        handlers = [(evt.EVT_C_FIND, self._find), (evt.EVT_ACCEPTED, self._accepted)]
        self._server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        return int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        """Does not wait: shutdown takes half a second, and there are many tests."""
        if self._server is not None:
            threading.Thread(target=self._server.shutdown, daemon=True).start()

    def _accepted(self, _event: evt.Event) -> None:
        self.associations += 1

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        yield from self.answering(event)


def telling(*entries: Dataset) -> Answering:
    """Tells all of these to every question."""
    return lambda _event: iter([(0xFF00, each) for each in entries])


def section(port: int, **settings: Any) -> WorklistSection:
    """A worklist on this machine."""
    return WorklistSection(**{"name": "ris", "host": "127.0.0.1", "called_ae_title": "RIS", **settings, "port": port})


@contextmanager
def wlmscpfs(folder: Path, *entries: Dataset) -> Iterator[int]:
    """dcmtk's worklist with these entries; its port."""
    shelf = folder / "RIS"
    shelf.mkdir(parents=True)
    (shelf / "lockfile").touch()
    for number, dataset in enumerate(entries, 1):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = "1.2.276.0.7230010.3.1.0.1"
        dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
        dcmwrite(shelf / f"{number}.wl", dataset, enforce_file_format=True)
    port = free_port()
    command = ["wlmscpfs", "-q", "--single-process", "-csk", "-dhl", "-dfp", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: _answers(port), 20, "wlmscpfs to listen")
            yield port
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        echo(section(port))
    except TryAgain:
        return False
    return True
