"""PID, MRG and PV1 -> who the patient is, in the forms of an Order."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.config import Hl7FeedSection
from gateway.identity.values import is_text, lawful
from gateway.intake.hl7_feed.answer import Code, Rejected
from gateway.intake.hl7_feed.segments import Repetition, Segment
from gateway.store.patients import PatientKey, PatientStatement

NAME_TYPES = ("L", "", "D")  # HL7 table 0200: legal, not said, display; another only where there is none of these
GROUPS = {"": 0, "A": 0, "I": 1, "P": 2}  # table 0465, and which group of a DICOM PN it is
SEXES = {"M": "M", "F": "F", "O": "O", "A": "O"}  # table 0001 but unknown and not applicable; A: ambiguous
_NOT_IN_PN = re.compile(r"[\\^=\x00-\x1f\x7f-\x9f]+")  # PS3.5 6.2, VR PN: these separate there
_XPN = (1, 2, 3, 5, 4)  # family, given, middle, prefix, suffix as PN orders them
_XCN = (2, 3, 4, 6, 5)  # the same, behind the number of the person


def key_of(segment: Segment, field: int, settings: Hl7FeedSection) -> PatientKey:
    """The number that stands for the patient, of all in PID-3 or MRG-1. Raises Rejected where none can."""
    place = f"{segment.name}^1^{field}"
    choice = [(rank, one) for one in segment.repetitions(field) if (rank := _rank(one, settings)) is not None]
    if not choice:
        text = "no number of a type in hl7_feed.identifier_types"
        raise Rejected(Code.AE, "101", place, text + (" from hl7_feed.issuers" if settings.issuers else ""))
    chosen = min(choice, key=lambda ranked: ranked[0])[1]
    number, issuer = chosen.value(1), _issuer(chosen)
    if not (is_text(number) and is_text(issuer)):
        raise Rejected(Code.AE, "102", place, "a number that DICOM cannot hold: over 64 characters, or a backslash")
    return PatientKey(number, issuer)


def _rank(one: Repetition, settings: Hl7FeedSection) -> tuple[int, int] | None:
    """How much a number is to be preferred, the least the most; None where it is none of a patient's here."""
    types = (*settings.identifier_types, "")  # HL7 before 2.3 has no types
    kind, issuer = one.value(5).upper(), _issuer(one)
    if not one.value(1) or kind not in types or (settings.issuers and issuer not in settings.issuers):
        return None
    return types.index(kind), settings.issuers.index(issuer) if settings.issuers else 0


def _issuer(one: Repetition) -> str:
    """The assigning authority's own short name, else its universal id."""
    return one.value(4, 1) or one.value(4, 2)


def patient(pid: Segment, pv1: Segment | None, settings: Hl7FeedSection, *, anew: bool = False) -> PatientStatement:
    """All that is said of a patient and their visit. Raises Rejected where no number stands for them."""
    return PatientStatement(
        key=key_of(pid, 3, settings),
        name=_name(pid.repetitions(5)),
        birth_date=_birth_date(pid.text(7)),
        sex=None if (sex := pid.text(8)) is None else SEXES.get(sex.upper(), ""),
        visit_number=visit_number(pv1),
        referring_physician=referring_physician(pv1),
        place=_place(pv1),
        anew=anew,
    )


def visit_number(pv1: Segment | None) -> str | None:
    """PV1-19."""
    text = None if pv1 is None else pv1.text(19)
    return lawful_text(text, "PV1^1^19")


def referring_physician(pv1: Segment | None) -> str | None:
    """PV1-8 as a DICOM PN."""
    names = () if pv1 is None else pv1.repetitions(8)
    return _pn(names[0], _XCN) if names else None


def lawful_text(text: str | None, place: str) -> str | None:
    """The text itself. Raises Rejected where no order can hold it."""
    if text is not None and not is_text(text):
        raise Rejected(Code.AE, "102", place, "a text that DICOM cannot hold: over 64 characters, or a backslash")
    return text


def _name(repetitions: Iterable[Repetition]) -> str | None:
    """The legal name as a DICOM PN, its other alphabets as further groups. None: not said."""
    names = list(repetitions)
    if not names:
        return None
    kinds = [name.value(7).upper() for name in names]
    kind = next((kind for kind in NAME_TYPES if kind in kinds), kinds[0])
    groups = ["", "", ""]
    for name in (name for name, its in zip(names, kinds, strict=True) if its == kind):
        group = GROUPS.get(name.value(8).upper(), 0)
        groups[group] = groups[group] or _pn(name, _XPN)
    return "=".join(groups).rstrip("=")


def _pn(name: Repetition, components: tuple[int, ...]) -> str:
    family, *others = components
    # FN: the whole surname, else its prefix and its own part
    whole = name.value(family) or " ".join(filter(None, (name.value(family, 2), name.value(family, 3))))
    parts = (whole, *(name.value(component) for component in others))
    return "^".join(_NOT_IN_PN.sub(" ", part).strip() for part in parts).rstrip("^")


def _birth_date(text: str | None) -> str | None:
    """YYYYMMDD; a year or month alone is no date here, and tells nothing."""
    return text if not text else lawful("birth_date", text[:8])


def _place(pv1: Segment | None) -> str | None:
    """Where the patient is, in words; "" where the message says that they are nowhere any more."""
    places = () if pv1 is None else pv1.repetitions(3)
    if not places:
        return None
    named = zip(("at {}", "room {}", "bed {}"), (places[0].value(part) for part in (1, 2, 3)), strict=True)
    return shown(", ".join(template.format(text) for template, text in named if text))


def shown(text: str, most: int = 200) -> str:
    """A text for people: one line, not endless."""
    return "".join(c if c.isprintable() else " " for c in text)[:most].strip()
