"""A few places for work on pictures, one to a job, and a few to look at files handed in, one to who hands them in.

One more is for a file that is digitized and not kept.

A page that hangs its decoder so holds up its own job's pictures only, a file its own sender's, and neither ever a
sign-in or a worklist.
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
UPLOAD_PLACES = 2
UPLOAD_WAIT_S = 30.0  # a file that has come all the way is not sent away for one page that hangs

EYES = 1  # files read by networks of their own: a gigabyte each, and the cores that the workers need
EYE_WAIT_S = 10.0

# These belong to an event loop. _threads: a thread for each place, none of those that answer everything else.
_places: RunVar[CapacityLimiter] = RunVar("places")
_uploads: RunVar[CapacityLimiter] = RunVar("upload_places")
_digitizing: RunVar[CapacityLimiter] = RunVar("eyes")
_threads: RunVar[CapacityLimiter] = RunVar("threads")
_turns: RunVar[WeakValueDictionary[str, Lock]] = RunVar("turns")  # one for each job asked about, and each sender


async def in_a_place(job_id: str, work: Callable[[], Made]) -> Made:
    """Does picture work on a job in a thread of its own, once nothing else is done on that job and a place is free.

    TryAgain where that is not within WAIT_S.
    """
    busy = TryAgain("pictures_busy", "Other pages are being drawn right now; try again in a moment.")
    return await _in_a_place(job_id, of_this_loop(_places, PLACES), WAIT_S, busy, work)


async def in_an_upload_place(user: str, work: Callable[[], Made]) -> Made:
    """Looks at a file that somebody handed in, in the same way. TryAgain where no place is free in UPLOAD_WAIT_S."""
    busy = TryAgain("uploads_busy", "Other files are being looked at right now; send this one again in a moment.")
    return await _in_a_place(f"from {user}", of_this_loop(_uploads, UPLOAD_PLACES), UPLOAD_WAIT_S, busy, work)


async def in_a_digitizer_place(user: str, work: Callable[[], Made]) -> Made:
    """Has a file digitized that is only looked at, in the same way. TryAgain where no place is free in EYE_WAIT_S."""
    busy = TryAgain("eyes_busy", "Another file is being read right now; try again in a moment.")
    return await _in_a_place(f"read for {user}", of_this_loop(_digitizing, EYES), EYE_WAIT_S, busy, work)


async def _in_a_place(
    whose: str, places: CapacityLimiter, wait_s: float, busy: TryAgain, work: Callable[[], Made]
) -> Made:
    turn = _turn_of(whose)
    place = object()  # one task may ask twice
    async with AsyncExitStack() as stack:
        try:
            with anyio.fail_after(wait_s):
                await stack.enter_async_context(turn)
                await places.acquire_on_behalf_of(place)
                stack.callback(places.release_on_behalf_of, place)
        except TimeoutError:
            raise busy from None
        return await to_thread.run_sync(work, limiter=of_this_loop(_threads, math.inf))


def _turn_of(whose: str) -> Lock:
    try:
        turns = _turns.get()
    except LookupError:
        turns = WeakValueDictionary()
        _turns.set(turns)
    return turns.setdefault(whose, Lock())


def of_this_loop(variable: RunVar[CapacityLimiter], most: float) -> CapacityLimiter:
    """The limiter of the running event loop, made where it has none."""
    try:
        return variable.get()
    except LookupError:
        limiter = CapacityLimiter(most)
        variable.set(limiter)
        return limiter
