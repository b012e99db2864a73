"""ORC, OBR, TQ1, IPC and IHE's ZDS -> what was requested for a patient, and what was cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.identity.values import lawful
from gateway.intake.hl7_feed.answer import Code, Rejected
from gateway.intake.hl7_feed.moments import moment
from gateway.intake.hl7_feed.people import lawful_text, referring_physician, shown, visit_number
from gateway.intake.hl7_feed.segments import Segment
from gateway.store.patients import OrderStatement, PatientStatement

# HL7 table 0119: cancelled, discontinued, replaced by another, refused, in error; asked, done and done unasked
ENDS = frozenset({"CA", "OC", "CR", "DC", "OD", "DR", "RP", "RQ", "RU", "UA", "DE"})
ENDED = frozenset({"CA", "DC", "RP"})  # table 0038, order status


def requests(
    segments: Sequence[Segment], patient: PatientStatement, pv1: Segment | None, now: datetime
) -> list[OrderStatement]:
    """Every request of a message. Raises Rejected where one has no number, or there is none."""
    # what PV1 says in an order is of the visit that the order is for, not of where the patient is
    bare = replace(patient, visit_number=None, referring_physician=None, place=None)
    statements = [_request(group, bare, pv1, now) for group in _groups(segments)]
    if not statements:
        raise Rejected(Code.AE, "100", "ORC", "an order message without ORC and OBR")
    return statements


def _groups(segments: Sequence[Segment]) -> Iterator[dict[str, Segment]]:
    """ORC, OBR and what follows them, one group for each request; further OBRs under one ORC are requests too."""
    group: dict[str, Segment] = {}
    for segment in segments:
        if segment.name == "ORC" or (segment.name == "OBR" and "OBR" in group):
            if group:
                yield group
            group = {"ORC": group["ORC"]} if segment.name == "OBR" and "ORC" in group else {}
        if segment.name in ("ORC", "OBR") or (segment.name in ("TQ1", "IPC", "ZDS") and group):
            group.setdefault(segment.name, segment)
    if group:
        yield group


def _request(
    group: dict[str, Segment], patient: PatientStatement, pv1: Segment | None, now: datetime
) -> OrderStatement:
    orc, obr, ipc, zds = (group.get(name) for name in ("ORC", "OBR", "IPC", "ZDS"))
    # with several OBRs under one ORC only the OBR's own number tells them apart
    placer = _number((obr, 2), (orc, 2))
    filler = _number((obr, 3), (orc, 3))
    if not placer[0] and not filler[0]:
        raise Rejected(Code.AE, "101", "ORC^1^2", "an order without placer and filler number")
    # IPC-1 is the accession number by definition, OBR-18 by IHE's Scheduled Workflow. OBR-20 is there the number of a
    # procedure step, and a filler number is no accession number: a wrong one files an ECG under another request.
    accession = _first((ipc, 1), (obr, 18))
    study = _first((ipc, 3), (zds, 1))
    control, status = _first((orc, 1)) or "", _first((orc, 5)) or ""
    return OrderStatement(
        patient=patient,
        placer_key=placer[0],
        filler_key=filler[0],
        placer_number=lawful_text(placer[1], "ORC^1^2"),
        filler_number=lawful_text(filler[1], "ORC^1^3"),
        accession_number=lawful_text(accession, "IPC^1^1" if ipc and ipc.text(1) else "OBR^1^18"),
        study_uid=study and lawful("study_uid", study),  # what is no UID could not be a study's
        visit_number=visit_number(pv1),
        referring_physician=referring_physician(pv1),
        what=_what(obr),
        scheduled_at=_scheduled(group, now),
        cancelled=control.upper() in ENDS or status.upper() in ENDED,
    )


def _number(*places: tuple[Segment | None, int]) -> tuple[str, str | None]:
    """A number with who gave it, and the number alone; from the first place that has one. None: not said."""
    for segment, field in places:
        if segment is not None and segment.value(field):
            entity = segment.repetitions(field)[0]
            return "^".join(entity.value(part) for part in (1, 2, 3, 4)).rstrip("^"), entity.value(1)
    return "", None


def _first(*places: tuple[Segment | None, int]) -> str | None:
    """What the first of some fields that says anything says."""
    texts = (segment.text(field) for segment, field in places if segment is not None)
    return next((text for text in texts if text is not None), None)


def _what(obr: Segment | None) -> str | None:
    """OBR-4: its text, that of the other coding, or the code."""
    services = () if obr is None else obr.repetitions(4)
    return shown(services[0].value(2) or services[0].value(5) or services[0].value(1)) if services else None


def _scheduled(group: dict[str, Segment], now: datetime) -> datetime | None:
    """For when it is planned: the field that means that first, those that some systems use for it after it."""
    places = (("OBR", 36, 1), ("TQ1", 7, 1), ("OBR", 27, 4), ("ORC", 7, 4), ("OBR", 7, 1), ("ORC", 15, 1))
    for name, field, component in places:
        text = group[name].value(field, component) if name in group else ""
        if at := moment(text, now):
            return at
    return None
