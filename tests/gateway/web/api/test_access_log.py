"""Who saw a patient's name or page is in the audit: found by asking every route there is, whoever adds it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from gateway.identity.order import Patient
from gateway.role import Role
from gateway.store import AuditEntry, AuditQuery, JobQuery, Store
from gateway.web.api.access_log import ONE_LIST_S, AccessLog, query_text
from tests.gateway.web.api.world import World, tiff
from tests.gateway.web.fake_digitizer import an_eye, sees
from tests.gateway.web.security.test_roles import ways
from tests.recordings import order

# Routes that answer with a patient's name, number, page or signal, or with what rules that ask for them say, and the
# audit's word for such a look.
LOOKS = {
    ("GET", "/api/v1/jobs"): "worklist",
    ("GET", "/api/v1/jobs/{job_id}"): "job",
    ("GET", "/api/v1/jobs/{job_id}/earlier"): "earlier recordings",
    ("GET", "/api/v1/jobs/{job_id}/onward"): "job",
    ("POST", "/api/v1/jobs/{job_id}/identify/preview"): "job",
    ("GET", "/api/v1/jobs/{job_id}/pages/{number}/image"): "page 1 image",
    ("GET", "/api/v1/jobs/{job_id}/pages/{number}/rectified"): "page 1 rectified",
    ("GET", "/api/v1/jobs/{job_id}/pages/{number}/waveform"): "page 1 waveform",
    ("GET", "/api/v1/jobs/{job_id}/documents/{kind}"): "page 1 aecg",
    ("GET", "/api/v1/jobs/{job_id}/documents/pdf/picture"): "page 1 pdf",
    ("GET", "/api/v1/jobs/{job_id}/documents/{kind}/text"): "page 1 aecg",
    ("POST", "/api/v1/jobs/bulk/matching"): "jobs that match",
    ("GET", "/api/v1/orders"): "orders and patients",
    ("POST", "/api/v1/rules/explain"): "page 1 explained",
    ("POST", "/api/v1/rules/explain/file"): "file explained",
    ("POST", "/api/v1/rules/replay"): "rules replay",
    ("GET", "/api/v1/audit/export"): "audit export",
}

# All others, each with the reason why nobody learns of a patient there.
SHELL = "a page without data: its script asks the API"
ACCOUNT = "users, sessions and tokens"
DONE = "answers with a job's id and state; the deed itself is in the audit"
NO_PATIENT = {
    ("GET", "/"): SHELL,
    ("GET", "/jobs/{job_id}"): SHELL,
    ("GET", "/upload"): SHELL,
    ("GET", "/dashboard"): SHELL,
    ("GET", "/rules"): SHELL,
    ("GET", "/audit"): SHELL,
    ("GET", "/api"): "the API's description",
    ("GET", "/login"): ACCOUNT,
    ("POST", "/login"): ACCOUNT,
    ("GET", "/login/oidc"): ACCOUNT,
    ("GET", "/login/oidc/callback"): ACCOUNT,
    ("POST", "/logout"): ACCOUNT,
    ("GET", "/account"): ACCOUNT,
    ("GET", "/account/password"): ACCOUNT,
    ("POST", "/account/password"): ACCOUNT,
    ("GET", "/users"): ACCOUNT,
    ("POST", "/users"): ACCOUNT,
    ("POST", "/users/{name}/reset"): ACCOUNT,
    ("POST", "/users/{name}/role"): ACCOUNT,
    ("POST", "/users/{name}/enable"): ACCOUNT,
    ("POST", "/users/{name}/disable"): ACCOUNT,
    ("GET", "/tokens"): ACCOUNT,
    ("POST", "/tokens"): ACCOUNT,
    ("POST", "/tokens/{token_id}/revoke"): ACCOUNT,
    ("GET", "/api/v1/me"): ACCOUNT,
    ("GET", "/api/v1/users"): ACCOUNT,
    ("POST", "/api/v1/users"): ACCOUNT,
    ("PATCH", "/api/v1/users/{name}"): ACCOUNT,
    ("POST", "/api/v1/users/{name}/reset-password"): ACCOUNT,
    ("GET", "/api/v1/tokens"): ACCOUNT,
    ("POST", "/api/v1/users/{name}/tokens"): ACCOUNT,
    ("DELETE", "/api/v1/tokens/{token_id}"): ACCOUNT,
    ("GET", "/metrics"): "counts",
    ("GET", "/healthz"): "yes or no",
    ("GET", "/readyz"): "yes or no",
    ("GET", "/api/v1/openapi.json"): "the API's description",
    ("GET", "/api/v1/jobs/{job_id}/audit"): "the audit holds no patient data",
    ("GET", "/api/v1/jobs/{job_id}/state"): "a state and why, in words of ours",
    ("GET", "/api/v1/jobs/{job_id}/documents"): "kinds and our own file names",
    ("GET", "/api/v1/layouts"): "lead names",
    ("POST", "/api/v1/jobs/bulk"): DONE,
    ("POST", "/api/v1/jobs/{job_id}/retry"): DONE,
    ("POST", "/api/v1/jobs/{job_id}/resend"): DONE,
    ("POST", "/api/v1/jobs/{job_id}/give-up"): DONE,
    ("POST", "/api/v1/jobs/{job_id}/approve"): DONE,
    ("POST", "/api/v1/jobs/{job_id}/identify"): DONE,
    ("POST", "/api/v1/jobs/{job_id}/correct"): DONE,
    ("POST", "/api/v1/jobs/{job_id}/invalid-leads"): DONE,
    ("POST", "/api/v1/uploads"): "tells the sender what the sender sent",
    ("GET", "/api/v1/dashboard"): "counts, and peers' codes without their free text",
    ("GET", "/api/v1/parked"): "job ids, and peers' codes without their free text",
    ("POST", "/api/v1/parked/resend"): DONE,
    ("POST", "/api/v1/destinations/{name}/pause"): "a destination",
    ("POST", "/api/v1/destinations/{name}/resume"): "a destination",
    ("GET", "/api/v1/rules"): "the configuration",
    ("GET", "/api/v1/audit"): "the audit holds no patient data",
    ("POST", "/api/v1/audit/verify"): "counts and job ids",
    ("GET", "/api/v1/events"): "job ids and kinds of events",
}
UNANSWERED = {  # not asked below: what it says is tested where it belongs
    ("GET", "/api/v1/events"),  # does not end
    ("GET", "/login/oidc"),  # another host
    ("GET", "/login/oidc/callback"),
    ("POST", "/logout"),
}
WHOSE = re.compile(r"\b(Doe|4711|A-17|19540131)\b")  # of tests.recordings.order
OF_MANY = {
    "/api/v1/jobs",
    "/api/v1/jobs/bulk/matching",
    "/api/v1/orders",
    "/api/v1/rules/explain/file",
    "/api/v1/rules/replay",
    "/api/v1/audit/export",
}
FILE = "/api/v1/rules/explain/file"
QUERIES = {"/api/v1/orders": {"q": "doe"}}
BODIES = {
    "/api/v1/jobs/bulk": {"action": "retry", "ids": ["0" * 32]},
    "/api/v1/jobs/bulk/matching": {},
    "/api/v1/parked/resend": {"ids": [1]},
    "/api/v1/jobs/{job_id}/identify/preview": {"accession_number": "A-18"},
}


def ask(world: World, method: str, path: str, job_id: str) -> Response:
    """What an administrator is answered."""
    url = path
    for name, value in {"{job_id}": job_id, "{number}": "1", "{kind}": "aecg", "{name}": "out"}.items():
        url = url.replace(name, value)
    body: Any = BODIES.get(path)
    if path.startswith("/api/v1/rules/"):
        body = {"config_text": "", "job_id": job_id} if "explain" in path else {"config_text": ""}
    if path == FILE:
        handed: Response = world.who().post(path, files={"file": ("page.tif", tiff(), "image/tiff")})
        return handed
    query = QUERIES.get(path)
    answer: Response = world.who().request(method, url.replace("{token_id}", "0" * 32), json=body, params=query)
    return answer


def accesses_of(store: Store) -> list[AuditEntry]:
    """Every look in the audit, the oldest first."""
    return list(reversed(store.audit_queries.audit(AuditQuery(kind="looked"), None, 1000).entries))


def test_every_route_says_whether_it_shows_a_patient(world: World) -> None:
    found = {(way.method, way.path) for way in ways(world.app)}
    assert found == {*LOOKS, *NO_PATIENT}, "a new route belongs into LOOKS or, with its reason, into NO_PATIENT"
    assert not set(LOOKS) & set(NO_PATIENT)


@pytest.mark.parametrize(("route", "what"), LOOKS.items(), ids=str)
def test_who_sees_a_patient_is_in_the_audit(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: tuple[str, str], what: str
) -> None:
    an_eye(monkeypatch, tmp_path, sees(order()))
    job_id = world.job()
    answer = ask(world, *route, job_id)
    assert answer.status_code == 200
    (look,) = accesses_of(world.store)
    assert (look.actor, look.detail["what"]) == ("a administrator", what)
    assert look.job_id == job_id or route[1] in OF_MANY
    assert not WHOSE.search(json.dumps(look.detail))
    assert world.store.verify_audit().ok


@pytest.mark.parametrize("route", sorted(set(NO_PATIENT) - UNANSWERED), ids=str)
def test_what_makes_no_look_names_no_patient(world: World, route: tuple[str, str]) -> None:
    """Asked for a page of a patient's; some refuse the request, and may not name anybody then either."""
    answer = ask(world, *route, world.job(0.5))
    assert answer.status_code < 500
    assert not WHOSE.search(answer.text)
    assert not answer.headers.get("content-type", "").startswith("image/")
    assert accesses_of(world.store) == []


