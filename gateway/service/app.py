"""Puts the gateway together: doors, worker processes, delivery loops. Alone knows APScheduler."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from gateway.config import Config, DicomScpSection, Hl7FeedSection, check_config
from gateway.deliver.queue import DeliveryLoop, make_sender, stop_all
from gateway.deliver.watch import PeerWatch
from gateway.digitizer.load import ending_when_stuck, load_digitizer
from gateway.errors import AuditBroken, ConfigError, GatewayError
from gateway.intake.dicom_scp import DicomScp
from gateway.intake.fax_inbox import FaxInbox
from gateway.intake.hl7_feed import Hl7Feed
from gateway.process import configure_process
from gateway.service.notices import Notices
from gateway.service.supervisor import Supervisor
from gateway.service.watchdog import notify
from gateway.store import Store
from gateway.web.entry import run_window

log = logging.getLogger(__name__)

SUPERVISE_S = 1.0  # how often dead workers are looked for: short against the seconds a page takes
FORGET_S = 3600.0  # how often what no feed has told for days is forgotten
SIGN_S = 60.0  # how often it is asked whether a checkpoint of the audit is due
NOTICE_S = 60.0  # how often it is looked whether somebody must be told
RETAIN_S = 600.0  # how often it is asked what is old enough to be erased: some hundred jobs at a time
OWN_TASKS = 6  # workers, window, forget, audit, notices, retention
GRACE_S = 8.0  # how long a worker may go on with its page after SIGTERM before it gives the page back
STUCK = 5.0  # times page_seconds_max, after which a page hangs: one that gets a fifth of a processor does not
STOP_S = 15.0  # after which it is killed, and its lease must run out


def run_worker(config: Config, gateway_pid: int, gateway: str, number: int) -> None:
    """The main function of a worker process: works until SIGTERM, or until its gateway is gone.

    gateway_pid comes from the gateway: asked for here, it would already be another's if the gateway died meanwhile.
    gateway: its identity in the store.
    """
    from gateway.service.worker import (  # scipy and the emitters take seconds to load, and no door needs them
        Stopped,
        Worker,
    )

    configure_process(config)
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)  # a page may be finished, but not waited for

    def give_up(*_: object) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the gateway decides
    store = Store.open(config.data, gateway)  # before the networks: an unreachable database is told at once
    try:
        digitizer = load_digitizer(config.pipeline)
        digitize = ending_when_stuck(digitizer.digitize, STUCK * config.pipeline.page_seconds_max)
        worker = Worker(f"{gateway_pid}.{number}", config, store, digitize, digitizer.made_by)
        worker.run(lambda: stopping.is_set() or os.getppid() != gateway_pid, stopping.wait)
    except Stopped:
        log.info("stopped while loading")
    finally:
        store.close()


class Gateway:
    """A running gateway. start() returns when the doors are open; stop() when everything has been put away."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store.open(config.data)
        self.scp = DicomScp(config, self.store) if config.dicom_scp.enabled else None
        self.feed = Hl7Feed(config.hl7_feed, self.store) if config.hl7_feed.enabled else None
        self._inboxes = [FaxInbox(inbox, config, self.store) for inbox in config.fax_inbox]
        self._loops = [DeliveryLoop(self.store, d, make_sender(d)) for d in config.destination]
        self._checkpoints = self.store.checkpoints(config.audit)
        self._audit_fault = ""
        self._notices = Notices(config, self.store)
        self._peers = PeerWatch(config, self.store.destination_queues)
        work = partial(run_worker, config, os.getpid(), self.store.process)
        self._workers = Supervisor(config.worker.processes, work, on_death=self._end_dead_leases)
        self._listener: socket.socket | None = None
        self._window: Supervisor | None = None
        self._scheduler = BackgroundScheduler(
            # A thread each: a share that hangs must not keep workers from being looked after.
            executors={"default": ThreadPoolExecutor(OWN_TASKS + len(self._inboxes))},
            job_defaults={"coalesce": True, "max_instances": 1},
            timezone="UTC",
        )

    def start(self) -> None:
        """The ports first: if one is taken, nothing else has begun. What comes in waits in the store.

        Raises:
            ConfigError: a port cannot be listened on (another gateway may be running), or the window would lie open.
        """
        if self.config.web.enabled:
            self._open_window()
        if self.scp is not None:
            self._open_door("dicom_scp", self.config.dicom_scp, self.scp)
        if self.feed is not None:
            self._open_door("hl7_feed", self.config.hl7_feed, self.feed)
        self._end_dead_leases()  # of a gateway that was killed here: nobody waits for what it held
        self._workers.check()
        if self._window is not None:
            self._window.check()
            self._every(SUPERVISE_S, self._window.check, "window")
        for loop in self._loops:
            loop.start()
        self._peers.start()
        self._every(SUPERVISE_S, self._look_after_workers, "workers")
        for inbox in self._inboxes:
            self._every(inbox.settings.poll_s, inbox.poll, f"inbox {inbox.settings.name}")
        self._every(FORGET_S, self._forget, "forget")  # also where the feed is closed by now
        self._sign()
        self._every(SIGN_S, self._sign, "audit")
        if self.config.notify.webhook_url or self.config.notify.smtp_host:
            self._every(NOTICE_S, lambda: self._notices.look(self._audit_fault), "notices")
        self._every(RETAIN_S, self._erase_old, "retention")
        self._scheduler.start()

    def stop(self) -> None:
        """Doors first, then the loops, then the workers; a page in work is finished, or given back and done again."""
        for door in (self.scp, self.feed):
            if door is not None:
                door.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self._peers.stop()
        stop_all(self._loops)
        if self._window is not None:
            self._window.stop(STOP_S)
        self._end_dead_leases()  # a worker that died alone just before counts as such; those killed below do not
        self._workers.stop(STOP_S)
        if self._listener is not None:
            self._listener.close()
        self._sign()
        self.store.close()

    def _open_window(self) -> None:
        """The socket is the gateway's: it outlives a process that dies, and who comes meanwhile waits a moment."""
        from gateway.web.listener import open_listener

        self._listener = open_listener(self.config.web)
        work = partial(run_window, self.config, os.getpid(), self._listener)
        self._window = Supervisor(1, work, name="window")

    @staticmethod
    def _open_door(name: str, settings: DicomScpSection | Hl7FeedSection, door: DicomScp | Hl7Feed) -> None:
        try:
            door.start()
        except OSError as error:
            raise ConfigError(
                f"{name}: {settings.host}:{settings.port} cannot be listened on ({error.strerror}); is another "
                "gateway running, or the port below 1024?"
            ) from error

    def _look_after_workers(self) -> None:
        """Tells the service manager each time that this is still done: silence means that the gateway hangs."""
        self._workers.check()
        notify("WATCHDOG=1")

    def _end_dead_leases(self) -> None:
        try:
            ended = self.store.end_dead_leases(self._workers.pids)
        except (GatewayError, OSError) as error:
            log.warning("leases of dead processes run out by themselves: %s", error)
        else:
            if ended:
                log.info("%d leases of dead processes ended", ended)

    def _forget(self) -> None:
        try:
            forgotten = self.store.expire_patients(self.config.hl7_feed.keep_days)
        except GatewayError as error:
            log.warning("nothing was forgotten, the next try is in an hour: %s", error)
        else:
            if forgotten.patients or forgotten.orders:
                log.info("%d patients and %d orders forgotten", forgotten.patients, forgotten.orders)

    def _sign(self) -> None:
        """A checkpoint of the audit where one is due. What it contradicts is told: pages go on, a person must look."""
        try:
            self._checkpoints.write_when_due()
            self._audit_fault = ""
        except AuditBroken as error:
            self._audit_fault = f"the audit is not what it was: {error}"
            log.error("the audit is not what it was: %s", error)
        except GatewayError as error:
            self._audit_fault = f"the audit is not signed: {error}"
            log.warning("no checkpoint of the audit, the next try is in a minute: %s", error)

    def _erase_old(self) -> None:
        try:
            erased = self.store.erase_old(self.config.retention)
        except (GatewayError, OSError) as error:
            log.warning("nothing more was erased, the next try is in ten minutes: %s", error)
        else:
            if erased:
                words = "%d pages, %d documents and %d audit entries were old enough and are erased"
                log.info(words, erased.pages, erased.documents, erased.entries)

    def run(self) -> None:
        """Tells what `check` finds wrong; then start(), wait for SIGTERM or SIGINT, stop()."""
        for problem in check_config(self.config):
            log.warning("configuration: %s", problem)
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        try:
            self.start()
            log.info("the gateway is up")
            notify("READY=1")
            stopping.wait()
            notify("STOPPING=1")
        finally:
            self.stop()

    @property
    def web_port(self) -> int | None:
        """The port of the window, None where it is not open."""
        return None if self._listener is None else int(self._listener.getsockname()[1])

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the live workers."""
        return self._workers.pids

    def _every(self, seconds: float, work: Callable[[], object], name: str) -> None:
        self._scheduler.add_job(work, "interval", seconds=seconds, name=name)
