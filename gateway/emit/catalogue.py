"""Every kind of document of one page, by one call: what destinations get and what a person downloads. Pure.

For a download::

    emitted = catalogue.document(kind, catalogue.Material(recording, order, job.job_id, job.sha256, page,
                                                          made_at, job.received_at, thumbnail_png))
    form = FORMS[kind]                      # gateway.emit.forms: suffix, media_type, title
    Response(emitted.data, media_type=form.media_type)

Raises Held (something the format must say is unknown: no patient, no acquisition date, a text it cannot hold) and
Refused (nothing was printed, more strips than the format holds); code and why are for the person who asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.emit import aecg, dicom_pdf, dicom_waveform, edf_plus, hl7v2, npz, report, wfdb_record
from gateway.emit.emitted import Emitted, derived_uuid
from gateway.emit.measured import MeasurementResult, measured
from gateway.identity.order import Order
from gateway.job import DocumentKind
from gateway.review import Approval
from pipeline.recording import Recording

DOWNLOAD = hl7v2.Addressing("download")  # a message that a person looks at goes to nobody


@dataclass(frozen=True, eq=False)
class Material:
    """What the documents of one page are made from.

    source_sha256, page: of the document received, counted from 1. made_at: when the result was made,
    with its offset: no emitter has a clock, so the same page and time give the same bytes on every try. received_at:
    when the document came, which the report says. reading: counted from 1, the how-manieth content of this page.
    thumbnail_png: the page as a small picture (gateway.emit.thumbnail), b"" for a report without one.
    approval: of this recording, by a person; the report names it.
    """

    recording: Recording
    order: Order
    job_id: str
    source_sha256: str
    page: int
    made_at: datetime
    received_at: datetime | None = None
    thumbnail_png: bytes = b""
    approval: Approval | None = None
    reading: int = 1


@dataclass(frozen=True)
class Wishes:
    """How somebody wants them. report: whether the HL7 v2 message holds the PDF. intervals: besides the heart rate."""

    aecg_layout: Literal["single_set", "strips", "none"] = "single_set"
    encoding: dicom_waveform.Encoding = "viewers"
    originality: dicom_waveform.Originality = "DERIVED"
    channel_codes: dicom_waveform.ChannelCodes = "MDC"
    to: hl7v2.Addressing = DOWNLOAD
    report: bool = True
    intervals: bool = True


def document(kind: DocumentKind, of: Material, wishes: Wishes = Wishes()) -> Emitted:
    """One document of one page. Raises Held and Refused as its emitter does."""
    match kind:
        case DocumentKind.DICOM_WAVEFORM:
            return dicom_waveform.emit(
                of.recording,
                of.order,
                encoding=wishes.encoding,
                originality=wishes.originality,
                channel_codes=wishes.channel_codes,
                source_sha256=of.source_sha256,
                page=of.page,
                made_at=of.made_at,
                reading=of.reading,
                measurements=_intervals(of, wishes),
            )
        case DocumentKind.AECG:
            return _annotated(of, "single_set" if wishes.aecg_layout == "none" else wishes.aecg_layout, wishes)
        case DocumentKind.HL7V2:
            return _message(of, wishes)
        case DocumentKind.PDF:
            return _report(of, wishes)
        case DocumentKind.DICOM_PDF:
            return dicom_pdf.emit(
                of.recording,
                of.order,
                _report(of, wishes),
                source_sha256=of.source_sha256,
                page=of.page,
                made_at=of.made_at,
                reading=of.reading,
            )
        case DocumentKind.WFDB:
            return wfdb_record.emit(of.recording, of.order, source_sha256=of.source_sha256, page=of.page)
        case DocumentKind.EDF:
            return edf_plus.emit(
                of.recording,
                of.order,
                source_sha256=of.source_sha256,
                page=of.page,
                measurements=measured(of.recording, intervals=wishes.intervals),
            )
        case DocumentKind.CSV:
            return _named("csv", npz.to_csv(of.recording))
        case DocumentKind.NPZ:
            return _named("npz", npz.to_npz(of.recording))


def _intervals(of: Material, wishes: Wishes) -> tuple[MeasurementResult, ...]:
    """What waveforms tell: without intervals they tell no numbers."""
    return measured(of.recording) if wishes.intervals else ()


def _annotated(of: Material, layout: aecg.Layout, wishes: Wishes) -> Emitted:
    return aecg.emit(
        of.recording,
        of.order,
        layout=layout,
        source_sha256=of.source_sha256,
        page=of.page,
        made_at=of.made_at,
        measurements=_intervals(of, wishes),
    )


def _message(of: Material, wishes: Wishes) -> Emitted:
    return hl7v2.emit(
        of.recording,
        of.order,
        None if wishes.aecg_layout == "none" else _annotated(of, wishes.aecg_layout, wishes),
        to=wishes.to,
        job_id=of.job_id,
        page=of.page,
        source_sha256=of.source_sha256,
        message_time=of.made_at,
        measurements=measured(of.recording, intervals=wishes.intervals),
        report=_report(of, wishes) if wishes.report else None,
    )


def _report(of: Material, wishes: Wishes) -> Emitted:
    return report.emit(
        of.recording,
        of.order,
        source_sha256=of.source_sha256,
        page=of.page,
        received_at=(of.received_at or of.made_at).astimezone(of.made_at.tzinfo),
        measurements=measured(of.recording, intervals=wishes.intervals),
        thumbnail_png=of.thumbnail_png,
        approval=of.approval,
    )


def _named(what: str, data: bytes) -> Emitted:
    return Emitted(str(derived_uuid(what, data)), data)
