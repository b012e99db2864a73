"""Whether two patients of one id can be one person: what is known of both must not contradict."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from gateway.identity.order import Patient

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_NAME_COMPONENTS = 3  # of a DICOM PN: family, given, middle; a title is no contradiction


class Demographic(StrEnum):
    """What is known of a patient besides an id."""

    NAME = "name"
    BIRTH_DATE = "birth_date"
    SEX = "sex"


def contradictions(one: Patient, other: Patient) -> tuple[Demographic, ...]:
    """What is known of both and is not the same: an id that was mistyped or given twice shows in it."""
    return tuple(
        key
        for key, same in (
            (Demographic.NAME, _same_name(one.name, other.name)),
            (Demographic.BIRTH_DATE, _one_begins_the_other(one.birth_date, other.birth_date)),
            (Demographic.SEX, _one_begins_the_other(one.sex, other.sex)),
        )
        if not same
    )


def _one_begins_the_other(one: str, other: str) -> bool:
    """The same as far as both are known: a truncated date is no contradiction."""
    return one.startswith(other) or other.startswith(one)


def _same_name(one: str, other: str) -> bool:
    """Whether one name's words are all among the other's, however either is cut into components."""
    return any(
        _among(a, b) or _among(b, a)
        for a, b in ((_name_parts(one, False), _name_parts(other, False)), _spelled(one, other))
    )


def _spelled(one: str, other: str) -> tuple[list[str], list[str]]:
    """The words of two names with ü and its like spelled out: "Müller" is "Mueller" to many a device."""
    return _name_parts(one, True), _name_parts(other, True)


def _name_parts(name: str, spelled_out: bool) -> list[str]:
    """Words of a PN's alphabetic group, in one case and without accents."""
    text = unicodedata.normalize("NFC", "^".join(name.split("=")[0].split("^")[:_NAME_COMPONENTS])).casefold()
    text = text.translate(_UMLAUTS) if spelled_out else text
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", plain)


def _among(few: list[str], many: list[str]) -> bool:
    """Whether each word is one of the others', a single letter being any word that it begins."""
    return all(
        any(word == each or (1 in (len(word), len(each)) and word[0] == each[0]) for each in many) for word in few
    )
