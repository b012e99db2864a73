"""What happens, as it happens: server-sent events out of the audit, which every process of the gateway writes to."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import datetime

import anyio
from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import StreamingResponse

from gateway.errors import GatewayError
from gateway.store import AuditEntry, Store
from gateway.store.audit import Event
from gateway.web.api import models
from gateway.web.api.dependencies import TheStore, Viewer, gives

router = APIRouter(prefix="/api/v1", tags=["events"])

POLL_S = 1.0
TICK_S = 10.0  # a dashboard's figures are drawn anew, and a dead connection is noticed
LIFE_S = 300.0  # then the browser asks again by itself, and whether it still may is looked at anew
AT_ONCE_MAX = 200
STREAM = gives("text/event-stream", text=True)
DELIVERIES = frozenset(
    {
        Event.QUEUED,
        Event.DELIVERED,
        Event.POSTPONED,
        Event.PARKED,
        Event.WITHDRAWN,
        Event.RESENT,
        Event.ANSWERED_LATER,
    }
)


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def events(who: Viewer, store: TheStore, request: Request) -> StreamingResponse:
    """job and delivery: something happened to a job. dashboard: the figures may have changed. Names no patient."""
    last = request.headers.get("last-event-id", "")
    since = int(last) if last.isdecimal() and len(last) < 19 else None
    return StreamingResponse(stream(store, since), media_type="text/event-stream")


async def stream(
    store: Store, since: int | None, poll_s: float = POLL_S, tick_s: float = TICK_S, life_s: float = LIFE_S
) -> AsyncIterator[str]:
    """The lines of one connection. since: the last event that the other side has seen, None to begin now."""
    began = ticked = time.monotonic()
    try:
        newest = await to_thread.run_sync(store.audit_queries.last_seq)
        yield "retry: 2000\n\n"
        # a browser that slept for a day wants to know that much has changed, not each thing that did
        seen = newest if since is None else max(min(since, newest), newest - AT_ONCE_MAX)
        while time.monotonic() - began < life_s:
            entries = await to_thread.run_sync(store.audit_queries.audit_after, seen, AT_ONCE_MAX)
            for entry in entries:
                seen = entry.seq
                if entry.job_id:
                    yield _line(entry)
            happened = any(entry.kind != Event.LOOKED for entry in entries)  # a look changes no figure
            if happened or time.monotonic() - ticked >= tick_s:
                ticked = time.monotonic()
                yield f"event: dashboard\ndata: {json.dumps({'seq': seen})}\n\n"
            await anyio.sleep(poll_s)
    except GatewayError:  # the database does not answer: the browser comes again by itself
        return


def _line(entry: AuditEntry) -> str:
    at = datetime.fromisoformat(entry.at)
    event = models.ChangeEvent(seq=entry.seq, kind=entry.kind, job_id=entry.job_id, at=at)
    name = "delivery" if entry.kind in DELIVERIES else "job"
    return f"id: {entry.seq}\nevent: {name}\ndata: {event.model_dump_json()}\n\n"
