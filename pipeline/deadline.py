"""The time that a page may take. Stages look at it where they begin, and loops of unknown length at every turn."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic, process_time

from pipeline.errors import Unreadable
from pipeline.findings import UnreadableCode

PAGE_SECONDS_MAX = 60.0  # the default of pipeline.page_seconds_max, which says why


@dataclass(frozen=True)
class Deadline:
    """When the time is up: at, of the monotonic clock, and cpu_at, of this process's processor time, have both passed.

    On a busy machine a good page waits for a processor: wall time alone would refuse it. seconds: how long the page
    might take in all.
    """

    at: float
    cpu_at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """So many seconds from now."""
        return cls(monotonic() + seconds, process_time() + seconds, seconds)

    def check(self) -> None:
        """Raises Unreadable("took_too_long") when the time is up."""
        if monotonic() >= self.at and process_time() >= self.cpu_at:
            detail = f"the page was given up after {self.seconds:g} seconds"
            raise Unreadable(UnreadableCode.TOOK_TOO_LONG, detail)


NO_DEADLINE = Deadline(float("inf"), float("inf"), float("inf"))
