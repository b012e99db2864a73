"""What a job looked like when a person decided on it: nobody decides on a page that they have not seen."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, select

from gateway.errors import UnlawfulMove
from gateway.store.audit import Event
from gateway.store.rows import AnyRow
from gateway.store.tables import audit, pages, reviews


def stands(connection: Connection, job: AnyRow) -> str:
    """A hash of all that would go out: what was read, what people said of it, and whose it is."""
    read = select(pages.c.number, pages.c.verdict, pages.c.recording_sha256, pages.c.summary)
    said = select(reviews.c.page, reviews.c.given, reviews.c.invalid_leads)
    shown = [
        job.read_order_json or job.order_json,
        *map(tuple, connection.execute(read.where(pages.c.job_id == job.job_id).order_by(pages.c.number))),
        *map(tuple, connection.execute(said.where(reviews.c.job_id == job.job_id).order_by(reviews.c.page))),
    ]
    return hashlib.sha256(repr(shown).encode()).hexdigest()


def require_seen(connection: Connection, job: AnyRow, seen: str | None) -> None:
    """Raises UnlawfulMove where a job is not any more what it was when a person saw it; None asks nothing."""
    if seen is not None and seen != stands(connection, job):
        raise UnlawfulMove("this job was changed after it was shown to you; look at it again before you decide")


def identified_by(connection: Connection, job_id: str) -> frozenset[str]:
    """The people who said whose page it is and whom nobody has approved since. A door's own facts are nobody's word."""
    query = (
        select(audit.c.kind, audit.c.actor)
        .where(audit.c.job_id == job_id, audit.c.kind.in_((Event.IDENTIFIED, Event.APPROVED)))
        .order_by(audit.c.seq.desc())
    )
    names = set()
    for row in connection.execute(query):
        if row.kind == Event.APPROVED:
            break
        if ":" not in row.actor:  # as in dicom:SCANNER; no user's name holds one
            names.add(row.actor)
    return frozenset(names)
