"""The worklist and one job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.identity.same_patient import contradictions
from gateway.job import Door, State
from gateway.store import JobOrder, JobQuery
from gateway.web.api import models, serializers
from gateway.web.api.access_log import accesses, query_text
from gateway.web.api.dependencies import PROBLEMS, JobId, TheConfig, TheStore, Viewer
from gateway.web.api.models.review import JobState
from pipeline.recording import Lead

router = APIRouter(prefix="/api/v1", tags=["jobs"], responses=PROBLEMS)

EARLIER_MAX = 100


@router.get("/jobs")
def jobs(
    who: Viewer,
    store: TheStore,
    state: State | None = None,
    door: Door | None = None,
    sender: Annotated[str, Query(max_length=200)] = "",
    patient: Annotated[str, Query(max_length=64, description="An exact patient ID")] = "",
    q: Annotated[str, Query(max_length=200, description="Words of a patient's name or number, or a job id")] = "",
    received_from: Annotated[str, Query(alias="from", max_length=40, description="RFC 3339, or a day in UTC")] = "",
    received_to: Annotated[str, Query(alias="to", max_length=40, description="Before this moment, or this day")] = "",
    confidence_max: Annotated[float | None, Query(ge=0, le=1)] = None,
    order: JobOrder = JobOrder.NEWEST,
    cursor: Annotated[str, Query(max_length=80)] = "",
    limit: Annotated[int, Query(ge=1, le=models.JOBS_PER_PAGE_MAX)] = 50,
) -> models.JobList:
    """The worklist, a screen at a time. It names patients, so who saw which jobs is written down."""
    query = JobQuery(
        state=state,
        door=door,
        sender=sender,
        patient=patient,
        words=q,
        received_from=moment_of(received_from),
        received_to=moment_of(received_to, end=True),
        confidence_max=confidence_max,
    )
    page = store.worklist.page(query, order, cursor, limit)
    shown = [row.job_id for row in page.rows]
    accesses.write_down_list(
        store, who.name, "worklist", query_text(query), shown, question=(*vars(query).values(), order, cursor, limit)
    )
    return models.JobList(
        items=list(page.rows),
        next_cursor=page.next_cursor or None,
        prev_cursor=page.prev_cursor or None,
    )


@router.get("/jobs/{job_id}")
def job(who: Viewer, store: TheStore, config: TheConfig, job_id: JobId) -> models.JobModel:
    """A job with its pages, documents and reasons. It names the patient, so the look is written down."""
    accesses.write_down(store, who.name, job_id, "job")
    revision = store.reviews.revision(job_id)  # before what is shown is read: never newer than that
    summary = store.worklist.summary(job_id)
    assert summary is not None  # looks would have raised NotFound, and jobs are never deleted
    return serializers.job_of(
        store.job(job_id),
        summary,
        store.order(job_id),
        store.pages(job_id),
        store.reviews.of(job_id),
        revision,
        store.deliveries(job_id),
        store.reviews.remarks(job_id),
        store.reviews.approvable(job_id),
        store.reviews.unopened(job_id, who.name),
        len(store.worklist.earlier(job_id, EARLIER_MAX)),
        who,
        config,
    )


@router.get("/jobs/{job_id}/state")
def state_of(who: Viewer, store: TheStore, job_id: JobId) -> JobState:
    """Where a job stands, for who waits for it. It names no patient, so that nobody has looked who only waited."""
    job = store.job(job_id)
    return JobState(job_id=job.job_id, state=job.state, code=job.code, why=job.why)


@router.get("/jobs/{job_id}/audit")
def audit(who: Viewer, store: TheStore, job_id: JobId) -> models.AuditList:
    """All that happened to a job, the oldest first."""
    return models.AuditList(
        items=[serializers.entry_of(entry) for entry in store.audit_queries.job_audit(job_id)], next_cursor=None
    )


@router.get("/jobs/{job_id}/earlier")
def earlier(who: Viewer, store: TheStore, job_id: JobId) -> models.EarlierList:
    """Other recordings of the same patient id that went out, the newest first, and what of them contradicts."""
    store.job(job_id)  # NotFound
    mine = store.order(job_id) or Order()
    others = store.worklist.earlier(job_id, EARLIER_MAX)
    shown = [other.job_id for other in others]
    accesses.write_down_list(store, who.name, "earlier recordings", "of this patient", shown, job_id)
    rows: list[models.EarlierRow] = []
    for other in others:
        order = store.order(other.job_id) or Order()
        for page in store.page_heads(other.job_id):
            if page.layout is not None:
                rows.append(
                    models.EarlierRow(
                        job_id=other.job_id,
                        page=page.number,
                        state=other.state,
                        acquired_at=order.acquired_at,
                        received_at=other.received_at,
                        accession_number=other.accession_number,
                        confidence=page.confidence,
                        layout=page.layout,
                        name=order.patient.name,
                        birth_date=order.patient.birth_date,
                        sex=order.patient.sex,
                        contradicts=list(contradictions(mine.patient, order.patient)),
                    )
                )
    return models.EarlierList(items=rows)


@router.get("/layouts")
def layouts(who: Viewer) -> models.Layouts:
    """The arrangements of leads that a person may choose from."""
    return models.Layouts(layouts=layout_leads())


def layout_leads() -> dict[str, list[Lead]]:
    """Name of every layout to its lead names in reading order."""
    from pipeline.layout.templates import templates  # scipy's filters, by way of its package

    return {t.name: [lead for row in t.rows for lead in row] + list(t.rhythm) for t in templates()}


def segments_in_columns(layout: str) -> int:
    """How many of a layout's segments stand in its columns; the others, after them, are long strips."""
    from pipeline.layout.templates import templates

    return next(sum(map(len, t.rows)) for t in templates() if t.name == layout)


def moment_of(text: str, end: bool = False) -> datetime | None:
    """A moment as a person or a program writes it; a day alone begins, or with end=True ends, at midnight UTC.

    None for "". Raises Refused for what is no moment.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if end and len(text) == len("2024-01-31"):
            moment += timedelta(days=1)
    except (ValueError, OverflowError):
        raise Refused("moment", "This is no date or time; write 2024-01-31 or 2024-01-31T14:30:00Z.") from None
    return moment
