"""Jobs as a table on a terminal: a line each within its width, or everything."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gateway.job import SHORT_ID, Job, State

WIDE = 1000  # columns: longer than any line


def short(jobs: Sequence[Job], width: int) -> Table:
    """A line for each job in so many columns. The id's beginning, the state and the minute stay whole, the rest is cut.

    Sender and reason are cut at their end, the sender first.
    """
    whole = {"job": SHORT_ID, "state": max(map(len, State)), "received (UTC)": len("2026-01-31 23:59")}
    left = width - sum(whole.values()) - 2 * 4  # two blanks between five columns
    why = min(max([len("why"), *(len(job.code) for job in jobs)]), max(left - 12, 10))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name, columns in {**whole, "from": max(left - why, 4), "why": why}.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=columns)
    for job in jobs:
        sender = f"{job.arrival.door} {job.arrival.sender}"
        when = f"{job.received_at:%Y-%m-%d %H:%M}"
        table.add_row(*_cells(job.job_id[:SHORT_ID], job.state, when, sender, job.code))
    return table


def wide(jobs: Sequence[Job]) -> Table:
    """Everything that there is to know of each job without asking for it alone."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("job", "state", "door", "sender", "file", "received", "attempts", "code", "why"):
        table.add_column(name, no_wrap=True, overflow="ignore")
    for job in jobs:
        came = job.arrival
        when = job.received_at.isoformat(sep=" ", timespec="seconds")
        row = (job.job_id, job.state, came.door, came.sender, came.file_name, when)
        table.add_row(*_cells(*row, str(job.attempts), job.code, job.why))
    return table


def _cells(*texts: str) -> list[Text]:
    """Cells as they are, in one line: a string would be read as markup."""
    return [Text(" ".join(text.split())) for text in texts]