def test_the_list_is_a_look_at_each_job_on_it_and_a_redraw_is_none(world: World) -> None:
    first = world.job()
    world.get("/jobs")
    world.get("/jobs")
    second = world.job(whose=order(patient=Patient("0815", name="Roe^Richard")))
    world.get("/jobs")
    told = [(look.detail["rows"], look.detail["jobs"], look.detail["asked"]) for look in accesses_of(world.store)]
    assert told == [(1, first, "all"), (2, second, "all")]
    world.get("/jobs", Role.REVIEWER)
    assert accesses_of(world.store)[-1].actor == "a reviewer"
    assert len(accesses_of(world.store)) == 3


def test_another_question_is_another_look_and_hides_whom_it_asked_for(world: World) -> None:
    job_id = world.job()
    for query in ({"q": "doe"}, {"q": "roe"}, {"patient": "4711", "state": "digitized"}, {"sender": "Doe"}):
        world.get("/jobs", **query)
    told = [(look.detail["asked"], look.detail["jobs"]) for look in accesses_of(world.store)]
    assert told == [
        ("words given", job_id),
        ("words given", ""),  # whoever that is: nobody of that name was shown
        ("state=digitized, patient given", job_id),
        ("sender given", ""),
    ]


@pytest.mark.parametrize("path", ["/jobs/bulk/matching", "/jobs/bulk"])
def test_which_jobs_match_a_name_is_a_look_whoever_is_found(world: World, path: str) -> None:
    job_id = world.job()
    for name in ("doe", "roe"):
        asked = {"q": name, "state": "digitized"}
        world.post(path, asked if path.endswith("matching") else {"action": "resend", "filter": asked})
    told = [(look.detail["what"], look.detail["asked"], look.detail["jobs"]) for look in accesses_of(world.store)]
    asked_words = "state=digitized, words given"
    assert told == [("jobs that match", asked_words, job_id), ("jobs that match", asked_words, "")]
    assert accesses_of(world.store)[0].actor == "a reviewer"


