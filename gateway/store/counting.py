"""Counts kept as things happen, for counting a million rows takes too long for somebody who looks at a dashboard.

Their rows are locked after those of jobs and of the outbox and before the audit's head, each table's in one order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Table, bindparam, func, select, update

from gateway.job import State
from gateway.store.database import Database, Transaction
from gateway.store.tables import MOMENT_FORM, audit, confidences, durations, hours, tallies
from gateway.store.upsert import upsert

BINS = 20  # of confidence, each 0.05 wide
DURATION_BOUNDS_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)  # of a histogram; a page takes 3 to 10
HOUR_FORM, DAY_FORM = "%Y-%m-%dT%H", "%Y-%m-%d"

_ADD_TO_TALLY = (
    update(tallies).where(tallies.c.state == bindparam("of")).values(jobs=tallies.c.jobs + bindparam("step"))
)


def count_move(tx: Transaction, before: str | None, after: str) -> None:
    """A job came, or went from one state to another."""
    steps = Counter({after: 1})
    if before is not None:
        steps[before] -= 1
    for state, step in sorted(steps.items()):
        if step:
            tx.execute(_ADD_TO_TALLY, {"of": state, "step": step})


def count_gone(tx: Transaction, states: Mapping[str, int]) -> None:
    """So many jobs of each state are no more."""
    for state, number in sorted(states.items()):
        tx.execute(_ADD_TO_TALLY, {"of": state, "step": -number})


def count_pages(tx: Transaction, verdicts: Iterable[str], sure: Iterable[float]) -> None:
    """Pages were settled for the first time. sure: the confidence of those that were read, 0..1."""
    hour, day = tx.now.astimezone(UTC).strftime(HOUR_FORM), tx.now.astimezone(UTC).strftime(DAY_FORM)
    for verdict, pages in sorted(Counter(verdicts).items()):
        _add(tx, hours, {"hour": hour, "verdict": verdict}, pages)
    for number, pages in sorted(Counter(bin_of(confidence) for confidence in sure).items()):
        _add(tx, confidences, {"day": day, "bin": number}, pages)


def count_duration(tx: Transaction, job_id: str) -> None:
    """A worker is done with a job: the time since it took it, by the audit, waiting for its processor included."""
    taken = select(func.max(audit.c.at)).where(audit.c.job_id == job_id, audit.c.kind == "claimed")
    at = tx.execute(taken).scalar_one()
    if at is None:
        return
    seconds = max(0.0, (tx.now - datetime.strptime(at, MOMENT_FORM).replace(tzinfo=UTC)).total_seconds())
    key, row = {"bin": bisect_left(DURATION_BOUNDS_S, seconds)}, {"jobs": 1, "seconds": seconds}
    more = {"jobs": durations.c.jobs + 1, "seconds": durations.c.seconds + seconds}
    upsert(tx, durations, key, row, **more)


def job_durations(connection: Connection) -> tuple[tuple[int, ...], float]:
    """How many jobs fell between two of DURATION_BOUNDS_S, the last above all of them; and all their seconds."""
    rows = connection.execute(select(durations)).all()
    found = {row.bin: int(row.jobs) for row in rows}
    counts = tuple(found.get(number, 0) for number in range(len(DURATION_BOUNDS_S) + 1))
    return counts, float(sum(row.seconds for row in rows))


def bin_of(confidence: float) -> int:
    """The bar of the histogram that a confidence falls into; 1.0 belongs to the last."""
    return min(max(int(confidence * BINS), 0), BINS - 1)


def states(connection: Connection) -> Mapping[State, int]:
    """How many jobs stand in each state."""
    found = {State(state): int(count) for state, count in connection.execute(select(tallies.c.state, tallies.c.jobs))}
    return {state: found.get(state, 0) for state in State}


def pages_by_hour(database: Database, since: datetime) -> Mapping[datetime, Mapping[str, int]]:
    """How many pages were first settled with which verdict in each hour since; hours without any are not there."""
    query = select(hours).where(hours.c.hour >= since.astimezone(UTC).strftime(HOUR_FORM)).order_by(hours.c.hour)
    found: dict[datetime, dict[str, int]] = {}
    with database.read() as connection:
        for row in connection.execute(query):
            hour = datetime.strptime(row.hour, HOUR_FORM).replace(tzinfo=UTC)
            found.setdefault(hour, {})[row.verdict] = int(row.pages)
    return found


def confidence_bins(database: Database, now: datetime, days: int) -> tuple[int, ...]:
    """How many pages of the last days fall into each twentieth of confidence."""
    first = (now - timedelta(days=days)).astimezone(UTC).strftime(DAY_FORM)
    totals = [0] * BINS
    with database.read() as connection:
        query = select(confidences.c.bin, confidences.c.pages).where(confidences.c.day >= first)
        for number, pages in connection.execute(query):
            totals[number] += int(pages)
    return tuple(totals)


def _add(tx: Transaction, table: Table, key: dict[str, str | int], pages: int) -> None:
    """Adds to a count, or begins it."""
    upsert(tx, table, key, {"pages": pages}, pages=table.c.pages + pages)
