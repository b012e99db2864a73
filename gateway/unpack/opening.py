"""Opens a document in this process. Decoders of hostile input crash and hang: only the sandbox's child calls this."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.identity.order import Order, Unread
from gateway.unpack import dicom, pdf, raster
from gateway.unpack.document import Unpacked
from gateway.unpack.inverted import black_on_white
from gateway.unpack.media import KINDS, MediaType, recognise
from pipeline.recording import Finding, Page, Severity


def open_document(path: Path, order: Order | None, limits: LimitsSection, identity: IdentitySection) -> Unpacked:
    """A received file as a document. order: as the door read it, None to read it from the file where it can.

    Raises:
        Refused: the file is of no kind taken, is damaged, or breaks a cap.
    """
    media = recognise(path)
    if media is None:
        raise Refused("unknown_format", f"The file is none of {KINDS}.")
    if media is MediaType.DICOM:
        return _with_findings(dicom.open_document(path, order, limits, identity))
    if media is MediaType.PDF:
        return _with_findings(pdf.open_document(path, order or Order(), limits))
    return _with_findings(raster.open_document(path, media, order or Order(), limits))


def _with_findings(document: Unpacked) -> Unpacked:
    """The document, each page black on white, and what could not be read of its order told on each."""
    found = tuple(map(_finding, document.order.unread))

    def read(number: int) -> Page:
        page = black_on_white(document.read(number))
        return replace(page, findings=(*page.findings, *found))

    return replace(document, read=read)


def _finding(unread: Unread) -> Finding:
    usual = Severity.ERROR if unread.must_hold else Severity.WARNING
    return Finding(unread.code, usual, detail=unread.detail)
