"""Everything of the object but its samples: patient, study, series, equipment, acquisition context, references."""

from __future__ import annotations

from datetime import datetime

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
_LENGTH = {"SH": 16, "LO": 64}  # characters, PS3.5 6.2
_PN_GROUP_LENGTH = 64
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

    Raises Held(bad_identity) where a text of the order is too long or holds what DICOM forbids.
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
    ds.PatientName = _name("patient name", patient.name)
    ds.PatientID = _text("patient id", patient.patient_id, "LO")
    if patient.issuer:
        ds.IssuerOfPatientID = _text("issuer of patient id", patient.issuer, "LO")
    ds.PatientBirthDate = like("birth date", patient.birth_date, DATE)
    ds.PatientSex = like("sex", patient.sex, SEX)


def _study(ds: Dataset, order: Order, acquired: Moment, source_sha256: str) -> None:
    patient = order.patient
    day, time, number = order.study_date, order.study_time, order.study_id
    if order.study_uid:  # a study of others keeps what it says of itself, or says nothing
        ds.StudyInstanceUID = order.study_uid
    else:  # a study of our own holds this ECG and begins with it
        uid = derived_uid("study", source_sha256, patient.issuer, patient.patient_id, order.accession_number)
        ds.StudyInstanceUID = uid
        day = day or (acquired.digits[:8] if len(acquired.digits) >= 8 else "")
        time = time or acquired.digits[8:]
        number = number or derived_id("study id", uid, length=16)
    ds.StudyDate = like("study date", day, DATE)
    ds.StudyTime = like("study time", time, _TIME)
    ds.StudyID = _text("study id", number, "SH")
    ds.AccessionNumber = _text("accession number", order.accession_number, "SH")
    ds.ReferringPhysicianName = _name("referring physician", order.referring_physician)
    if order.visit_number:
        ds.AdmissionID = _text("visit number", order.visit_number, "LO")


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
        ds.InstitutionName = _text("institution", order.institution, "LO")


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


def _text(what: str, value: str, vr: str) -> str:
    if len(value) > _LENGTH[vr] or CONTROL_OR_BACKSLASH.search(value):
        raise bad(what, f"at most {_LENGTH[vr]} characters, none of them a backslash or a control character")
    return value


def _name(what: str, value: str) -> str:
    groups = value.split("=")
    if len(groups) > 3 or any(len(g) > _PN_GROUP_LENGTH for g in groups) or CONTROL_OR_BACKSLASH.search(value):
        raise bad(what, "Family^Given, at most 64 characters, none of them a backslash or a control character")
    return value


def _ascii(ds: Dataset) -> bool:
    return all(str(e.value).isascii() for e in ds.iterall() if e.VR in {"PN", "LO", "SH", "ST", "LT", "UT", "UC"})
