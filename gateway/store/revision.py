"""What a job looked like when a person decided on it: nobody decides on a page that they have not seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from sqlalchemy import Connection, select

from gateway.errors import UnlawfulMove
from gateway.store.audit import Event
from gateway.store.job_rows import AnyRow
from gateway.store.tables import audit, pages, reviews


def revision_of(connection: Connection, job: AnyRow) -> str:
    """A hash of where a job is and all that would go out: what was read, what people said of it, and whose it is."""
    read = select(pages.c.number, pages.c.verdict, pages.c.recording_sha256, pages.c.summary)
    review_rows = select(reviews.c.page, reviews.c.given, reviews.c.invalid_leads)
    shown = [
        job.state,
        job.read_order_json or job.order_json,
        *map(tuple, connection.execute(read.where(pages.c.job_id == job.job_id).order_by(pages.c.number))),
        *map(tuple, connection.execute(review_rows.where(reviews.c.job_id == job.job_id).order_by(reviews.c.page))),
    ]
    return hashlib.sha256(repr(shown).encode()).hexdigest()


def require_revision(connection: Connection, job: AnyRow, shown: str | None) -> None:
    """Raises UnlawfulMove where a job is not any more what it was when a person saw it; None asks nothing."""
    if shown is not None and shown != revision_of(connection, job):
        raise UnlawfulMove("this job was changed after it was shown to you; look at it again before you decide")


def opening_of(page: int) -> str:
    """What the audit calls it when somebody is shown what was read on a page, sample by sample."""
    return f"page {page} waveform"


def require_opened(connection: Connection, job_id: str, actor: str, recordings: Mapping[int, str]) -> None:
    """Raises UnlawfulMove where this person was never shown one of these pages as it is read now.

    recordings: page number to the SHA-256 of what was read on it.
    """
    unopened = unopened_of(connection, job_id, actor, recordings)
    if unopened:
        pages_named = f"page{'s' if len(unopened) > 1 else ''} {', '.join(map(str, unopened))}"
        raise UnlawfulMove(
            f"an approval lets {len(recordings)} page{'s' if len(recordings) > 1 else ''} out, and {pages_named} "
            "as now read you have not opened; look at what was read there before you approve"
        )


def unopened_of(connection: Connection, job_id: str, actor: str, recordings: Mapping[int, str]) -> tuple[int, ...]:
    """Those of these pages that this person was never shown as they are read now.

    recordings: page number to the SHA-256 of what was read on it.
    """
    accesses = select(audit.c.detail).where(
        audit.c.job_id == job_id, audit.c.kind == Event.LOOKED, audit.c.actor == actor
    )
    details = [json.loads(text) for text in connection.execute(accesses).scalars()]
    shown = {(detail["what"], detail.get("recording")) for detail in details}
    return tuple(page for page, recording in recordings.items() if (opening_of(page), recording) not in shown)


def identity_is_unseen(connection: Connection, job_id: str) -> bool:
    """Whether it was said whose page it is, by a person or by a repeat at its door, after the last approval of it."""
    query = (
        select(audit.c.kind)
        .where(audit.c.job_id == job_id, audit.c.kind.in_((Event.IDENTIFIED, Event.APPROVED)))
        .order_by(audit.c.seq.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none() == Event.IDENTIFIED


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
