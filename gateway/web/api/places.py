"""A few places for work on pictures, so that a page that hangs its decoder never holds up a sign-in or a worklist."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from gateway.errors import TryAgain

Made = TypeVar("Made")

PLACES = max(2, os.cpu_count() or 1)  # two at least: beside a page that hangs, another can be drawn
WAIT_S = 10.0  # a page takes a second; who waits longer is told to come again, and no thread waits with them

# Limiters belong to an event loop. The second one: a thread for each place, none of those that answer everything else.
_places: RunVar[CapacityLimiter] = RunVar("places")
_threads: RunVar[CapacityLimiter] = RunVar("threads")


async def in_a_place(work: Callable[[], Made]) -> Made:
    """Does picture work in a thread of its own once a place is free. TryAgain where none is within WAIT_S."""
    places = _of_this_loop(_places, PLACES)
    place = object()  # one task may ask twice
    try:
        with anyio.fail_after(WAIT_S):
            await places.acquire_on_behalf_of(place)
    except TimeoutError:
        raise TryAgain("pictures_busy", "Other pages are being drawn right now; try again in a moment.") from None
    try:
        return await to_thread.run_sync(work, limiter=_of_this_loop(_threads, math.inf))
    finally:
        places.release_on_behalf_of(place)


def _of_this_loop(variable: RunVar[CapacityLimiter], most: float) -> CapacityLimiter:
    try:
        return variable.get()
    except LookupError:
        limiter = CapacityLimiter(most)
        variable.set(limiter)
        return limiter
