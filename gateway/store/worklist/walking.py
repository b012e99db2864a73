"""Walks jobs in an order, from a cursor on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from gateway.errors import Refused
from gateway.store.job_rows import AnyRow
from gateway.store.tables import jobs
from gateway.store.worklist.conditions import Condition

RARE_MAX = 1000  # jobs that meet a condition, up to which they are fetched by its index
COUNTED_MAX = 50_000  # up to which they are counted, in some milliseconds, to find the condition that fewest meet


class JobOrder(StrEnum):
    """In which order jobs are shown."""

    NEWEST = "newest"
    OLDEST = "oldest"
    CONFIDENCE = "confidence"  # the least sure first; only jobs of which a page was read


@dataclass(frozen=True)
class Cursor:
    """back: towards the beginning. key: the last job's place in the order."""

    back: bool
    key: tuple[float, ...]

    def __str__(self) -> str:
        return ("b" if self.back else "a") + "_".join(map(repr, self.key))


def walk(
    connection: Connection, conditions: Sequence[Condition], order: JobOrder, at: Cursor | None, limit: int
) -> list[AnyRow]:
    """Rows of jobs from a cursor on, in the order of the way it goes."""
    few = _few(connection, conditions)
    # The walk goes along one index. Which, no database knows without statistics: where nobody meets all conditions,
    # the wrong one is walked to its end, and that may be most of the jobs.
    along = _narrowest(connection, conditions) if few is None else None
    query = select(jobs).where(*(_test(condition, condition is along) for condition in conditions))
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


def _few(connection: Connection, conditions: Sequence[Condition]) -> list[int] | None:
    """The jobs that meet one of the conditions, where these are few; None where each is met by many."""
    for condition in conditions:
        if condition.index is not None:
            numbers: list[int] = [row[0] for row in connection.execute(condition.index.limit(RARE_MAX + 1))]
            if len(numbers) <= RARE_MAX:
                return sorted(set(numbers))
    return None


def _narrowest(connection: Connection, conditions: Sequence[Condition]) -> Condition | None:
    """Of the conditions whose index is in the order of numbers, the one that fewest jobs meet."""
    choice = [condition for condition in conditions if condition.in_order is not None]
    return (
        min(choice, key=lambda condition: _count(connection, condition))
        if len(choice) > 1
        else next(iter(choice), None)
    )


def _count(connection: Connection, condition: Condition) -> int:
    assert condition.index is not None
    found = select(func.count()).select_from(condition.index.limit(COUNTED_MAX).subquery())
    return int(connection.execute(found).scalar_one())


def _test(condition: Condition, along: bool) -> ColumnElement[bool]:
    return condition.in_order if along and condition.in_order is not None else condition.test


def _beyond(column: Any, value: float, down: bool) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column < value if down else column > value
    return found


def _beyond_or_at(column: Any, value: float, down: bool) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column <= value if down else column >= value
    return found


def key_of(row: AnyRow, order: JobOrder) -> tuple[float, ...]:
    """A job's place in an order."""
    return (row.confidence, row.number) if order is JobOrder.CONFIDENCE else (row.number,)


def parse(cursor: str, order: JobOrder) -> Cursor | None:
    """Raises Refused where the cursor is not one of this order."""
    if not cursor:
        return None
    try:
        parts = cursor[1:].split("_")
        key = (float(parts[0]), int(parts[1])) if order is JobOrder.CONFIDENCE else (int(parts[0]),)
        if cursor[0] not in "ab" or len(parts) != len(key) or any(abs(part) > 1 << 62 for part in key):
            raise ValueError
    except (ValueError, IndexError, OverflowError):
        raise Refused("cursor", "This cursor is not of this list; begin at its first page.") from None
    return Cursor(cursor[0] == "b", key)
