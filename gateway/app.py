"""Puts the gateway together: doors, worker processes, delivery loops. The only place that knows pipeline.digitize."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from gateway.config import Config
from gateway.deliver.queue import DeliveryLoop, make_sender
from gateway.intake.dicom_scp import DicomScp
from gateway.intake.fax_inbox import FaxInbox
from gateway.store import Store
from pipeline.recording import Page, Recording

log = logging.getLogger(__name__)

SUPERVISE_S = 1.0  # how often dead workers are looked for: short against the seconds a page takes
STOP_S = 10.0  # how long a worker may finish its page after SIGTERM; its lease covers what it could not


@dataclass(frozen=True)
class Eye:
    """The digitizer with its networks loaded, and what made it."""

    digitize: Callable[[Page], Recording]
    made_by: str


def open_eye(threads: int = 0) -> Eye:
    """Loads torch and the networks: seconds and hundreds of megabytes, so no door ever calls it."""
    import torch

    from gateway.emit.npz import made_by_json
    from pipeline.digitize import Digitizer

    if threads:
        torch.set_num_threads(threads)
    digitizer = Digitizer()
    return Eye(digitizer.digitize, made_by_json(digitizer.made_by))


def run_worker(config: Config, number: int) -> None:
    """The main function of a worker process: works until SIGTERM, or until its gateway is gone."""
    from gateway.worker import Worker  # scipy and the emitters take seconds to load, and no door needs them

    configure_logging(config)
    gateway_pid = os.getppid()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the gateway decides
    eye = open_eye(config.pipeline.threads)
    store = Store.open(config.data)
    worker = Worker(f"{gateway_pid}.{number}", config, store, eye.digitize, eye.made_by)
    try:
        worker.run(lambda: stopping.is_set() or os.getppid() != gateway_pid, stopping.wait)
    finally:
        store.close()


def configure_logging(config: Config) -> None:
    """One line a record on stderr: time, level, module, text. Job ids and hashes only, never patient data."""
    logging.basicConfig(level=config.logging.level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class Gateway:
    """A running gateway. start() returns when the doors are open; stop() when everything has been put away."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store.open(config.data)
        self.scp = DicomScp(config, self.store) if config.dicom_scp.enabled else None
        self._inboxes = [FaxInbox(inbox, config, self.store) for inbox in config.fax_inbox]
        self._loops = [DeliveryLoop(self.store, d, make_sender(d)) for d in config.destination]
        self._workers: dict[int, BaseProcess] = {}
        self._spawn = multiprocessing.get_context("spawn")  # fork would copy open sockets and database handles
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(2 + len(self._inboxes))},
            job_defaults={"coalesce": True, "max_instances": 1},
            timezone="UTC",
        )

    def start(self) -> None:
        """Workers first (they take seconds to load), doors last: a page is never taken in by half a gateway."""
        self._supervise()
        for loop in self._loops:
            loop.start()
        self._every(SUPERVISE_S, self._supervise, "workers")
        for inbox in self._inboxes:
            self._every(inbox.settings.poll_s, inbox.poll, f"inbox {inbox.settings.name}")
        self._scheduler.start()
        if self.scp is not None:
            self.scp.start()

    def stop(self) -> None:
        """Doors first, then the loops, then the workers; a page in work is finished or its lease runs out."""
        if self.scp is not None:
            self.scp.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        for loop in self._loops:
            loop.stop()
        for process in self._workers.values():
            process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in self._workers.values():
            process.join(max(0.1, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        self.store.close()

    def run(self) -> None:
        """start(), then wait for SIGTERM or SIGINT, then stop()."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        self.start()
        log.info("the gateway is up")
        try:
            stopping.wait()
        finally:
            self.stop()

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the live workers."""
        return tuple(p.pid for p in self._workers.values() if p.pid is not None and p.is_alive())

    def _every(self, seconds: float, work: Callable[[], object], name: str) -> None:
        self._scheduler.add_job(work, "interval", seconds=seconds, name=name)

    def _supervise(self) -> None:
        """Starts the workers that are missing. What a dead one held comes back when its lease runs out."""
        for number in range(self.config.worker.processes):
            process = self._workers.get(number)
            if process is not None and process.is_alive():
                continue
            if process is not None:
                log.error("worker %d died with exit code %s; starting another", number, process.exitcode)
            process = self._spawn.Process(target=partial(run_worker, self.config, number), name=f"worker-{number}")
            process.start()
            self._workers[number] = process
