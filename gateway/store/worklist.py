"""The worklist: a screenful of a million jobs, found by any of its columns in the time of a blink.

Pages are turned by keyset: a cursor names the job to go on from, so the thousandth screen costs what the first does.
Where a condition is met by few jobs, those are fetched by its index and the rest of the filter is held against them;
where every condition is met by many, jobs are walked in the asked order until the screen is full. Neither a database's
guess nor its statistics decide that, so SQLite and PostgreSQL behave alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, cast, func, or_, select

from gateway.errors import Refused
from gateway.job import Door, State
from gateway.store.database import Database
from gateway.store.rows import AnyRow, clean
from gateway.store.tables import DeliveryState, Moment, jobs, outbox, reviews, terms
from gateway.store.words import words_of

RARE_MAX = 1000  # jobs that meet a condition, up to which they are fetched by its index
SLACK = 1000  # jobs that may have been numbered in another order than their clocks said
WORDS_MAX = 6  # of a search; more words find nothing more
JOB_ID_LEAST = 8  # characters from which on a word is also looked for among job ids
AFTER_ANY_CHARACTER = "\U0010ffff"


class JobOrder(StrEnum):
    """In which order jobs are shown."""

    NEWEST = "newest"
    OLDEST = "oldest"
    CONFIDENCE = "confidence"  # the least sure first; only jobs of which a page was read


@dataclass(frozen=True)
class JobQuery:
    """Which jobs. None and "" ask for any. patient: an exact patient ID. words: searched among names and numbers.

    received_from, received_to: that moment and later, before that moment. confidence_max: of the least sure page.
    """

    state: State | None = None
    door: Door | None = None
    sender: str = ""
    patient: str = ""
    words: str = ""
    received_from: datetime | None = None
    received_to: datetime | None = None
    confidence_max: float | None = None


@dataclass(frozen=True)
class Documents:
    """How many documents of a job stand where."""

    queued: int = 0
    delivered: int = 0
    parked: int = 0


@dataclass(frozen=True)
class JobSummary:
    """A job as one line of the worklist. confidence: of its least sure page, None where none was read."""

    number: int
    job_id: str
    state: State
    door: Door
    sender: str
    file_name: str
    patient_id: str
    patient_name: str
    birth_date: str
    accession_number: str
    received_at: datetime
    changed_at: datetime
    pages: int
    confidence: float | None
    code: str
    why: str
    corrected: bool
    documents: Documents


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


@dataclass(frozen=True)
class _Cursor:
    """back: towards the beginning. key: the last job's place in the order."""

    back: bool
    key: tuple[float, ...]

    def __str__(self) -> str:
        return ("b" if self.back else "a") + "_".join(map(repr, self.key))


