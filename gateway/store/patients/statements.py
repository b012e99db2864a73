"""What one message of a feed says, in the forms that an Order has.

Of a text that may be None: None is not said, and what was known of it stays; "" is said to be nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class PatientKey:
    """Whom a message speaks of. issuer: who gave out the number, "" where not told."""

    patient_id: str
    issuer: str = ""


@dataclass(frozen=True)
class PatientStatement:
    """There is such a patient. place: where they are, in words.

    anew: the message begins something with this number, so the number is this patient's even where it was merged into
    another's before. Messages without that, which still use a merged number, say nothing new of the one who has it now.
    """

    key: PatientKey
    name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    visit_number: str | None = None
    referring_physician: str | None = None
    place: str | None = None
    anew: bool = False


@dataclass(frozen=True)
class MergeStatement:
    """A number is not used any more: it was the same patient as the one who stays."""

    prior: PatientKey
    stays: PatientStatement


@dataclass(frozen=True)
class DeletionStatement:
    """There is no such patient."""

    key: PatientKey


@dataclass(frozen=True)
class OrderStatement:
    """A request for a patient, or the end of it. placer_key, filler_key: the numbers with who gave them; not both "".

    scheduled_at: aware.
    """

    patient: PatientStatement
    placer_key: str = ""
    filler_key: str = ""
    placer_number: str | None = None
    filler_number: str | None = None
    accession_number: str | None = None
    study_uid: str | None = None
    visit_number: str | None = None
    referring_physician: str | None = None
    what: str | None = None
    scheduled_at: datetime | None = None
    cancelled: bool = False


Statement = PatientStatement | MergeStatement | DeletionStatement | OrderStatement
