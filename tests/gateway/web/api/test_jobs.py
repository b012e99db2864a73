"""The worklist and a job in JSON."""

from __future__ import annotations

from dataclasses import replace

from gateway.identity.order import Order, Patient
from gateway.job import Door
from gateway.role import Role
from pipeline.recording import Finding, Severity
from tests.gateway.web.api.world import World
from tests.recordings import order


def test_the_worklist_shows_whose_page_it_is_and_how_far_it_has_come(world: World) -> None:
    job_id = world.job()
    (row,) = world.get("/jobs")["items"]
    assert (row["job_id"], row["state"], row["door"]) == (job_id, "digitized", "fax")
    assert (row["patient_id"], row["patient_name"], row["accession_number"]) == ("4711", "Doe^Jane^Q^Dr^Jr", "A-17")
    assert row["confidence"] == 0.95
    assert row["deliveries"] == {"queued": 3, "delivered": 0, "parked": 0}
    world.deliver("out")
    (row,) = world.get("/jobs")["items"]
    assert row["deliveries"] == {"queued": 1, "delivered": 2, "parked": 0}


def test_the_worklist_is_filtered_and_turned_page_by_page(world: World) -> None:
    for number in range(5):
        world.receive(sender=f"fax {number % 2}", whose=order(patient=Patient(f"P-{number}", name=f"Name{number}^A")))
    first = world.get("/jobs", limit=2)
    second = world.get("/jobs", limit=2, cursor=first["next_cursor"])
    assert [row["patient_id"] for row in first["items"] + second["items"]] == ["P-4", "P-3", "P-2", "P-1"]
    assert first["prev_cursor"] is None
    back = world.get("/jobs", limit=2, cursor=second["prev_cursor"])
    assert back["items"] == first["items"]
    assert [row["patient_id"] for row in world.get("/jobs", sender="fax 1")["items"]] == ["P-3", "P-1"]
    assert [row["patient_id"] for row in world.get("/jobs", q="name2")["items"]] == ["P-2"]
    assert world.get("/jobs", state="held")["items"] == []
    assert len(world.get("/jobs", **{"from": "2026-01-01"})["items"]) == 5
    assert world.get("/jobs", **{"to": "2026-01-01"})["items"] == []


def test_a_filter_that_is_no_date_is_refused_in_words(world: World) -> None:
    assert world.get("/jobs", expect=422, **{"from": "yesterday"})["code"] == "moment"
    assert world.get("/jobs", expect=422, cursor="rubbish")["code"] == "cursor"


def test_a_doubtful_page_of_nobody_tells_both_reasons(world: World) -> None:
    job_id = world.job(0.4, whose=Order())
    reasons = world.get(f"/jobs/{job_id}", Role.REVIEWER)["reasons"]
    assert [(reason["code"], reason["page"]) for reason in reasons] == [("low_confidence", 1), ("no_patient_id", None)]
    sure_id = world.job(0.95, whose=Order())
    reasons = world.get(f"/jobs/{sure_id}", Role.REVIEWER)["reasons"]
    assert [reason["code"] for reason in reasons] == ["no_patient_id"]


def test_a_job_tells_all_there_is_to_know(world: World) -> None:
    job_id = world.job(0.4, (Finding("low_confidence", Severity.ERROR, detail="0.40"),))
    job = world.get(f"/jobs/{job_id}", Role.REVIEWER)
    (page,) = job["page_list"]
    assert (page["layout"], page["read"], page["rectified"], page["confidence"]) == ("3x4+1", True, True, 0.4)
    assert page["speed_mm_s"] == {"value": 25.0, "known": "grid"}
    assert page["findings"][0]["text"] == "The page as a whole was read with low confidence."
    assert job["order"]["name"] == "Doe^Jane^Q^Dr^Jr"
    assert [reason["code"] for reason in job["reasons"]] == ["low_confidence"]
    assert "40 % is below" in job["reasons"][0]["text"]
    assert sorted(job["allowed_actions"]) == sorted(
        ["retry", "correct", "give-up", "identify", "invalid-leads", "approve"]
    )
    assert world.get(f"/jobs/{job_id}")["allowed_actions"] == []  # a viewer looks


def test_every_look_is_written_down_once_a_minute_and_person(world: World) -> None:
    job_id = world.job()
    for _ in range(2):
        world.get(f"/jobs/{job_id}")
        world.get(f"/jobs/{job_id}/pages/1/waveform")
    world.get(f"/jobs/{job_id}", Role.REVIEWER)
    looked = [entry for entry in world.store.audit_queries.job_audit(job_id) if entry.kind == "looked"]
    assert [(entry.actor, entry.detail["what"]) for entry in looked] == [
        ("a viewer", "job"),
        ("a viewer", "page 1 waveform"),
        ("a reviewer", "job"),
    ]
    shown = world.get(f"/jobs/{job_id}/audit")["items"]
    assert shown[0]["kind"] == "received"
    assert world.store.verify_audit().ok


def test_a_job_that_is_not_there_is_not_found(world: World) -> None:
    for path in ("", "/audit", "/earlier", "/pages/1/waveform", "/pages/1/image", "/documents/csv"):
        assert world.get(f"/jobs/{'0' * 32}{path}", expect=404)["code"] == "not_found"
    job_id = world.job()
    assert world.get(f"/jobs/{job_id}/pages/2/image", expect=404)["code"] == "not_found"


def test_the_same_patients_other_recordings_are_found_and_nobody_elses(world: World) -> None:
    first = world.job(whose=order(acquired_at="20240101"))
    other_issuer = replace(order().patient, issuer="ELSEWHERE")
    world.job(whose=order(patient=other_issuer))
    held = world.job(0.2)
    last = world.job(whose=order(acquired_at="20250101"))
    found = world.get(f"/jobs/{last}/earlier")["items"]
    assert [(row["job_id"], row["acquired_at"], row["layout"]) for row in found] == [(first, "20240101", "3x4+1")]
    assert world.get(f"/jobs/{held}/earlier")["items"][0]["job_id"] == last
    unknown = world.receive(whose=Order(), door=Door.WEB)
    assert world.get(f"/jobs/{unknown}/earlier")["items"] == []


def test_a_recording_of_one_id_and_another_person_says_what_contradicts(world: World) -> None:
    anna = Patient("5555", "", "Alpha^Anna", "19400101", "F")
    job_id = world.job(whose=order(patient=anna))
    world.job(whose=order(patient=replace(anna, birth_date="")))
    world.job(whose=order(patient=Patient("5555", "", "Zeta^Bob", "19990909", "M")))
    found = world.get(f"/jobs/{job_id}/earlier")["items"]
    assert [(row["name"], row["birth_date"], row["sex"], row["contradicts"]) for row in found] == [
        ("Zeta^Bob", "19990909", "M", ["name", "birth_date", "sex"]),
        ("Alpha^Anna", "", "F", []),
    ]


def test_the_layouts_that_a_person_may_choose_come_with_their_leads(world: World) -> None:
    layouts = world.get("/layouts")["layouts"]
    assert layouts["3x4+1"][:4] == ["I", "aVR", "V1", "V4"]
    assert layouts["3x4+1"][-1] == "II"
