"""What may be asked of the worklist, as conditions on a row of jobs and as the indexes that know who meets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Text, and_, cast, or_, select

from gateway.job import Door, State
from gateway.store.job_rows import clean
from gateway.store.search_terms import search_terms_of
from gateway.store.tables import Moment, jobs, terms

SLACK = 1000  # jobs that may have been numbered in another order than their clocks said
JOB_ID_LEAST = 8  # characters from which on a word is also looked for among job ids
AFTER_ANY_CHARACTER = "\U0010ffff"


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
class Condition:
    """test: over a row of jobs, in a form that no index answers. index: the numbers that meet it, by an index.

    in_order: the same test in a form that an index answers, and answers in the order of numbers.
    """

    test: ColumnElement[bool]
    index: Select[Any] | None
    in_order: ColumnElement[bool] | None = None


def conditions(connection: Connection, query: JobQuery) -> Iterator[Condition]:
    """Every condition of a query."""
    door, sender = query.door, clean(query.sender)
    if door and sender:
        yield _equal({jobs.c.door: door, jobs.c.sender: sender})  # which may well be nobody, though many meet each
        door, sender = None, ""
    for column, value in (
        (jobs.c.state, query.state),
        (jobs.c.door, door),
        (jobs.c.sender, sender),
        (jobs.c.patient_id, clean(query.patient)),
    ):
        if value:
            yield _equal({column: value})
    if query.confidence_max is not None:
        low = jobs.c.confidence <= query.confidence_max
        # with + 0 no index fits: a walk in the order of numbers must not become a sort of everything unsure
        yield Condition(jobs.c.confidence + 0 <= query.confidence_max, select(jobs.c.number).where(low))
    yield from _received(connection, query)
    terms = search_terms_of(clean(query.words))
    if query.words.strip() and not terms:  # asked for something that is no word: nobody has it, and not everybody
        yield _NOTHING
    for word in terms:  # all of them: a word that is left out would let a bulk action reach jobs nobody asked for
        yield _word(word)


def _equal(values: Mapping[Column[Any], str]) -> Condition:
    """Jobs whose columns hold these values: one column, or as many as an index has together before the number."""
    equal = and_(*(column == value for column, value in values.items()))
    test = and_(*(column.concat("") == value for column, value in values.items()))
    return Condition(test, select(jobs.c.number).where(equal), equal)


def _received(connection: Connection, query: JobQuery) -> Iterator[Condition]:
    """A stretch of time as a stretch of numbers, for jobs are numbered as they come."""
    text = cast(jobs.c.received_at, Text)
    if query.received_from is not None:
        moment = query.received_from
        first = _number_at(connection, jobs.c.received_at >= moment, newest=False)
        if first is None:
            yield _NOTHING
            return
        yield Condition(
            and_(jobs.c.number >= first - SLACK, text >= Moment().process_bind_param(moment, connection.dialect)), None
        )
    if query.received_to is not None:
        moment = query.received_to
        last = _number_at(connection, jobs.c.received_at < moment, newest=True)
        if last is None:
            yield _NOTHING
            return
        yield Condition(
            and_(jobs.c.number <= last + SLACK, text < Moment().process_bind_param(moment, connection.dialect)), None
        )


_NOTHING = Condition(jobs.c.number < 0, select(jobs.c.number).where(jobs.c.number < 0))


def _number_at(connection: Connection, condition: ColumnElement[bool], newest: bool) -> int | None:
    """The number of the job at the edge of a stretch of time."""
    edge = jobs.c.received_at.desc() if newest else jobs.c.received_at.asc()
    return connection.execute(select(jobs.c.number).where(condition).order_by(edge).limit(1)).scalar_one_or_none()


def _word(word: str) -> Condition:
    """Jobs one of whose words begins so, or whose id does."""
    begins = and_(terms.c.term >= word, terms.c.term < word + AFTER_ANY_CHARACTER)
    test: ColumnElement[bool] = select(terms.c.number).where(terms.c.number == jobs.c.number, begins).exists()
    index = select(terms.c.number).where(begins)
    if len(word) >= JOB_ID_LEAST and not set(word) - set("0123456789abcdef"):
        its_id = and_(jobs.c.job_id >= word, jobs.c.job_id < word + "g")
        return Condition(or_(test, its_id), index.union(select(jobs.c.number).where(its_id)).subquery().select())
    return Condition(test, index)
