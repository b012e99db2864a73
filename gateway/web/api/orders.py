"""Whose ECG a page may be: worklists, feeds and earlier ECGs, all asked with what a person typed into one box."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import APIRouter, Query

from gateway.config import Config
from gateway.errors import TryAgain
from gateway.identity.order import Patient
from gateway.store import Store
from gateway.web.api import models, serializers
from gateway.web.api.access_log import accesses
from gateway.web.api.capacity import of_this_loop
from gateway.web.api.dependencies import PROBLEMS, Reviewer, TheConfig, TheStore
from gateway.web.deps import Principal

if TYPE_CHECKING:
    from gateway.patient_search.lookup import Lookup
    from gateway.patient_search.search import Found

T = TypeVar("T")

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

    def searched() -> Found:
        from gateway.patient_search.search import search  # pynetdicom: a second, for who says whose a page is

        found = search(config.worklist, store, q, datetime.now().astimezone())
        accesses.write_down_list(
            store,
            who.name,
            "orders and patients",
            _found_text(found),
            found.job_ids,
            question=(q,),
            rows=len(found.matches),
        )
        return found

    found = await in_a_place(searched)
    return models.OrderList(
        items=[
            models.OrderMatch(
                order=serializers.order_of(match.order),
                sources=[models.NamedSourceModel(source=each.source.value, name=each.name) for each in match.sources],
                at=match.at,
                what=match.what,
            )
            for match in found.matches
        ],
        unanswered=[models.UnansweredModel(**vars(each)) for each in found.unanswered],
    )


def _found_text(found: Found) -> str:
    """The question as the audit tells it, and how many orders that no job is behind each each showed."""
    counts = Counter(f"{each.source} {each.name}" for match in found.matches for each in match.sources if each.name)
    return ", ".join(["words given", *(f"{count} of {each}" for each, count in sorted(counts.items()))])


async def candidates_of(
    who: Principal, store: Store, config: Config, job_id: str, patient: Patient, changes: Mapping[str, str]
) -> Lookup:
    """What is known here of the patient whom a person says a job to be of; nothing where they say nothing of whom.

    It names patients, so it is written down as a search is.
    """
    from gateway.patient_search.lookup import (  # pynetdicom: a second, for who says whose a page is
        TOLD_KEYS,
        Lookup,
        find_candidates,
    )

    if not any(changes.get(key, "").strip() for key in TOLD_KEYS):
        return Lookup()

    def looked_up() -> Lookup:
        found = find_candidates(config.worklist, store, patient, datetime.now().astimezone(), job_id)
        accesses.write_down_list(
            store,
            who.name,
            "patients of an id",
            "id given",
            found.job_ids,
            question=(patient.patient_id,),
            rows=len(found.candidates),
        )
        return found

    return await in_a_place(looked_up)


async def in_a_place(work: Callable[[], T]) -> T:
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
