"""Orders and patients that somebody who knows has told the gateway: for a person who says whose ECG a page is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.identity.order import Order


@dataclass(frozen=True)
class OrderCandidate:
    """What one source knows of a patient, and of a request where it knows one.

    order: the patient, and accession number, visit and order numbers, referring physician, where told; nothing of
    when an ECG was recorded.
    source: the name of the worklist or feed, as the configuration has it.
    at: when the procedure is scheduled, or when the feed last spoke of the patient; aware.
    what: in words, what is to be done or where the patient is; "" where not told.
    """

    order: Order
    source: str
    at: datetime | None = None
    what: str = ""
