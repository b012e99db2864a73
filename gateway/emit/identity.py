"""An order's texts, checked before they go into a format that could not hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import Held

# control characters, lone surrogates and the two code points that are never characters: XML and HL7 hold none of them
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
CONTROL_OR_BACKSLASH = re.compile(rf"{CONTROL.pattern}|\\")

DATE = (r"\d{8}", "YYYYMMDD")
SEX = ("[MFO]", "M, F or O")


@dataclass(frozen=True)
class PersonName:
    """The five components of one group of a DICOM PN."""

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""


def person_names(what: str, pn: str) -> tuple[PersonName, ...]:
    """A DICOM PN's component groups: alphabetic, ideographic, phonetic; () for "". Raises Held(bad_identity)."""
    if not pn:
        return ()
    groups = pn.split("=")
    if len(groups) > 3 or any(group.count("^") > 4 for group in groups) or CONTROL.search(pn):
        raise bad(what, "Family^Given^Middle^Prefix^Suffix, no control characters")
    return tuple(PersonName(*(part.strip() for part in group.split("^"))) for group in groups)


def one_name(what: str, pn: str) -> PersonName | None:
    """The first group of a DICOM PN that says anything, for a format that holds one. Raises Held(bad_identity)."""
    return next((name for name in person_names(what, pn) if name != PersonName()), None)


def plain(what: str, value: str) -> str:
    """The value itself. Raises Held(bad_identity) where it holds a control character."""
    if CONTROL.search(value):
        raise bad(what, "no control characters")
    return value


def like(what: str, value: str, form: tuple[str, str]) -> str:
    """The value itself. Raises Held(bad_identity) unless it is "" or matches the form's pattern, in ASCII digits."""
    if value and not re.fullmatch(form[0], value, re.ASCII):
        raise bad(what, form[1])
    return value


def bad(what: str, form: str) -> Held:
    """The one way to say that a text of the order cannot be sent. It never holds the text: logs carry no patient."""
    return Held("bad_identity", f"the {what} is not as it must be ({form}); identify the page with the right one")
