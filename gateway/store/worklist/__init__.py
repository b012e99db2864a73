"""The worklist: a screenful of a million jobs, found by any of its columns in the time of a blink.

Pages are turned by keyset: a cursor names the job to go on from, so the thousandth screen costs what the first does.
Where a condition is met by few jobs, those are fetched by its index and the rest of the filter is held against them;
where every condition is met by many, jobs are walked in the asked order until the screen is full. Neither a database's
guess nor its statistics decide that, so SQLite and PostgreSQL behave alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from gateway.job import State
from gateway.store.database import Database
from gateway.store.tables import jobs
from gateway.store.worklist.conditions import JobQuery, conditions
from gateway.store.worklist.lines import JobSummary, summaries
from gateway.store.worklist.walking import Cursor, JobOrder, key_of, parse, walk

__all__ = ["Earlier", "JobOrder", "JobPage", "JobQuery", "JobSummary", "Worklist"]


@dataclass(frozen=True)
class JobPage:
    """A screenful. next_cursor, prev_cursor: where the screen after and before begin, "" where there is none."""

    rows: tuple[JobSummary, ...]
    next_cursor: str
    prev_cursor: str


@dataclass(frozen=True)
class Earlier:
    """Another recording of the same patient."""

    job_id: str
    state: State
    received_at: datetime
    accession_number: str
    confidence: float | None


class Worklist:
    """Questions over all jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: JobQuery, order: JobOrder, cursor: str, limit: int) -> JobPage:
        """A screenful of jobs from a cursor on, "" for the first. Refused: the cursor is none of ours."""
        at = parse(cursor, order)
        with self._database.read() as connection:
            filters = list(conditions(connection, query))
            rows = walk(connection, filters, order, at, limit + 1)
            more, rows = len(rows) > limit, rows[:limit]
            if at is not None and at.back:
                rows.reverse()
            forth = more if at is None or not at.back else True
            back = at is not None and (more if at.back else True)
            shown = summaries(connection, rows)
        return JobPage(
            shown,
            str(Cursor(False, key_of(rows[-1], order))) if rows and forth else "",
            str(Cursor(True, key_of(rows[0], order))) if rows and back else "",
        )

    def matching(self, query: JobQuery, limit: int) -> list[str]:
        """Ids of the jobs that a query finds, the oldest first, at most limit."""
        with self._database.read() as connection:
            filters = list(conditions(connection, query))
            return [row.job_id for row in walk(connection, filters, JobOrder.OLDEST, None, limit)]

    def newest(self, query: JobQuery, limit: int) -> list[str]:
        """The same, the newest first."""
        with self._database.read() as connection:
            filters = list(conditions(connection, query))
            return [row.job_id for row in walk(connection, filters, JobOrder.NEWEST, None, limit)]

    def beginning(self, characters: str, limit: int) -> list[str]:
        """Ids that begin with these characters, at most limit."""
        query = select(jobs.c.job_id).where(jobs.c.job_id.startswith(characters, autoescape=True))
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(jobs.c.number).limit(limit)).scalars())

    def summary(self, job_id: str) -> JobSummary | None:
        """One job's line, None where there is no such job."""
        with self._database.read() as connection:
            rows = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).all()
            return next(iter(summaries(connection, rows)), None)

    def earlier(self, job_id: str, limit: int) -> tuple[Earlier, ...]:
        """The same patient's other jobs that were digitized, the newest first; none for an unknown patient."""
        with self._database.read() as connection:
            me = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
            if me is None or not me.patient_id:
                return ()
            query = (
                select(jobs)
                .where(
                    jobs.c.patient_id == me.patient_id,
                    jobs.c.issuer == me.issuer,
                    jobs.c.job_id != job_id,
                    jobs.c.settled == State.DIGITIZED,
                    jobs.c.confidence.is_not(None),
                )
                .order_by(jobs.c.number.desc())
                .limit(limit)
            )
            return tuple(
                Earlier(row.job_id, State(row.state), row.received_at, row.accession_number, row.confidence)
                for row in connection.execute(query)
            )
