"""HL7 times: with an offset, or by the clock on the wall of the hospital, which is taken to be this machine's."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?(?:([+-])(\d\d)(\d\d))?", re.ASCII)


def moment(text: str, near: datetime) -> datetime | None:
    """A time, aware; its first moment where it is not told to the second. None where it is none.

    near: about when it should be. An hour that the clocks show twice in autumn is that one of the two: else every
    message of the second would look older than those of the first.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    try:
        on_the_wall = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "").ljust(6, "0")),
        )
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            return on_the_wall.replace(tzinfo=timezone(-offset if sign == "-" else offset))
        either = [on_the_wall.replace(fold=fold).astimezone() for fold in (0, 1)]
    except (ValueError, OverflowError):  # no date of the calendar, or one beyond the system's clock
        return None
    return min(either, key=lambda one: abs(one - near))
