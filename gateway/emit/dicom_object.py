"""What every DICOM object of ours holds alike (patient, study, series, equipment), and how it becomes a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pydicom import dcmwrite
from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from gateway import MAKER, MODEL
from gateway.emit.disclaimers import provenance
from gateway.emit.emitted import Emitted, derived_id, derived_uid, digest
from gateway.emit.identity import CONTROL_OR_BACKSLASH, DATE, SEX, bad, like
from gateway.emit.moment import Moment
from gateway.identity.order import Order
from pipeline.recording import Recording

MODALITY = "ECG"
IMPLEMENTATION_UID = UID(derived_uid("implementation"))
IMPLEMENTATION_NAME = "CARDIOSCAN"

STUDY_DESCRIPTION = "ECG digitized from paper"  # of studies of our own: a study of others describes itself
READING_STEP = 10_000  # of Instance Number from one reading of a page to the next: no document has so many pages
_ST = 1024  # characters, PS3.5 6.2
_TEXT_MAX = 256  # characters: no name or number of a hospital is that long
_UID = (r"[0-9.]{1,64}", "digits and dots, at most 64")
_TIME = (r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", "HHMMSS")


@dataclass(frozen=True)
class Result:
    """Which page of which received document an object is made from, and when.

    page: counted from 1. made_at: when, on the wall clock of the place, with its offset. reading: counted from 1, how
    many times other content was made of this page.
    """

    source_sha256: str
    page: int
    made_at: datetime
    reading: int = 1


def fill(
    ds: Dataset, recording: Recording, order: Order, sop_class: str, acquired: Moment | None, result: Result
) -> None:
    """Set patient, study, equipment and the instance's own numbers and times, but not its UID.

    Content Date and Time are those of the result, in the offset that Timezone Offset From UTC tells.
    Raises Held(bad_identity) where a text of the order holds what DICOM forbids.
    """
    _patient(ds, order)
    _study(ds, order, acquired, result.source_sha256)
    _equipment(ds, order, recording)
    ds.SOPClassUID = sop_class
    ds.InstanceNumber = str(result.page + READING_STEP * (result.reading - 1))
    ds.ContentDate = f"{result.made_at:%Y%m%d}"
    ds.ContentTime = f"{result.made_at:%H%M%S}"
    if offset := _offset(result.made_at):
        ds.TimezoneOffsetFromUTC = offset
    ds.AcquisitionDateTime = _dt(acquired) if acquired else ""
    ds.ContributingEquipmentSequence = [_contribution(recording, order, result)]


def series(ds: Dataset, kind: str, description: str, source_sha256: str) -> None:
    """A series of our own for this kind of object of this received document; the study must be set."""
    ds.Modality = MODALITY
    ds.SeriesInstanceUID = derived_uid(kind, ds.StudyInstanceUID, source_sha256)
    # far from the small numbers that the study's own series have, the same on every try
    ds.SeriesNumber = str(1000 + int.from_bytes(digest(ds.SeriesInstanceUID)[:4], "big") % 9000)
    ds.SeriesDescription = description


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def finished(ds: Dataset, kind: str) -> Emitted:
    """The data set as a file with an empty preamble, named by its content.

    The same page read again alike keeps its UID, read otherwise it gets another.
    """
    if not _ascii(ds):
        ds.SpecificCharacterSet = "ISO_IR 192"
    name = derived_uid(kind, _encoded(ds))
    ds.SOPInstanceUID = name
    return Emitted(name, _file(ds))


def _patient(ds: Dataset, order: Order) -> None:
    patient = order.patient
    _write(ds, "PatientName", "PN", "patient name", patient.name)
    _write(ds, "PatientID", "LO", "patient id", patient.patient_id)
    if patient.issuer:
        _write(ds, "IssuerOfPatientID", "LO", "issuer of patient id", patient.issuer)
    ds.PatientBirthDate = like("birth date", patient.birth_date, DATE)
    ds.PatientSex = like("sex", patient.sex, SEX)


def _study(ds: Dataset, order: Order, acquired: Moment | None, source_sha256: str) -> None:
    patient = order.patient
    day, time, number = order.study_date, order.study_time, order.study_id
    if order.study_uid:  # a study of others keeps what it says of itself, or says nothing
        ds.StudyInstanceUID = like("study UID", order.study_uid, _UID)
    else:  # a study of our own holds this ECG and begins with it
        uid = derived_uid("study", source_sha256, patient.issuer, patient.patient_id, order.accession_number)
        ds.StudyInstanceUID = uid
        digits = acquired.digits if acquired else ""
        day = day or (digits[:8] if len(digits) >= 8 else "")
        time = time or digits[8:]
        number = number or derived_id("study id", uid, length=16)
        ds.StudyDescription = STUDY_DESCRIPTION
    ds.StudyDate = like("study date", day, DATE)
    ds.StudyTime = like("study time", time, _TIME)
    _write(ds, "StudyID", "SH", "study id", number)
    _write(ds, "AccessionNumber", "SH", "accession number", order.accession_number)
    _write(ds, "ReferringPhysicianName", "PN", "referring physician", order.referring_physician)
    if order.visit_number:
        _write(ds, "AdmissionID", "LO", "visit number", order.visit_number)


def _equipment(ds: Dataset, order: Order, recording: Recording) -> None:
    ds.Manufacturer = MAKER
    ds.ManufacturerModelName = MODEL
    ds.SoftwareVersions = _software(recording)
    if order.institution:
        _write(ds, "InstitutionName", "LO", "institution", order.institution)


def _software(recording: Recording) -> list[str]:
    """Version, then each network with as much of its hash as a LO holds; Contribution Description has all of it."""
    made_by = recording.made_by
    return [made_by.version[:64], *(f"{name[:40]} {sha256[:16]}" for name, sha256 in made_by.weights)]


def _contribution(recording: Recording, order: Order, result: Result) -> Dataset:
    """How the samples were made: for who asks, not for who reads the ECG."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded("109103", "DCM", "Modifying Equipment")]
    item.Manufacturer = MAKER
    item.ManufacturerModelName = MODEL
    item.SoftwareVersions = _software(recording)
    item.ContributionDateTime = f"{result.made_at:%Y%m%d%H%M%S}{_offset(result.made_at)}"
    making = [
        f"Page {result.page} of the document with SHA-256 {result.source_sha256}.",
        *provenance(recording, order)[1:],
    ]
    item.ContributionDescription = " ".join(["Digitized the picture of a paper ECG into samples.", *making])[:_ST]
    return item


