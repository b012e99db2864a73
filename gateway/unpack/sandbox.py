"""A process for the decoders: where a page kills or hangs it, the page is refused and a new process started."""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from gateway.config import IdentitySection, LimitsSection
from gateway.errors import CodedError, Refused, TryAgain
from gateway.identity.order import Order
from gateway.unpack.document import Unpacked
from gateway.unpack.media import MediaType
from gateway.unpack.protocol import Answer, Decoded, Fault, Opened, Request
from pipeline.recording import Page

PAGE_WITHIN_S = 120.0  # a page takes a second; a busy machine may be fifty times slower
DOCUMENTS_MAX = 500  # then a fresh child: the libraries' own leaks end here
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # decoding uses one, and each reserves memory
READ_BYTES = 1 << 16
COMMAND = (sys.executable, "-m", "gateway.unpack.child")

# How a page ends its decoder by itself.
PAGES_DOING = (
    signal.SIGABRT,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGSYS,
    signal.SIGXCPU,
)
# A decoder that is killed may have been so by chance: the operating system, out of memory, picks a process. Twice over
# one page is the page's doing, and would go on for ever: its job is given back without a count.
KILLS_MAX = 2
SLOW_PAGES_MAX = 2  # of one document; of more, fifty pages made to be slow would keep others waiting for hours


# Starts every child: one ends with the thread that started it (gateway.unpack.child), and this one stays.
_starter = ThreadPoolExecutor(1, "decoder-starter")


class Child:
    """A running ``gateway.unpack.child`` and the two pipes to it."""

    def __init__(self) -> None:
        # Its standard error is thrown away: C libraries' remarks on damaged input, and now and then a patient's name.
        self._process = _starter.submit(
            subprocess.Popen,
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            bufsize=0,
        ).result()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._read = bytearray()  # beyond the last line

    def line(self, request: bytes, within_s: float) -> bytes:
        """Sends a request, b"" for none, and returns the answer's line. EOFError (the child is gone), TimeoutError."""
        deadline = time.monotonic() + within_s
        try:
            self._stdin.write(request)
        except BrokenPipeError:
            raise EOFError from None
        while b"\n" not in self._read:
            self._wait(deadline)
            more = os.read(self._stdout.fileno(), READ_BYTES)
            if not more:
                raise EOFError
            self._read += more
        line, _, rest = self._read.partition(b"\n")
        self._read = rest
        return bytes(line)

    def fill(self, view: memoryview, within_s: float) -> None:
        """Reads pixels until the view is full. EOFError, TimeoutError."""
        deadline = time.monotonic() + within_s
        have = min(len(self._read), len(view))
        view[:have] = self._read[:have]
        del self._read[:have]
        while have < len(view):
            self._wait(deadline)
            more = os.readv(self._stdout.fileno(), [view[have:]])
            if not more:
                raise EOFError
            have += more

    def end(self) -> int:
        """Ends the child and returns its status, its own where it had ended by itself."""
        self._stdin.close()
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._stdout.close()
        return status

    def _wait(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._stdout], [], [], left)[0]:
            raise TimeoutError


