"""A job as one line of the worklist, with what stands of it in other tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.job import Door, State
from gateway.store.job_rows import AnyRow, order_from
from gateway.store.tables import DeliveryState, outbox, reviews


@dataclass(frozen=True)
class Deliveries:
    """How many documents of a job stand where; those withdrawn are not counted."""

    queued: int = 0
    delivered: int = 0
    parked: int = 0


@dataclass(frozen=True)
class JobSummary:
    """A job as one line of the worklist. confidence: of its least sure page, None where none was read."""

    job_id: str
    state: State
    door: Door
    sender: str
    file_name: str
    patient_id: str
    patient_name: str  # DICOM PN, Family^Given
    issuer: str  # who gave the patient id: two hospitals may give the same
    birth_date: str  # YYYYMMDD or ""
    sex: str  # M, F, O or ""
    accession_number: str
    received_at: datetime
    changed_at: datetime
    pages: int
    confidence: float | None
    code: str
    why: str
    corrected: bool  # a person has changed how it is read
    deliveries: Deliveries


def summaries(connection: Connection, rows: Sequence[AnyRow]) -> tuple[JobSummary, ...]:
    """Rows of jobs with what stands in other tables, asked once for all."""
    ids = [row.job_id for row in rows]
    deliveries = _deliveries(connection, ids)
    changed = (reviews.c.given.is_not(None)) | (reviews.c.invalid_leads != "")
    spoken_of = select(reviews.c.job_id).where(reviews.c.job_id.in_(ids), changed)
    corrected = set(connection.execute(spoken_of).scalars())
    return tuple(
        JobSummary(
            job_id=row.job_id,
            state=State(row.state),
            door=Door(row.door),
            sender=row.sender,
            file_name=row.file_name,
            patient_id=row.patient_id,
            patient_name=row.patient_name,
            issuer=row.issuer,
            birth_date=row.birth_date,
            sex=_sex(row),
            accession_number=row.accession_number,
            received_at=row.received_at,
            changed_at=row.changed_at,
            pages=row.pages,
            confidence=row.confidence,
            code=row.code,
            why=row.why,
            corrected=row.job_id in corrected,
            deliveries=deliveries.get(row.job_id, Deliveries()),
        )
        for row in rows
    )


def _sex(row: AnyRow) -> str:
    order = order_from(row.read_order_json) or order_from(row.order_json)
    return order.patient.sex if order else ""


def _deliveries(connection: Connection, ids: Sequence[str]) -> Mapping[str, Deliveries]:
    query = (
        select(outbox.c.job_id, outbox.c.state, func.count().label("documents"))
        .where(outbox.c.job_id.in_(ids), outbox.c.state != DeliveryState.WITHDRAWN)
        .group_by(outbox.c.job_id, outbox.c.state)
    )
    counts: dict[str, dict[str, int]] = {}
    for row in connection.execute(query):
        counts.setdefault(row.job_id, {})[row.state] = row.documents
    return {job_id: Deliveries(**found) for job_id, found in counts.items()}
