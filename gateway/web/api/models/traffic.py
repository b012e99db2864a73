"""The dashboard, pauses and parked messages."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from gateway.job import State
from gateway.store import DeliveryRow
from gateway.web.api.models.base import BULK_MAX, Model, RowNumber


class Bin(Model):
    """A bar of a histogram: values from low up to, but not including, high."""

    low: float
    high: float
    count: int


class HourCount(Model):
    """Pages settled within one hour, by what became of them."""

    hour: datetime
    digitized: int
    held: int
    refused: int


class PeerModel(Model):
    """Whether a destination answered when it was last asked; None where it was not asked yet."""

    up: bool | None
    text: str
    checked_at: datetime | None
    since: datetime | None  # up or down without a break


class DestinationModel(Model):
    """A destination and its queue. head_age_s: of the oldest document that waits; None with an empty queue."""

    name: str
    kind: str
    address: str
    configured: bool  # False: documents wait for a destination that the configuration no longer has
    paused: bool
    paused_by: str
    paused_at: datetime | None
    queued: int
    parked: int
    head_age_s: float | None
    head_attempts: int
    head_why: str
    last_delivered_at: datetime | None
    last_response: str
    peer: PeerModel


class Disk(Model):
    """The data folder's file system."""

    free_mb: float
    total_mb: float
    reserve_mb: float


class Gpu(Model):
    """A GPU as its driver tells; None figures where it does not."""

    name: str
    used_mb: float | None
    total_mb: float | None
    busy: float | None  # 0..1


class WorkerModel(Model):
    """A worker process and the job it has now."""

    name: str
    job_id: str
    until: datetime


class Dashboard(Model):
    """The traffic at one glance."""

    at: datetime
    version: str
    states: dict[State, int]
    pages_per_hour: float  # over the last full hour's worth of minutes
    hours: list[HourCount]  # the last 24, the oldest first
    waiting: int  # pages received and not yet worked on
    oldest_waiting_s: float | None
    workers: list[WorkerModel]
    destinations: list[DestinationModel]
    confidence: list[Bin]  # of the last 30 days
    confidence_min: float  # by the configuration, a page below it waits for a person
    disk: Disk
    gpus: list[Gpu]


class Paused(Model):
    """Where a destination's queue stands after pause or resume."""

    name: str
    paused: bool


class ParkedList(Model):
    """Messages that will not go without a person, the oldest first. next_cursor: goes back into ``after``."""

    items: list[DeliveryRow]
    next_cursor: int | None


class ParkedBody(Model):
    """Which parked messages to send again: those of ids, or those from first to last, of a destination or of all."""

    ids: list[RowNumber] = Field(default_factory=list, max_length=BULK_MAX)
    first: RowNumber | None = None
    last: RowNumber | None = None
    destination: str | None = Field(None, max_length=200)


class ParkedFailure(Model):
    """Why one parked message was not sent again."""

    delivery_id: int
    code: str
    why: str


class ParkedResult(Model):
    """more: the range holds messages beyond the bound of 1000; ask again."""

    done: list[int]
    failed: list[ParkedFailure]
    more: bool