class Worklist:
    """Questions over all jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: JobQuery, order: JobOrder, cursor: str, limit: int) -> JobPage:
        """A screenful of jobs from a cursor on, "" for the first. Refused: the cursor is none of ours."""
        at = _parse(cursor, order)
        with self._database.read() as connection:
            conditions = list(_conditions(connection, query))
            rows = _walk(connection, conditions, order, at, limit + 1)
            more, rows = len(rows) > limit, rows[:limit]
            if at is not None and at.back:
                rows.reverse()
            forth = more if at is None or not at.back else True
            back = at is not None and (more if at.back else True)
            shown = summaries(connection, rows)
        return JobPage(
            shown,
            str(_Cursor(False, _key(rows[-1], order))) if rows and forth else "",
            str(_Cursor(True, _key(rows[0], order))) if rows and back else "",
        )

    def matching(self, query: JobQuery, limit: int) -> list[str]:
        """Ids of the jobs that a query finds, the oldest first, at most limit."""
        with self._database.read() as connection:
            conditions = list(_conditions(connection, query))
            return [row.job_id for row in _walk(connection, conditions, JobOrder.OLDEST, None, limit)]

    def newest(self, query: JobQuery, limit: int) -> list[str]:
        """The same, the newest first."""
        with self._database.read() as connection:
            conditions = list(_conditions(connection, query))
            return [row.job_id for row in _walk(connection, conditions, JobOrder.NEWEST, None, limit)]

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


@dataclass(frozen=True)
class _Condition:
    """test: over a row of jobs, in a form that no index answers. index: the numbers that meet it, by an index."""

    test: ColumnElement[bool]
    index: Select[Any] | None


def _conditions(connection: Connection, query: JobQuery) -> Iterator[_Condition]:
    for column, value in (
        (jobs.c.state, query.state),
        (jobs.c.door, query.door),
        (jobs.c.sender, clean(query.sender)),
        (jobs.c.patient_id, clean(query.patient)),
    ):
        if value:
            yield _Condition(column == value, select(jobs.c.number).where(column == value))
    if query.confidence_max is not None:
        low = jobs.c.confidence <= query.confidence_max
        # with + 0 no index fits: a walk in the order of numbers must not become a sort of everything unsure
        yield _Condition(jobs.c.confidence + 0 <= query.confidence_max, select(jobs.c.number).where(low))
    yield from _received(connection, query)
    for word in words_of(clean(query.words))[:WORDS_MAX]:
        yield _word(word)


def _received(connection: Connection, query: JobQuery) -> Iterator[_Condition]:
    """A stretch of time as a stretch of numbers, for jobs are numbered as they come."""
    text = cast(jobs.c.received_at, Text)
    if query.received_from is not None:
        moment = query.received_from
        first = _number_at(connection, jobs.c.received_at >= moment, newest=False)
        if first is None:
            yield _NOTHING
            return
        yield _Condition(
            and_(jobs.c.number >= first - SLACK, text >= Moment().process_bind_param(moment, connection.dialect)), None
        )
    if query.received_to is not None:
        moment = query.received_to
        last = _number_at(connection, jobs.c.received_at < moment, newest=True)
        if last is None:
            yield _NOTHING
            return
        yield _Condition(
            and_(jobs.c.number <= last + SLACK, text < Moment().process_bind_param(moment, connection.dialect)), None
        )


_NOTHING = _Condition(jobs.c.number < 0, select(jobs.c.number).where(jobs.c.number < 0))


def _number_at(connection: Connection, condition: ColumnElement[bool], newest: bool) -> int | None:
    """The number of the job at the edge of a stretch of time."""
    edge = jobs.c.received_at.desc() if newest else jobs.c.received_at.asc()
    return connection.execute(select(jobs.c.number).where(condition).order_by(edge).limit(1)).scalar_one_or_none()


def _word(word: str) -> _Condition:
    """Jobs one of whose words begins so, or whose id does."""
    begins = and_(terms.c.term >= word, terms.c.term < word + AFTER_ANY_CHARACTER)
    test: ColumnElement[bool] = select(terms.c.number).where(terms.c.number == jobs.c.number, begins).exists()
    index = select(terms.c.number).where(begins)
    if len(word) >= JOB_ID_LEAST and not set(word) - set("0123456789abcdef"):
        its_id = and_(jobs.c.job_id >= word, jobs.c.job_id < word + "g")
        return _Condition(or_(test, its_id), index.union(select(jobs.c.number).where(its_id)).subquery().select())
    return _Condition(test, index)


def _walk(
    connection: Connection, conditions: Sequence[_Condition], order: JobOrder, at: _Cursor | None, limit: int
) -> list[AnyRow]:
    """Rows of jobs from a cursor on, in the order of the way it goes."""
    query = select(jobs).where(*(condition.test for condition in conditions))
    few = _few(connection, conditions)
    if few is not None:
        query = query.where(jobs.c.number.in_(few))
    back = at is not None and at.back
    down = (order is JobOrder.NEWEST) != back
    if order is JobOrder.CONFIDENCE:
        # of few jobs none needs to be found by its confidence, and an index that could do so must not be taken
        sure = jobs.c.confidence if few is None else jobs.c.confidence + 0
        query = query.where(jobs.c.confidence.is_not(None))
        query = query.order_by(*((c.desc() if down else c.asc()) for c in (sure, jobs.c.number)))
        if at is not None:
            beyond = _beyond(jobs.c.number, at.key[1], down)
            behind = or_(_beyond(sure, at.key[0], down), and_(sure == at.key[0], beyond))
            query = query.where(_beyond_or_at(sure, at.key[0], down), behind)
    else:
        query = query.order_by(jobs.c.number.desc() if down else jobs.c.number.asc())
        if at is not None:
            query = query.where(_beyond(jobs.c.number, at.key[0], down))
    return list(connection.execute(query.limit(limit)))


def _few(connection: Connection, conditions: Sequence[_Condition]) -> list[int] | None:
    """The jobs that meet one of the conditions, where these are few; None where each is met by many."""
    for condition in conditions:
        if condition.index is not None:
            numbers: list[int] = [row[0] for row in connection.execute(condition.index.limit(RARE_MAX + 1))]
            if len(numbers) <= RARE_MAX:
                return sorted(set(numbers))
    return None


def _beyond(column: Any, value: float, down: bool) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column < value if down else column > value
    return found


def _beyond_or_at(column: Any, value: float, down: bool) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column <= value if down else column >= value
    return found


def _key(row: AnyRow, order: JobOrder) -> tuple[float, ...]:
    return (row.confidence, row.number) if order is JobOrder.CONFIDENCE else (row.number,)


def _parse(cursor: str, order: JobOrder) -> _Cursor | None:
    """Raises Refused where the cursor is not one of this order."""
    if not cursor:
        return None
    try:
        words = cursor[1:].split("_")
        key = (float(words[0]), int(words[1])) if order is JobOrder.CONFIDENCE else (int(words[0]),)
        if cursor[0] not in "ab" or len(words) != len(key) or any(abs(part) > 1 << 62 for part in key):
            raise ValueError
    except (ValueError, IndexError, OverflowError):
        raise Refused("cursor", "This cursor is not of this list; begin at its first page.") from None
    return _Cursor(cursor[0] == "b", key)


def summaries(connection: Connection, rows: Sequence[AnyRow]) -> tuple[JobSummary, ...]:
    """Rows of jobs with what stands in other tables, asked once for all."""
    ids = [row.job_id for row in rows]
    documents = _documents(connection, ids)
    said = (reviews.c.given.is_not(None)) | (reviews.c.invalid_leads != "")
    spoken_of = select(reviews.c.job_id).where(reviews.c.job_id.in_(ids), said)
    corrected = set(connection.execute(spoken_of).scalars())
    return tuple(
        JobSummary(
            number=row.number,
            job_id=row.job_id,
            state=State(row.state),
            door=Door(row.door),
            sender=row.sender,
            file_name=row.file_name,
            patient_id=row.patient_id,
            patient_name=row.patient_name,
            birth_date=row.birth_date,
            accession_number=row.accession_number,
            received_at=row.received_at,
            changed_at=row.changed_at,
            pages=row.pages,
            confidence=row.confidence,
            code=row.code,
            why=row.why,
            corrected=row.job_id in corrected,
            documents=documents.get(row.job_id, Documents()),
        )
        for row in rows
    )


def _documents(connection: Connection, ids: Sequence[str]) -> Mapping[str, Documents]:
    query = (
        select(outbox.c.job_id, outbox.c.state, func.count().label("documents"))
        .where(outbox.c.job_id.in_(ids), outbox.c.state != DeliveryState.WITHDRAWN)
        .group_by(outbox.c.job_id, outbox.c.state)
    )
    counts: dict[str, dict[str, int]] = {}
    for row in connection.execute(query):
        counts.setdefault(row.job_id, {})[row.state] = row.documents
    return {job_id: Documents(**found) for job_id, found in counts.items()}
