"""Opens a document in this process. Decoders of hostile input crash and hang: only the sandbox's child calls this."""

from __future__ import annotations

from pathlib import Path

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.order import Order
from gateway.unpack import dicom, pdf, raster
from gateway.unpack.document import Unpacked
from gateway.unpack.media import MediaType, recognise


def open_document(path: Path, order: Order | None, limits: LimitsSection, identity: IdentitySection) -> Unpacked:
    """A received file as a document. order: as the door read it, None to read it from the file where it can.

    Raises:
        Refused: the file is none of the five kinds, is damaged, or breaks a cap.
    """
    media = recognise(path)
    if media is None:
        raise Refused("unknown_format", "The file is no DICOM object, PDF, TIFF, PNG or JPEG.")
    if media is MediaType.DICOM:
        return dicom.open_document(path, order, limits, identity)
    if media is MediaType.PDF:
        return pdf.open_document(path, order or Order(), limits)
    return raster.open_document(path, media, order or Order(), limits)
