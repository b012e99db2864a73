"""Which kinds of documents a destination gets, and what they cannot be made without. Loads no emitter."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config import Destination, DicomDestination, FolderDestination, MllpDestination
from gateway.identity.order import Order
from gateway.job import DocumentKind

NO_ACQUISITION_DATE = "no_acquisition_date"
NO_PATIENT = "no_patient"
_DATED = frozenset({DocumentKind.DICOM_WAVEFORM, DocumentKind.AECG})
_NAMED = frozenset({DocumentKind.AECG, DocumentKind.HL7V2})


def kinds_for(destination: Destination) -> Iterator[DocumentKind]:
    """The kinds one destination gets, in the order they are sent."""
    match destination:
        case DicomDestination():
            yield DocumentKind.DICOM_WAVEFORM
            if destination.report:
                yield DocumentKind.DICOM_PDF
        case MllpDestination():
            yield DocumentKind.HL7V2
        case FolderDestination():
            yield from (kind for kind in DocumentKind if kind in destination.documents)


def lacks(destination: Destination, order: Order) -> Iterator[str]:
    """Codes of what the documents of one destination must say and the order does not know."""
    kinds = set(kinds_for(destination))
    if (
        DocumentKind.HL7V2 in kinds
        and not isinstance(destination, DicomDestination)
        and destination.aecg_layout != "none"
    ):
        kinds.add(DocumentKind.AECG)  # it travels within the message
    if not order.acquired_at and not kinds.isdisjoint(_DATED):
        yield NO_ACQUISITION_DATE
    if not order.patient.patient_id and not kinds.isdisjoint(_NAMED):
        yield NO_PATIENT
