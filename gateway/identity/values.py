"""What a sidecar, a file name or a person may state of a patient and a study, in the form an Order holds it."""

from __future__ import annotations

import re

from gateway.identity.dicom_values import is_archived_uid, is_date_time

DATE_KEYS = ("birth_date", "study_date")
TEXT_MAX = 64  # characters: DICOM's LO and one component group of its PN (PS3.5 6.2)
ISO = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,6})?)?)?)?)?(Z|[+-]\d\d:?\d\d)?")

FORMS = {  # what to write instead, for a person
    "birth_date": "a date of the calendar, YYYYMMDD",
    "study_date": "a date of the calendar, YYYYMMDD",
    "study_time": "HHMMSS, as far as known",
    "acquired_at": "a DICOM date and time, YYYYMMDDHHMMSS as far as known",
    "sex": "M, F or O",
    "study_uid": "a UID: digits and dots, at most 64",
}


def is_text(text: str) -> bool:
    """Whether a text may stand in an order at all: at most TEXT_MAX printable characters, no backslash."""
    return len(text) <= TEXT_MAX and text.isprintable() and "\\" not in text


def lawful(key: str, text: str) -> str | None:
    """The text in DICOM's form, None where it is not lawful for its key. Keys are those of Patient and Order."""
    if key in FORMS and not text.isascii():  # \d and int() take the digits of every script; DICOM's are ASCII
        return None
    if key in DATE_KEYS:
        text = text.replace("-", "")
        return text if re.fullmatch(r"\d{8}", text) and is_date_time(text) else None
    if key == "study_time":
        text = text.replace(":", "")
        return text if is_date_time("20000101" + text) and text[:1].isdigit() else None
    if key == "acquired_at":
        iso = ISO.fullmatch(text)
        if iso:
            text = "".join(part or "" for part in iso.groups()[:7])
            text += (iso[8] or "").replace("Z", "+0000").replace(":", "")
        return text if is_date_time(text) else None
    if key == "sex":
        return text.upper() if text.upper() in ("M", "F", "O") else None
    if key == "study_uid":
        return text if is_archived_uid(text) else None
    return text
