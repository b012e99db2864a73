"""Which documents a destination gets, and the emitters that make them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gateway.config import Config, Destination, DicomDestination, FolderDestination, MllpDestination
from gateway.emit import aecg, dicom_waveform, hl7v2
from gateway.emit.emitted import Emitted
from gateway.errors import NotFound
from gateway.job import Document, DocumentKind, Job
from gateway.mapping import Measured
from gateway.order import Order
from pipeline.measure import Measurements, measure
from pipeline.recording import Recording


def documents_for(
    config: Config, destination: str, job: Job, order: Order, page: int, recording: Recording
) -> list[Document]:
    """Every document one destination gets of one page.

    Raises:
        Held: something a document must say is unknown, or cannot be written in the destination's character set.
        Refused: the recording holds no sample of any lead, or more strips than a DICOM object can.
        NotFound: no destination has that name.
    """
    found = next((candidate for candidate in config.destination if candidate.name == destination), None)
    if found is None:
        raise NotFound(f"no destination is called {destination!r}")
    return [
        Document(kind, destination, emitted.name, page, emitted.data)
        for kind, emitted in _emitted(found, job, order, page, recording)
    ]


def _emitted(
    destination: Destination, job: Job, order: Order, page: int, recording: Recording
) -> Iterator[tuple[DocumentKind, Emitted]]:
    match destination:
        case DicomDestination():
            yield DocumentKind.DICOM_WAVEFORM, _waveform(destination, job, order, page, recording)
        case MllpDestination():
            to = hl7v2.Addressing.of(destination)
            yield DocumentKind.HL7V2, _message(to, destination.aecg_layout, job, order, page, recording)
        case FolderDestination():
            if "dicom_waveform" in destination.documents:
                yield DocumentKind.DICOM_WAVEFORM, _waveform(destination, job, order, page, recording)
            if "aecg" in destination.documents:
                yield DocumentKind.AECG, _annotated(destination.aecg_layout, job, order, page, recording)
            if "hl7v2" in destination.documents:
                to = hl7v2.Addressing(destination.name)
                yield DocumentKind.HL7V2, _message(to, destination.aecg_layout, job, order, page, recording)


def _waveform(
    destination: DicomDestination | FolderDestination, job: Job, order: Order, page: int, recording: Recording
) -> Emitted:
    return dicom_waveform.emit(
        recording,
        order,
        encoding=destination.encoding,
        originality=destination.waveform_originality,
        source_sha256=job.sha256,
        page=page,
        received_at=job.received_at,
    )


def _annotated(layout: aecg.Layout, job: Job, order: Order, page: int, recording: Recording) -> Emitted:
    return aecg.emit(recording, order, layout=layout, source_sha256=job.sha256, page=page, received_at=job.received_at)


def _message(
    to: hl7v2.Addressing,
    layout: Literal["strips", "single_set", "none"],
    job: Job,
    order: Order,
    page: int,
    recording: Recording,
) -> Emitted:
    """received_at stands for the message's time too: it is the same on every try, and the name depends on it."""
    embedded = None if layout == "none" else _annotated(layout, job, order, page, recording)
    return hl7v2.emit(
        recording,
        order,
        embedded,
        to=to,
        job_id=job.job_id,
        page=page,
        source_sha256=job.sha256,
        message_time=job.received_at,
        measurements=_measured(measure(recording)),
    )


def _measured(measurements: Measurements) -> tuple[hl7v2.Measurement, ...]:
    rate = measurements.heart_rate_bpm
    return () if rate is None else (hl7v2.Measurement(Measured.HEART_RATE, rate),)
