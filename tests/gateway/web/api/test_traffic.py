"""The dashboard, pauses, parked messages, rules, the audit and events, by JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.role import Role
from gateway.store import Store
from gateway.web import gpu
from gateway.web.api import rules
from gateway.web.api.events import stream
from pipeline.recording import Finding, Severity
from tests.gateway.web.api.world import World

CHANGED = """
[[destination]]
kind = "folder"
name = "out"
folder = "elsewhere"

[[rule]]
name = "be careful"
when = [{ field = "quality.confidence", less_than = 0.96 }]
hold = "a person must look"

[[rule]]
name = "all"
send = ["out"]
"""


def lane(world: World, name: str) -> Any:
    (found,) = (lane for lane in world.get("/dashboard")["destinations"] if lane["name"] == name)
    return found


def test_the_dashboard_tells_what_flows(world: World) -> None:
    world.job()
    world.job(0.42)
    world.receive()
    world.deliver("out", "written")
    world.store.destination_queues.record_answers([("ehr", False, "connection refused")])
    board = world.get("/dashboard")
    assert board["states"] == {"received": 1, "digitized": 1, "delivered": 0, "held": 1, "refused": 0}
    assert (board["waiting"], board["pages_per_hour"]) == (1, 2.0)
    assert len(board["hours"]) == 24
    assert (sum(h["digitized"] for h in board["hours"]), sum(h["held"] for h in board["hours"])) == (1, 1)
    assert [b["count"] for b in board["confidence"] if b["count"]] == [1, 1]
    assert board["confidence_min"] == world.config.pipeline.confidence_min
    assert board["disk"]["total_mb"] > board["disk"]["free_mb"] > 0
    out, ehr = lane(world, "out"), lane(world, "ehr")
    assert (out["queued"], out["last_response"], out["head_age_s"], out["peer"]["up"]) == (0, "written", None, None)
    assert (ehr["queued"], ehr["peer"]["up"], ehr["peer"]["text"]) == (1, False, "connection refused")
    assert ehr["head_age_s"] >= 0
    assert "Doe" not in json.dumps(board)


def test_an_administrator_pauses_and_resumes_a_destination(world: World) -> None:
    world.job()
    assert world.post("/destinations/out/pause", role=Role.ADMINISTRATOR) == {"name": "out", "paused": True}
    assert (lane(world, "out")["paused"], lane(world, "out")["paused_by"]) == (True, "a administrator")
    assert world.deliver("out") == 0
    world.post("/destinations/out/pause", role=Role.ADMINISTRATOR, expect=409)
    world.post("/destinations/out/resume", role=Role.ADMINISTRATOR)
    assert world.deliver("out") == 2
    world.post("/destinations/nobody/pause", role=Role.ADMINISTRATOR, expect=404)
    world.post("/destinations/out/resume", role=Role.REVIEWER, expect=403)


def test_parked_messages_go_again_one_or_a_range(world: World) -> None:
    for _ in range(3):
        world.job()
    while delivery := world.store.claim_delivery("ehr", 60):
        world.store.park(delivery, "ack_ae", "the EHR says AE")
    first = world.get("/parked", Role.REVIEWER, limit=2)
    rest = world.get("/parked", Role.REVIEWER, limit=2, after=first["next_cursor"])
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    ids = [row["delivery_id"] for row in first["items"] + rest["items"]]
    assert first["items"][0]["why"] == "the EHR says AE"
    assert world.post("/parked/resend", {"ids": [ids[0], 99]})["failed"] == [
        {"delivery_id": 99, "code": "not_found", "why": "there is no delivery 99"}
    ]
    assert world.post("/parked/resend", {"first": ids[1], "last": ids[1]})["done"] == [ids[1]]
    assert world.post("/parked/resend", {"destination": "ehr"})["done"] == [ids[2]]
    assert world.deliver("ehr") == 3
    world.post("/parked/resend", {}, expect=422)


def test_a_page_that_is_not_read_any_more_while_it_is_explained_is_not_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.job()
    monkeypatch.setattr(rules, "page_dispositions", lambda _config, _case: {})  # done again meanwhile: nothing was read
    told = world.post("/rules/explain", {"job_id": job_id}, Role.ADMINISTRATOR, expect=404)
    assert told["code"] == "not_found"


def test_the_rules_are_shown_and_explained(world: World) -> None:
    rules = world.get("/rules", Role.ADMINISTRATOR)
    assert rules["rules"][0] == {
        "name": "unsure",
        "conditions": [{"field": "quality.confidence", "test": "is less than 0.3"}],
        "action": "hold",
        "send": [],
        "why": "look at this",
    }
    job_id = world.job(0.5)
    told = world.post("/rules/explain", {"job_id": job_id}, Role.ADMINISTRATOR)
    assert (told["action"], told["destinations"], told["rules"]) == ("send", ["out", "ehr"], ["all"])
    assert told["held_before"] == ["confidence 50 % is below pipeline.confidence_min 90 %"]
    assert told["trace"][0]["conditions"][0]["value"] == "0.5"
    told = world.post("/rules/explain", {"job_id": job_id, "config_text": CHANGED}, Role.ADMINISTRATOR)
    assert (told["action"], told["rules"]) == ("hold", ["be careful"])


def test_a_job_is_found_by_the_beginning_of_its_id_as_lists_show_it(world: World) -> None:
    job_id = world.job(0.5)
    told = world.post("/rules/explain", {"job_id": f" {job_id[:8].upper()} "}, Role.ADMINISTRATOR)
    assert told["action"] == "send"
    found = world.get("/audit", Role.ADMINISTRATOR, job_id=job_id[:8])["items"]
    assert {entry["job_id"] for entry in found} == {job_id}
    other = ("0" if job_id[0] != "0" else "1") * 8
    assert "begins so" in world.post("/rules/explain", {"job_id": other}, Role.ADMINISTRATOR, expect=404)["why"]
    for unclear in (job_id[:7], "Meier, Hans"):
        told = world.post("/rules/explain", {"job_id": unclear}, Role.ADMINISTRATOR, expect=422)
        assert "first 8 characters" in told["why"]


def test_yesterdays_traffic_is_replayed_against_other_rules_and_nothing_changes(world: World) -> None:
    careful, sure, held = world.job(0.95), world.job(0.99), world.job(0.5)
    world.who(Role.ADMINISTRATOR)
    before = world.store.audit_queries.last_seq()
    result = world.post("/rules/replay", {"config_text": CHANGED}, Role.ADMINISTRATOR)
    assert (result["problems"], result["pages"], result["more"]) == ([], 3, False)
    changed = {row["job_id"]: row for row in result["changed"]}
    assert changed[careful]["now"]["destinations"] == ["out", "ehr"]
    assert (changed[careful]["then"]["action"], held in changed) == ("hold", False)
    assert changed[sure]["then"] == {"action": "send", "destinations": ["out"], "why": 'sent by rule "all"'}
    written = world.store.audit_queries.audit_after(before, 10)
    assert [(each.kind, each.detail["what"], each.detail["rows"]) for each in written] == [
        ("looked", "rules replay", 3)
    ]
    body = {"config_text": CHANGED, "received_from": "2990-01-01T00:00:00Z"}
    assert world.post("/rules/replay", body, Role.ADMINISTRATOR)["pages"] == 0


def test_what_is_too_much_for_one_replay_is_replayed_in_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "REPLAY_JOBS_MAX", 2)
    jobs = [world.job(0.95) for _ in range(5)]
    tried, body = [], {"config_text": CHANGED}
    for more in (True, True, False):
        result = world.post("/rules/replay", body, Role.ADMINISTRATOR)
        tried.append([row["job_id"] for row in result["changed"]])
        assert (result["more"], result["next_to"] is not None) == (more, more)
        body["received_to"] = result["next_to"]
    assert tried == [[jobs[4], jobs[3]], [jobs[2], jobs[1]], [jobs[0]]]


def test_a_text_that_is_no_configuration_is_told_in_words(world: World) -> None:
    wrong = '[[rule]]\nname = "all"\nsned = ["out"]\n'
    result = world.post("/rules/replay", {"config_text": wrong}, Role.ADMINISTRATOR)
    assert any("sned" in problem for problem in result["problems"])
    secret = '[data]\ndatabase_url_file = "/etc/passwd"\n'
    told = json.dumps(world.post("/rules/replay", {"config_text": secret}, Role.ADMINISTRATOR))
    assert "root:" not in told


def test_the_example_configuration_can_be_replayed(world: World) -> None:
    text = (Path(__file__).parents[4] / "config.example.toml").read_text(encoding="utf-8")
    assert world.post("/rules/replay", {"config_text": text}, Role.ADMINISTRATOR)["problems"] == []


def test_the_audit_is_searched_verified_and_handed_out(world: World) -> None:
    job_id = world.job(0.5, (Finding("low_confidence", Severity.ERROR),))
    world.post(f"/jobs/{job_id}/give-up", {"comment": "Mrs Doe asked"})
    found = world.get("/audit", Role.ADMINISTRATOR, kind="given_up")
    assert [(entry["job_id"], entry["actor"]) for entry in found["items"]] == [(job_id, "a reviewer")]
    everything = world.get("/audit", Role.ADMINISTRATOR, limit=1000)["items"]
    assert [entry["seq"] for entry in everything] == list(range(len(everything), 0, -1))
    page = world.get("/audit", Role.ADMINISTRATOR, limit=2)
    older = world.get("/audit", Role.ADMINISTRATOR, limit=2, before=page["next_cursor"])
    assert [entry["seq"] for entry in page["items"] + older["items"]] == [e["seq"] for e in everything[:4]]
    assert {e["job_id"] for e in world.get("/audit", Role.ADMINISTRATOR, job_id=job_id)["items"]} == {job_id}
    assert world.get("/audit", Role.ADMINISTRATOR, **{"from": "2990-01-01"})["items"] == []
    assert world.get("/audit", Role.ADMINISTRATOR, **{"to": "1990-01-01"})["items"] == []
    verdict = world.post("/audit/verify", role=Role.ADMINISTRATOR)
    assert (verdict["ok"], verdict["problems"], verdict["jobs"]["refused"]) == (True, [], 1)
    answer = world.who(Role.ADMINISTRATOR).get("/api/v1/audit/export")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert "Doe" not in answer.text
    for path in ("/audit", "/audit/export"):
        world.get(path, Role.REVIEWER, expect=403)


def some(lines: AsyncIterator[str], until: str, act: Any) -> list[str]:
    """What a stream says until a line holds a word; act is done once it has begun."""

    async def listen() -> list[str]:
        said = []
        async for line in lines:
            said.append(line)
            if len(said) == 1:
                await asyncio.to_thread(act)
            if until in line:
                return said
        return said

    return asyncio.run(listen())


def test_what_happens_is_told_as_it_happens_and_names_nobody(world: World) -> None:
    lines = some(stream(world.store, None, poll_s=0.01), "event: delivery", world.job)
    told = [json.loads(line.split("data: ")[1]) for line in lines if "event: job" in line]
    assert [each["kind"] for each in told][:2] == ["received", "claimed"]
    assert "Doe" not in "".join(lines)


def test_who_comes_again_is_told_what_it_missed(world: World) -> None:
    job_id = world.job()
    seen = world.store.audit_queries.job_audit(job_id)[1].seq
    lines = some(stream(world.store, seen, poll_s=0.01), "event: delivery", lambda: None)
    assert f"id: {seen + 1}\n" in lines[1]


def test_a_stream_ticks_and_ends_by_itself(world: World) -> None:
    async def all_of(store: Store) -> list[str]:
        return [line async for line in stream(store, None, poll_s=0.01, tick_s=0.02, life_s=0.2)]

    lines = asyncio.run(all_of(world.store))
    assert any("event: dashboard" in line for line in lines)


def test_a_gpu_is_read_from_its_drivers_table() -> None:
    assert gpu.parse("NVIDIA T4, 1024, 15360, 37") == gpu.GpuReport("NVIDIA T4", 1024.0, 15360.0, 0.37)
    assert gpu.parse("NVIDIA T4, [N/A], 15360, [N/A]") == gpu.GpuReport("NVIDIA T4", None, 15360.0, None)
    assert gpu.parse("No devices were found") is None
