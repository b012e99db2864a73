"""A few places for work on pictures, one to a job: a page that hangs its decoder holds up its own job's pictures only.

And never a sign-in or a worklist.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar
from weakref import WeakValueDictionary

import anyio
from anyio import CapacityLimiter, Lock, to_thread
from anyio.lowlevel import RunVar

from gateway.errors import TryAgain

Made = TypeVar("Made")

PLACES = min(4, max(2, os.cpu_count() or 1))  # beside a page that hangs another is drawn; each may fill a gigabyte
WAIT_S = 10.0  # a page takes a second; who waits longer is told to come again, and no thread waits with them

# These belong to an event loop. _threads: a thread for each place, none of those that answer everything else.
_places: RunVar[CapacityLimiter] = RunVar("places")
_threads: RunVar[CapacityLimiter] = RunVar("threads")
_turns: RunVar[WeakValueDictionary[str, Lock]] = RunVar("turns")  # one for each job that somebody asks about


async def in_a_place(job_id: str, work: Callable[[], Made]) -> Made:
    """Does picture work on a job in a thread of its own, once nothing else is done on that job and a place is free.

    TryAgain where that is not within WAIT_S.
    """
    turn = _turn_of(job_id)
    places = of_this_loop(_places, PLACES)
    place = object()  # one task may ask twice
    async with AsyncExitStack() as held:
        try:
            with anyio.fail_after(WAIT_S):
                await held.enter_async_context(turn)
                await places.acquire_on_behalf_of(place)
                held.callback(places.release_on_behalf_of, place)
        except TimeoutError:
            raise TryAgain("pictures_busy", "Other pages are being drawn right now; try again in a moment.") from None
        return await to_thread.run_sync(work, limiter=of_this_loop(_threads, math.inf))


def _turn_of(job_id: str) -> Lock:
    try:
        turns = _turns.get()
    except LookupError:
        turns = WeakValueDictionary()
        _turns.set(turns)
    return turns.setdefault(job_id, Lock())


def of_this_loop(variable: RunVar[CapacityLimiter], most: float) -> CapacityLimiter:
    """The limiter of the running event loop, made where it has none."""
    try:
        return variable.get()
    except LookupError:
        limiter = CapacityLimiter(most)
        variable.set(limiter)
        return limiter
