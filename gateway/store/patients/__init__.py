"""Patients and orders that a feed of the hospital has told of, for a person who says whose ECG a page is."""

from gateway.store.patients.apply import apply_statements
from gateway.store.patients.expire import Forgotten, forget
from gateway.store.patients.search import PatientCounts, count, find
from gateway.store.patients.statements import (
    DeletionStatement,
    MergeStatement,
    OrderStatement,
    PatientKey,
    PatientStatement,
    Statement,
)

__all__ = [
    "DeletionStatement",
    "Forgotten",
    "MergeStatement",
    "OrderStatement",
    "PatientCounts",
    "PatientKey",
    "PatientStatement",
    "Statement",
    "apply_statements",
    "count",
    "find",
    "forget",
]
