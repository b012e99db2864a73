"""Pages and files decoded for the window, by several decoders: one that hangs holds up only who asks for it."""

from __future__ import annotations

import atexit
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.config import Config
from gateway.errors import NotFound, Refused
from gateway.job import Arrival
from gateway.store import Store
from gateway.unpack import Decoder
from pipeline.recording import Page

WITHIN_S = 20.0  # a person waits and holds a place; a worker, for whom nobody waits, gives a page six times as long
REFUSED_FOR_S = 180.0  # then the page is tried again: it may have been the machine that was slow
REFUSED_MAX = 1000  # pages that are remembered as refused

_Page = tuple[str, int]  # SHA-256 of the document as it came, and the page's number
WHOLE = 0  # instead of a page's number: the document, looked at as it is handed in


class Decoding:
    """As many decoders as work at once, each started when all others are busy, and the refusals of the last minutes."""

    def __init__(self, within_s: float = WITHIN_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._within_s = within_s
        self._clock = clock
        self._lock = threading.Lock()
        self._all: list[Decoder] = []
        self._free: list[Decoder] = []
        self._refused: OrderedDict[_Page, tuple[float, Refused]] = OrderedDict()

    def page(self, config: Config, store: Store, job_id: str, number: int) -> Page:
        """A page of a job, decoded in a sandbox. Raises NotFound, Refused, TryAgain."""
        job = store.job(job_id)
        key = (job.sha256, number)
        self._check(key)
        try:
            with self._one() as decoder:
                unpacked = decoder.open(store.content(job), job.arrival.order, config.limits, config.identity)
                if number > unpacked.page_count:
                    raise NotFound(f"job {job_id} has no page {number}")
                return unpacked.read(number)
        except FileNotFoundError:
            raise NotFound("the received bytes are not in the data folder") from None
        except Refused as error:
            self._remember(key, error)
            raise

    def check(self, config: Config, path: Path, arrival: Arrival, sha256: str) -> None:
        """Opens a file that is handed in, and decodes its page where it has only one. Raises Refused, TryAgain."""
        self._check((sha256, WHOLE))
        try:
            with self._one() as decoder:
                unpacked = decoder.open(path, arrival.order, config.limits, config.identity)
                if unpacked.page_count == 1:  # of several one may be damaged: the worker holds them for a person
                    unpacked.read(1)
        except Refused as error:
            self._remember((sha256, WHOLE), error)
            raise

    def report(self, config: Config, path: Path) -> Page:
        """The first page of a PDF of our own making, as pixels. Raises Refused, TryAgain."""
        with self._one() as decoder:
            return decoder.open(path, None, config.limits, config.identity).read(1)

    def close(self) -> None:
        """Ends the decoders."""
        with self._lock:
            decoders, self._all, self._free = self._all, [], []
        for decoder in decoders:
            decoder.close()

    @contextmanager
    def _one(self) -> Iterator[Decoder]:
        """A decoder that nobody else asks meanwhile; the one used last, so that no more run than are needed."""
        with self._lock:
            if not self._free:
                self._free.append(Decoder(self._within_s))
                self._all.append(self._free[-1])
            decoder = self._free.pop()
        try:
            yield decoder
        finally:
            with self._lock:
                self._free.append(decoder)

    def _check(self, key: _Page) -> None:
        """Raises Refused where this page was refused just now."""
        with self._lock:
            until, error = self._refused.get(key, (0.0, None))
            if error is not None and self._clock() < until:
                raise Refused(error.code, error.why)

    def _remember(self, key: _Page, error: Refused) -> None:
        with self._lock:
            self._refused[key] = (self._clock() + REFUSED_FOR_S, error)
            self._refused.move_to_end(key)
            while len(self._refused) > REFUSED_MAX:
                self._refused.popitem(last=False)


decoding = Decoding()
atexit.register(decoding.close)
