"""What the JSON routes under /api/v1 take and give. The OpenAPI schema is made of these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.job import DocumentKind, Door, State, Verdict
from gateway.store import DeliveryState
from pipeline.recording import Known, Lead, Severity, Source

JOBS_PER_PAGE_MAX = 200
BULK_MAX = 1000  # jobs of one bulk action: each is a transaction of its own, and a person waits
COMMENT_MAX = 1000
LEADS_MAX = 60  # lead names a person may give: more segments than any known layout prints

JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Comment = Annotated[str, Field(max_length=COMMENT_MAX)]
Action = Literal["retry", "resend", "give-up", "approve", "identify", "correct", "invalid-leads"]


class Model(BaseModel):
    """A body of the API: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Model):
    """Every answer of 4xx and 5xx. code: short and stable; why: a sentence for a person, free of patient data."""

    code: str
    why: str


# The worklist


class Deliveries(Model):
    """How many documents of a job stand where; those withdrawn are not counted."""

    queued: int
    delivered: int
    parked: int


class JobRow(Model):
    """A job as one line of the worklist. confidence: of its least sure page; None where none was read."""

    job_id: str
    state: State
    door: Door
    sender: str
    file_name: str
    patient_id: str
    patient_name: str  # DICOM PN, Family^Given
    birth_date: str  # YYYYMMDD or ""
    accession_number: str
    received_at: datetime
    changed_at: datetime
    pages: int
    confidence: float | None
    code: str
    why: str
    corrected: bool  # a person has changed how it is read
    deliveries: Deliveries


class JobList(Model):
    """A page of the worklist. The cursors go back into ``cursor``; None where there is nothing that way."""

    items: list[JobRow]
    next_cursor: str | None
    prev_cursor: str | None


# One job


class OrderModel(Model):
    """Whose ECG it is, in DICOM's forms; "" where unknown."""

    patient_id: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_uid: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    referring_physician: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    institution: str = ""
    acquired_at: str = ""
    acquired_from: str = ""
    visit_number: str = ""


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


class GivenModel(Model):
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

    given: GivenModel | None
    corrected_by: str
    invalid_leads: list[Lead]
    invalid_by: str
    approved_by: str  # in force only while what was approved is what was read
    left_out_by: str  # who let the job go without this page


class PageModel(Model):
    """One page of the job's document, counted from 1. What was read is None, "" or [] where nothing was."""

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
    made_by: dict[str, Any]  # version, and weights by name
    review: PageReview


class DeliveryModel(Model):
    """One document on its way to one destination. response: the destination's own words (an ACK)."""

    delivery_id: int
    job_id: str
    destination: str
    kind: DocumentKind
    name: str
    page: int
    size_bytes: int
    state: DeliveryState
    attempts: int
    code: str
    why: str
    response: str
    queued_at: datetime
    due_at: datetime
    delivered_at: datetime | None


class Reason(Model):
    """Why a job waits or was refused, in words. page: None where it concerns the whole document."""

    code: str
    text: str
    page: int | None


class RemarkModel(Model):
    """A person's words on a job. action: the audit's word for what was done then."""

    at: datetime
    actor: str
    action: str
    text: str


class JobModel(JobRow):
    """A job with all there is to know. unread: pages that an approval must name to let the job go without them."""

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
    delivery_list: list[DeliveryModel]
    allowed_actions: list[Action]  # to this person, now
    unread: list[int]
    remarks: list[RemarkModel]
    earlier: int  # other recordings of the same patient


class AuditEntry(Model):
    """A row of the audit chain. detail: JSON without patient data."""

    seq: int
    at: datetime
    kind: str
    job_id: str
    actor: str
    detail: dict[str, Any]
    hash: str


class AuditList(Model):
    """A page of the audit, the newest first. next_cursor: goes back into ``before``."""

    items: list[AuditEntry]
    next_cursor: int | None


class AuditVerdict(Model):
    """What verifying the audit found."""

    ok: bool
    rows: int
    first_bad_seq: int | None
    head_hash: str
    jobs: dict[State, int]
    objects: int
    problems: list[str]
    unfinished: list[str]
    seconds: float


# The waveform


class StripModel(Model):
    """One printed run of one lead. null in millivolts: the page shows nothing there. seen: 0 nothing 1 read 2 bridged.

    start_s counts from the left end of the page's first trace.
    """

    lead: Lead
    start_s: float
    rhythm: bool  # the longer of two strips of this lead
    invalid: bool  # marked so by a person: its samples are null
    millivolts: list[float | None]
    sigma_mv: list[float | None]
    seen: list[int]


class PlacedModel(Model):
    """Where the strips lie on the rectified picture, in its own pixels at full width.

    runs_px: per strip (x of its start, x of its end, y of 0 mV).
    """

    orientation: int
    width_px: int
    height_px: int
    px_per_mm: float
    runs_px: list[tuple[float, float, float]]


