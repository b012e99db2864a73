"""What the store can be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sqlalchemy import Connection, func, select

from gateway.errors import NotFound
from gateway.identity.order import Order
from gateway.job import Job, PageResult, Place, Reading, State, Verdict
from gateway.review import NO_CORRECTION, correction_from_json
from gateway.store.database import Database
from gateway.store.job_rows import (
    AnyRow,
    DeliveryRow,
    delivery_row_from,
    job_from,
    order_from,
)
from gateway.store.objects import Objects
from gateway.store.tables import DeliveryState, jobs, outbox, pages
from pipeline.recording import Correction


def job(database: Database, job_id: str) -> Job:
    """One job. NotFound where there is none."""
    with database.read() as connection:
        return job_from(row_of(connection, job_id))


def order(database: Database, job_id: str) -> Order | None:
    """Whose ECG a job is: what its worker read, a person's or the door's word before that; None while unknown."""
    with database.read() as connection:
        row = row_of(connection, job_id)
        # What the worker settled with was made from the order it was given, so it is never the poorer of the two.
        return order_from(row.read_order_json) or order_from(row.order_json)


def some_jobs(database: Database, state: State | None, limit: int, offset: int) -> list[Job]:
    """Jobs, the newest first."""
    query = select(jobs).order_by(jobs.c.number.desc()).limit(limit).offset(offset)
    if state is not None:
        query = query.where(jobs.c.state == state)
    with database.read() as connection:
        return [job_from(row) for row in connection.execute(query)]


def page_results(database: Database, objects: Objects, job_id: str) -> tuple[PageResult, ...]:
    """What became of each page of a job, by number; empty before it was settled."""
    with database.read() as connection:
        row_of(connection, job_id)
        rows = connection.execute(select(pages).where(pages.c.job_id == job_id).order_by(pages.c.number)).all()
    return tuple(
        PageResult(
            number=row.number,
            verdict=Verdict(row.verdict),
            code=row.code,
            why=row.why,
            summary=row.summary,
            recording_npz=objects.read(row.recording_sha256) if row.recording_sha256 else None,
            correction=correction_from_json(row.given),
        )
        for row in rows
    )


@dataclass(frozen=True)
class PageHead:
    """What a page's summary says, without its samples. layout: None where nothing was read."""

    number: int
    verdict: Verdict
    layout: str | None
    confidence: float | None
    correction: Correction = NO_CORRECTION


def page_heads(database: Database, job_id: str) -> tuple[PageHead, ...]:
    """The pages of a job, by number, without reading any object."""
    query = select(pages).where(pages.c.job_id == job_id).order_by(pages.c.number)
    with database.read() as connection:
        return tuple(_head(row) for row in connection.execute(query))


def _head(row: AnyRow) -> PageHead:
    summary = json.loads(row.summary) if row.recording_sha256 else {}
    verdict, correction = Verdict(row.verdict), correction_from_json(row.given)
    return PageHead(row.number, verdict, summary.get("layout"), summary.get("confidence"), correction)


def deliveries(database: Database, job_id: str) -> tuple[DeliveryRow, ...]:
    """The rows of the outbox of a job, in the order they were first queued."""
    with database.read() as connection:
        row_of(connection, job_id)
        query = select(outbox).where(outbox.c.job_id == job_id).order_by(outbox.c.delivery_id)
        return tuple(delivery_row_from(row) for row in connection.execute(query))


def readings(database: Database, job_id: str) -> Mapping[Place, Reading]:
    """The last reading of each place that documents of a job were made for."""
    found: dict[Place, Reading] = {}
    for row in deliveries(database, job_id):
        place = (row.destination, row.kind, row.page)
        # With the offset of then: another one, after the machine's zone was set, would make another document.
        made_at = row.made_at or row.queued_at.astimezone()
        before = found.get(place)
        last = before if before is not None and before.made_at > made_at else Reading(made_at, 1, row.name)
        found[place] = replace(last, number=before.number + 1 if before else 1)
    return MappingProxyType(found)


def counts(database: Database) -> Mapping[State, int]:
    """How many jobs stand in each state; every state is there."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    with database.read() as connection:
        found = {State(state): number for state, number in connection.execute(query)}
    return MappingProxyType({state: found.get(state, 0) for state in State})


def queue_depths(database: Database) -> Mapping[str, int]:
    """How many documents wait for each destination; a destination nothing waits for is not there."""
    query = (
        select(outbox.c.destination, func.count().label("waiting"))
        .where(outbox.c.state == DeliveryState.QUEUED)
        .group_by(outbox.c.destination)
        .order_by(outbox.c.destination)
    )
    with database.read() as connection:
        return MappingProxyType({row.destination: row.waiting for row in connection.execute(query)})


def row_of(connection: Connection, job_id: str) -> AnyRow:
    """The row of a job. NotFound where there is none."""
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return row
