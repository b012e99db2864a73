"""What a person does with a job, by JSON; each change with its name in the audit."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from httpx2 import Response

from gateway.identity.order import Order, Patient
from gateway.job import State
from gateway.role import Role
from gateway.store import AuditQuery
from pipeline.recording import TWELVE
from tests.gateway.web.api.world import World
from tests.recordings import order, six_by_two


def revision(world: World, job_id: str) -> str:
    """What a reviewer saw, as an approval says it."""
    return str(world.get(f"/jobs/{job_id}")["revision"])


def opens(world: World, job_id: str, name: str = "", page: int = 1) -> None:
    """A reviewer is shown what was read on a page."""
    answer = world.who(Role.REVIEWER, name).get(f"/api/v1/jobs/{job_id}/pages/{page}/waveform")
    assert answer.status_code == 200


def test_a_held_page_is_corrected_marked_approved_and_goes_out(world: World) -> None:
    job_id = world.job(0.5)
    assert world.post(f"/jobs/{job_id}/correct", {"page": 1, "layout": "3x4+1", "comment": "as printed"}) == {
        "job_id": job_id,
        "state": "received",
    }
    world.work(0.97)
    job = world.get(f"/jobs/{job_id}", Role.REVIEWER)
    assert (job["state"], job["code"], job["corrected"]) == ("held", "awaits_approval", True)
    assert job["page_list"][0]["review"]["correction"]["layout"] == "3x4+1"
    assert job["remarks"][0]["text"] == "as printed"
    world.post(f"/jobs/{job_id}/invalid-leads", {"page": 1, "leads": ["V6"]})
    strips = {strip["lead"]: strip for strip in world.get(f"/jobs/{job_id}/pages/1/waveform")["strips"]}
    assert strips["V6"]["invalid"]
    assert set(strips["V6"]["millivolts"]) == {None}
    assert not strips["V5"]["invalid"]
    opens(world, job_id)
    assert (
        world.post(f"/jobs/{job_id}/approve", {"comment": "yes", "revision": revision(world, job_id)})["state"]
        == "received"
    )
    world.work()
    job = world.get(f"/jobs/{job_id}", Role.REVIEWER)
    assert job["state"] == "digitized"
    codes = {finding["code"] for finding in job["page_list"][0]["findings"]}
    assert {"corrected_by_person", "lead_marked_invalid", "approved_by_person"} <= codes
    assert world.deliver("out") + world.deliver("ehr") == 3
    assert {"corrected", "leads_marked", "approved", "delivered"} <= set(world.kinds(job_id))
    assert world.store.verify_audit().ok


def test_with_four_eyes_who_corrected_a_page_is_not_offered_its_approval(make_world: Callable[..., World]) -> None:
    world = make_world(web={"four_eyes": True})
    job_id = world.job(0.5)
    world.post(f"/jobs/{job_id}/correct", {"speed_mm_s": 25}, name="carl")
    world.work(0.97)
    path = f"/api/v1/jobs/{job_id}"
    assert "approve" not in world.who(Role.REVIEWER, "carl").get(path).json()["allowed_actions"]
    assert "approve" in world.who(Role.REVIEWER, "rita").get(path).json()["allowed_actions"]
    said = {"revision": revision(world, job_id)}
    assert "four eyes" in world.post(f"/jobs/{job_id}/approve", said, expect=409, name="carl")["why"]
    opens(world, job_id, "rita")
    world.post(f"/jobs/{job_id}/approve", said, name="rita")


def test_what_was_changed_since_it_was_seen_is_not_approved(world: World) -> None:
    job_id = world.job(0.5)
    said = {"revision": revision(world, job_id)}
    world.post(f"/jobs/{job_id}/correct", {"speed_mm_s": 50}, name="carl")
    world.work(0.97)
    assert "changed" in world.post(f"/jobs/{job_id}/approve", said, expect=409, name="rita")["why"]
    assert world.get(f"/jobs/{job_id}")["state"] == "held"
    world.post(f"/jobs/{job_id}/approve", {}, expect=422, name="rita")
    opens(world, job_id, "rita")
    world.post(f"/jobs/{job_id}/approve", {"revision": revision(world, job_id)}, name="rita")


def test_an_approval_is_of_every_page_and_each_was_opened_by_who_gives_it(world: World) -> None:
    job_id = world.job(0.5, pages=3)
    said = {"revision": revision(world, job_id)}
    opens(world, job_id, "rita", 1)
    opens(world, job_id, "carl", 2)
    opens(world, job_id, "carl", 3)
    why = world.post(f"/jobs/{job_id}/approve", said, expect=409, name="rita")["why"]
    assert "lets 3 pages out" in why
    assert "pages 2, 3 as now read" in why
    assert world.get(f"/jobs/{job_id}")["page_list"][0]["review"]["approved_by"] == ""
    opens(world, job_id, "rita", 3)
    assert world.who(Role.REVIEWER, "rita").get(f"/api/v1/jobs/{job_id}").json()["unopened"] == [2]
    assert world.who(Role.REVIEWER, "anna").get(f"/api/v1/jobs/{job_id}").json()["unopened"] == [1, 2, 3]
    assert "and page 2 as" in world.post(f"/jobs/{job_id}/approve", said, expect=409, name="rita")["why"]
    opens(world, job_id, "rita", 2)
    world.post(f"/jobs/{job_id}/approve", said, name="rita")
    approved = [entry for entry in world.store.audit_queries.job_audit(job_id) if entry.kind == "approved"]
    assert [entry.detail["pages"] for entry in approved] == ["1 2 3"]


def test_a_page_that_was_read_anew_is_opened_anew_even_within_a_minute(world: World) -> None:
    job_id = world.job(0.5)
    opens(world, job_id, "rita")
    world.post(f"/jobs/{job_id}/correct", {"speed_mm_s": 50}, name="carl")
    world.work(of=six_by_two())
    said = {"revision": revision(world, job_id)}
    assert "opened" in world.post(f"/jobs/{job_id}/approve", said, expect=409, name="rita")["why"]
    opens(world, job_id, "rita")
    world.post(f"/jobs/{job_id}/approve", said, name="rita")


@pytest.mark.parametrize(
    ("action", "body"), [("invalid-leads", {"leads": ["V6"]}), ("identify", {"patient_id": "0815"})]
)
def test_every_change_that_goes_out_makes_what_was_seen_old(world: World, action: str, body: dict[str, object]) -> None:
    job_id = world.job(0.5)
    before = revision(world, job_id)
    assert revision(world, job_id) == before
    world.post(f"/jobs/{job_id}/{action}", body, name="carl")
    if action == "identify":
        world.work(0.5)
    assert world.get(f"/jobs/{job_id}")["state"] == "held"
    world.post(f"/jobs/{job_id}/approve", {"revision": before}, expect=409, name="rita")


def test_nobody_adds_to_a_patient_whom_they_have_not_seen(world: World) -> None:
    job_id = world.job(0.5)
    before = revision(world, job_id)
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815", "revision": before}, name="carl")
    world.work(0.5)
    late = {"accession_number": "of the first one", "revision": before}
    assert "changed" in world.post(f"/jobs/{job_id}/identify", late, expect=409, name="rita")["why"]


def test_with_four_eyes_who_said_whose_page_it_is_is_not_offered_its_approval(
    make_world: Callable[..., World],
) -> None:
    world = make_world(web={"four_eyes": True})
    job_id = world.job(whose=Order(acquired_at="20240131"))
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815"}, name="carl")
    world.work(0.97)
    assert world.get(f"/jobs/{job_id}")["code"] == "awaits_approval"
    assert world.deliver("out") == 0
    path = f"/api/v1/jobs/{job_id}"
    assert "approve" not in world.who(Role.REVIEWER, "carl").get(path).json()["allowed_actions"]
    said = {"revision": revision(world, job_id)}
    assert "four eyes" in world.post(f"/jobs/{job_id}/approve", said, expect=409, name="carl")["why"]
    opens(world, job_id, "rita")
    world.post(f"/jobs/{job_id}/approve", said, name="rita")
    world.work(0.97)
    assert world.get(f"/jobs/{job_id}")["state"] == "digitized"
    assert world.deliver("out") == 2


def test_with_four_eyes_an_approval_is_of_the_patient_it_was_given_for(make_world: Callable[..., World]) -> None:
    world = make_world(web={"four_eyes": True})
    job_id = world.job(0.5, whose=Order(acquired_at="20240131"))
    opens(world, job_id, "rita")
    world.post(f"/jobs/{job_id}/approve", {"revision": revision(world, job_id)}, name="rita")
    world.work()
    assert world.get(f"/jobs/{job_id}")["code"] == "no_patient_id"
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815"}, name="carl")
    world.work()
    assert world.get(f"/jobs/{job_id}")["code"] == "awaits_approval"


def test_a_page_is_given_its_patient(world: World) -> None:
    job_id = world.job(whose=Order(acquired_at="20240131"))
    assert world.get(f"/jobs/{job_id}")["code"] == "no_patient_id"
    said = {"patient_id": "0815", "name": "Roe^Richard", "birth_date": "1954-01-31"}
    world.post(f"/jobs/{job_id}/identify", said)
    world.work()
    job = world.get(f"/jobs/{job_id}")
    assert (job["state"], job["patient_id"], job["birth_date"]) == ("digitized", "0815", "19540131")


def test_the_worklist_tells_two_hospitals_patients_of_one_id_apart(world: World) -> None:
    job_id = world.job(whose=Order(acquired_at="20240131"))
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815", "issuer": "NORTH", "birth_date": "19540131"})
    world.work()
    other = world.job(0.5, whose=Order(Patient("0815", "", "Roe^Rick", "19540131"), accession_number="N-1"))
    world.post(f"/jobs/{other}/identify", {"patient_id": "0815", "issuer": "SOUTH", "sex": "M", "afresh": True})
    told = {item["job_id"]: item for item in world.get("/jobs?q=0815")["items"]}
    keys = ("patient_id", "issuer", "patient_name", "birth_date", "sex", "accession_number")
    assert [told[job_id][key] for key in keys] == ["0815", "NORTH", "", "19540131", "", ""]
    assert [told[other][key] for key in keys] == ["0815", "SOUTH", "", "", "M", ""]


def test_an_identity_that_is_not_lawful_or_says_nothing_is_refused_in_words(world: World) -> None:
    job_id = world.job(whose=Order(acquired_at="20240131"))
    assert world.post(f"/jobs/{job_id}/identify", {"birth_date": "31.1.54"}, expect=422)["code"] == "not_lawful"
    assert world.post(f"/jobs/{job_id}/identify", {}, expect=422)["code"] == "nothing_said"


def test_one_identity_for_several_pages_is_asked_for_twice(world: World) -> None:
    job_id = world.job(whose=Order(acquired_at="20240131"), pages=2)
    assert world.post(f"/jobs/{job_id}/identify", {"patient_id": "1"}, expect=422)["code"] == "several_pages"
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "1", "all_pages": True})


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"layout": "5x5"}, "no_such_layout"),
        ({"leads": ["I"]}, "no_layout"),
        ({"layout": "3x4", "leads": ["I", "II"]}, "lead_count"),
        ({"layout": "12x1", "leads": ["V1", "V1", *TWELVE[2:]]}, "lead_twice"),
        ({"layout": "3x4+1", "leads": ["II", *TWELVE[1:], "I"]}, "lead_twice"),
        ({"layout": "6x1-chest", "leads": ["V1", "V2", "V3", "V4", "V5", "V5"]}, "lead_twice"),
        ({"orientation": 8}, "not_valid"),
        ({"speed_mm_s": 0}, "not_valid"),
        ({"gain_mm_mv": "a lot"}, "not_valid"),
        ({"leads": ["V7"]}, "not_valid"),
        ({"colour": "red"}, "not_valid"),
    ],
)
def test_a_correction_that_no_page_can_fit_is_refused(world: World, said: dict[str, object], code: str) -> None:
    job_id = world.job(0.5)
    assert world.post(f"/jobs/{job_id}/correct", said, expect=422)["code"] == code
    assert world.store.job(job_id).state == State.HELD


def test_what_is_given_up_needs_a_reason(world: World) -> None:
    job_id = world.job(0.5)
    world.post(f"/jobs/{job_id}/give-up", {"comment": ""}, expect=422)
    assert world.post(f"/jobs/{job_id}/give-up", {"comment": "a grocery list"})["state"] == "refused"
    assert world.get(f"/jobs/{job_id}")["why"] == "a grocery list"
    assert world.post(f"/jobs/{job_id}/retry", {"comment": "or is it?"})["state"] == "received"


def test_what_a_job_does_not_allow_is_a_conflict(world: World) -> None:
    sent = world.job()
    for action, body in (
        ("retry", {}),
        ("approve", {"revision": revision(world, sent)}),
        ("give-up", {"comment": "no"}),
        ("identify", {"patient_id": "1"}),
        ("correct", {"layout": "3x4"}),
        ("invalid-leads", {"leads": []}),
    ):
        assert world.post(f"/jobs/{sent}/{action}", body, expect=409)["code"] == "conflict"


def test_a_viewer_changes_nothing(world: World) -> None:
    job_id = world.job(0.5)
    for action in ("retry", "resend", "give-up", "approve", "identify", "correct", "invalid-leads"):
        assert world.post(f"/jobs/{job_id}/{action}", {}, Role.VIEWER, expect=403)["code"] == "not_allowed"
    for path in ("/jobs/bulk", "/uploads", "/parked/resend", "/destinations/out/pause", "/audit/verify"):
        world.post(path, {}, Role.VIEWER, expect=403)
    assert world.store.job(job_id).state == State.HELD


def test_many_jobs_are_done_at_once_and_each_failure_is_told(world: World) -> None:
    held = [world.job(0.5) for _ in range(3)]
    sent = world.job()
    result = world.post("/jobs/bulk", {"action": "retry", "ids": [*held[:2], sent, "0" * 32]})
    assert result["done"] == held[:2]
    assert {(failure["job_id"], failure["code"]) for failure in result["failed"]} == {
        (sent, "conflict"),
        ("0" * 32, "not_found"),
    }
    result = world.post("/jobs/bulk", {"action": "give-up", "comment": "no", "filter": {"state": "held"}})
    assert (result["done"], result["more"]) == ([held[2]], False)
    assert world.post("/jobs/bulk", {"action": "give-up", "ids": held}, expect=422)["code"] == "no_comment"
    assert world.post("/jobs/bulk", {"action": "retry"}, expect=422)["code"] == "not_valid"


def test_a_long_strip_may_repeat_a_lead_and_columns_may_stand_in_any_order(world: World) -> None:
    job_id = world.job(0.5)
    for strip in ("II", "V1"):
        world.post(f"/jobs/{job_id}/correct", {"layout": "3x4+1", "leads": [*reversed(TWELVE), strip]})
        world.work(0.5)


def test_documents_go_again_to_one_destination(world: World) -> None:
    job_id = world.job()
    world.deliver("out")
    world.deliver("ehr")
    assert world.get(f"/jobs/{job_id}")["state"] == "delivered"
    assert world.post(f"/jobs/{job_id}/resend", {"destination": "ehr"})["state"] == "digitized"
    assert world.deliver("ehr") == 1
    assert world.post(f"/jobs/{job_id}/resend", {"destination": "nobody"}, expect=404)["code"] == "not_found"


def test_what_went_out_as_another_patient_is_offered_by_no_way_to_be_sent_again(
    make_world: Callable[..., World],
) -> None:
    world = make_world(web={"four_eyes": True})
    job_id = world.job()
    assert world.deliver("out") == 2
    delivery = world.store.claim_delivery("ehr", 60)
    assert delivery is not None
    world.store.park(delivery, "rejected", "unknown patient")
    assert "resend" in world.get(f"/jobs/{job_id}", Role.REVIEWER)["allowed_actions"]
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "4711"}, name="rita")
    world.work()
    shown = world.get(f"/jobs/{job_id}", Role.REVIEWER)
    assert (shown["state"], shown["code"]) == ("held", "awaits_approval")
    assert "resend" not in shown["allowed_actions"]
    assert all(row["superseded"] for row in shown["delivery_list"])
    for body in ({}, {"destination": "out"}, {"destination": "ehr"}):
        assert world.post(f"/jobs/{job_id}/resend", body, expect=409)["code"] == "conflict"
    bulk = world.post("/jobs/bulk", {"action": "resend", "ids": [job_id]})
    assert (bulk["done"], [each["code"] for each in bulk["failed"]]) == ([], ["conflict"])
    parked = world.post("/parked/resend", {"ids": [delivery.delivery_id]})
    assert (parked["done"], [each["code"] for each in parked["failed"]]) == ([], ["conflict"])
    assert world.deliver("out") == world.deliver("ehr") == 0


@pytest.mark.parametrize("other", ["approve", "identify", "correct", "invalid-leads", "give-up"])
def test_of_two_reviewers_at_the_same_moment_one_is_told_that_the_other_was_first(world: World, other: str) -> None:
    job_id = world.job(0.5)
    opens(world, job_id, "rita")
    opens(world, job_id, "carl")
    bodies: dict[str, dict[str, object]] = {
        "approve": {},
        "identify": {"patient_id": "0815"},
        "correct": {"speed_mm_s": 50},
        "invalid-leads": {"leads": ["V6"]},
        "give-up": {"comment": "no ECG"},
    }
    current = revision(world, job_id)
    clients = {name: world.who(Role.REVIEWER, name) for name in ("rita", "carl")}
    start = threading.Barrier(2)
    answers: dict[str, Response] = {}

    def decide(name: str, action: str) -> None:
        start.wait()
        body = {**bodies[action], "revision": current}
        answers[name] = clients[name].post(f"/api/v1/jobs/{job_id}/{action}", json=body)

    threads = [threading.Thread(target=decide, args=each) for each in (("rita", "approve"), ("carl", other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer.status_code for answer in answers.values()) == [200, 409]
    (winner,) = (name for name, answer in answers.items() if answer.status_code == 200)
    (loser,) = (answer for answer in answers.values() if answer.status_code == 409)
    assert "changed after it was shown to you" in loser.json()["why"]
    deeds = ("approved", "identified", "corrected", "leads_marked", "given_up")
    made = [entry.actor for entry in world.store.audit_queries.job_audit(job_id) if entry.kind in deeds]
    assert made == [winner]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/parked/resend", {"ids": [2**63]}),
        ("/parked/resend", {"first": 10**30}),
        ("/parked/resend", {"last": 10**30}),
        ("/jobs/bulk/matching", {"received_from": "0001-01-01T00:00:00+14:00"}),
        ("/jobs/bulk/matching", {"received_to": "9999-12-31T23:59:59-14:00"}),
        ("/jobs/bulk", {"action": "retry", "filter": {"received_from": "0001-01-01T00:00:00+14:00"}}),
        ("/rules/replay", {"config_text": "", "received_to": "9999-12-31T23:59:59-14:00"}),
    ],
)
def test_numbers_and_moments_that_no_database_holds_are_not_valid(
    world: World, path: str, body: dict[str, object]
) -> None:
    assert world.post(path, body, Role.ADMINISTRATOR, expect=422)["code"] == "not_valid"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "0001-01-01T14:00:00+14:00"])
def test_the_first_moment_of_all_is_before_every_job(world: World, moment: str) -> None:
    job_id = world.job()
    assert world.post("/jobs/bulk/matching", {"received_from": moment})["ids"] == [job_id]
    assert world.post("/jobs/bulk/matching", {"received_to": moment})["ids"] == []


def test_a_typed_id_that_is_somebody_else_s_stops_until_a_person_says_it_is_right(world: World) -> None:
    world.job(whose=order(patient=Patient("0815", "", "Able^Ada", "19500101", "F")))
    job_id = world.job(whose=Order(acquired_at="20240131"))
    said = {"patient_id": "0815", "name": "Roe, Richard", "birth_date": "19500101"}
    (known,) = world.post(f"/jobs/{job_id}/identify/preview", said)["candidates"]
    assert (known["name"], known["birth_date"], known["contradicts"]) == ("Able^Ada", "19500101", ["name"])
    assert known["sources"] == [{"source": "earlier", "name": ""}]
    stopped = world.post(f"/jobs/{job_id}/identify", said, expect=422)
    assert (stopped["code"], "Able" in stopped["why"]) == ("contradicts_known", False)
    assert world.store.job(job_id).state is State.HELD
    world.job(whose=order(patient=Patient("0815", "", "Zwei^Zoe", "19500101", "F")))  # came after the preview
    unseen = world.post(f"/jobs/{job_id}/identify", {**said, "even_so": [known]}, expect=422)
    assert unseen["code"] == "contradicts_known"
    assert world.store.job(job_id).state is State.HELD
    both = world.post(f"/jobs/{job_id}/identify/preview", said)["candidates"]
    assert {each["name"] for each in both} == {"Able^Ada", "Zwei^Zoe"}
    world.post(f"/jobs/{job_id}/identify", {**said, "even_so": both})
    (entry,) = world.store.audit_queries.audit(AuditQuery(kind="identified"), None, 10).entries
    assert entry.detail["overridden"] == "name of an earlier ECG; name of an earlier ECG"


def test_a_typed_id_that_nobody_knows_otherwise_needs_no_word(world: World) -> None:
    world.job(whose=order(patient=Patient("0815", "", "Able^Ada", "19500101", "F")))
    job_id = world.job(whose=Order(acquired_at="20240131"))
    world.post(f"/jobs/{job_id}/identify", {"patient_id": "0815"})
    (entry,) = world.store.audit_queries.audit(AuditQuery(kind="identified"), None, 10).entries
    assert "overridden" not in entry.detail
