"""How each kind of document is called: the ending of its file, its media type, and its name for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.job import DocumentKind


@dataclass(frozen=True)
class Form:
    """suffix: of a file, with its dot; no two kinds share one. title: what a person calls it."""

    suffix: str
    media_type: str
    title: str


FORMS: Mapping[DocumentKind, Form] = MappingProxyType(
    {
        DocumentKind.DICOM_WAVEFORM: Form(".dcm", "application/dicom", "DICOM waveform"),
        DocumentKind.DICOM_PDF: Form(".pdf.dcm", "application/dicom", "Report as DICOM Encapsulated PDF"),
        DocumentKind.AECG: Form(".xml", "application/xml", "HL7 annotated ECG"),
        DocumentKind.HL7V2: Form(".hl7", "x-application/hl7-v2+er7", "HL7 v2 message"),
        DocumentKind.PDF: Form(".pdf", "application/pdf", "Report"),
        DocumentKind.CSV: Form(".csv", "text/csv", "Table of samples"),
        DocumentKind.WFDB: Form(".wfdb.zip", "application/zip", "WFDB record"),
        DocumentKind.EDF: Form(".edf", "application/octet-stream", "EDF+"),
        DocumentKind.NPZ: Form(".npz", "application/octet-stream", "NumPy arrays"),
    }
)
