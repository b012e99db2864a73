"""What a person types of a patient and an order, as DICOM writes it: names with a comma, dates as they are printed.

What can be read in two ways is not guessed but asked for again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.identity.future_dates import is_in_future
from gateway.identity.values import DATE_KEYS, FORMS, TEXT_MAX, is_text, lawful

NAME_KEYS = ("name", "referring_physician")
A_NAME = "write it as Family, Given, or as Family^Given^Middle^Prefix^Suffix"
A_DATE = "write it as 1960-02-01 or 01.02.1960"
A_MOMENT = "write it as 2025-03-11 04:29 or 11.03.2025 04:29, or as much of 2025-03-11 as is known"
NOT_READ = {
    "birth_date": f"not a valid date; {A_DATE}",
    "study_date": f"not a valid date; {A_DATE}",
    "acquired_at": f"not a valid date and time; {A_MOMENT}",
}
NOT_AHEAD = {"birth_date": "this date is in the future", "acquired_at": "this time is in the future"}
GROUPS_MAX, COMPONENTS_MAX = 3, 5  # of a DICOM PN

_YEAR_FIRST = re.compile(r"(\d{4})([-./])(\d{1,2})\2(\d{1,2})", re.ASCII)
_DAY_FIRST = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})", re.ASCII)
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})", re.ASCII)
_SHORT_YEAR = re.compile(r"\d{1,2}([-./])\s?\d{1,2}\1\s?\d{2}", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)


def from_person(key: str, text: str, now: datetime | None = None) -> str:
    """The text in the form an Order holds it. Keys are those of Patient and Order. now: in UTC, of the clock if None.

    Raises:
        ValueError: it is none, may be two things, or is a day to come; begins with the key, says what to write, and
            never what was.
    """
    if not is_text(text):
        raise ValueError(f"{key}: write at most {TEXT_MAX} printable characters, and no backslash")
    try:
        if key in NAME_KEYS:
            return _name(text)
        value = lawful(key, text)
        if value is None and key == "acquired_at":
            value = lawful(key, _moment(text))
        elif value is None and key in DATE_KEYS:
            value = lawful(key, _day(text))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if value is None:
        raise ValueError(f"{key}: {NOT_READ.get(key) or f'it must be {FORMS[key]}'}")
    if key in NOT_AHEAD and is_in_future(value, now or datetime.now(UTC)):
        raise ValueError(f"{key}: {NOT_AHEAD[key]}")
    return value


def _name(text: str) -> str:
    """A PN: as it is with a caret or an equals sign, which no name has; else what is before the comma is the family."""
    if "^" in text or "=" in text:
        groups = text.split("=")
        if len(groups) > GROUPS_MAX or any(group.count("^") >= COMPONENTS_MAX for group in groups):
            raise ValueError(f"this has more parts than a name; {A_NAME}")
        return text
    if "," not in text:
        return text
    family, given, *more = (part.strip() for part in text.split(","))
    if more or not family or not given:
        raise ValueError(f"one comma, with a name on either side of it, tells the family name; {A_NAME}")
    return f"{family}^{given}"


def _moment(text: str) -> str:
    """The DICOM DT of a day with a time after it, or without."""
    day, _, time = text.replace(", ", " ").replace("T", " ").rpartition(" ")
    if ":" not in time:
        return _day(text)
    found = _TIME.fullmatch(time)
    if found is None:
        raise ValueError(f"the time cannot be read; {A_MOMENT}")
    return f"{_day(day.strip())}{int(found[1]):02}{found[2]}{found[3] or ''}"


def _day(text: str) -> str:
    """YYYYMMDD; the text itself where it is nothing like a day."""
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day = found[1], int(found[3]), int(found[4])
    elif found := _DAY_FIRST.fullmatch(text):
        day, month, year = int(found[1]), int(found[2]), found[3]
    elif found := _SLASHED.fullmatch(text):
        first, second, year = int(found[1]), int(found[2]), found[3]
        if first != second and first <= 12 and second <= 12:  # British and American paper disagree
            raise ValueError(f"this may be two different days; {A_DATE}")
        day, month = (first, second) if first > 12 else (second, first)
    elif _SHORT_YEAR.fullmatch(text):
        raise ValueError(f"the year needs four digits; {A_DATE}")
    else:
        return text
    return f"{year}{month:02}{day:02}"