class WaveformModel(Model):
    """What was read of a page."""

    job_id: str
    page: int
    rate_hz: int
    duration_s: float
    layout: str
    confidence: float
    speed_mm_s: ScaleModel
    gain_mm_mv: ScaleModel
    chest_gain_mm_mv: ScaleModel | None
    strips: list[StripModel]
    findings: list[FindingModel]
    measurements: list[Measured]
    placed: PlacedModel | None


# Documents


class DocumentModel(Model):
    """A document that can be had of a page. sent_to: destinations it has gone to or waits for."""

    kind: str  # aecg dicom_waveform hl7v2 pdf csv wfdb edf npz
    page: int
    media_type: str
    file_name: str
    sent_to: list[str]


class DocumentList(Model):
    """The documents of a job."""

    items: list[DocumentModel]


class EarlierRow(Model):
    """Another recording of the same patient. acquired_at: DICOM DT, "" where unknown."""

    job_id: str
    page: int
    state: State
    acquired_at: str
    received_at: datetime
    accession_number: str
    confidence: float | None
    layout: str


class EarlierList(Model):
    """The same patient's other recordings, the newest first."""

    items: list[EarlierRow]


# What a person does


class CommentBody(Model):
    """Why. Kept with the job; the audit keeps its hash."""

    comment: Comment = ""


class ApproveBody(CommentBody):
    """leave_out: pages that were not read, and without which the job goes; each must be named."""

    leave_out: list[int] = Field(default_factory=list, max_length=1000)


class RejectBody(Model):
    """Why a job is given up: a sentence that others will read."""

    comment: str = Field(min_length=1, max_length=COMMENT_MAX)


class ResendBody(Model):
    """destination: None sends what is parked, else everything."""

    destination: str | None = Field(None, max_length=200)


class IdentifyBody(Model):
    """What a person knows of whose ECG it is; "" leaves what is known. all_pages: said yes to one identity for all."""

    patient_id: str = Field("", max_length=64)
    issuer: str = Field("", max_length=64)
    name: str = Field("", max_length=64)
    birth_date: str = Field("", max_length=64)
    sex: str = Field("", max_length=64)
    study_uid: str = Field("", max_length=64)
    study_id: str = Field("", max_length=64)
    study_date: str = Field("", max_length=64)
    study_time: str = Field("", max_length=64)
    accession_number: str = Field("", max_length=64)
    referring_physician: str = Field("", max_length=64)
    placer_order_number: str = Field("", max_length=64)
    filler_order_number: str = Field("", max_length=64)
    visit_number: str = Field("", max_length=64)
    institution: str = Field("", max_length=64)
    acquired_at: str = Field("", max_length=64)
    all_pages: bool = False


class CorrectBody(GivenModel):
    """What a person says of one page; the job is digitized again with it. Nothing said takes back what was said."""

    page: int = Field(1, ge=1, le=10_000)
    comment: Comment = ""


class InvalidLeadsBody(Model):
    """The leads of a page that must not be believed: the whole list, [] for none."""

    page: int = Field(1, ge=1, le=10_000)
    leads: list[Lead] = Field(max_length=12)
    comment: Comment = ""


class Done(Model):
    """What the job is after an action."""

    job_id: str
    state: State


class JobFilter(Model):
    """The worklist's filters, for actions on all that match. Dates: RFC 3339, or YYYY-MM-DD in UTC."""

    state: State | None = None
    door: Door | None = None
    sender: str = Field("", max_length=200)
    patient: str = Field("", max_length=64)
    q: str = Field("", max_length=200)
    received_from: datetime | None = None
    received_to: datetime | None = None
    confidence_max: float | None = Field(None, ge=0, le=1)


class BulkBody(Model):
    """One action on many jobs: those of ids, or those that the filter matches (at most 1000, the oldest first)."""

    action: Literal["retry", "resend", "give-up"]
    ids: list[JobId] = Field(default_factory=list, max_length=BULK_MAX)
    filter: JobFilter | None = None
    comment: Comment = ""


class BulkFailure(Model):
    """Why the action was not done to one job."""

    job_id: str
    code: str
    why: str


class BulkResult(Model):
    """more: the filter matches jobs beyond the bound; ask again."""

    done: list[str]
    failed: list[BulkFailure]
    more: bool


class UploadResult(Model):
    """What became of one file. job_id: None where it was refused, and code and why say so."""

    file_name: str
    accepted: bool
    job_id: str | None
    duplicate: bool
    code: str
    why: str


class UploadResults(Model):
    """One result per file, in the order sent."""

    items: list[UploadResult]


# Traffic


class Bin(Model):
    """A bar of a histogram: values from low up to, but not including, high."""

    low: float
    high: float
    count: int


class HourCount(Model):
    """Pages settled within one hour, by what became of them."""

    hour: datetime
    digitized: int
    held: int
    refused: int


class PeerModel(Model):
    """Whether a destination answered when it was last asked; None where it was not asked yet."""

    up: bool | None
    words: str
    checked_at: datetime | None
    since: datetime | None  # up or down without a break


