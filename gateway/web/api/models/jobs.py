"""The worklist, and one job with its pages. What the store gives just as it is shown goes out as the store's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from gateway.identity import same_patient
from gateway.job import State, Verdict
from gateway.store import DeliveryRow, JobSummary, Remark
from gateway.web.api.models.base import LEADS_MAX, Action, Model
from gateway.web.api.models.orders import OrderModel, PatientCandidateModel, UnansweredModel
from pipeline.recording import Known, Lead, Severity, Source


class JobList(Model):
    """A page of the worklist. The cursors go back into ``cursor``; None where there is nothing that way."""

    items: list[JobSummary]
    next_cursor: str | None
    prev_cursor: str | None


class ScaleModel(Model):
    """A scale of the paper, mm/s or mm/mV, and how it is known."""

    value: float
    known: Known


class FindingModel(Model):
    """Something a reviewer is told. text: the sentence of its code; seconds are page time."""

    code: str
    text: str
    severity: Severity
    lead: Lead | None
    start_s: float | None
    end_s: float | None
    detail: str


class Measured(Model):
    """A number the page gives, in its unit (UCUM)."""

    code: str  # a row [measured.*] of mappings/observations.toml
    meaning: str
    value: float
    unit: str
    error: float | None = None  # its standard error, in the same unit
    beats: int = 0  # that it is the median of


class NotMeasured(Model):
    """What is not given of a page, and why."""

    code: str  # a row [measured.*] of mappings/observations.toml
    meaning: str
    reason: str
    text: str  # the reason as a sentence


class CorrectionModel(Model):
    """What a person says of a page; None and [] leave it to the digitizer.

    orientation: 0..7, quarter turns counter-clockwise that were applied to the upright page (0..3), after a mirror
    (4..7). leads: of every printed segment in reading order.
    """

    orientation: int | None = Field(None, ge=0, le=7)
    layout: str | None = Field(None, max_length=40)
    leads: list[Lead] = Field(default_factory=list, max_length=LEADS_MAX)
    speed_mm_s: float | None = Field(None, ge=5, le=200)
    gain_mm_mv: float | None = Field(None, ge=1, le=100)
    chest_gain_mm_mv: float | None = Field(None, ge=1, le=100)


class PageReview(Model):
    """What people have said of a page; "" and None where they said nothing."""

    correction: CorrectionModel | None
    corrected_by: str
    invalid_leads: list[Lead]
    invalid_by: str
    approved_by: str  # in force only while what was approved is what was read
    approved_again_by: str  # a second person, where a rule asks for one
    approved_at: datetime | None
    left_out_by: str  # who let the job go without this page


class PageModel(Model):
    """One page of the job's document, counted from 1. What was read is None, "" or [] where nothing was.

    outdated: what is told here was read before the correction that ``review`` holds, and the page is to be read again.
    """

    number: int
    verdict: Verdict
    code: str
    why: str
    read: bool  # there is a waveform
    rectified: bool  # there is a rectified picture
    confidence: float | None
    layout: str
    speed_mm_s: ScaleModel | None
    gain_mm_mv: ScaleModel | None
    chest_gain_mm_mv: ScaleModel | None
    source: Source | None
    duration_s: float | None
    leads: list[Lead]
    findings: list[FindingModel]
    measurements: list[Measured]
    not_measured: list[NotMeasured]
    made_by: dict[str, Any]  # version, and weights by name
    review: PageReview
    outdated: bool


class Reason(Model):
    """Why a job waits or was refused, in words. page: None where it concerns the whole document."""

    code: str
    text: str
    page: int | None


@dataclass(frozen=True)
class JobModel(JobSummary):
    """A job with all there is to know. unread: pages that an approval must name to let the job go without them.
    unopened: pages that this person must be given the waveform of, as they are read now, before they may approve.

    revision: a hash of all that would go out, for whoever decides on it to say what they have seen.
    """

    sender_address: str
    called: str
    media_type: str
    sha256: str
    size_bytes: int
    attempts: int
    made_by: dict[str, Any]
    order: OrderModel
    reasons: list[Reason]
    page_list: list[PageModel]
    delivery_list: list[DeliveryRow]
    allowed_actions: list[Action]  # to this person, now
    unread: list[int]
    unopened: list[int]
    revision: str
    remarks: list[Remark]
    earlier: int  # other recordings of the same patient


class OnwardModel(Model):
    """What becomes of a job, whole: where it goes, or why a person must look, or why the rules refuse it."""

    action: Literal["send", "hold", "refuse"]
    destinations: list[str]
    why: str


class IdentifyPreview(Model):
    """Whose ECG it would be, as it would be filed, and what would become of it. onward: None where nothing was read.

    candidates: who is known here under the patient id that was typed. unanswered: who may know more.
    """

    order: OrderModel
    onward: OnwardModel | None
    candidates: list[PatientCandidateModel]
    unanswered: list[UnansweredModel]


class EarlierRow(Model):
    """Another recording of the same patient id. acquired_at: DICOM DT, "" where unknown.

    contradicts: what is known of whose it is that is not so of the job asked about; then it may be another's.
    """

    job_id: str
    page: int
    state: State
    acquired_at: str
    received_at: datetime
    accession_number: str
    confidence: float | None
    layout: str
    name: str
    birth_date: str
    sex: str
    contradicts: list[same_patient.Demographic]


class EarlierList(Model):
    """The same patient id's other recordings, the newest first."""

    items: list[EarlierRow]
