"""Whose ECG, when and for whom, as lines for a person to read. What is not known is said to be unknown."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.emit.identity import PersonName
from gateway.emit.moment import Moment
from gateway.emit.report.lettering import can_draw, drawable
from gateway.identity.order import Order

_SEXES = {"M": "male", "F": "female", "O": "other"}


def name(order: Order) -> str:
    """The patient's name; alphabets that the font lacks are left to those it has, and told."""
    return _person(order.patient.name) or "Name not known"


def patient(order: Order, acquired: Moment | None) -> list[str]:
    """Number, birth, sex and age."""
    who = order.patient
    number = f"Patient ID {drawable(who.patient_id)}" if who.patient_id else "Patient ID NOT KNOWN: identify the page"
    issuer = f" (issuer {drawable(who.issuer)})" if who.issuer else ""
    born = f"Born {_day(who.birth_date)}" if who.birth_date else "Birth date not known"
    sex = f"sex {_SEXES.get(who.sex, drawable(who.sex))}" if who.sex else "sex not known"
    age = _age(who.birth_date, acquired)
    return [number + issuer, ", ".join([born, sex, *([f"{age} years at recording"] if age is not None else [])])]


def occasion(order: Order, acquired: Moment | None) -> list[str]:
    """When it was recorded and for which order."""
    return [f"Recorded {_time(acquired)}" if acquired else "Recording time NOT KNOWN", *_numbers(order)]


def _numbers(order: Order) -> Iterator[str]:
    numbers = (
        ("Accession", order.accession_number),
        ("order", order.placer_order_number or order.filler_order_number),
        ("visit", order.visit_number),
    )
    if shown := [f"{what} {drawable(value)}" for what, value in numbers if value]:
        yield ", ".join(shown)
    if order.referring_physician:
        yield f"Referred by {_person(order.referring_physician)}"
    if order.institution:
        yield drawable(order.institution)


def _person(pn: str) -> str:
    """A DICOM PN as ``Family, Given Middle, Prefix, Suffix``, its alphabets one after the other."""
    groups = [
        _one(PersonName(*(part.strip() for part in (group.split("^") + [""] * 5)[:5]))) for group in pn.split("=")
    ]
    groups = [group for group in groups if group]
    shown = [group for group in groups if can_draw(group)] or groups[:1]
    left_out = " (another alphabet is in the order)" if len(shown) < len(groups) else ""
    return " = ".join(drawable(group) for group in shown) + left_out


def _one(parts: PersonName) -> str:
    first_names = " ".join(filter(None, (parts.given, parts.middle)))
    return ", ".join(filter(None, (parts.family, first_names, parts.prefix, parts.suffix)))


def _day(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else drawable(date)


def _time(moment: Moment) -> str:
    """As precise as it is known."""
    d = moment.digits
    day = "-".join(filter(None, (d[:4], d[4:6], d[6:8])))
    clock = ":".join(filter(None, (d[8:10], d[10:12], d[12:14])))
    hour_only = " h" if len(d) == 10 else ""
    return " ".join(filter(None, (day, clock + hour_only, moment.offset)))


def _age(birth_date: str, acquired: Moment | None) -> int | None:
    """Whole years, where both days are known."""
    if acquired is None or len(acquired.digits) < 8 or len(birth_date) != 8 or not birth_date.isdigit():
        return None
    born, then = birth_date, acquired.digits[:8]
    years = int(then[:4]) - int(born[:4]) - (then[4:] < born[4:])
    return years if years >= 0 else None