class DestinationModel(Model):
    """A destination and its queue. head_age_s: of the oldest document that waits; None with an empty queue."""

    name: str
    kind: str
    address: str
    configured: bool  # False: documents wait for a destination that the configuration no longer has
    paused: bool
    paused_by: str
    paused_at: datetime | None
    queued: int
    parked: int
    head_age_s: float | None
    head_attempts: int
    head_why: str
    last_delivered_at: datetime | None
    last_response: str
    peer: PeerModel


class Disk(Model):
    """The data folder's file system."""

    free_mb: float
    total_mb: float
    reserve_mb: float


class Gpu(Model):
    """A GPU as its driver tells; None figures where it does not."""

    name: str
    used_mb: float | None
    total_mb: float | None
    busy: float | None  # 0..1


class WorkerModel(Model):
    """A worker process and the job it has now."""

    name: str
    job_id: str
    until: datetime


class Dashboard(Model):
    """The traffic at one glance."""

    at: datetime
    version: str
    states: dict[State, int]
    pages_per_hour: float  # over the last full hour's worth of minutes
    hours: list[HourCount]  # the last 24, the oldest first
    waiting: int  # pages received and not yet worked on
    oldest_waiting_s: float | None
    workers: list[WorkerModel]
    destinations: list[DestinationModel]
    confidence: list[Bin]  # of the last 30 days
    disk: Disk
    gpus: list[Gpu]


class Paused(Model):
    """Where a destination's queue stands after pause or resume."""

    name: str
    paused: bool


class ParkedList(Model):
    """Messages that will not go without a person, the oldest first. next_cursor: goes back into ``after``."""

    items: list[DeliveryModel]
    next_cursor: int | None


class ParkedBody(Model):
    """Which parked messages to send again: those of ids, or those from first to last, of a destination or of all."""

    ids: list[int] = Field(default_factory=list, max_length=BULK_MAX)
    first: int | None = Field(None, ge=1)
    last: int | None = Field(None, ge=1)
    destination: str | None = Field(None, max_length=200)


class ParkedFailure(Model):
    """Why one parked message was not sent again."""

    delivery_id: int
    code: str
    why: str


class ParkedResult(Model):
    """more: the range holds messages beyond the bound of 1000; ask again."""

    done: list[int]
    failed: list[ParkedFailure]
    more: bool


# Rules


class ConditionModel(Model):
    """One test in words, such as field ``quality.confidence`` and test ``is less than 0.8``."""

    field: str
    test: str


class RuleModel(Model):
    """A rule as it is in force. action: send, hold or refuse; why: the reason it gives."""

    name: str
    conditions: list[ConditionModel]
    action: Literal["send", "hold", "refuse"]
    send: list[str]
    why: str


class RulesModel(Model):
    """The rules in force, in their order."""

    match: Literal["first", "all"]
    otherwise: Literal["hold", "send_all"]
    confidence_min: float
    require: list[str]
    destinations: list[str]
    rules: list[RuleModel]


class ExplainBody(Model):
    """The page to explain. config_text: rules of another configuration than the one in force, None for that one."""

    job_id: JobId
    page: int = Field(1, ge=1, le=10_000)
    config_text: str | None = Field(None, max_length=200_000)


class ConditionTraceModel(Model):
    """One condition as it was tested; seen: the page's value in words."""

    field: str
    test: str
    seen: str
    held: bool


class RuleTraceModel(Model):
    """One rule: whether it held, and whether it counted (after the first match none does)."""

    rule: str
    held: bool
    counted: bool
    conditions: list[ConditionTraceModel]


class DecisionModel(Model):
    """Where a page goes, and why. held_before: reasons for which a person must look whatever the rules say."""

    action: Literal["send", "hold", "refuse"]
    destinations: list[str]
    rules: list[str]
    why: str
    held_before: list[str]
    trace: list[RuleTraceModel]


class ReplayBody(Model):
    """A whole configuration and the time of the traffic to try it on. At most 2000 pages, the newest first."""

    config_text: str = Field(max_length=200_000)
    received_from: datetime | None = None
    received_to: datetime | None = None


class ReplayOutcome(Model):
    """What a page's document would become: what it is held for, or where it goes."""

    action: Literal["send", "hold", "refuse"]
    destinations: list[str]
    why: str


class ReplayRow(Model):
    """A page that the changed configuration treats otherwise."""

    job_id: str
    page: int
    received_at: datetime
    now: ReplayOutcome
    then: ReplayOutcome


class ReplayResult(Model):
    """problems: what is wrong with the text; nothing was tried then. more: the time holds further pages."""

    problems: list[str]
    pages: int
    changed: list[ReplayRow]
    more: bool


# Events


class ChangeEvent(Model):
    """The data of a server-sent event ``job`` or ``delivery``: something happened to this job."""

    seq: int
    kind: str
    job_id: str
    at: datetime


class Layouts(Model):
    """The arrangements of leads that a person may choose from: name to lead names in reading order."""

    layouts: dict[str, list[Lead]]
