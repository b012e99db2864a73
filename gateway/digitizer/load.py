"""Loads the digitizer: the only place of the gateway that knows pipeline.digitize and pipeline.pool."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.config import PipelineSection
from gateway.review import NO_CORRECTION, Digitize
from pipeline.recording import Correction, Page, Recording


@dataclass(frozen=True)
class LoadedDigitizer:
    """The digitizer with its networks loaded, and what made it."""

    digitize: Digitize
    made_by: str


DEFAULTS = PipelineSection()  # of a command that reads no configuration


def load_digitizer(settings: PipelineSection = DEFAULTS) -> LoadedDigitizer:
    """Loads torch and the networks: seconds and hundreds of megabytes, so no door ever calls it.

    Raises DeviceError where the device is not there, and WeightsError where weights are not the manifest's.
    """
    import torch

    from gateway.emit.npz import made_by_json
    from pipeline.digitize import Digitizer

    if settings.threads:
        torch.set_num_threads(settings.threads)
    digitizer = Digitizer(settings.device, page_seconds_max=settings.page_seconds_max, sure_from=settings.sure_from)
    return LoadedDigitizer(digitizer.digitize, made_by_json(digitizer.made_by))


def ending_when_stuck(digitize: Digitize, seconds: float) -> Digitize:
    """The same digitizer, whose process ends with status 1 when a page takes so many seconds.

    The clock runs in C: where a library hangs no Python runs any more. The log shows where each thread stood.
    """

    def watched(page: Page, correction: Correction = NO_CORRECTION, /) -> Recording:
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            return digitize(page, correction)
        finally:
            faulthandler.cancel_dump_traceback_later()

    return watched


@contextmanager
def load_digitizers(processes: int) -> Iterator[LoadedDigitizer]:
    """A LoadedDigitizer of several processes, which as many threads may ask at a time; one process is this one.

    Raises as load_digitizer, and LostError where one of the processes is killed.
    """
    if processes == 1:
        yield load_digitizer()
        return
    from gateway.emit.npz import made_by_json
    from pipeline.pool import DigitizerPool

    with DigitizerPool(processes, sure_from=DEFAULTS.sure_from) as pool:
        yield LoadedDigitizer(pool.digitize, made_by_json(pool.made_by))
