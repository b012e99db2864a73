"""The API does what its own description says, whatever it is asked: nothing may be our fault, every answer as told."""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.errors
import hypothesis.strategies
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.role import Role
from tests.gateway.web.api.world import World

EXAMPLES = 3  # of every operation and kind: lawful requests, and others
ENDLESS = {"/api/v1/events"}  # a stream does not end; its own tests listen to it
CHECKS: list[Any] = [
    not_a_server_error,
    response_schema_conformance,
    content_type_conformance,
    status_code_conformance,
]


def ask(operation: Any, mode: GenerationMode, token: dict[str, str], ids: tuple[str, ...], tried: list[int]) -> None:
    """A few requests of one operation, about jobs that are there where it is about a job."""

    @given(case=operation.as_strategy(generation_mode=mode), job_id=hypothesis.strategies.sampled_from(ids))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any, job_id: str) -> None:
        if "job_id" in (case.path_parameters or {}) and mode is GenerationMode.POSITIVE:
            case.path_parameters = {**case.path_parameters, "job_id": job_id}
        answer = case.call(headers=token)
        tried.append(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    check()


def test_nothing_that_is_asked_is_our_fault_and_every_answer_is_as_described(world: World) -> None:
    ids = (world.job(0.5), world.job(), world.receive())
    token = {"authorization": str(world.who(Role.ADMINISTRATOR).headers["authorization"])}
    schema = schemathesis.openapi.from_dict(world.app.openapi())
    schema.app = world.app
    tried: list[int] = []
    asked = set()
    for found in schema.get_all_operations():
        operation: Any = found.ok()
        if operation.path in ENDLESS or "accounts" in (operation.definition.raw.get("tags") or []):
            continue
        asked.add((operation.method.upper(), operation.path))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                ask(operation, mode, token, ids, tried)
            except hypothesis.errors.Unsatisfiable:  # an operation without parameters cannot be asked wrongly
                assert mode is GenerationMode.NEGATIVE
    assert len(asked) >= 28
    assert tried.count(200) > len(asked) / 2
    assert world.store.verify_audit().ok
