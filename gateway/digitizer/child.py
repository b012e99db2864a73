"""Reads one file and ends. Run as ``python -m gateway.digitizer.child``.

The request comes on standard input, the answer goes to standard output.
The file is decoded in a sandbox of this process's own. The recordings go back; nothing is written anywhere.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import TracebackType

from gateway.digitizer.load import load_digitizer
from gateway.digitizer.protocol import Answer, Fault, FileMessage, PageMessage, Request
from gateway.errors import Refused, TryAgain
from gateway.job import Arrival, Door
from gateway.process import end_with_parent
from gateway.review import Digitize
from gateway.safe_traceback import frames_of
from gateway.unpack import Unpacked, unpack


def read_file(request: Request) -> Answer:
    """Every page of a file as a worker would read it, or why there is none."""
    try:
        unpacked = unpack(Path(request.path), Arrival(Door.WEB, ""), request.limits, request.identity)
        if unpacked.page_count > request.pages_max:
            why = f"The document has {unpacked.page_count} pages, and at most {request.pages_max} are read here."
            return Answer(answer=Fault(again=False, code="too_many_pages", why=why))
        digitizer = load_digitizer(request.pipeline)
        numbers = range(1, unpacked.page_count + 1)
        pages = tuple(
            _read(number, unpacked, digitizer.digitize, request.pipeline.confidence_min) for number in numbers
        )
    except (Refused, TryAgain) as error:
        return Answer(answer=Fault(again=isinstance(error, TryAgain), code=error.code, why=error.why))
    return Answer(answer=FileMessage(order=unpacked.order.to_dict(), pages=pages))


def _read(number: int, unpacked: Unpacked, digitize: Digitize, confidence_min: float) -> PageMessage:
    """One page. Raises TryAgain."""
    from gateway.disposition.read_page import read_page

    page = read_page(number, unpacked, digitize, confidence_min).result
    return PageMessage(
        number=number,
        verdict=page.verdict,
        code=page.code,
        why=page.why,
        summary=page.summary,
        recording_npz=page.recording_npz,
    )


def _tell(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    print(frames_of(error), file=sys.stderr)


def main() -> None:
    sys.excepthook = _tell  # an exception's own words may quote a patient
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who asked decides
    end_with_parent()
    request = Request.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(read_file(request).model_dump_json().encode())


if __name__ == "__main__":
    main()
