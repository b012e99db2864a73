"""Which documents a destination gets, and how it wants them."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config import Config, Destination, DicomDestination, FolderDestination, MllpDestination
from gateway.emit import catalogue, hl7v2
from gateway.emit.catalogue import Material, Wishes
from gateway.errors import NotFound
from gateway.job import Document, DocumentKind, Job
from gateway.order import Order
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
    thumbnail_png: bytes = b"",
    approval: Approval | None = None,
) -> list[Document]:
    """Every document one destination gets of one page. thumbnail_png: the page, for reports. approval: of this reading.

    Raises:
        Held: something a document must say is unknown, or cannot be written in the destination's character set.
        Refused: the recording holds no sample of any lead, or more strips than a DICOM object can.
        NotFound: no destination has that name.
    """
    found = next((candidate for candidate in config.destination if candidate.name == destination), None)
    if found is None:
        raise NotFound(f"no destination is called {destination!r}")
    material = Material(recording, order, job.job_id, job.sha256, page, job.received_at, thumbnail_png, approval)
    wishes = wishes_of(found)
    emitted = ((kind, catalogue.document(kind, material, wishes)) for kind in kinds_for(found))
    return [Document(kind, destination, each.name, page, each.data) for kind, each in emitted]


def wants_thumbnails(config: Config) -> bool:
    """Whether any destination gets a report, which shows the page."""
    return any(_holds_a_report(kind, wishes_of(each)) for each in config.destination for kind in kinds_for(each))


def _holds_a_report(kind: DocumentKind, wishes: Wishes) -> bool:
    return kind in _PICTURED or (kind is DocumentKind.HL7V2 and wishes.report)


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


def wishes_of(destination: Destination) -> Wishes:
    """What the configuration says about how a destination wants its documents."""
    match destination:
        case DicomDestination():
            return Wishes(
                encoding=destination.encoding,
                originality=destination.waveform_originality,
                channel_codes=destination.channel_codes,
            )
        case MllpDestination():
            to = hl7v2.Addressing.of(destination)
            return Wishes(aecg_layout=destination.aecg_layout, to=to, report=destination.report)
        case FolderDestination():
            return Wishes(
                aecg_layout=destination.aecg_layout,
                encoding=destination.encoding,
                originality=destination.waveform_originality,
                channel_codes=destination.channel_codes,
                to=hl7v2.Addressing(destination.name),
            )
