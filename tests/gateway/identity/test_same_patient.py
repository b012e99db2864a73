"""Two patients of one id: what contradicts and what is only known less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.identity.order import Patient
from gateway.identity.same_patient import Demographic, contradictions

JANE = Patient("4711", "", "Doe^Jane^Q", "19540131", "F")


@pytest.mark.parametrize(
    "name", ["", "Doe^Jane", "DOE^JANE", "Doe^J", "Doe^Jane^Q^Dr.", "Doe Jane", "Döe^Jané", "Doe^Jane=ドウ^ジェーン"]
)
def test_a_name_that_is_known_less_or_written_otherwise_does_not_contradict(name: str) -> None:
    assert contradictions(JANE, replace(JANE, name=name)) == ()
    assert contradictions(replace(JANE, name=name), JANE) == ()


@pytest.mark.parametrize(("one", "other"), [("Müller^Ann", "Mueller^Ann"), ("Müller^Ann", "Muller^Ann")])
def test_an_umlaut_may_be_spelled_out_or_lost(one: str, other: str) -> None:
    assert contradictions(Patient(name=one), Patient(name=other)) == ()


@pytest.mark.parametrize("name", ["Doe^John", "Roe^Jane", "Zeta^Bob"])
def test_another_name_contradicts(name: str) -> None:
    assert contradictions(JANE, replace(JANE, name=name)) == (Demographic.NAME,)


def test_a_truncated_birth_date_does_not_contradict_and_another_does() -> None:
    assert contradictions(JANE, replace(JANE, birth_date="1954")) == ()
    assert contradictions(JANE, replace(JANE, birth_date="19540113")) == (Demographic.BIRTH_DATE,)


def test_all_that_contradicts_is_named() -> None:
    bob = Patient("4711", "", "Zeta^Bob", "19990909", "M")
    assert contradictions(JANE, bob) == (Demographic.NAME, Demographic.BIRTH_DATE, Demographic.SEX)
