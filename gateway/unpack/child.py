"""The sandbox's child: decodes what its parent asks for, until the parent hangs up.

Run as ``python -m gateway.unpack.child``, requests on standard input, answers on standard output; an empty line first
says that everything is loaded.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.process import end_with_parent
from gateway.unpack.document import Unpacked
from gateway.unpack.opening import open_document
from gateway.unpack.protocol import Answer, Decoded, Fault, Opened, Request
from pipeline.recording import Page

# Of a page: up to four bytes a pixel as Pillow holds it, three as a page, and the library's own copy of some rows.
BYTES_PER_PIXEL = 8
# Interpreter, libraries, and a document of the largest size a door takes.
BASE_BYTES = 450_000_000
# The sandbox's parent watches the clock; this is for a child whose parent was killed while it hung, where the system
# cannot be asked to end it then.
CPU_MAX_S = 300


def restrict(request: Request) -> None:
    """Bounds what decoding may take of this machine; nothing here needs to write a file, or to dump one."""
    memory = BASE_BYTES + int(request.limits.pixels_max_megapixels * 1e6 * BYTES_PER_PIXEL)
    used_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_SELF).ru_stime
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, int(used_s) + CPU_MAX_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


class Child:
    """Keeps the last document open, so that its pages are not searched for from the start each time."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._opened: tuple[Request, Unpacked] | None = None

    def serve(self, line: bytes) -> None:
        request = Request.model_validate_json(line)
        restrict(request)
        try:
            if request.page == 0:
                self._opened = None  # the file of this name may be another by now
            document = self._document(request.model_copy(update={"page": 0}))
            if request.page == 0:
                media, count, order = document.media_type, document.page_count, document.order
                self._say(Opened(media_type=media, page_count=count, order=order.to_dict()))
                return
            page = document.read(request.page)
        except Refused as error:
            self._say(Fault(kind="refused", code=error.code, why=error.why))
        except OSError as error:
            self._say(Fault(kind="os_error", code=str(error.errno or 0), why=error.strerror or ""))
        else:
            self._send(page)

    def _document(self, request: Request) -> Unpacked:
        if self._opened is None or self._opened[0] != request:
            order = None if request.order is None else Order.from_dict(dict(request.order))
            self._opened = None
            self._opened = (request, open_document(Path(request.path), order, request.limits, request.identity))
        return self._opened[1]

    def _send(self, page: Page) -> None:
        rows, columns, _ = page.image.shape
        self._say(Decoded(rows=rows, columns=columns, dpi=page.dpi, findings=page.findings))
        self._answers.write(page.image.data.cast("B"))
        self._answers.flush()

    def _say(self, answer: Opened | Decoded | Fault) -> None:
        self._answers.write(Answer(answer=answer).model_dump_json().encode() + b"\n")
        self._answers.flush()


def main() -> None:
    # A stop of the whole gateway reaches this process too; the parent ends it when the page in work is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()
    child = Child(sys.stdout.buffer)
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        child.serve(line)


if __name__ == "__main__":
    main()