def test_the_patients_other_recordings_are_named_in_the_look_at_them(world: World) -> None:
    first = world.job(whose=order(acquired_at="20240101"))
    last = world.job(whose=order(acquired_at="20250101"))
    world.get(f"/jobs/{last}/earlier")
    (look,) = accesses_of(world.store)
    assert (look.job_id, look.detail["jobs"]) == (last, first)


def test_the_list_is_told_again_after_a_while() -> None:
    now = [0.0]
    watch, written = AccessLog(lambda: now[0]), []

    class FakeStore:
        def record_access_to_many(
            self, _actor: str, _what: str, _asked: str, rows: int, jobs: list[str], _of: str
        ) -> None:
            written.append((rows, tuple(jobs)))

    def look(*job_ids: str) -> None:
        watch.write_down_list(store, "anna", "worklist", "all", job_ids)  # type: ignore[arg-type]

    store = FakeStore()
    look("a", "b")
    now[0] = ONE_LIST_S - 1
    look("b", "a")
    look("b", "c")
    now[0] = ONE_LIST_S
    look("b", "c")
    look("b", "c")
    assert written == [(2, ("a", "b")), (2, ("c",)), (2, ("b", "c"))]


def test_an_empty_list_is_a_look_too(world: World) -> None:
    world.get("/jobs", q="nobody")
    world.get("/jobs", q="nobody")
    (look,) = accesses_of(world.store)
    assert (look.detail["rows"], look.detail["jobs"], look.detail["asked"]) == (0, "", "words given")


def test_a_question_in_words_names_what_nobody_typed_freely() -> None:
    assert query_text(JobQuery()) == "all"
    assert query_text(JobQuery(confidence_max=0.5, words="Doe", sender="x")) == (
        "confidence_max=0.5, sender given, words given"
    )
