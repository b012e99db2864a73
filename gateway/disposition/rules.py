"""Routing rules: match, explain, replay.

A rule holds if all its conditions hold. ``match = "first"``: the first rule that holds decides alone.
``match = "all"``: every rule that holds counts; a hold wins over a refusal and a refusal over sends, for a person
sees what is held and can give it up, or identify or retry it so that it is routed anew, but nobody looks for what was
refused; the sends of several rules are united.
With no rules at all every recording goes to every destination.

A page that a person has approved is not held: rules that hold are passed over, one with ``hold_even_approved`` once two
people have approved it. An approved page that no other rule is for goes to every destination that some rule sends to,
to all where no rule sends anything.

A condition on a value that is absent does not hold, so the negated one does. Values are compared as they came: case
counts, ``glob`` and ``regex`` must match the whole value. A trace shows values of the page's own patient: it is for the
administrator's eyes, never for a log; ``Decision.why`` holds none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from gateway.config import Condition, RoutingSection, Rule
from gateway.config.fields import DICOM_PREFIX, ORDER_KEYS, ORDER_PREFIX, PATIENT_KEYS
from gateway.identity.order import Order
from gateway.job import Arrival
from pipeline.recording import TWELVE, Recording, Seen, Severity

# Longer values are not tried against a regex: with config.patterns this bounds what a stranger's value can cost.
VALUE_MAX = 256

Value = str | float | tuple[str, ...] | None  # None: absent


class Action(StrEnum):
    """What becomes of a recording."""

    SEND = "send"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Facts:
    """What the rules may know about a page: (field, value), fields as gateway.config.fields names them."""

    values: tuple[tuple[str, Value], ...]

    def __getitem__(self, field: str) -> Value:
        """None where the fact is absent."""
        return next((value for name, value in self.values if name == field), None)


@dataclass(frozen=True)
class ConditionTrace:
    """One condition as it was tested. value: as text, for the administrator only."""

    field: str
    test: str
    value: str
    holds: bool


@dataclass(frozen=True)
class RuleTrace:
    """One rule: whether it held, and whether it counted (after the first match none does).

    approved: it would have held the page for a person, and people have approved it.
    """

    rule: str
    holds: bool
    counted: bool
    conditions: tuple[ConditionTrace, ...]
    approved: bool = False


@dataclass(frozen=True)
class Decision:
    """Where a recording goes. rules: those that decided, in the file's order. why: free of patient data."""

    action: Action
    destinations: tuple[str, ...]
    rules: tuple[str, ...]
    why: str
    explanation: tuple[RuleTrace, ...]


def facts_of(arrival: Arrival, order: Order | None, recording: Recording | None) -> Facts:
    """What is known about a page: by its door, its order where there is one, its recording where it was digitized."""
    values: list[tuple[str, Value]] = [
        ("door", str(arrival.door)),
        ("sender", arrival.sender),
        ("sender_address", arrival.sender_address),
        ("called_ae", arrival.called),
        ("media_type", arrival.media_type),
    ]
    if order is not None:
        values += [(DICOM_PREFIX + key, value) for key, value in order.attributes]
        values += [(ORDER_PREFIX + key, _order_text(order, key)) for key in ORDER_KEYS]
    if recording is not None:
        values += _quality(recording)
    return Facts(tuple((name, None if value == "" else value) for name, value in values))


def _order_text(order: Order, key: str) -> str:
    return str(getattr(order.patient if key in PATIENT_KEYS else order, key))


def _quality(recording: Recording) -> list[tuple[str, Value]]:
    shown = {strip.lead for strip in recording.strips if (strip.seen != Seen.NOTHING).any()}
    missing = tuple(str(lead) for lead in TWELVE if lead not in shown)
    return [
        ("layout", recording.layout),
        ("source", str(recording.source)),
        ("finding", tuple(dict.fromkeys(finding.code for finding in recording.findings))),
        ("lead_missing", missing),
        ("quality.confidence", float(recording.confidence)),
        ("quality.speed_mm_s", float(recording.speed_mm_s.value)),
        ("quality.gain_mm_mv", float(recording.gain_mm_mv.value)),
        ("quality.speed_known", str(recording.speed_mm_s.known)),
        ("quality.gain_known", str(recording.gain_mm_mv.known)),
        ("quality.duration_s", float(recording.duration_s)),
        ("quality.leads_missing", float(len(missing))),
        ("quality.warnings", float(sum(finding.severity != Severity.INFO for finding in recording.findings))),
    ]


def route(
    facts: Facts, rules: Sequence[Rule], routing: RoutingSection, destinations: Sequence[str], approvals: int = 0
) -> Decision:
    """Decides where a recording goes. destinations: the names of all that are configured, in the file's order.

    approvals: how many people have approved it, as the page of the patient whose it is.
    """
    if not rules:
        return Decision(Action.SEND, tuple(destinations), (), "no rules: it goes to every destination", ())
    traces: list[RuleTrace] = []
    decided = False
    for rule in rules:
        conditions = tuple(_trace(condition, facts) for condition in rule.when)
        holds = all(condition.holds for condition in conditions)
        approved = holds and _is_answered(rule, approvals)
        traces.append(RuleTrace(rule.name, holds, holds and not decided and not approved, conditions, approved))
        decided = decided or (holds and not approved and routing.match == "first")
    counted = [rule for rule, trace in zip(rules, traces, strict=True) if trace.counted]
    return _decide(counted, rules, routing, destinations, tuple(traces), approvals)


def _is_answered(rule: Rule, approvals: int) -> bool:
    """Whether a rule holds pages for an approval that this one has."""
    return bool(rule.hold) and approvals >= (2 if rule.hold_even_approved else 1)


