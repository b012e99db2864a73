"""Messages as hospitals send them, of people who do not exist."""

from __future__ import annotations

from datetime import datetime

from gateway.config import Hl7FeedSection
from gateway.intake.hl7_feed.meaning import Understood, understand
from gateway.intake.hl7_feed.moments import moment
from gateway.intake.hl7_feed.segments import read_header
from gateway.store.patients import Statement

NOW = datetime(2026, 5, 4, 12, 0).astimezone()
SETTINGS = Hl7FeedSection(enabled=True, port=0)

PID = (
    "PID|1|E77|99017^^^NATID^NI~4711^^^HOSP&1.2.276.0.99&ISO^MR~88^^^HOSP^PI||"
    "Müller^Änne^Maria^^Dr.^^L~Meier^Änne^^^^^M||195401310830|F|||Am Weg 1^^Ort^^12345"
)
PV1 = "PV1|1|I|3W^12^B^HOSP||||1001^Doctor^Dora|1002^House^Gregory^J^^Dr.^MD|||||||||||V-9^^^HOSP"


def message(kind: str, *segments: str, at: str = "20260504101500", version: str = "2.5.1", msh: str = "") -> str:
    """A message with its header. msh: what stands behind MSH-12."""
    head = f"MSH|^~\\&|KIS|HOSP|CARDIOSCAN|ECG|{at}||{kind}|C1|P|{version}{msh}"
    return "\r".join((head, *segments)) + "\r"


def understood(text: str | bytes, settings: Hl7FeedSection = SETTINGS, now: datetime = NOW) -> Understood:
    """What a message says. Raises Rejected."""
    data = text.encode() if isinstance(text, str) else text
    return understand(data, read_header(data), settings, now)


def statement(text: str | bytes, settings: Hl7FeedSection = SETTINGS) -> Statement:
    """The one thing that a message says."""
    (one,) = understood(text, settings).statements
    return one


def at(text: str) -> datetime:
    """A time as the feed reads it."""
    found = moment(text, NOW)
    assert found is not None
    return found
