"""The facts a routing condition may ask about: their names, and whether each is text, a set of texts, or a number."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from enum import StrEnum

from gateway.identity.order import Order, Patient


class FieldKind(StrEnum):
    """What a fact is. A condition on a SET holds if it holds for any member."""

    TEXT = "text"
    SET = "set"
    NUMBER = "number"


PATIENT_KEYS: tuple[str, ...] = tuple(f.name for f in fields(Patient))
ORDER_KEYS: tuple[str, ...] = PATIENT_KEYS + tuple(f.name for f in fields(Order) if f.type == "str")
# What a sidecar or a file's name may state: all but what the gateway itself notes about it.
STATED_KEYS: tuple[str, ...] = tuple(k for k in ORDER_KEYS if k not in ("acquired_from", "character_set"))
DICOM_PREFIX = "dicom."
ORDER_PREFIX = "order."

FIELDS: dict[str, FieldKind] = {
    "door": FieldKind.TEXT,  # dicom, fax, web
    "sender": FieldKind.TEXT,  # calling AE title, inbox name, user
    "sender_address": FieldKind.TEXT,
    "called_ae": FieldKind.TEXT,
    "media_type": FieldKind.TEXT,
    "layout": FieldKind.TEXT,  # a name of layouts.toml, such as 3x4+1
    "source": FieldKind.TEXT,  # a pipeline.recording.Source
    "finding": FieldKind.SET,  # codes of mappings/findings.toml
    "lead_missing": FieldKind.SET,  # names of the leads the page does not show
    "quality.confidence": FieldKind.NUMBER,  # 0..1
    "quality.speed_mm_s": FieldKind.NUMBER,
    "quality.gain_mm_mv": FieldKind.NUMBER,
    "quality.speed_known": FieldKind.TEXT,  # grid, pulse, text, dpi, assumed
    "quality.gain_known": FieldKind.TEXT,
    "quality.duration_s": FieldKind.NUMBER,
    "quality.leads_missing": FieldKind.NUMBER,  # how many of the twelve the page does not show
    "quality.warnings": FieldKind.NUMBER,  # findings of severity warning or worse
}


def kind_of(field: str) -> FieldKind | None:
    """The kind of a fact, None where there is no such fact."""
    if field.startswith(DICOM_PREFIX):
        from pydicom.datadict import tag_for_keyword  # a second, which most processes need not wait

        return FieldKind.TEXT if tag_for_keyword(field.removeprefix(DICOM_PREFIX)) is not None else None
    if field.startswith(ORDER_PREFIX):
        return FieldKind.TEXT if field.removeprefix(ORDER_PREFIX) in ORDER_KEYS else None
    return FIELDS.get(field)


def nearest_field(field: str) -> str:
    """The known fact whose name is nearest to a mistyped one, "" where none is near."""
    if field.startswith(DICOM_PREFIX):
        from pydicom.datadict import keyword_dict

        keyword = field.removeprefix(DICOM_PREFIX)
        return DICOM_PREFIX + near[0] if (near := get_close_matches(keyword, keyword_dict, 1, 0.6)) else ""
    names = [*FIELDS, *(ORDER_PREFIX + key for key in ORDER_KEYS)]
    last = {name.rpartition(".")[2]: name for name in names}  # confidence -> quality.confidence
    if field in last:
        return last[field]
    return near[0] if (near := get_close_matches(field, names, 1, 0.6)) else ""
