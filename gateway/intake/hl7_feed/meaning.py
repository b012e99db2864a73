"""A message -> what it says of patients and orders; nothing where it is none of those we need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.config import Hl7FeedSection
from gateway.intake.hl7_feed.answer import Code, Rejected
from gateway.intake.hl7_feed.moments import moment
from gateway.intake.hl7_feed.people import key_of, patient
from gateway.intake.hl7_feed.requests import requests
from gateway.intake.hl7_feed.segments import VERSION, Header, Segment, read_segments
from gateway.store.patients import DeletionStatement, MergeStatement, PatientStatement, Statement

BEGINS = frozenset({"A01", "A04", "A05", "A28"})  # admit, register, pre-admit, add a person
LEAVES = frozenset({"A03", "A11"})  # discharge, cancel an admission
CHANGES = frozenset({"A02", "A06", "A07", "A08", "A13", "A31"}) | LEAVES
# A40 is the one that 2.5 has kept for patients; the older ones, and the change of a number, mean the same for us
MERGES = frozenset({"A18", "A30", "A34", "A36", "A39", "A40", "A46", "A47"})
DELETES = frozenset({"A23", "A29"})
ORDERS = frozenset({("ORM", "O01"), ("OMG", "O19"), ("OMI", "O23")})


@dataclass(frozen=True)
class Understood:
    """What one message says, and when. statements: () for one that is not needed here."""

    at: datetime
    statements: tuple[Statement, ...]


def understand(message: bytes, header: Header, settings: Hl7FeedSection, now: datetime) -> Understood:
    """Reads a message. Raises Rejected, with what to answer, for one that cannot be read or kept."""
    _check(header, settings)
    kind, trigger = _kind(header)
    if kind != "ADT" and (kind, trigger) not in ORDERS:
        return Understood(now, ())
    segments = read_segments(message, header, settings.character_set)
    evn = _find(segments, "EVN")
    if kind == "ADT":
        trigger = trigger or (evn.value(1) if evn else "")
    # MSH-7 before EVN-2: some systems date an event back, and what was said last counts, not what happened last
    at = moment(header.first(7).decode("ascii", "replace"), now) or (evn and moment(evn.value(2), now)) or now
    return Understood(
        at, tuple(_orders(segments, settings, now) if kind != "ADT" else _adt(segments, trigger, settings))
    )


def _check(header: Header, settings: Hl7FeedSection) -> None:
    """Raises Rejected where no message like this is taken."""
    if not VERSION.fullmatch(header.first(12) or b"2"):
        raise Rejected(Code.AR, "203", "MSH^1^12", "HL7 versions 2.1 to 2.9 are taken")
    if not header.first(10):
        raise Rejected(Code.AR, "101", "MSH^1^10", "a message without a control id")
    if not header.first(9):
        raise Rejected(Code.AR, "200", "MSH^1^9", "a message without a type")
    processing = header.first(11).decode("ascii", "replace")
    if processing and processing not in settings.processing_ids:
        taken = " ".join(settings.processing_ids)
        raise Rejected(Code.AR, "202", "MSH^1^11", f"hl7_feed.processing_ids takes {taken} only")


def _kind(header: Header) -> tuple[str, str]:
    parts = header.field(9).decode("ascii", "replace").split(header.component.decode("ascii", "replace"))
    return parts[0].strip().upper(), (parts[1].strip().upper() if len(parts) > 1 else "")


def _adt(segments: Sequence[Segment], trigger: str, settings: Hl7FeedSection) -> Iterator[Statement]:
    if trigger in BEGINS | CHANGES:
        pid, pv1 = _need(segments, "PID"), _find(segments, "PV1")
        statement = patient(pid, pv1, settings, anew=trigger in BEGINS)
        yield _left(statement, trigger) if trigger in LEAVES else statement
    elif trigger in DELETES:
        yield DeletionStatement(key_of(_need(segments, "PID"), 3, settings))
    elif trigger in MERGES:
        for pid, mrg, pv1 in _merges(segments):
            # anew: whoever stays has the number from now on, whatever was merged before
            yield MergeStatement(key_of(mrg, 1, settings), patient(pid, pv1, settings, anew=True))


def _left(statement: PatientStatement, trigger: str) -> PatientStatement:
    """After a discharge the visit can still be asked for; a cancelled one never was."""
    return replace(statement, place="", visit_number="" if trigger == "A11" else statement.visit_number)


def _merges(segments: Sequence[Segment]) -> Iterator[tuple[Segment, Segment, Segment | None]]:
    """PID, MRG and PV1 of each patient of a merge; some tell of several. Raises Rejected where one lacks MRG."""
    starts = [place for place, segment in enumerate(segments) if segment.name == "PID"]
    if not starts:
        _need(segments, "PID")
    for start, end in zip(starts, [*starts[1:], len(segments)], strict=True):
        group = segments[start:end]
        yield group[0], _need(group, "MRG"), _find(group, "PV1")


def _orders(segments: Sequence[Segment], settings: Hl7FeedSection, now: datetime) -> Iterator[Statement]:
    pid, pv1 = _need(segments, "PID"), _find(segments, "PV1")
    yield from requests(segments, patient(pid, None, settings), pv1, now)


def _find(segments: Sequence[Segment], name: str) -> Segment | None:
    return next((segment for segment in segments if segment.name == name), None)


def _need(segments: Sequence[Segment], name: str) -> Segment:
    found = _find(segments, name)
    if found is None:
        raise Rejected(Code.AE, "100", name, f"a message without {name}")
    return found