def _decide(
    counted: Sequence[Rule],
    rules: Sequence[Rule],
    routing: RoutingSection,
    destinations: Sequence[str],
    traces: tuple[RuleTrace, ...],
    approvals: int,
) -> Decision:
    for action, reason in ((Action.HOLD, "hold"), (Action.REFUSE, "refuse")):
        deciding = [rule for rule in counted if getattr(rule, reason)]
        if deciding:
            why = "; ".join(f'{getattr(rule, reason)} (rule "{rule.name}")' for rule in deciding)
            return Decision(action, (), tuple(rule.name for rule in deciding), why, traces)
    names = tuple(rule.name for rule in counted)
    if counted:
        wanted = {name for rule in counted for name in rule.send}
        sends = tuple(name for name in destinations if name in wanted)
        quoted = ", ".join(f'"{name}"' for name in names)
        why = f"sent by rule {quoted}" if sends else f"rule {quoted} sends it nowhere"
        return Decision(Action.SEND, sends, names, why, traces)
    if routing.otherwise == "send_all":
        return Decision(Action.SEND, tuple(destinations), (), "no rule matched: it goes to every destination", traces)
    if approvals:
        return _approved_without_rule(rules, destinations, traces)
    return Decision(Action.HOLD, (), (), "no rule matched, and such pages wait for a person", traces)


def _approved_without_rule(
    rules: Sequence[Rule], destinations: Sequence[str], traces: tuple[RuleTrace, ...]
) -> Decision:
    """A destination that no rule ever sends to, as one that is kept for later, is not for an approved page either."""
    wanted = {name for rule in rules for name in rule.send}
    sends = tuple(name for name in destinations if name in wanted or not wanted)
    where = "every destination that a rule sends to" if wanted else "every destination"
    return Decision(Action.SEND, sends, (), f"approved, and no rule says where to: it goes to {where}", traces)


def explain(decision: Decision) -> tuple[str, ...]:
    """The decision in lines for an administrator's terminal: each rule, and which condition kept it from matching."""
    to = f" to {', '.join(decision.destinations) or 'nowhere'}" if decision.action is Action.SEND else ""
    lines = [f"{decision.action}{to}: {decision.why}"]
    for trace in decision.explanation:
        lines.append(f'rule "{trace.rule}": {_verdict(trace)}')
        if not trace.conditions:
            lines.append("    has no condition, so it always matches")
        for condition in trace.conditions:
            mark = "holds" if condition.holds else "fails"
            lines.append(f"    {mark}: {condition.field} {condition.test}; it is {condition.value}")
    return tuple(lines)


def test_of(condition: Condition) -> str:
    """A condition's test in words: ``is less than 0.8``."""
    operator = condition.operators[0]
    return _test_text(operator, getattr(condition, operator), condition.negate)


def _verdict(trace: RuleTrace) -> str:
    if trace.counted:
        return "matched"
    if trace.approved:
        return "would hold it, but it was approved"
    return "would match, but an earlier rule decided" if trace.holds else "did not match"


def _trace(condition: Condition, facts: Facts) -> ConditionTrace:
    value = facts[condition.field]
    operator = condition.operators[0]
    operand = getattr(condition, operator)
    return ConditionTrace(
        condition.field,
        test_of(condition),
        _value_text(value, operator),
        # what may not be tried is neither so nor not so: a long value must not slip through a negated rule
        not _too_long(operator, value) and _holds(operator, operand, value) != condition.negate,
    )


def _too_long(operator: str, value: Value) -> bool:
    return operator == "regex" and isinstance(value, str) and len(value) > VALUE_MAX


def _holds(operator: str, operand: object, value: Value) -> bool:
    if operator == "present":
        return (value is not None and value != ()) is operand
    if isinstance(operand, float):
        number = _number(value)
        return number is not None and _compares(operator, number, operand)
    members = value if isinstance(value, tuple) else () if value is None else (str(value),)
    return any(_matches(operator, operand, member) for member in members)


def _compares(operator: str, number: float, bound: float) -> bool:
    match operator:
        case "less_than":
            return number < bound
        case "at_most":
            return number <= bound
        case "greater_than":
            return number > bound
        case _:
            return number >= bound


def _matches(operator: str, operand: object, text: str) -> bool:
    if isinstance(operand, tuple):
        return text in operand
    match operator, operand:
        case "glob", str(pattern):
            return fnmatchcase(text, pattern)
        case "regex", str(pattern):
            return re.fullmatch(pattern, text) is not None
        case _:
            return text == operand


def _number(value: Value) -> float | None:
    """A number as it is, or as a DICOM attribute spells it (DS, IS); None where the value is none."""
    if isinstance(value, float):
        return value
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


_WORDS = {  # the test, and the test negated
    "equals": ("is", "is not"),
    "glob": ("is like", "is not like"),
    "regex": ("matches", "does not match"),
    "one_of": ("is one of", "is none of"),
    "less_than": ("is less than", "is not less than"),
    "at_most": ("is at most", "is not at most"),
    "greater_than": ("is more than", "is not more than"),
    "at_least": ("is at least", "is not at least"),
}


def _test_text(operator: str, operand: object, negate: bool) -> str:
    if operator == "present":
        return "is present" if bool(operand) != negate else "is absent"
    text = _WORDS[operator][negate]
    if isinstance(operand, tuple):
        return f"{text} {', '.join(map(repr, operand))}"
    return f"{text} {operand:g}" if isinstance(operand, float) else f"{text} {operand!r}"


def _value_text(value: Value, operator: str) -> str:
    match value:
        case None:
            return "absent"
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(repr, value)) or "none"
        case _ if _too_long(operator, value):
            return f"longer than the {VALUE_MAX} characters that a regex is tried on"
        case _:
            return repr(value)