def _offset(at: datetime) -> str:
    """``+0100``, to the minute as DICOM has it; "" where the time has none."""
    return f"{at:%z}"[:5]


def _dt(moment: Moment) -> str:
    return moment.digits + (f".{moment.fraction}" if moment.fraction else "") + moment.offset


def _write(ds: Dataset, keyword: str, vr: str, what: str, value: str) -> None:
    """Set a text of the order as it is, too long or not: cut off it would be another patient's or order's.

    Many hospitals' numbers are longer than DICOM allows, the source object holds them so, and archives take them.
    """
    if CONTROL_OR_BACKSLASH.search(value) or len(value) > _TEXT_MAX or (vr == "PN" and value.count("=") > 2):
        raise bad(what, f"a {vr}: no backslash, no control characters, at most {_TEXT_MAX} characters")
    ds.add(DataElement(tag_for_keyword(keyword) or 0, vr, value, validation_mode=IGNORE))


def _ascii(ds: Dataset) -> bool:
    return all(str(e.value).isascii() for e in ds.iterall() if e.VR in {"PN", "LO", "SH", "ST", "LT", "UT", "UC"})


def _encoded(ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    write_dataset(buffer, ds)
    return buffer.getvalue()


def _file(ds: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    ds.file_meta = meta
    ds.preamble = b"\0" * 128
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
