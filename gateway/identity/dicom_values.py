"""Whether a text is what DICOM takes for a UID or for a date and time."""

from __future__ import annotations

import re
from datetime import datetime

# PS3.5 6.2: DT, truncated from the right as far as the year, with an optional offset from UTC
DATE_TIME = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d{1,6})?)?)?)?)?)?(?:[+-]\d{4})?")
UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")  # PS3.5 9.1: no empty component, no leading zero
ARCHIVED_UID = re.compile(r"[0-9]+(\.[0-9]+)*")  # archives file a study under a leading zero as under any other digit
UID_MAX = 64  # characters


def is_uid(text: str) -> bool:
    """Whether a text is a UID as PS3.5 9.1 builds them."""
    return len(text) <= UID_MAX and UID.fullmatch(text) is not None


def is_archived_uid(text: str) -> bool:
    """Whether a text is a UID that an archive files a study under, lawful but perhaps for leading zeros."""
    return len(text) <= UID_MAX and ARCHIVED_UID.fullmatch(text) is not None


def is_date_time(text: str) -> bool:
    """Whether a text is a DICOM DT, possibly truncated, that names a moment of the calendar."""
    match = DATE_TIME.fullmatch(text)
    if match is None:
        return False
    year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups())
    try:
        # PS3.5 allows second 60 for leap seconds; datetime does not
        datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, min(second or 0, 59))
    except ValueError:
        return False
    return second is None or second <= 60
