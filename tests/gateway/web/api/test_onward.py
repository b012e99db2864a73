"""What a person is told would become of a job before they decide is what then becomes of it."""

from __future__ import annotations

from collections.abc import Callable

from gateway.identity.order import Order
from gateway.job import State
from gateway.web.deps import Role
from tests.gateway.web.api.test_preview import RULES, SURE, UNSURE, approves, works
from tests.gateway.web.api.world import World
from tests.recordings import order

WHOSE = {"patient_id": "77", "name": "Meier, Hans", "birth_date": "13.04.1960", "acquired_at": "11.03.2025 04:29"}


def test_a_surely_read_page_is_told_to_go_once_it_is_known_whose_it_is_and_goes(
    make_world: Callable[..., World],
) -> None:
    world = make_world(**RULES)
    job_id = world.receive(whose=Order())
    works(world, SURE)
    before = world.store.reviews.revision(job_id)
    shown = world.post(f"/jobs/{job_id}/identify/preview", WHOSE)
    assert (shown["order"]["name"], shown["order"]["birth_date"]) == ("Meier^Hans", "19600413")
    assert (shown["onward"]["action"], shown["onward"]["destinations"]) == ("send", ["out"])
    assert (world.store.job(job_id).state, world.store.order(job_id)) == (State.HELD, Order())
    assert world.store.reviews.revision(job_id) == before
    world.post(f"/jobs/{job_id}/identify", WHOSE)
    works(world, SURE)
    assert world.store.job(job_id).state is State.DIGITIZED
    assert {row.destination for row in world.store.deliveries(job_id)} == {"out"}


def test_without_a_date_it_is_told_to_wait_and_waits(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive(whose=Order())
    works(world, SURE)
    shown = world.post(f"/jobs/{job_id}/identify/preview", {"patient_id": "77"})
    assert shown["onward"]["action"] == "hold"
    assert "when it was recorded" in shown["onward"]["why"]
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "77"})
    works(world, SURE)
    assert world.store.job(job_id).code == "no_acquisition_date"


def test_what_cannot_be_read_is_refused_before_it_is_shown(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.job(whose=Order())
    refused = world.post(f"/jobs/{job_id}/identify/preview", {"birth_date": "03/04/1960"}, expect=422)
    assert "birth_date" in str(refused)
    world.post(f"/jobs/{job_id}/identify/preview", {}, expect=422)
    world.post(f"/jobs/{job_id}/identify/preview", WHOSE, Role.VIEWER, expect=403)


def test_a_doubtful_page_is_told_where_an_approval_sends_it(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive(whose=order())
    works(world, UNSURE)
    told = world.get(f"/jobs/{job_id}/onward", Role.REVIEWER)
    assert (told["action"], told["destinations"]) == ("send", ["out"])
    approves(world, job_id)
    works(world)
    assert {row.destination for row in world.store.deliveries(job_id)} == {"out"}


def test_an_approval_of_what_a_rule_refuses_is_told_so(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive(whose=order())
    works(world, UNSURE)
    world.post(f"/jobs/{job_id}/invalid-leads", {"page": 1, "leads": ["V6"]})
    told = world.get(f"/jobs/{job_id}/onward", Role.REVIEWER)
    assert told["action"] == "refuse"
