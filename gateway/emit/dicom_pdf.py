"""The report as a DICOM Encapsulated PDF (PS3.3 A.45.1). Pure: the same input gives the same bytes.

For a PACS whose viewer shows documents and no waveforms. It lies in the same study as the waveform, in a series of its
own, and refers to the object the page came in.
"""

from __future__ import annotations

from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from gateway.emit import dicom_object, moment
from gateway.emit.dicom_object import Result, coded
from gateway.emit.emitted import Emitted
from gateway.emit.report import title
from gateway.identity.order import Order
from gateway.mapping import mappings
from pipeline.recording import Recording

SERIES_DESCRIPTION = "ECG report, digitized from paper, preliminary"


def emit(
    recording: Recording,
    order: Order,
    report: Emitted,
    *,
    source_sha256: str,
    page: int,
    made_at: datetime,
    reading: int = 1,
) -> Emitted:
    """Write one page's report as a DICOM file with an empty preamble.

    report: of the same recording, by gateway.emit.report. source_sha256, page, made_at, reading: as of
    dicom_object.Result.

    Raises:
        Held: bad_acquisition_date, or bad_identity where a text of the order is not lawful DICOM.
    """
    ds = Dataset()
    acquired = moment.acquired(order)
    result = Result(source_sha256, page, made_at, reading)
    dicom_object.fill(ds, recording, order, EncapsulatedPDFStorage, acquired, result)
    dicom_object.series(ds, "report series", SERIES_DESCRIPTION, source_sha256)
    _reference(ds, order)
    ds.ConversionType = "WSD"  # made by a workstation, not a scanned document: PS3.3 C.8.6.1
    ds.BurnedInAnnotation = "YES"  # the patient's name is on it
    ds.DocumentTitle = title(recording)
    study = mappings().study
    ds.ConceptNameCodeSequence = [coded(study.code, study.system, study.meaning)]
    ds.VerificationFlag = "UNVERIFIED"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(report.data)
    ds.EncapsulatedDocument = report.data + b"\0" * (len(report.data) % 2)
    return dicom_object.finished(ds, "report instance")


def _reference(ds: Dataset, order: Order) -> None:
    source = order.source
    if source.sop_class_uid and source.sop_instance_uid:
        item = Dataset()
        item.ReferencedSOPClassUID = source.sop_class_uid
        item.ReferencedSOPInstanceUID = source.sop_instance_uid
        item.PurposeOfReferenceCodeSequence = [coded("121324", "DCM", "Source image")]
        ds.SourceInstanceSequence = [item]
