"""Bytes as received -> (pages, Order). DICOM, PDF, TIFF, PNG and JPEG are told apart by content, never by name.

Everything is capped before it is decoded, and pages are decoded one at a time: a document of fifty pages holds one
page in memory. A page at fault raises Refused; the foreign libraries' own exceptions end here.
"""

from __future__ import annotations

from pathlib import Path

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import Refused
from gateway.job import Arrival
from gateway.order import Order
from gateway.unpack import dicom, pdf, raster
from gateway.unpack.document import Unpacked
from gateway.unpack.media import MediaType, recognise

__all__ = ["MediaType", "Unpacked", "recognise", "unpack"]


def unpack(path: Path, arrival: Arrival, limits: LimitsSection, identity: IdentitySection) -> Unpacked:
    """Opens a received file and reads whose ECG it holds; pages are decoded as they are asked for.

    Raises:
        Refused: the file is none of the five kinds, is damaged, or breaks a cap.
    """
    media = recognise(path)
    if media is None:
        raise Refused("unknown_format", "The file is no DICOM object, PDF, TIFF, PNG or JPEG.")
    if media is MediaType.DICOM:
        return dicom.open_document(path, arrival.order, limits, identity)
    order = arrival.order or Order()
    if media is MediaType.PDF:
        return pdf.open_document(path, order, limits)
    return raster.open_document(path, media, order, limits)
