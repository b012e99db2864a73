"""Whose ECG a page may be: worklists, feeds and earlier ECGs, all asked with what a person typed into one box."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import APIRouter, Query

from gateway.errors import TryAgain
from gateway.web.api import models, shapes
from gateway.web.api.asking import PROBLEMS, Reviewer, TheConfig, TheStore
from gateway.web.api.looks import looks
from gateway.web.api.places import of_this_loop

if TYPE_CHECKING:
    from gateway.orders.search import Found

router = APIRouter(prefix="/api/v1", tags=["review"], responses=PROBLEMS)

PLACES = 8  # people who search while a worklist hangs, each for its timeout_s
WAIT_S = 10.0
_places: RunVar[CapacityLimiter] = RunVar("orders_places")
_threads: RunVar[CapacityLimiter] = RunVar("orders_threads")  # none of those that answer everything else


@router.get("/orders")
async def orders(
    who: Reviewer,
    store: TheStore,
    config: TheConfig,
    q: Annotated[str, Query(min_length=1, max_length=200, description="A number, or how a name begins")],
) -> models.OrderList:
    """Orders and patients known to the configured worklists and feeds, and from earlier ECGs; the likeliest first.

    It names patients, so who asked, whom of and which jobs were told is written down.
    """

    def asked() -> Found:
        from gateway.orders.search import search  # pynetdicom: a second, for who says whose a page is

        found = search(config.worklist, store, q, datetime.now().astimezone())
        looks.write_down_list(
            store,
            who.name,
            "orders and patients",
            _in_words(found),
            found.job_ids,
            question=(q,),
            rows=len(found.matches),
        )
        return found

    found = await _in_a_place(asked)
    return models.OrderList(
        items=[
            models.OrderMatch(
                order=shapes.order_of(match.order),
                told_by=[models.TellerModel(source=teller.source.value, name=teller.name) for teller in match.told_by],
                at=match.at,
                what=match.what,
            )
            for match in found.matches
        ],
        unanswered=[models.UnansweredModel(**vars(each)) for each in found.unanswered],
    )


def _in_words(found: Found) -> str:
    """The question as the audit tells it, and how many orders that no job is behind each teller showed."""
    told = Counter(f"{each.source} {each.name}" for match in found.matches for each in match.told_by if each.name)
    return ", ".join(["words given", *(f"{count} of {teller}" for teller, count in sorted(told.items()))])


async def _in_a_place(work: Callable[[], Found]) -> Found:
    """Asks in a thread of its own, once a place is free; TryAgain where none is within WAIT_S."""
    places, place = of_this_loop(_places, PLACES), object()
    try:
        with anyio.fail_after(WAIT_S):
            await places.acquire_on_behalf_of(place)
    except TimeoutError:
        raise TryAgain("worklists_busy", "Others wait for a worklist right now; try again in a moment.") from None
    try:
        return await to_thread.run_sync(work, limiter=of_this_loop(_threads, math.inf))
    finally:
        places.release_on_behalf_of(place)
