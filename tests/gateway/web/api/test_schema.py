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


def ask(operation: Any, mode: GenerationMode, token: dict[str, str], there: dict[str, Any], tried: list[int]) -> None:
    """A few requests of one operation. there: names of parts of its path, and what there is that they may name."""

    @given(case=operation.as_strategy(generation_mode=mode), names=hypothesis.strategies.fixed_dictionaries(there))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any, names: dict[str, str]) -> None:
        if case.path_parameters and mode is GenerationMode.POSITIVE:
            known = {part: name for part, name in names.items() if part in case.path_parameters}
            case.path_parameters = {**case.path_parameters, **known}
        answer = case.call(headers=token)
        tried.append(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    check()


def ask_all(world: World, name: str, there: dict[str, Any], *, accounts: bool) -> tuple[int, list[int]]:
    """Every operation about accounts, or every other one, asked by this administrator: how many, and the answers."""
    token = {"authorization": str(world.who(Role.ADMINISTRATOR, name).headers["authorization"])}
    schema = schemathesis.openapi.from_dict(world.app.openapi())
    schema.app = world.app
    tried: list[int] = []
    asked = set()
    for found in schema.get_all_operations():
        operation: Any = found.ok()
        if operation.path in ENDLESS or accounts is not ("accounts" in (operation.definition.raw.get("tags") or [])):
            continue
        asked.add((operation.method.upper(), operation.path))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                ask(operation, mode, token, there, tried)
            except hypothesis.errors.Unsatisfiable:  # an operation without parameters cannot be asked wrongly
                assert mode is GenerationMode.NEGATIVE
    return len(asked), tried


def test_nothing_that_is_asked_is_our_fault_and_every_answer_is_as_described(world: World) -> None:
    ids = (world.job(0.5), world.job(), world.receive())
    there = {"job_id": hypothesis.strategies.sampled_from(ids)}
    asked, tried = ask_all(world, "", there, accounts=False)
    assert asked >= 28
    assert tried.count(200) > asked / 2
    assert world.store.verify_audit().ok


def test_nothing_that_is_asked_of_users_and_tokens_is_our_fault(world: World) -> None:
    world.who(Role.REVIEWER, "carl")
    there = {"name": hypothesis.strategies.just("carl")}
    asked, tried = ask_all(world, "root", there, accounts=True)
    assert asked == 8
    assert sum(200 <= status < 300 for status in tried) > asked
    assert world.store.verify_audit().ok
