"""Everything of the object but its samples: what all our objects hold, acquisition context, references."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)

from gateway.emit import dicom_object
from gateway.emit.dicom_object import Result, coded
from gateway.emit.moment import Moment
from gateway.identity.order import Order
from pipeline.recording import Recording

SERIES_DESCRIPTION = "ECG digitized from paper, preliminary"
# alike for every page of a document, whether or not one holds such zeros: it is of the series. At most 64 characters
WITH_ZEROS = "Digitized paper ECG, preliminary; 0 = not printed or not read"

_MULTI_FRAME = {
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
}


def fill(
    ds: Dataset,
    recording: Recording,
    order: Order,
    sop_class: str,
    description: str,
    acquired: Moment,
    result: Result,
) -> None:
    """Set every attribute outside Waveform and Waveform Annotation but the SOP Instance UID.

    description: of the series.
    Raises Held(bad_identity) where a text of the order holds what DICOM forbids.
    """
    dicom_object.fill(ds, recording, order, sop_class, acquired, result)
    dicom_object.series(ds, "series", description, result.source_sha256)
    ds.AcquisitionContextSequence = [_lead_system()]
    _references(ds, order, result.page)


def _lead_system() -> Dataset:
    """TID 3401: a picture does not tell where the electrodes were."""
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = [coded("10:11345", "MDC", "Lead System")]
    item.ConceptCodeSequence = [coded("10:11264", "MDC", "Unspecified 12-lead system")]
    return item


def _references(ds: Dataset, order: Order, page: int) -> None:
    source = order.source
    if not (source.sop_class_uid and source.sop_instance_uid):
        return
    converted = Dataset()
    converted.ReferencedSOPClassUID = source.sop_class_uid
    converted.ReferencedSOPInstanceUID = source.sop_instance_uid
    if source.sop_class_uid in _MULTI_FRAME:
        converted.ReferencedFrameNumber = str(page)
    ds.ConversionSourceAttributesSequence = [converted]
    image = Dataset()
    image.ReferencedSOPClassUID = source.sop_class_uid
    image.ReferencedSOPInstanceUID = source.sop_instance_uid
    image.PurposeOfReferenceCodeSequence = [coded("121324", "DCM", "Source image")]
    ds.ReferencedInstanceSequence = [image]
