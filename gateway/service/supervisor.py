"""Keeps the gateway's processes running: a dead one is replaced, one that cannot start is tried ever more rarely."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

log = logging.getLogger(__name__)

WAIT_FIRST_S, WAIT_MAX_S = 1.0, 60.0  # between a death and the next start; doubles while the deaths follow one another
SETTLED_S = 60.0  # a worker that lived this long had started well: the wait begins anew


@dataclass(eq=False)
class _Post:
    """One process's place: who holds it, since when, and how long to wait when it falls vacant."""

    process: BaseProcess
    started: float
    wait_s: float = WAIT_FIRST_S
    vacant_since: float | None = None


class Supervisor:
    """So many processes of one function, which takes its number. look() is called every second or so.

    on_death: called once for each that died, before it is replaced.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        name: str = "worker",
        on_death: Callable[[], object] = lambda: None,
    ) -> None:
        self.count = count
        self.name = name
        self.work = work
        self.clock = clock
        self.on_death = on_death
        self._context = multiprocessing.get_context("spawn")  # fork would copy open sockets and database handles
        self._posts: dict[int, _Post] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of those that live."""
        return tuple(p.process.pid for p in self._posts.values() if p.process.pid is not None and p.process.is_alive())

    def check(self) -> None:
        """Starts who is missing and due."""
        for number in range(self.count):
            post = self._posts.get(number)
            if post is None:
                self._posts[number] = _Post(self._start(number), self.clock())
            elif not post.process.is_alive():
                self._replace(number, post)

    def stop(self, within_s: float) -> None:
        """SIGTERM to all; SIGKILL to whoever is left after within_s."""
        for post in self._posts.values():
            post.process.terminate()
        deadline = self.clock() + within_s
        for post in self._posts.values():
            post.process.join(max(0.1, deadline - self.clock()))
            if post.process.is_alive():
                post.process.kill()
                post.process.join()
        self._posts.clear()

    def _replace(self, number: int, post: _Post) -> None:
        now = self.clock()
        if post.vacant_since is None:
            post.vacant_since = now
            post.wait_s = WAIT_FIRST_S if now - post.started > SETTLED_S else post.wait_s
            died = post.process.exitcode
            log.error("%s %d died (exit code %s); next in %g s", self.name, number, died, post.wait_s)
            self.on_death()
        if now - post.vacant_since >= post.wait_s:
            self._posts[number] = _Post(self._start(number), now, min(2 * post.wait_s, WAIT_MAX_S))

    def _start(self, number: int) -> BaseProcess:
        # daemon: should the gateway fall over, the interpreter's exit ends them instead of waiting for them for ever
        process = self._context.Process(target=self.work, args=(number,), name=f"{self.name}-{number}", daemon=True)
        process.start()
        return process
