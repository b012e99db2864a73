"""Days that have not come yet: nobody is recorded or born on one, so who wrote it meant another."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from gateway.identity.order import Order

ZONES = timedelta(days=1)  # the day is already another at most 14 hours east of UTC, and clocks go wrong
_DIGITS = re.compile(r"\d{4,14}", re.ASCII)


def is_in_future(text: str, now: datetime) -> bool:
    """Whether a DICOM DA or DT, as precise as it is known, lies more than a day after a moment in UTC."""
    found = _DIGITS.match(text)
    return found is not None and found[0] > f"{now + ZONES:%Y%m%d%H%M%S}"[: len(found[0])]


def future_keys(order: Order, received_at: datetime) -> tuple[str, ...]:
    """Which of ``acquired_at`` and ``birth_date`` lie after the page was received, which cannot be."""
    days = (("acquired_at", order.acquired_at), ("birth_date", order.patient.birth_date))
    return tuple(key for key, text in days if is_in_future(text, received_at))
