"""What an administrator is told of a page is what the worker then does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.identity.order import Order
from gateway.job import Verdict
from gateway.review import NO_CORRECTION
from gateway.role import Role
from gateway.service.worker import Worker
from pipeline.errors import Unreadable
from pipeline.recording import Correction, Finding, Lead, Page, Recording, Severity
from tests.gateway.web.api.world import World
from tests.recordings import order, placed, three_by_four

SURE, UNSURE = 0.95, 0.5
RULES = {
    "rule": [
        {"name": "wait", "when": [{"field": "order.accession_number", "equals": "WAIT"}], "hold": "the ward waits"},
        {
            "name": "marked",
            "when": [{"field": "finding", "equals": "lead_marked_invalid"}],
            "refuse": "marked",
        },
        {"name": "all", "send": ["out"]},
    ]
}


def works(world: World, *pages: float | None, findings: tuple[Finding, ...] = ()) -> None:
    """Lets a worker take the next job through; its pages are read with these confidences, None for not at all."""
    left = list(pages)

    def digitize(_page: Page, _given: Correction = NO_CORRECTION, /) -> Recording:
        confidence = left.pop(0)
        if confidence is None:
            raise Unreadable("no_grid", "There is no grid.")
        read = three_by_four()
        return replace(read, confidence=confidence, findings=findings, placed=placed(read, 4))

    assert Worker("worker-1", world.config, world.store, digitize, "{}").work_once()


def told(world: World, job_id: str, page: int = 1) -> Any:
    """How a page is explained."""
    return world.post("/rules/explain", {"job_id": job_id, "page": page}, Role.ADMINISTRATOR)


def approves(world: World, job_id: str, pages: int = 1, **more: Any) -> None:
    rita = world.who(Role.REVIEWER, "rita")
    for page in range(1, pages + 1):
        assert rita.get(f"/api/v1/jobs/{job_id}/pages/{page}/waveform").status_code in (200, 404)
    current = rita.get(f"/api/v1/jobs/{job_id}").json()["revision"]
    world.post(f"/jobs/{job_id}/approve", {"revision": current, **more}, name="rita")


def disposition_of(world: World, job_id: str, page: int = 1) -> Any:
    """What is told to become of a page."""
    return told(world, job_id, page)["disposition"]


EXPECTED = {"hold": "held", "send": "digitized", "refuse": "refused"}


def came_so(world: World, job_id: str, disposition: Any) -> None:
    assert world.get(f"/jobs/{job_id}")["state"] == EXPECTED[disposition["action"]]


def test_a_doubtful_page_is_held_and_goes_once_it_is_approved(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive()
    works(world, UNSURE)
    disposition = told(world, job_id)
    came_so(world, job_id, disposition["disposition"])
    assert disposition["disposition"]["why"] == "confidence 50 % is below pipeline.confidence_min 90 %"
    assert (disposition["action"], disposition["destinations"]) == ("send", ["out"])
    approves(world, job_id)
    disposition = disposition_of(world, job_id)
    assert (disposition["action"], disposition["destinations"]) == ("send", ["out"])
    works(world)
    came_so(world, job_id, disposition)


def goes_once_approved(world: World, job_id: str) -> None:
    approves(world, job_id)
    disposition = disposition_of(world, job_id)
    works(world)
    came_so(world, job_id, disposition)
    assert disposition["action"] == "send"


def test_what_a_person_changed_waits_for_an_approval(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive()
    works(world, UNSURE)
    world.post(f"/jobs/{job_id}/correct", {"page": 1, "speed_mm_s": 25})
    works(world, SURE)
    disposition = disposition_of(world, job_id)
    assert disposition["why"] == "a person changed how it is read, and nobody has approved what came of it"
    came_so(world, job_id, disposition)
    goes_once_approved(world, job_id)


def test_with_four_eyes_who_said_whose_it_is_is_waited_for(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES, web={"four_eyes": True})
    job_id = world.receive(whose=Order(acquired_at="20240131"))
    works(world, SURE)
    disposition = disposition_of(world, job_id)
    assert disposition["why"] == "no patient id, which identity.require asks for"
    came_so(world, job_id, disposition)
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815"}, name="carl")
    disposition = disposition_of(world, job_id)
    assert disposition["why"].startswith("four eyes")
    works(world, SURE)
    came_so(world, job_id, disposition)
    goes_once_approved(world, job_id)


def test_a_page_waits_with_the_others_of_its_document(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive(pages=3)
    works(world, SURE, UNSURE, None)
    disposition = told(world, job_id)
    assert disposition["held_before"] == [
        "page 2: confidence 50 % is below pipeline.confidence_min 90 %",
        "page 3: it was not read (no_grid)",
    ]
    came_so(world, job_id, disposition["disposition"])
    assert [page.verdict for page in world.store.pages(job_id)] == [
        Verdict.DIGITIZED,
        Verdict.HELD,
        Verdict.UNREADABLE,
    ]
    approves(world, job_id, 3, leave_out=[3])
    disposition = disposition_of(world, job_id)
    works(world)
    came_so(world, job_id, disposition)
    assert disposition["action"] == "send"


def test_a_rule_over_one_page_is_a_rule_over_its_document(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive(pages=2)
    works(world, UNSURE, SURE)
    world.post(f"/jobs/{job_id}/invalid-leads", {"page": 2, "leads": [Lead.V6]})
    approves(world, job_id, 2)
    disposition = disposition_of(world, job_id)
    assert (disposition["action"], disposition["why"]) == ("refuse", 'page 2: marked (rule "marked")')
    works(world)
    came_so(world, job_id, disposition)


def test_a_page_that_a_rule_held_is_told_so(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES)
    job_id = world.receive(whose=order(accession_number="WAIT"))
    works(world, SURE)
    disposition = disposition_of(world, job_id)
    assert (disposition["action"], disposition["why"]) == ("hold", 'the ward waits (rule "wait")')
    came_so(world, job_id, disposition)


@pytest.mark.parametrize("severity", list(Severity))
def test_a_finding_holds_a_page_only_as_an_error(make_world: Callable[..., World], severity: Severity) -> None:
    world = make_world(**RULES)
    job_id = world.receive()
    works(world, SURE, findings=(Finding("low_confidence", severity, detail="says who"),))
    disposition = disposition_of(world, job_id)
    came_so(world, job_id, disposition)
    assert (disposition["action"] == "hold") == (severity is Severity.ERROR)


def test_the_replay_tells_the_same_fate(make_world: Callable[..., World]) -> None:
    world = make_world(**RULES, web={"four_eyes": True})
    job_id = world.receive(whose=Order(acquired_at="20240131"))
    works(world, SURE)
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815"}, name="carl")
    works(world, SURE)
    text = '[[destination]]\nkind = "folder"\nname = "out"\nfolder = "elsewhere"\n'
    (row,) = world.post("/rules/replay", {"config_text": text}, Role.ADMINISTRATOR)["changed"]
    assert row["now"]["why"].startswith("four eyes")
    assert (row["then"]["action"], row["then"]["destinations"]) == ("send", ["out"])
    assert row["now"] == told(world, job_id)["disposition"]
