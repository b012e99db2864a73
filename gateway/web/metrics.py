"""/metrics for Prometheus, /healthz and /readyz for whatever keeps the gateway running."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import APIRouter, Depends
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.config import Config
from gateway.errors import GatewayError
from gateway.store import Store
from gateway.web.api.capacity import of_this_loop
from gateway.web.deps import Principal, Role, Scope, get_config, get_store, need
from gateway.web.metrics_state import Standing

log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)

READY_THREADS = 2  # of their own: whoever keeps the gateway running must not restart it because it is busy
_ready: RunVar[CapacityLimiter] = RunVar("ready")

TheStore = Annotated[Store, Depends(get_store)]


class Traffic(Collector):
    """What the store knows, asked when Prometheus asks: every gateway of one database tells the same."""

    def __init__(self, store: Store, destinations: tuple[str, ...]) -> None:
        self.store = store
        self.destinations = destinations

    def collect(self) -> Iterator[Metric]:
        """Names no patient, sender or user."""
        jobs = GaugeMetricFamily("cardioscan_jobs", "Jobs by state", labels=["state"])
        for state, count in self.store.counts().items():
            jobs.add_metric([state], count)
        yield jobs
        traffic = self.store.traffic(self.destinations)
        yield GaugeMetricFamily(
            "cardioscan_received_last_hour", "Jobs received in the last hour", value=traffic.received_last_hour
        )
        pages = CounterMetricFamily(
            "cardioscan_pages", "Pages, by what came of them when they were first read", labels=["verdict"]
        )
        for verdict, count in traffic.pages:
            pages.add_metric([verdict], count)
        yield pages
        documents = GaugeMetricFamily(
            "cardioscan_documents", "Documents by destination and state", labels=["destination", "state"]
        )
        depth = GaugeMetricFamily(
            "cardioscan_queue_depth", "Documents that wait for a destination", labels=["destination"]
        )
        age = GaugeMetricFamily(
            "cardioscan_queue_head_age_seconds", "How long the next document has waited", labels=["destination"]
        )
        for queue in traffic.destination_queues:
            documents.add_metric([queue.destination, "queued"], queue.queued)
            documents.add_metric([queue.destination, "parked"], queue.parked)
            documents.add_metric([queue.destination, "delivered"], queue.delivered)
            depth.add_metric([queue.destination], queue.queued)
            age.add_metric([queue.destination], queue.head_age_s)
        yield from (documents, depth, age)


@router.get("/metrics")
def metrics(
    who: Annotated[Principal, Depends(need(Role.VIEWER, Scope.METRICS))],
    store: TheStore,
    config: Annotated[Config, Depends(get_config)],
) -> Response:
    """The traffic as Prometheus reads it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Traffic(store, tuple(destination.name for destination in config.destination)))
    registry.register(Standing(store, config))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers. Tells nothing else to anybody."""
    return JSONResponse({"ok": True})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """The database answers, has the schema of this version, and the disk has room; why not is told to the log only.

    destinations_down: how many destinations do not answer. Pages are taken all the same, and what is for them waits.
    """
    store, config = get_store(request), get_config(request)  # asked for by Depends, they would wait for a thread
    return await to_thread.run_sync(_ready_answer, store, config, limiter=of_this_loop(_ready, READY_THREADS))


def _ready_answer(store: Store, config: Config) -> Response:
    try:
        store.check()
        store.room()
        queues = store.destination_queues.queues()
    except GatewayError as error:
        log.warning("not ready: %s", error)
        return JSONResponse({"ok": False}, 503)
    names = {destination.name for destination in config.destination}
    down = sum(queue.destination in names and queue.peer.up is False for queue in queues)
    return JSONResponse({"ok": True, "destinations_down": down})
