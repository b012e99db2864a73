"""A stand-in PACS: a real C-STORE SCP that keeps what it gets in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time by pynetdicom
    EncapsulatedPDFStorage,
    GeneralECGWaveformStorage,
    TwelveLeadECGWaveformStorage,
    Verification,
)

SUCCESS = 0x0000


class StandInPacs:
    """Listens on loopback. files() are the objects received, in order of arrival."""

    def __init__(self, folder: Path, ae_title: str = "PACS") -> None:
        self.folder = folder
        self.ae_title = ae_title
        self._files: list[Path] = []
        self._ae = AE(ae_title=ae_title)
        for sop_class in (TwelveLeadECGWaveformStorage, GeneralECGWaveformStorage, EncapsulatedPDFStorage):
            self._ae.add_supported_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        self._ae.add_supported_context(Verification)
        self._server: Any = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store)]
        self._server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def files(self) -> tuple[Path, ...]:
        return tuple(self._files)

    def _store(self, event: evt.Event) -> int:
        path = self.folder / f"{len(self._files) + 1:03d}.dcm"
        path.write_bytes(event.encoded_dataset())
        self._files.append(path)
        return SUCCESS
