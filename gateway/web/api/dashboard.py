"""The traffic at one glance, and what an administrator does to it: pause, resume, send parked messages again."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Path, Query

from gateway.config import Config, Destination, FolderDestination
from gateway.errors import NotFound, Refused, TryAgain, UnlawfulMove
from gateway.job import Verdict
from gateway.store import Moments, Queue, Store
from gateway.web.api import models
from gateway.web.api.actions import code_of, why_of
from gateway.web.api.dependencies import (
    PROBLEMS,
    Administrator,
    Reviewer,
    TheConfig,
    TheStore,
    Viewer,
)
from gateway.web.gpu import gpus

router = APIRouter(prefix="/api/v1", tags=["traffic"], responses=PROBLEMS)

HOURS, DAYS = 24, 30
PARKED_PER_PAGE = 100
HOUR = timedelta(hours=1)

DestinationName = Annotated[str, Path(max_length=200)]


@router.get("/dashboard")
def dashboard(who: Viewer, store: TheStore, config: TheConfig) -> models.Dashboard:
    """Pages per hour, queues, peers, confidence, disk and GPU. Names no patient."""
    recent = store.audit_queries.moments(HOURS, DAYS)
    oldest = recent.oldest_waiting_at
    bins = len(recent.confidence)
    return models.Dashboard(
        at=recent.now,
        version=version("cardioscan-gateway"),
        states=recent.states,
        pages_per_hour=_pages_per_hour(recent),
        hours=_hours(recent),
        waiting=sum(count for state, count in recent.states.items() if state == "received"),
        oldest_waiting_s=None if oldest is None else max(0.0, (recent.now - oldest).total_seconds()),
        workers=[models.WorkerModel(name=busy.worker, job_id=busy.job_id, until=busy.until) for busy in recent.busy],
        destinations=_destinations(config, store, recent.now),
        confidence=[
            models.Bin(low=number / bins, high=(number + 1) / bins, count=count)
            for number, count in enumerate(recent.confidence)
        ],
        confidence_min=config.pipeline.confidence_min,
        disk=models.Disk(free_mb=recent.free_mb, total_mb=recent.total_mb, reserve_mb=config.data.reserve_mb),
        gpus=[models.Gpu(**vars(gpu)) for gpu in gpus.now()],
    )


@router.post("/destinations/{name}/pause")
def pause(who: Administrator, store: TheStore, config: TheConfig, name: DestinationName) -> models.Paused:
    """Nothing more goes there until it is resumed; what is on its way arrives."""
    _require(config, store, name)
    store.destination_queues.pause(name, who.name)
    return models.Paused(name=name, paused=True)


@router.post("/destinations/{name}/resume")
def resume(who: Administrator, store: TheStore, config: TheConfig, name: DestinationName) -> models.Paused:
    """Lets the queue go on."""
    _require(config, store, name)
    store.destination_queues.resume(name, who.name)
    return models.Paused(name=name, paused=False)


@router.get("/parked")
def parked(
    who: Reviewer,
    store: TheStore,
    destination: Annotated[str | None, Query(max_length=200)] = None,
    after: Annotated[int, Query(ge=0, le=1 << 60)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = PARKED_PER_PAGE,
) -> models.ParkedList:
    """Messages that will not go without a person, the oldest first."""
    rows = store.audit_queries.parked(after, destination or None, limit + 1)
    shown = rows[:limit]
    more = shown[-1].delivery_id if len(rows) > limit else None
    return models.ParkedList(items=list(shown), next_cursor=more)


@router.post("/parked/resend")
def resend_parked(who: Reviewer, store: TheStore, body: models.ParkedBody) -> models.ParkedResult:
    """Sends parked messages again: those named, or those between two numbers, of a destination or of all."""
    ranged = body.first is not None or body.last is not None or body.destination is not None
    if bool(body.ids) == ranged:
        raise Refused("not_valid", "Say which: either ids, or a range of numbers, or a destination.")
    ids, more = list(dict.fromkeys(body.ids)), False
    if ranged:
        rows = store.audit_queries.parked((body.first or 1) - 1, body.destination, models.BULK_MAX + 1, last=body.last)
        ids, more = [row.delivery_id for row in rows[: models.BULK_MAX]], len(rows) > models.BULK_MAX
    done: list[int] = []
    failed: list[models.ParkedFailure] = []
    for delivery_id in ids:
        try:
            store.resend_parked(delivery_id, who.name)
        except (NotFound, UnlawfulMove, TryAgain) as error:
            failed.append(models.ParkedFailure(delivery_id=delivery_id, code=code_of(error), why=why_of(error)))
        else:
            done.append(delivery_id)
    return models.ParkedResult(done=done, failed=failed, more=more)


def _require(config: Config, store: Store, name: str) -> None:
    """NotFound for a destination that neither the configuration nor any queue knows."""
    if all(name != destination.name for destination in config.destination) and all(
        name != queue.destination for queue in store.destination_queues.queues()
    ):
        raise NotFound(f"no destination is called {name!r}")


def _pages_per_hour(recent: Moments) -> float:
    """Of the last sixty minutes: this hour's pages, and the last one's as far as it reaches into them."""
    hour = recent.now.replace(minute=0, second=0, microsecond=0)
    gone = (recent.now - hour) / HOUR
    now, before = (sum(recent.hours.get(at, {}).values()) for at in (hour, hour - HOUR))
    return round(now + before * (1 - gone), 1)


def _hours(recent: Moments) -> list[models.HourCount]:
    hour = recent.now.replace(minute=0, second=0, microsecond=0)
    return [_hour(recent, hour - HOUR * back) for back in range(HOURS - 1, -1, -1)]


def _hour(recent: Moments, hour: datetime) -> models.HourCount:
    pages = recent.hours.get(hour, {})
    refused = pages.get(Verdict.NOT_AN_ECG, 0) + pages.get(Verdict.UNREADABLE, 0)
    digitized, held = pages.get(Verdict.DIGITIZED, 0), pages.get(Verdict.HELD, 0)
    return models.HourCount(hour=hour, digitized=digitized, held=held, refused=refused)


def _destinations(config: Config, store: Store, now: datetime) -> list[models.DestinationModel]:
    """Those of the configuration in its order, then those that only a queue still knows."""
    queues = {queue.destination: queue for queue in store.destination_queues.queues()}
    by_name = {destination.name: destination for destination in config.destination}
    orphans = [name for name, queue in queues.items() if name not in by_name and queue.queued + queue.parked]
    return [_destination(name, by_name.get(name), queues.get(name), now) for name in (*by_name, *orphans)]


def _destination(
    name: str, destination: Destination | None, queue: Queue | None, now: datetime
) -> models.DestinationModel:
    head = queue.head_queued_at if queue else None
    return models.DestinationModel(
        name=name,
        kind=destination.kind if destination else "",
        address=_address(destination),
        configured=destination is not None,
        paused=queue is not None and queue.paused_at is not None,
        paused_by=queue.paused_by if queue else "",
        paused_at=queue.paused_at if queue else None,
        queued=queue.queued if queue else 0,
        parked=queue.parked if queue else 0,
        head_age_s=None if head is None else max(0.0, (now - head).total_seconds()),
        head_attempts=queue.head_attempts if queue else 0,
        head_why=queue.head_why if queue else "",
        last_delivered_at=queue.delivered_at if queue else None,
        last_response=queue.response if queue else "",
        peer=models.PeerModel(
            up=queue.peer.up if queue else None,
            text=queue.peer.text if queue else "",
            checked_at=queue.peer.checked_at if queue else None,
            since=queue.peer.since if queue else None,
        ),
    )


def _address(destination: Destination | None) -> str:
    match destination:
        case None:
            return ""
        case FolderDestination():
            return str(destination.folder)
        case _:
            return f"{destination.host}:{destination.port}"
