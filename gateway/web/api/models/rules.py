"""The rules, explained and tried out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from gateway.web.api.models.base import Model, Moment


class ConditionModel(Model):
    """One test in words, such as field ``quality.confidence`` and test ``is less than 0.8``."""

    field: str
    test: str


class RuleModel(Model):
    """A rule as it is in force. action: send, hold or refuse; why: the reason it gives."""

    name: str
    conditions: list[ConditionModel]
    action: Literal["send", "hold", "refuse"]
    send: list[str]
    why: str


class RulesModel(Model):
    """The rules in force, in their order."""

    match: Literal["first", "all"]
    otherwise: Literal["hold", "send_all"]
    confidence_min: float
    require: list[str]
    destinations: list[str]
    rules: list[RuleModel]


class ExplainBody(Model):
    """The page to explain. config_text: rules of another configuration than the one in force, None for that one.

    job_id: whole, or at least its first eight characters.
    """

    job_id: str = Field(max_length=64)
    page: int = Field(1, ge=1, le=10_000)
    config_text: str | None = Field(None, max_length=200_000)


class ConditionTraceModel(Model):
    """One condition as it was tested; value: the page's value in words."""

    field: str
    test: str
    value: str
    holds: bool


class RuleTraceModel(Model):
    """One rule: whether it held, and whether it counted (after the first match none does).

    approved: it would have held the page for a person, and people have approved it.
    """

    rule: str
    holds: bool
    counted: bool
    approved: bool = False
    conditions: list[ConditionTraceModel]


class ReplayOutcome(Model):
    """What a page's document would become: what it is held for, or where it goes."""

    action: Literal["send", "hold", "refuse"]
    destinations: list[str]
    why: str


class DecisionModel(Model):
    """Where the rules send a page, and why. held_before: reasons for which a person must look whatever they say.

    disposition: what becomes of it by both, as the worker decides it; its document goes out whole or waits whole.
    """

    action: Literal["send", "hold", "refuse"]
    destinations: list[str]
    rules: list[str]
    why: str
    held_before: list[str]
    disposition: ReplayOutcome
    trace: list[RuleTraceModel]


class ExplainedPage(Model):
    """A page of a file. decision: None where nothing was read on it; code and why say the reason then."""

    page: int
    decision: DecisionModel | None
    code: str
    why: str


class ExplainedFile(Model):
    """What the rules say of a file that is not kept. refused: why it would be, where none of its pages was read."""

    file_name: str
    media_type: str
    refused: str
    pages: list[ExplainedPage]


class ReplayBody(Model):
    """A whole configuration and the time of the traffic to try it on. At most 500 jobs, the newest first."""

    config_text: str = Field(max_length=200_000)
    received_from: Moment | None = None
    received_to: Moment | None = None


class ReplayRow(Model):
    """A page that the changed configuration treats otherwise."""

    job_id: str
    page: int
    received_at: datetime
    now: ReplayOutcome
    then: ReplayOutcome


class ReplayResult(Model):
    """problems: what is wrong with the text; nothing was tried then. more: the time holds further pages.

    next_to: ask again with this as received_to, and the next ones are tried.
    """

    problems: list[str]
    pages: int
    changed: list[ReplayRow]
    more: bool
    next_to: datetime | None = None
