"""Which documents a destination gets, and how it wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from gateway.config import Config, Destination, DicomDestination, FolderDestination, MllpDestination
from gateway.emit import catalogue, hl7v2
from gateway.emit.catalogue import Material, Wishes
from gateway.emit.kinds import kinds_for
from gateway.errors import NotFound
from gateway.identity.order import Order
from gateway.job import Document, DocumentKind, Job, Place, Reading
from gateway.review import Approval
from pipeline.recording import Recording

_PICTURED = frozenset({DocumentKind.PDF, DocumentKind.DICOM_PDF})


def documents_for(
    config: Config,
    destination: str,
    job: Job,
    order: Order,
    page: int,
    recording: Recording,
    reading: Reading,
    before: Mapping[Place, Reading] = MappingProxyType({}),
    thumbnail_png: bytes = b"",
    approval: Approval | None = None,
) -> list[Document]:
    """Every document one destination gets of one page.

    reading: of now. before: of the documents that were made of this job earlier; one that would say the same again is
    made as it was, and any other is a later reading. thumbnail_png: the page, for reports. approval: of this reading.

    Raises:
        Held: something a document must say is unknown, or cannot be written in the destination's character set.
        Refused: the recording holds no sample of any lead, or more strips than a DICOM object can.
        NotFound: no destination has that name.
    """
    found = next((candidate for candidate in config.destination if candidate.name == destination), None)
    if found is None:
        raise NotFound(f"no destination is called {destination!r}")
    material = Material(
        recording, order, job.job_id, job.sha256, page, reading.made_at, job.received_at, thumbnail_png, approval
    )
    wishes = wishes_of(found)
    return [
        _document(kind, destination, material, wishes, reading, before.get((destination, kind, page)))
        for kind in kinds_for(found)
    ]


def _document(
    kind: DocumentKind, destination: str, material: Material, wishes: Wishes, reading: Reading, before: Reading | None
) -> Document:
    """The document as it was made before where it would say the same again, else a later one."""

    def make(of: Reading) -> Document:
        emitted = catalogue.document(kind, replace(material, made_at=of.made_at, reading=of.number), wishes)
        return Document(kind, destination, emitted.name, material.page, emitted.data, of.made_at)

    again = make(before) if before is not None else None
    if again is not None and before is not None and again.name == before.document:
        return again
    return make(reading.after(before))


def wants_thumbnails(config: Config) -> bool:
    """Whether any destination gets a report, which shows the page."""
    return any(_holds_a_report(kind, wishes_of(each)) for each in config.destination for kind in kinds_for(each))


def _holds_a_report(kind: DocumentKind, wishes: Wishes) -> bool:
    return kind in _PICTURED or (kind is DocumentKind.HL7V2 and wishes.report)


def wishes_of(destination: Destination) -> Wishes:
    """What the configuration says about how a destination wants its documents."""
    match destination:
        case DicomDestination():
            return Wishes(
                encoding=destination.encoding,
                originality=destination.waveform_originality,
                channel_codes=destination.channel_codes,
                intervals=destination.intervals,
            )
        case MllpDestination():
            to = hl7v2.Addressing.of(destination)
            return Wishes(
                aecg_layout=destination.aecg_layout,
                to=to,
                report=destination.report,
                intervals=destination.intervals,
            )
        case FolderDestination():
            return Wishes(
                aecg_layout=destination.aecg_layout,
                encoding=destination.encoding,
                originality=destination.waveform_originality,
                channel_codes=destination.channel_codes,
                to=hl7v2.Addressing(destination.name),
                intervals=destination.intervals,
            )
