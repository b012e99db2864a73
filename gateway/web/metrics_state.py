"""How the gateway stands, for Prometheus: destinations, held pages, disk, confidence, audit, certificate, build."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import accumulate

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.config import Config
from gateway.job import State
from gateway.store import Queue, Store
from gateway.web.certificate import days_left

MEGABYTE = 1_000_000
CONFIDENCE_DAYS = 36_500  # all there is: a histogram of Prometheus only grows
HOURS = 1


class Standing(Collector):
    """Names no patient, sender or user."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("cardioscan_build_info", "1, with the version that runs", labels=["version"])
        build.add_metric([version("cardioscan-gateway")], 1)
        yield build
        yield from self._destinations()
        yield from self._pages()
        yield from self._certificate()

    def _destinations(self) -> Iterator[Metric]:
        names = {destination.name for destination in self.config.destination}
        queues = [queue for queue in self.store.destination_queues.queues() if queue.destination in names]
        up = _labelled("destination_up", "1 where it answered the last question, 0 where not; absent before the first")
        paused = _labelled("destination_paused", "1 where a person paused it")
        checked = _labelled("destination_checked_timestamp_seconds", "When it was asked last")
        answered = _labelled("destination_last_answer_timestamp_seconds", "When it last accepted a document")
        for queue in queues:
            paused.add_metric([queue.destination], queue.paused_at is not None)
            _add_peer(queue, up, checked)
            if queue.delivered_at is not None:
                answered.add_metric([queue.destination], queue.delivered_at.timestamp())
        yield from (up, paused, checked, answered)

    def _pages(self) -> Iterator[Metric]:
        moments = self.store.audit_queries.moments(HOURS, CONFIDENCE_DAYS)
        for name, words, at in (
            (
                "oldest_held_age_seconds",
                "How long the page has waited that waits longest for a person; 0 for none",
                "held",
            ),
            ("oldest_received_age_seconds", "The same for a worker; 0 for none", "received"),
        ):
            since = self.store.audit_queries.oldest_at(State(at))
            age_s = 0.0 if since is None else max(0.0, (moments.now - since).total_seconds())
            yield _plain(name, words, age_s)
        yield _plain("leases", "Pages that workers have in work", len(moments.busy))
        yield _plain("disk_free_bytes", "Free space where the pages are kept", moments.free_mb * MEGABYTE)
        yield _plain("disk_size_bytes", "All space there", moments.total_mb * MEGABYTE)
        yield _plain(
            "disk_reserve_bytes", "Free space below which no page is taken", self.config.data.reserve_mb * MEGABYTE
        )
        yield _plain("audit_rows", "Entries of the audit", self.store.audit_queries.last_seq())
        yield _confidence(moments.confidence)
        yield _durations(*self.store.audit_queries.job_durations())

    def _certificate(self) -> Iterator[Metric]:
        path = self.config.web.tls_certificate
        days = None if path is None else days_left(path)
        if days is not None:
            yield _plain("certificate_days", "Days until the window's certificate expires; negative afterwards", days)


def _confidence(bins: tuple[int, ...]) -> Metric:
    """The histogram of confidences; their sum is not kept, and so not told."""
    bounds = [f"{(number + 1) / len(bins):g}" for number in range(len(bins) - 1)] + ["+Inf"]
    buckets = list(zip(bounds, map(float, accumulate(bins)), strict=True))
    family = HistogramMetricFamily("cardioscan_page_confidence", "Confidence of pages as they were first read")
    family.add_metric([], buckets, sum_value=None)
    return family


def _durations(bounds_s: tuple[float, ...], counts: tuple[int, ...], seconds: float) -> Metric:
    """The histogram of how long workers took."""
    names = [*(f"{bound:g}" for bound in bounds_s), "+Inf"]
    buckets = list(zip(names, map(float, accumulate(counts)), strict=True))
    family = HistogramMetricFamily(
        "cardioscan_job_seconds", "Seconds from when a worker took a job until it was settled"
    )
    family.add_metric([], buckets, sum_value=seconds)
    return family


def _add_peer(queue: Queue, up: GaugeMetricFamily, checked: GaugeMetricFamily) -> None:
    if queue.peer.up is not None:
        up.add_metric([queue.destination], queue.peer.up)
    if queue.peer.checked_at is not None:
        checked.add_metric([queue.destination], queue.peer.checked_at.timestamp())


def _labelled(name: str, words: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"cardioscan_{name}", words, labels=["destination"])


def _plain(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"cardioscan_{name}", words, value=value)
