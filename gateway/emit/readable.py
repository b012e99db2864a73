"""A document of our own making as text for a person's eye: files that no text editor shows, told field by field. Pure.

What is told is read back out of the bytes themselves, so that a person sees what a receiver gets. Samples are counted,
not listed: the leads on the paper show them. A report is no text; it is looked at as a picture.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pydicom
from edfio import EdfSignal, read_edf

from gateway.emit import hl7v2
from gateway.errors import NotFound
from gateway.job import DocumentKind


def as_text(kind: DocumentKind, data: bytes) -> str:
    """The text of one document. data: as gateway.emit.catalogue made it. Raises NotFound for a report."""
    match kind:
        case DocumentKind.AECG | DocumentKind.CSV:
            return data.decode("utf-8")
        case DocumentKind.HL7V2:
            return hl7v2.decoded(data)
        case DocumentKind.DICOM_WAVEFORM | DocumentKind.DICOM_PDF:
            return f"{pydicom.dcmread(BytesIO(data))}\n"
        case DocumentKind.EDF:
            return _lines(_edf(data))
        case DocumentKind.WFDB:
            return _lines(_wfdb(data))
        case DocumentKind.NPZ:
            return _lines(_npz(data))
        case DocumentKind.PDF:
            raise NotFound("a report is looked at as a picture, not as text")


def _edf(data: bytes) -> Iterator[str]:
    edf = read_edf(BytesIO(data))
    yield f"Patient: {edf.local_patient_identification}"
    yield f"Recording: {edf.local_recording_identification}"
    yield f"Begins at {edf.starttime} and lasts {edf.duration:g} s, in records of {edf.data_record_duration:g} s"
    yield ""
    yield from map(_edf_signal, edf.signals)
    yield ""
    for each in edf.annotations:
        lasting = "" if each.duration is None else f" for {each.duration:g} s"
        yield f"at {each.onset:g} s{lasting}: {each.text}"


def _edf_signal(signal: EdfSignal) -> str:
    low, high = signal.physical_range
    return (
        f"{signal.label}: {len(signal.digital)} samples at {signal.sampling_frequency:g} Hz, "
        f"{low:g} to {high:g} {signal.physical_dimension}; {signal.transducer_type}; {signal.prefiltering}"
    )


def _wfdb(data: bytes) -> Iterator[str]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        for entry in archive.infolist():
            yield f"{entry.filename}: {entry.file_size} bytes"
            if entry.filename.endswith(".hea"):
                yield from archive.read(entry).decode("utf-8").splitlines()
                yield ""


def _npz(data: bytes) -> Iterator[str]:
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        for name, array in arrays.items():
            text = str(array) if array.ndim == 0 else f"{array.dtype} {array.shape}"
            yield f"{name}: {text}"


def _lines(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
