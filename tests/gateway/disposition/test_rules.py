"""Rules: every operator both ways, how rules combine, what an explanation says, and what it must not say."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from gateway.config import Condition, RoutingSection, Rule
from gateway.config.fields import FIELDS, ORDER_KEYS, ORDER_PREFIX
from gateway.config.patterns import problem_with
from gateway.disposition.rules import (
    VALUE_MAX,
    Action,
    Decision,
    Facts,
    explain,
    facts_of,
    route,
)
from gateway.identity.order import Order, Patient
from gateway.job import Arrival, Door
from pipeline.recording import (
    TWELVE,
    Finding,
    Known,
    Lead,
    MadeBy,
    Recording,
    Scale,
    Severity,
    Source,
    Strip,
)

FIRST = RoutingSection()
ALL = RoutingSection(match="all")
NAMES = ("pacs", "ehr", "archive")


def strip(lead: Lead, seen: int = 1) -> Strip:
    n = 100
    return Strip(lead, 0.0, np.zeros(n, np.float32), np.full(n, 0.01, np.float32), np.full(n, seen, np.uint8))


def recording(**changes: Any) -> Recording:
    fields: dict[str, Any] = {
        "strips": tuple(strip(lead) for lead in TWELVE if lead is not Lead.V6),
        "rate_hz": 500,
        "layout": "3x4+1",
        "speed_mm_s": Scale(25.0, Known.GRID),
        "gain_mm_mv": Scale(10.0, Known.ASSUMED),
        "source": Source.FAX_FINE,
        "confidence": 0.8,
        "made_by": MadeBy("test"),
        "findings": (Finding("faded", Severity.INFO), Finding("lead_short", Severity.WARNING, Lead.V5)),
    }
    return Recording(**(fields | changes))


@pytest.fixture
def facts() -> Facts:
    arrival = Arrival(Door.DICOM, "CART7", "10.1.2.3", "CARDIOSCAN", "application/dicom")
    order = Order(
        patient=Patient(patient_id="4711", name="Muster^Eva"),
        accession_number="A1",
        attributes=(("Modality", "OT"), ("Rows", "512"), ("StudyDescription", "Resting ECG")),
    )
    return facts_of(arrival, order, recording())


def holds(facts: Facts, **condition: Any) -> bool:
    rule = Rule(name="r", when=(Condition(**condition),), send=("pacs",))
    return route(facts, (rule,), FIRST, NAMES).action is Action.SEND


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "door", "equals": "dicom"},
        {"field": "sender", "glob": "CART*"},
        {"field": "called_ae", "regex": "CARDIO(SCAN|LOGY)"},
        {"field": "dicom.Modality", "one_of": ("OT", "SC")},
        {"field": "dicom.Rows", "at_least": 512},
        {"field": "dicom.Rows", "less_than": 512.5},
        {"field": "order.patient_id", "equals": "4711"},
        {"field": "order.accession_number", "present": True},
        {"field": "order.visit_number", "present": False},
        {"field": "dicom.PatientAge", "present": False},
        {"field": "quality.confidence", "at_most": 0.8},
        {"field": "quality.confidence", "greater_than": 0.79},
        {"field": "layout", "equals": "3x4+1"},
        {"field": "source", "glob": "fax_*"},
        {"field": "finding", "equals": "lead_short"},
        {"field": "finding", "one_of": ("no_pulse", "faded")},
        {"field": "lead_missing", "equals": "V6"},
        {"field": "quality.leads_missing", "at_most": 1},
        {"field": "quality.warnings", "at_least": 1},
        {"field": "quality.speed_mm_s", "at_least": 25},
        {"field": "quality.gain_known", "equals": "assumed"},
        {"field": "quality.duration_s", "less_than": 0.3},
    ],
    ids=lambda c: "-".join(c),
)
def test_a_condition_holds_and_its_negation_does_not(facts: Facts, condition: dict[str, Any]) -> None:
    assert holds(facts, **condition)
    assert not holds(facts, **condition, negate=True)


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "door", "equals": "DICOM"},
        {"field": "sender", "glob": "CART"},
        {"field": "sender", "regex": "CART"},  # the whole value, not a part of it
        {"field": "dicom.Modality", "one_of": ("O", "T", "OTT")},
        {"field": "dicom.Rows", "less_than": 512},
        {"field": "dicom.Rows", "greater_than": 512},
        {"field": "dicom.StudyDescription", "at_least": 0},  # no number
        {"field": "dicom.PatientAge", "glob": "*"},  # absent
        {"field": "order.visit_number", "glob": "*"},  # empty is absent
        {"field": "quality.confidence", "at_least": 0.81},
        {"field": "finding", "equals": "no_pulse"},
        {"field": "lead_missing", "equals": "V5"},
    ],
    ids=lambda c: "-".join(c),
)
def test_a_condition_fails_and_its_negation_holds(facts: Facts, condition: dict[str, Any]) -> None:
    assert not holds(facts, **condition)
    assert holds(facts, **condition, negate=True)


def test_all_conditions_of_a_rule_must_hold(facts: Facts) -> None:
    both = (Condition(field="door", equals="dicom"), Condition(field="sender", equals="CART8"))
    assert route(facts, (Rule(name="r", when=both, send=("pacs",)),), FIRST, NAMES).action is Action.HOLD


def test_a_lead_of_which_nothing_was_seen_is_missing() -> None:
    blank = recording(strips=(*(strip(lead) for lead in TWELVE[:-1]), strip(Lead.V6, seen=0)))
    assert facts_of(Arrival(Door.FAX, "fax"), None, blank)["lead_missing"] == ("V6",)


def test_before_digitizing_no_quality_is_known(facts: Facts) -> None:
    early = facts_of(Arrival(Door.FAX, "ward3"), None, None)
    assert early["quality.confidence"] is None
    assert early["finding"] is None
    assert holds(early, field="quality.confidence", at_least=0.5, negate=True)


def test_facts_are_exactly_those_the_configuration_knows(facts: Facts) -> None:
    fixed = {name for name, _ in facts.values if not name.startswith(("dicom.", "order."))}
    assert fixed == set(FIELDS)
    assert {n for n, _ in facts.values if n.startswith("order.")} == {ORDER_PREFIX + key for key in ORDER_KEYS}


def always(name: str, **action: Any) -> Rule:
    return Rule(name=name, **action)


def never(name: str, **action: Any) -> Rule:
    return Rule(name=name, when=(Condition(field="door", equals="nowhere"),), **action)


def test_no_rules_send_everywhere(facts: Facts) -> None:
    decision = route(facts, (), FIRST, NAMES)
    assert (decision.action, decision.destinations) == (Action.SEND, NAMES)


def test_the_first_match_decides_alone(facts: Facts) -> None:
    rules = (never("a", hold="x"), always("b", send=("ehr",)), always("c", refuse="y"), always("d", send=("pacs",)))
    decision = route(facts, rules, FIRST, NAMES)
    assert (decision.action, decision.destinations, decision.rules) == (Action.SEND, ("ehr",), ("b",))
    assert [trace.counted for trace in decision.explanation] == [False, True, False, False]


def test_all_matches_unite_their_sends_in_the_order_of_the_destinations(facts: Facts) -> None:
    rules = (always("a", send=("archive", "ehr")), never("b", hold="x"), always("c", send=("pacs", "ehr")))
    decision = route(facts, rules, ALL, NAMES)
    assert (decision.destinations, decision.rules) == (NAMES, ("a", "c"))


def test_a_hold_wins_over_a_refusal_and_both_over_sends(facts: Facts) -> None:
    send, refuse = always("s", send=("pacs",)), always("r", refuse="not ours")
    hold, hold_too = always("h", hold="look"), always("i", hold="and look")
    refused = route(facts, (send, refuse), ALL, NAMES)
    assert (refused.action, refused.destinations, refused.why) == (Action.REFUSE, (), 'not ours (rule "r")')
    held = route(facts, (send, refuse, hold, hold_too), ALL, NAMES)
    assert (held.action, held.destinations, held.rules) == (Action.HOLD, (), ("h", "i"))
    assert held.why == 'look (rule "h"); and look (rule "i")'


@pytest.mark.parametrize("match", ["first", "all"])
def test_otherwise_decides_where_nothing_matches(facts: Facts, match: Any) -> None:
    rules = (never("a", send=("pacs",)),)
    assert route(facts, rules, RoutingSection(match=match), NAMES).action is Action.HOLD
    everywhere = route(facts, rules, RoutingSection(match=match, otherwise="send_all"), NAMES)
    assert (everywhere.action, everywhere.destinations) == (Action.SEND, NAMES)


@pytest.mark.parametrize(
    ("rules", "otherwise", "to"),
    [
        ((always("hold", hold="h"), never("a", send=("ehr",)), never("b", send=("pacs",))), "hold", ("pacs", "ehr")),
        ((never("a", send=("ehr",)),), "hold", ("ehr",)),
        ((always("hold", hold="h"), never("none", send=())), "hold", NAMES),
        ((always("hold", hold="h"),), "hold", NAMES),
        ((always("hold", hold="h"), never("a", send=("ehr",))), "send_all", NAMES),
    ],
)
def test_an_approved_page_that_no_rule_is_for_goes_where_rules_send(
    facts: Facts, rules: tuple[Rule, ...], otherwise: Any, to: tuple[str, ...]
) -> None:
    """A destination that no rule sends to is not for it: somebody keeps it for later, or for another kind of page."""
    decision = route(facts, rules, RoutingSection(otherwise=otherwise), NAMES, approvals=1)
    assert (decision.action, decision.destinations) == (Action.SEND, to)


def test_a_rule_may_send_nowhere(facts: Facts) -> None:
    decision = route(facts, (always("drop", send=()),), FIRST, NAMES)
    assert (decision.action, decision.destinations, decision.why) == (Action.SEND, (), 'rule "drop" sends it nowhere')


def explained(facts: Facts) -> tuple[Decision, str]:
    rules = (
        Rule(
            name="clean",
            when=(Condition(field="door", equals="dicom"), Condition(field="quality.confidence", at_least=0.9)),
            send=("pacs",),
        ),
        Rule(name="id", when=(Condition(field="order.patient_id", glob="99*", negate=True),), hold="foreign patient"),
        Rule(name="rest", send=("ehr",)),
    )
    decision = route(facts, rules, FIRST, NAMES)
    return decision, "\n".join(explain(decision))


def test_an_explanation_names_the_failed_condition_and_the_value_seen(facts: Facts) -> None:
    _, text = explained(facts)
    assert 'rule "clean": did not match' in text
    assert "holds: door is 'dicom'; it is 'dicom'" in text
    assert "fails: quality.confidence is at least 0.9; it is 0.8" in text
    assert 'rule "id": matched' in text
    assert "holds: order.patient_id is not like '99*'; it is '4711'" in text
    assert 'rule "rest": would match, but an earlier rule decided' in text


def test_the_reason_that_leaves_the_gateway_holds_no_value_of_the_page(facts: Facts) -> None:
    decision, _ = explained(facts)
    assert decision.why == 'foreign patient (rule "id")'


def test_a_value_too_long_for_a_regex_neither_matches_nor_slips_through_a_negation() -> None:
    order = Order(attributes=(("StudyDescription", "TEST" + "x" * VALUE_MAX),))
    facts = facts_of(Arrival(Door.DICOM, "X"), order, None)
    assert not holds(facts, field="dicom.StudyDescription", regex=".*TEST.*")
    assert not holds(facts, field="dicom.StudyDescription", regex=".*TEST.*", negate=True)


@pytest.mark.parametrize("pattern", ["(a*a*)[bc]", "a*a*a*[bc]", ".*a.*a.*[bc]", "[^b]+[^c]+[^d]+[ef]"])
def test_the_worst_lawful_regex_is_tried_in_under_two_seconds(pattern: str) -> None:
    assert problem_with(pattern) == ""
    facts = facts_of(Arrival(Door.DICOM, "a" * VALUE_MAX), None, None)
    start = time.process_time()
    assert not holds(facts, field="sender", regex=pattern)
    assert time.process_time() - start < 2.0


def test_a_glob_of_many_stars_is_tried_quickly() -> None:
    facts = facts_of(Arrival(Door.DICOM, "a" * 10_000), None, None)
    start = time.process_time()
    assert not holds(facts, field="sender", glob="*a*a*a*a*a*a*a*a*b")
    assert time.process_time() - start < 2.0
