"""Everything of the object but its samples: patient, study, series, equipment, acquisition context, references."""

from __future__ import annotations

from datetime import datetime

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)

from gateway.emit.emitted import derived_id, derived_uid, digest
from gateway.emit.identity import CONTROL_OR_BACKSLASH, DATE, SEX, bad, like
from gateway.emit.moment import Moment
from gateway.emit.words import MAKER, MODEL
from gateway.order import Order
from pipeline.recording import Recording

SERIES_DESCRIPTION = "ECG digitized from paper, preliminary"

_MULTI_FRAME = {
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
}
_TEXT_MAX = 256  # characters: no name or number of a hospital is that long
_UID = (r"[0-9.]{1,64}", "digits and dots, at most 64")
_TIME = (r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", "HHMMSS")


def fill(
    ds: Dataset,
    recording: Recording,
    order: Order,
    sop_class: str,
    acquired: Moment,
    source_sha256: str,
    page: int,
    received_at: datetime,
) -> None:
    """Set every attribute outside Waveform and Waveform Annotation but the SOP Instance UID.

    Raises Held(bad_identity) where a text of the order holds what DICOM forbids.
    """
    _patient(ds, order)
    _study(ds, order, acquired, source_sha256)
    _series(ds, order, recording, source_sha256)
    ds.SOPClassUID = sop_class
    ds.InstanceNumber = str(page)
    ds.ContentDate = f"{received_at:%Y%m%d}"
    ds.ContentTime = f"{received_at:%H%M%S}"
    ds.AcquisitionDateTime = acquired.digits + (f".{acquired.fraction}" if acquired.fraction else "") + acquired.offset
    ds.AcquisitionContextSequence = [_lead_system()]
    _references(ds, order, page)
    ds.ContributingEquipmentSequence = [_equipment(recording, received_at)]
    if not _ascii(ds):
        ds.SpecificCharacterSet = "ISO_IR 192"


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def _patient(ds: Dataset, order: Order) -> None:
    patient = order.patient
    _write(ds, "PatientName", "PN", "patient name", patient.name)
    _write(ds, "PatientID", "LO", "patient id", patient.patient_id)
    if patient.issuer:
        _write(ds, "IssuerOfPatientID", "LO", "issuer of patient id", patient.issuer)
    ds.PatientBirthDate = like("birth date", patient.birth_date, DATE)
    ds.PatientSex = like("sex", patient.sex, SEX)


def _study(ds: Dataset, order: Order, acquired: Moment, source_sha256: str) -> None:
    patient = order.patient
    day, time, number = order.study_date, order.study_time, order.study_id
    if order.study_uid:  # a study of others keeps what it says of itself, or says nothing
        ds.StudyInstanceUID = like("study UID", order.study_uid, _UID)
    else:  # a study of our own holds this ECG and begins with it
        uid = derived_uid("study", source_sha256, patient.issuer, patient.patient_id, order.accession_number)
        ds.StudyInstanceUID = uid
        day = day or (acquired.digits[:8] if len(acquired.digits) >= 8 else "")
        time = time or acquired.digits[8:]
        number = number or derived_id("study id", uid, length=16)
    ds.StudyDate = like("study date", day, DATE)
    ds.StudyTime = like("study time", time, _TIME)
    _write(ds, "StudyID", "SH", "study id", number)
    _write(ds, "AccessionNumber", "SH", "accession number", order.accession_number)
    _write(ds, "ReferringPhysicianName", "PN", "referring physician", order.referring_physician)
    if order.visit_number:
        _write(ds, "AdmissionID", "LO", "visit number", order.visit_number)


def _series(ds: Dataset, order: Order, recording: Recording, source_sha256: str) -> None:
    ds.Modality = "ECG"
    ds.SeriesInstanceUID = derived_uid("series", ds.StudyInstanceUID, source_sha256)
    # far from the small numbers that the study's own series have, the same on every try
    ds.SeriesNumber = str(1000 + int.from_bytes(digest(ds.SeriesInstanceUID)[:4], "big") % 9000)
    ds.SeriesDescription = SERIES_DESCRIPTION
    ds.Manufacturer = MAKER
    ds.ManufacturerModelName = MODEL
    ds.SoftwareVersions = _software(recording)
    if order.institution:
        _write(ds, "InstitutionName", "LO", "institution", order.institution)


def _software(recording: Recording) -> list[str]:
    """Version, then each network with as much of its hash as a LO holds; the whole hash is in an annotation."""
    made_by = recording.made_by
    return [made_by.version[:64], *(f"{name[:40]} {sha256[:16]}" for name, sha256 in made_by.weights)]


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
    seen = Dataset()
    seen.ReferencedSOPClassUID = source.sop_class_uid
    seen.ReferencedSOPInstanceUID = source.sop_instance_uid
    seen.PurposeOfReferenceCodeSequence = [coded("121324", "DCM", "Source image")]
    ds.ReferencedInstanceSequence = [seen]


def _equipment(recording: Recording, received_at: datetime) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded("109103", "DCM", "Modifying Equipment")]
    item.Manufacturer = MAKER
    item.ManufacturerModelName = MODEL
    item.SoftwareVersions = _software(recording)
    item.ContributionDateTime = f"{received_at:%Y%m%d%H%M%S}" + (f"{received_at:%z}" if received_at.tzinfo else "")
    item.ContributionDescription = "Digitized the picture of a paper ECG into samples"
    return item


def _write(ds: Dataset, keyword: str, vr: str, what: str, value: str) -> None:
    """Set a text of the order as it is, too long or not: cut off it would be another patient's or order's.

    Many hospitals' numbers are longer than DICOM allows, the source object holds them so, and archives take them.
    """
    if CONTROL_OR_BACKSLASH.search(value) or len(value) > _TEXT_MAX or (vr == "PN" and value.count("=") > 2):
        raise bad(what, f"a {vr}: no backslash, no control characters, at most {_TEXT_MAX} characters")
    ds.add(DataElement(tag_for_keyword(keyword) or 0, vr, value, validation_mode=IGNORE))


def _ascii(ds: Dataset) -> bool:
    return all(str(e.value).isascii() for e in ds.iterall() if e.VR in {"PN", "LO", "SH", "ST", "LT", "UT", "UC"})
