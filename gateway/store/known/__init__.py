"""Patients and orders that a feed of the hospital has told of, for a person who says whose ECG a page is."""

from gateway.store.known.finding import KnownCounts, count, find
from gateway.store.known.forgetting import Forgotten, forget
from gateway.store.known.telling import tell
from gateway.store.known.told import GoneTold, MergeTold, OrderTold, PatientKey, PatientTold, Told

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
