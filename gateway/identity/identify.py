"""A person says whose ECG a page is: their words over what the door knew, never one patient's texts on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from gateway.identity.order import Order, Patient, Unread
from gateway.identity.parse_typed import from_person

PATIENT_KEYS = frozenset(f.name for f in fields(Patient))
# Attributes that describe the object and its machine, not a patient, a visit or a request: they outlive a new patient.
IMPERSONAL = frozenset(
    (
        "SOPClassUID",
        "SOPInstanceUID",
        "Modality",
        "ImageType",
        "ConversionType",
        "Manufacturer",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "SoftwareVersions",
        "StationName",
        "InstitutionName",
        "InstitutionalDepartmentName",
        "institution",
    )
)

# The order's key that each attribute becomes, where their names differ: what a person states is no longer unread.
STATED_AS = {
    "PatientName": "name",
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer",
    "ReferringPhysicianName": "referring_physician",
    "PlacerOrderNumberImagingServiceRequest": "placer_order_number",
    "FillerOrderNumberImagingServiceRequest": "filler_order_number",
    "AccessionNumber": "accession_number",
    "AdmissionID": "visit_number",
    "StudyInstanceUID": "study_uid",
    "StudyID": "study_id",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "InstitutionName": "institution",
}


def identified(order: Order | None, changes: Mapping[str, str], afresh: bool = False) -> Order:
    """The order with every non-empty change in place; keys are fields of Patient and Order.

    Where the changes name another patient, nothing of the first one stays: name, birth date, sex, study, order
    numbers, visit and referring physician go, and only what the changes state comes instead. The page's own source,
    institution and acquisition time stay. afresh: so it is, whoever was named, as by a person who put another order in
    the first one's place.

    Raises:
        ValueError: a change is not lawful, or may be two things; begins with its key, says what to write instead.
    """
    stated = {key: from_person(key, value.strip()) for key, value in changes.items() if value.strip()}
    order = order or Order()
    if afresh or is_another_patient(order, stated):
        order = without_patient(order)
    patient = replace(order.patient, **{key: value for key, value in stated.items() if key in PATIENT_KEYS})
    rest = {key: value for key, value in stated.items() if key not in PATIENT_KEYS}
    if order.study_uid and rest.get("study_uid", order.study_uid) != order.study_uid:
        order = replace(order, study_id="", study_date="", study_time="")  # they are of the first study
    if "acquired_at" in rest:
        rest["acquired_from"] = "a person"
    unread = tuple(each for each in order.unread if not _is_stated(each, stated))
    changed = {"patient": patient, "by_person": order.by_person or bool(stated), "unread": unread, **rest}
    return replace(order, **changed)  # type: ignore[arg-type]  # the keys are Order's own


def _is_stated(unread: Unread, stated: Mapping[str, str]) -> bool:
    """Whether a person stated what could not be read; every date and time but the study's is the ECG's."""
    return STATED_AS.get(unread.keyword, "acquired_at") in stated


def is_another_patient(order: Order, changes: Mapping[str, str]) -> bool:
    """Whether the changes name another patient than the order does.

    An order that says nothing of its patient is completed, not changed, and so is an identifier without an issuer. A
    name without an identifier is somebody's: who gives the identifier may not see whose, so it goes.
    """
    patient = order.patient
    patient_id, issuer = (changes.get(key, "").strip() for key in ("patient_id", "issuer"))
    if patient == Patient():
        return False
    other_id = bool(patient_id) and patient_id != patient.patient_id
    return other_id or (bool(issuer) and bool(patient.issuer) and issuer != patient.issuer)


def without_patient(order: Order) -> Order:
    """What an order says of the page itself, and nothing of whose it was."""
    return Order(
        institution=order.institution,
        acquired_at=order.acquired_at,
        acquired_from=order.acquired_from,
        source=order.source,
        attributes=tuple((key, value) for key, value in order.attributes if key in IMPERSONAL),
        unread=tuple(each for each in order.unread if STATED_AS.get(each.keyword, "") in ("", "institution")),
    )
