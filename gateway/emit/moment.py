"""A DICOM DT as the order holds it, possibly truncated, and what aECG and HL7 v2 make of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.errors import Held
from gateway.identity.order import Order

_DT = re.compile(r"(\d{4}(?:\d{2}){0,5})(?:\.(\d{1,6}))?([+-]\d{4})?", re.ASCII)  # PS3.5 6.2, VR DT


@dataclass(frozen=True)
class Moment:
    """digits: ``YYYY`` to ``YYYYMMDDHHMMSS``, as far as known; fraction: of a second, digits; offset: ``+0100``."""

    digits: str
    fraction: str = ""
    offset: str = ""

    @property
    def to_the_second(self) -> bool:
        return len(self.digits) == 14

    def ts(self, after_s: float = 0.0) -> str:
        """HL7 V3 TS after_s seconds later, 14 digits and 3 of a fraction; only where it is known to the second.

        The offset stays away: readers of aECG take the digits as local time, and two refuse a file that has one.
        """
        if not self.to_the_second:
            raise ValueError(f"{len(self.digits)} digits do not tell the second")
        at = datetime.strptime(self.digits, "%Y%m%d%H%M%S") + timedelta(
            microseconds=int(self.fraction.ljust(6, "0")), seconds=after_s
        )
        at += timedelta(microseconds=500)  # strftime cuts; this rounds to the millisecond
        return f"{at:%Y%m%d%H%M%S}.{at.microsecond // 1000:03d}"

    def hl7(self) -> str:
        """HL7 v2 TS, as precise as it is known; the offset only beside a time of day."""
        fraction = f".{self.fraction[:4]}" if self.fraction else ""
        return self.digits + fraction + (self.offset if len(self.digits) > 8 else "")


def acquired(order: Order) -> Moment | None:
    """When the ECG was recorded, None where nobody said.

    Raises Held(bad_acquisition_date) for a text that is no DICOM date and time: nobody shall guess what it meant.
    """
    if not order.acquired_at:
        return None
    match = _DT.fullmatch(order.acquired_at)
    digits = match[1] if match else ""
    try:
        datetime.strptime(digits + "00000101000000"[len(digits) :], "%Y%m%d%H%M%S")
    except ValueError:
        match = None
    if match is None or (match[2] and len(digits) != 14):
        raise Held(
            "bad_acquisition_date",
            f"the acquisition time from {order.acquired_from or 'the order'} is not a date as DICOM writes it "
            "(YYYYMMDDHHMMSS or the beginning of it); identify the page with the right one",
        )
    return Moment(digits, match[2] or "", match[3] or "")


def must_be_acquired(order: Order) -> Moment:
    """Like ``acquired``, for documents that may not be without. Raises Held(no_acquisition_date)."""
    moment = acquired(order)
    if moment is None:
        raise Held(
            "no_acquisition_date",
            "nothing says when this ECG was recorded, and the document must; identify the page with its date",
        )
    return moment