class Decoder:
    """Asks one thing of a child at a time; starts it with the first, and anew after it died."""

    def __init__(self, page_within_s: float = PAGE_WITHIN_S) -> None:
        self._page_within_s = page_within_s
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._documents = 0

    def open(self, path: Path, order: Order | None, limits: LimitsSection, identity: IdentitySection) -> Unpacked:
        """Raises Refused, OSError and TryAgain; so does reading a page of what it returns."""
        stated = None if order is None else order.to_dict()
        request = Request(path=str(path.absolute()), order=stated, limits=limits, identity=identity)
        with self._lock:
            if self._documents >= DOCUMENTS_MAX:
                self._stop()
            self._documents += 1
            answer, _ = self._ask(request)
        if not isinstance(answer, Opened):
            raise TypeError("the decoder answered with a page where none was asked for")
        opened = Order.from_dict(dict(answer.order))
        slow: list[int] = []
        return Unpacked(MediaType(answer.media_type), opened, answer.page_count, partial(self._page, request, slow))

    def close(self) -> None:
        """Ends the child."""
        with self._lock:
            self._stop()

    def _page(self, request: Request, slow: list[int], number: int) -> Page:
        """A page of a document, of which these were too slow before. Raises Refused, OSError and TryAgain."""
        if len(slow) >= SLOW_PAGES_MAX:
            took = f"Decoding of {SLOW_PAGES_MAX} pages of this document took longer than {self._page_within_s:.0f}"
            raise Refused("too_slow", f"{took} seconds each; this one was not tried.")
        with self._lock:
            try:
                answer, page = self._ask(request.model_copy(update={"page": number}))
            except Refused as error:
                slow += [number] if error.code == "too_slow" else []
                raise
        if page is None:
            raise TypeError(f"the decoder answered with {answer.kind} where a page was asked for")
        return page

    def _ask(self, request: Request) -> tuple[Opened | Decoded, Page | None]:
        """One request, again where the decoder was killed over it. Raises Refused, OSError and TryAgain."""
        for kills in range(1, KILLS_MAX + 1):
            try:
                return self._ask_once(request)
            except EOFError:
                status = self._stop()
                if status != -signal.SIGKILL or kills == KILLS_MAX:
                    raise _death(status) from None
        raise AssertionError("the loop ends by return or raise")

    def _ask_once(self, request: Request) -> tuple[Opened | Decoded, Page | None]:
        """Raises Refused, OSError, and EOFError where the child is gone."""
        if self._child is None:
            self._child = _started(self._page_within_s)
        try:
            line = self._child.line(request.model_dump_json().encode() + b"\n", self._page_within_s)
            answer = Answer.model_validate_json(line).answer
            page = None
            if isinstance(answer, Decoded):
                page = Page(np.empty((answer.rows, answer.columns, 3), np.uint8), answer.dpi, answer.findings)
                self._child.fill(page.image.data.cast("B"), self._page_within_s)
        except TimeoutError:
            self._stop()
            raise Refused("too_slow", f"Decoding took longer than {self._page_within_s:.0f} seconds.") from None
        except ValueError:  # pydantic's, with the answer in it: a decoder that babbles is as good as dead
            self._stop()
            raise Refused("decoder_failed", "The decoder's answer to this file was not understood.") from None
        if isinstance(answer, Fault):
            if answer.kind == "os_error":
                raise OSError(int(answer.code), answer.why)
            raise Refused(answer.code, answer.why)
        return answer, page

    def _stop(self) -> int:
        status = self._child.end() if self._child is not None else 0
        self._child, self._documents = None, 0
        return status


def _started(within_s: float) -> Child:
    """A child that has loaded its libraries and waits. TryAgain where it does not come that far: no page did that."""
    child = Child()
    try:
        child.line(b"", within_s)
    except (EOFError, TimeoutError):
        status = child.end()
        raise TryAgain("decoder_ended", f"the decoder did not start, status {status}") from None
    return child


def _death(status: int) -> CodedError:
    """What the end of a decoder over a page says. Only a signal that no page causes is the world's doing."""
    if -status in PAGES_DOING:
        return Refused("damaged", f"The file crashed its decoder ({signal.Signals(-status).name}).")
    if status == -signal.SIGKILL:
        return Refused("decoder_failed", f"The decoder was killed {KILLS_MAX} times over this file: out of memory?")
    if status >= 0:
        return Refused("decoder_failed", f"The decoder gave up on this file with exit status {status}.")
    return TryAgain("decoder_ended", f"the decoder was stopped ({signal.Signals(-status).name})")


@lru_cache(maxsize=1)
def decoder() -> Decoder:
    """This process's decoder."""
    new = Decoder()
    atexit.register(new.close)
    return new
