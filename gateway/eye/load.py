"""Loads the digitizer: the only place of the gateway that knows pipeline.digitize and pipeline.pool."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.review import NOTHING_GIVEN, Digitize
from pipeline.recording import Given, Page, Recording


@dataclass(frozen=True)
class Eye:
    """The digitizer with its networks loaded, and what made it."""

    digitize: Digitize
    made_by: str


def open_eye(threads: int = 0, device: str = "auto", page_seconds_max: float | None = None) -> Eye:
    """Loads torch and the networks: seconds and hundreds of megabytes, so no door ever calls it.

    page_seconds_max: None for the digitizer's own bound. Raises DeviceError where the device is not there, and
    WeightsError where weights are not the manifest's.
    """
    import torch

    from gateway.emit.npz import made_by_json
    from pipeline.deadline import PAGE_SECONDS_MAX
    from pipeline.digitize import Digitizer

    if threads:
        torch.set_num_threads(threads)
    digitizer = Digitizer(device, page_seconds_max=page_seconds_max or PAGE_SECONDS_MAX)
    return Eye(digitizer.digitize, made_by_json(digitizer.made_by))


def ending_when_stuck(digitize: Digitize, seconds: float) -> Digitize:
    """The same digitizer, whose process ends with status 1 when a page takes so many seconds.

    The clock runs in C: where a library hangs no Python runs any more. The log shows where each thread stood.
    """

    def watched(page: Page, given: Given = NOTHING_GIVEN, /) -> Recording:
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            return digitize(page, given)
        finally:
            faulthandler.cancel_dump_traceback_later()

    return watched


@contextmanager
def open_eyes(processes: int, device: str = "auto") -> Iterator[Eye]:
    """An Eye of several processes, through which as many threads may look at a time; one process is this one.

    Raises as open_eye, and LostError where one of the processes is killed.
    """
    if processes == 1:
        yield open_eye(device=device)
        return
    from gateway.emit.npz import made_by_json
    from pipeline.pool import DigitizerPool

    with DigitizerPool(processes, device) as pool:
        yield Eye(pool.digitize, made_by_json(pool.made_by))
