"""Asks every destination whether it would take a document, without sending one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydicom.uid import EncapsulatedPDFStorage, GeneralECGWaveformStorage, TwelveLeadECGWaveformStorage

from gateway.config import Config, Destination, DicomDestination, FolderDestination, MllpDestination
from gateway.deliver.dicom_scu import DicomScu
from gateway.deliver.mllp import MllpClient
from gateway.errors import Refused, TryAgain

AT_ONCE_MAX = 8  # a dozen dead peers should not take a dozen timeouts


@dataclass(frozen=True)
class PeerReport:
    """What one destination said. words: for an administrator; where not ok, what to look at."""

    name: str
    kind: str
    address: str
    ok: bool
    text: str


def check_peers(config: Config) -> list[PeerReport]:
    """C-ECHO to every PACS, a connection to every MLLP port, a look at every folder; in the file's order."""
    with ThreadPoolExecutor(AT_ONCE_MAX) as pool:
        return list(pool.map(check_peer, config.destination))


def check_peer(destination: Destination) -> PeerReport:
    """One destination."""
    match destination:
        case FolderDestination():
            address = str(destination.folder)
        case _:
            address = f"{destination.host}:{destination.port}"
    try:
        ok, text = _ask(destination)
    except (TryAgain, Refused) as error:
        ok, text = False, error.why
    return PeerReport(destination.name, destination.kind, address, ok, text)


def _ask(destination: Destination) -> tuple[bool, str]:
    match destination:
        case DicomDestination():
            return _ask_pacs(destination)
        case MllpDestination():
            MllpClient(destination).knock()
            return True, "the port is open; whether HL7 is understood there only a message can show"
        case FolderDestination():
            return _check_folder(destination)


def _ask_pacs(destination: DicomDestination) -> tuple[bool, str]:
    missing = DicomScu(destination).echo().missing
    needed = GeneralECGWaveformStorage if destination.encoding == "general" else TwelveLeadECGWaveformStorage
    if lacking := [uid.name for uid in (needed, EncapsulatedPDFStorage) if uid in missing]:
        return False, f"answers C-ECHO but does not take {' and '.join(lacking)}; enable it there"
    # a page with more than 13 strips goes as General ECG, whatever the encoding says
    rest = "".join(f", but not {uid.name}: pages that need it will be parked" for uid in missing)
    return True, f"answers C-ECHO and takes {needed.name}{rest}"


def _check_folder(destination: FolderDestination) -> tuple[bool, str]:
    folder = destination.folder
    if not folder.is_dir():
        return False, "the folder does not exist; make it, or mount its share"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return False, "this user may not read and write there"
    space = os.statvfs(folder)
    return True, f"is writable, {space.f_bavail * space.f_frsize / 1e9:.1f} GB free"
