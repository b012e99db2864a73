"""Job, State, Outcome, and the one table of lawful moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.errors import UnlawfulMove
from gateway.identity.order import Order
from pipeline.recording import Correction

SHORT_ID = 8  # characters: of ten thousand jobs hardly two begin alike, and whoever asks for such a one is told


class State(StrEnum):
    """Where a job stands. Every acknowledged page ends in exactly one of DELIVERED, HELD, REFUSED."""

    RECEIVED = "received"  # bytes are on disk and committed; a worker may claim it
    DIGITIZED = "digitized"  # recordings exist and outbox rows wait for their destinations
    DELIVERED = "delivered"  # every outbox row was accepted by its destination (or there was none to send)
    HELD = "held"  # a person must look: no patient, low confidence, a parked delivery, our own fault
    REFUSED = "refused"  # not an ECG, unreadable: told in the worklist, for the sender had its yes before


LAWFUL_MOVES: frozenset[tuple[State, State]] = frozenset(
    {
        (State.RECEIVED, State.DIGITIZED),
        (State.RECEIVED, State.DELIVERED),  # a rule that sends nowhere
        (State.RECEIVED, State.HELD),
        (State.RECEIVED, State.REFUSED),
        (State.DIGITIZED, State.DELIVERED),
        (State.DIGITIZED, State.HELD),  # a delivery was parked
        (State.HELD, State.RECEIVED),  # retry or identify, by a person
        (State.HELD, State.DIGITIZED),  # a parked delivery is sent again, by a person
        (State.HELD, State.REFUSED),  # a person gave up on it
        (State.DELIVERED, State.DIGITIZED),  # resend, by a person
        (State.REFUSED, State.RECEIVED),  # retry, by a person
    }
)


def check_move(before: State, after: State) -> None:
    """Raises UnlawfulMove unless the table allows before -> after."""
    if (before, after) not in LAWFUL_MOVES:
        raise UnlawfulMove(f"a job may not go from {before} to {after}")


class Door(StrEnum):
    """How a page came in."""

    DICOM = "dicom"
    FAX = "fax"
    WEB = "web"


@dataclass(frozen=True)
class Arrival:
    """What a door knows about the bytes it hands over. order is None where the door must read it later (worker)."""

    door: Door
    sender: str  # calling AE title, inbox name, user
    sender_address: str = ""
    called: str = ""  # called AE title
    media_type: str = ""  # application/dicom, image/tiff, application/pdf, image/png … (unpack.media)
    file_name: str = ""  # as the sender called it; never used as a path
    order: Order | None = None


@dataclass(frozen=True)
class Job:
    """A row of the jobs table as the rest of the gateway sees it. sha256: of the bytes received.

    settled: the state its worker asked for, None before: a job HELD that was settled DIGITIZED waits for a destination.
    """

    job_id: str
    state: State
    arrival: Arrival
    sha256: str
    size_bytes: int
    received_at: datetime
    changed_at: datetime
    attempts: int
    code: str = ""
    why: str = ""
    settled: State | None = None


@dataclass(frozen=True)
class Claim:
    """A worker's lease on a job. token is checked again when the job is settled."""

    job: Job
    token: str
    expires_at: datetime


class Verdict(StrEnum):
    """What became of one page of a job."""

    DIGITIZED = "digitized"
    NOT_AN_ECG = "not_an_ecg"  # a cover sheet: told, not failed
    UNREADABLE = "unreadable"
    HELD = "held"


@dataclass(frozen=True)
class PageResult:
    """One page of the job's document, counted from 1. recording_npz: the fixed npz form; summary: its JSON.

    correction: what a person had said of the page when it was read; a correction may have come since.
    """

    number: int
    verdict: Verdict
    code: str = ""
    why: str = ""
    summary: str = "{}"
    recording_npz: bytes | None = None
    correction: Correction = field(default_factory=Correction)


class DocumentKind(StrEnum):
    """What is sent, or handed out where a person asks for it."""

    DICOM_WAVEFORM = "dicom_waveform"
    DICOM_PDF = "dicom_pdf"  # the report as DICOM Encapsulated PDF
    AECG = "aecg"
    HL7V2 = "hl7v2"
    PDF = "pdf"  # the report
    CSV = "csv"
    WFDB = "wfdb"  # header and signal file in one zip
    EDF = "edf"  # EDF+C
    NPZ = "npz"


@dataclass(frozen=True)
class Document:
    """One emitted document for one destination. name: SOP Instance UID, aECG id or MSH-10: the same on every try.

    made_at: the time of the result that it holds.
    """

    kind: DocumentKind
    destination: str
    name: str
    page: int
    data: bytes
    made_at: datetime | None = None


Place = tuple[str, DocumentKind, int]  # destination, kind and page: where one document takes the place of another


@dataclass(frozen=True)
class Reading:
    """A result of a page. made_at: to the second, with the offset of this machine's zone; number: counted from 1.

    document: the name of the one that holds it, "" where none was made yet.
    """

    made_at: datetime
    number: int = 1
    document: str = ""

    def after(self, earlier: Reading | None) -> Reading:
        """This reading as the one that follows an earlier one: later than it, whatever the clock says."""
        if earlier is None:
            return self
        return Reading(max(self.made_at, earlier.made_at + timedelta(seconds=1)), earlier.number + 1)


@dataclass(frozen=True)
class Outcome:
    """What the worker made of a job; the store settles it in one transaction."""

    state: State
    code: str = ""
    why: str = ""
    pages: tuple[PageResult, ...] = ()
    documents: tuple[Document, ...] = ()
    order: Order | None = None
    made_by: str = ""  # software version and weight hashes, JSON


@dataclass(frozen=True)
class Delivery:
    """A leased outbox row: one document on its way to one destination."""

    delivery_id: int
    job_id: str
    token: str
    destination: str
    kind: DocumentKind
    name: str
    page: int
    sha256: str
    attempts: int  # before this one
    queued_at: datetime
