"""The audit: searched, verified, handed out whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from gateway.store import AuditQuery
from gateway.web.api import models, serializers
from gateway.web.api.dependencies import PROBLEMS, Administrator, TheStore, gives
from gateway.web.api.job_id import whole_id
from gateway.web.api.jobs import moment_of

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=PROBLEMS)

JSON_LINES = "application/x-ndjson"
LINES = gives(JSON_LINES, text=True)


@router.get("")
def search(
    who: Administrator,
    store: TheStore,
    kind: Annotated[str, Query(max_length=32)] = "",
    actor: Annotated[str, Query(max_length=300)] = "",
    job_id: Annotated[str, Query(max_length=32)] = "",
    since: Annotated[str, Query(alias="from", max_length=40)] = "",
    until: Annotated[str, Query(alias="to", max_length=40)] = "",
    before: Annotated[int | None, Query(ge=1, le=1 << 60)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> models.AuditList:
    """Entries, the newest first. A search looks at a bounded stretch: few or none may come with a next_cursor.

    job_id: of one job, or at least the first eight characters of it.
    """
    whole = whole_id(store, job_id) if job_id.strip() else ""
    query = AuditQuery(kind, actor, whole, moment_of(since), moment_of(until, end=True))
    page = store.audit_queries.audit(query, before, limit)
    return models.AuditList(items=[serializers.entry_of(entry) for entry in page.entries], next_cursor=page.next_before)


@router.post("/verify")
def verify(who: Administrator, store: TheStore, objects: bool = True) -> models.AuditVerdict:
    """Recomputes the chain and holds every job, delivery and, unless objects is false, every object against it."""
    began = time.monotonic()
    report = store.verify_audit(check_objects=objects)
    return models.AuditVerdict(
        ok=report.ok,
        rows=report.rows,
        first_bad_seq=report.first_bad_seq,
        head_hash=report.head_hash,
        jobs=dict(report.jobs),
        objects=report.objects,
        problems=list(report.problems),
        unfinished=list(report.unfinished),
        seconds=round(time.monotonic() - began, 3),
    )


@router.get("/export", response_class=StreamingResponse, responses=LINES)
def export(who: Administrator, store: TheStore) -> StreamingResponse:
    """The whole chain as JSON lines, hashes included, so that others can verify it. Who took it is in it."""
    store.record_access_to_many(who.name, "audit export", "all", store.audit_queries.last_seq())

    def lines() -> Iterator[str]:
        yield from store.audit_lines()

    named = 'attachment; filename="cardioscan-audit.jsonl"'
    return StreamingResponse(lines(), media_type=JSON_LINES, headers={"Content-Disposition": named})
