"""A person says whose ECG a held page is: their words over what the door knew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from gateway.order import Order, Patient

PATIENT_KEYS = frozenset(f.name for f in fields(Patient))


def identified(order: Order | None, changes: Mapping[str, str]) -> Order:
    """The order with every non-empty change in place; keys are fields of Patient and Order."""
    order = order or Order()
    given = {key: value for key, value in changes.items() if value}
    patient = replace(order.patient, **{key: value for key, value in given.items() if key in PATIENT_KEYS})
    rest = {key: value for key, value in given.items() if key not in PATIENT_KEYS}
    if "acquired_at" in rest:
        rest["acquired_from"] = "a person"
    return replace(order, patient=patient, **rest)  # type: ignore[arg-type]  # the keys are Order's own texts
