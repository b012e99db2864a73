"""Patients and orders that a feed of the hospital has told of, for a person who says whose ECG a page is."""

from gateway.store.patients.apply import tell
from gateway.store.patients.expire import Forgotten, forget
from gateway.store.patients.search import KnownCounts, count, find
from gateway.store.patients.statements import (
    GoneTold,
    MergeTold,
    OrderTold,
    PatientKey,
    PatientTold,
    Told,
)

__all__ = [
    "Forgotten",
    "GoneTold",
    "KnownCounts",
    "MergeTold",
    "OrderTold",
    "PatientKey",
    "PatientTold",
    "Told",
    "count",
    "find",
    "forget",
    "tell",
]
