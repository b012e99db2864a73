"""Has a file read by a process of its own, and ends that process whatever comes."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config
from gateway.digitizer.protocol import Answer, Fault, FileMessage, Request
from gateway.errors import GatewayError, Refused, TryAgain
from gateway.identity.order import Order
from gateway.job import PageResult

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "gateway.digitizer.child")
WITHIN_S = 180.0  # loading takes seconds, a page some more; a busy machine may be ten times slower, and a person waits
PAGES_MAX = 5  # of a document, so that they are done by then


@dataclass(frozen=True, eq=False)
class FileRead:
    """What a file holds. order: as the file itself says it."""

    order: Order
    pages: tuple[PageResult, ...]


class FileReaders:
    """The processes that read a file right now. Each holds a gigabyte: how many there are is for who asks to bound."""

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def read(self, config: Config, path: Path) -> FileRead:
        """Reads every page of a file. The thread that asks must live until it is answered.

        Raises:
            Refused: the file cannot be read, or has more than PAGES_MAX pages.
            TryAgain: it took too long, or the process was ended from outside.
            GatewayError: the process failed by our own fault; the log says where.
        """
        request = Request(
            path=str(path.absolute()),
            pages_max=PAGES_MAX,
            limits=config.limits,
            identity=config.identity,
            pipeline=config.pipeline,
        )
        answer = self._ask(request)
        if isinstance(answer, Fault):
            raise (TryAgain if answer.again else Refused)(answer.code, answer.why)
        pages = tuple(
            PageResult(page.number, page.verdict, page.code, page.why, page.summary, page.recording_npz)
            for page in answer.pages
        )
        return FileRead(Order.from_dict(dict(answer.order)), pages)

    def close(self) -> None:
        """Ends those that read, and starts no other: nobody waits for a page any more."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()

    def _ask(self, request: Request) -> FileMessage | Fault:
        with self._lock:
            if self._closed:
                raise TryAgain("stopping", "The gateway is stopping.")
            process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._running.add(process)
        with process:
            try:
                output, _ = process.communicate(request.model_dump_json().encode(), self._within_s)
            except subprocess.TimeoutExpired:
                why = f"Reading this file took longer than {self._within_s:.0f} seconds and was given up."
                raise TryAgain("too_slow", why) from None
            finally:
                with self._lock:
                    self._running.discard(process)
                process.kill()
        if process.returncode < 0:
            why = "The process that read this file was ended before it was done; is there enough memory?"
            raise TryAgain("reading_ended", why)
        if process.returncode > 0:
            log.error("a file was not read: its process ended with status %d", process.returncode)
            raise GatewayError("the process that read a file failed")
        try:
            return Answer.model_validate_json(output).answer
        except ValueError:  # pydantic's, with the answer in it
            log.error("a file was not read: its process babbles")
            raise GatewayError("the process that read a file babbles") from None


file_readers = FileReaders()
