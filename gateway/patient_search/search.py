"""Asks all who may know whose ECG a page is: every worklist at once, what feeds told, and earlier ECGs here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gateway.config import WorklistSection
from gateway.identity.candidate import OrderCandidate
from gateway.identity.order import Order, Patient
from gateway.patient_search.question import normalized
from gateway.patient_search.worklist import Answer, find
from gateway.store import JobOrder, JobQuery
from gateway.store.worklist import Worklist

GRACE_S = 1.0  # beyond its timeout_s, for what no timeout ends, such as looking up its name
KNOWN_MAX = 50  # of feeds, and of earlier ECGs


class Source(StrEnum):
    """Who knows an order, the ones that know most of it first."""

    WORKLIST = "worklist"  # a procedure is scheduled
    FEED = "feed"  # the hospital's system spoke of the patient or the order
    EARLIER = "earlier"  # an ECG of the patient came here before


@dataclass(frozen=True)
class NamedSource:
    """name: of the worklist or feed in the configuration, "" for an earlier ECG."""

    source: Source
    name: str = ""


@dataclass(frozen=True)
class Match:
    """An order that the words ask for, and who told of it. at, what: as in OrderCandidate, by the first teller."""

    order: Order
    sources: tuple[NamedSource, ...]
    at: datetime | None = None
    what: str = ""


@dataclass(frozen=True)
class Unanswered:
    """A worklist that did not tell all it might have, and why."""

    name: str
    code: str
    why: str


@dataclass(frozen=True)
class Found:
    """job_ids: the earlier ECGs among what was found, for the audit."""

    matches: tuple[Match, ...]
    unanswered: tuple[Unanswered, ...]
    job_ids: tuple[str, ...]


class Memory(Protocol):
    """What the store knows of earlier days."""

    @property
    def worklist(self) -> Worklist:
        """Jobs, by the words of a patient."""

    def find_orders(self, text: str, most: int) -> list[OrderCandidate]:
        """What feeds told."""


def search(
    worklists: Sequence[WorklistSection],
    store: Memory,
    text: str,
    now: datetime,
    jobs: JobQuery | None = None,
    without: str = "",
) -> Found:
    """All that is known to the words, each order once. Takes as long as the slowest worklist may, and hardly more.

    now: aware; its date in its own zone is the worklists' today. jobs: which earlier ECGs, None for those of the words;
    without: a job that is none of them.
    """
    text, began = normalized(text), time.monotonic()
    if not text:
        return Found((), (), ())
    pool = ThreadPoolExecutor(max(1, len(worklists)), "worklist")
    try:
        pending = [(each, pool.submit(find, each, text, now.date())) for each in worklists]
        matches = [_match(Source.FEED, candidate) for candidate in store.find_orders(text, KNOWN_MAX)]
        page = store.worklist.page(jobs or JobQuery(words=text), JobOrder.NEWEST, "", KNOWN_MAX)
        rows = [row for row in page.rows if row.job_id != without]
        unanswered = []
        for worklist, future in pending:
            answer = _in_time(worklist, future, began)
            matches += [_match(Source.WORKLIST, candidate) for candidate in answer.matches]
            if answer.code:
                unanswered.append(Unanswered(worklist.name, answer.code, answer.why))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for row in rows:
        if row.patient_id:  # its accession number, order and study are of that recording, and not taken over
            patient = Patient(row.patient_id, row.issuer, row.patient_name, row.birth_date, row.sex)
            what = f"accession {row.accession_number} then" if row.accession_number else ""
            matches.append(Match(Order(patient), (NamedSource(Source.EARLIER),), row.received_at, what))
    return Found(
        tuple(sorted(united(matches), key=lambda match: _place(match, now))),
        tuple(unanswered),
        tuple(row.job_id for row in rows if row.patient_id),
    )


def united(matches: Iterable[Match]) -> list[Match]:
    """Each order once. One id of one issuer with one accession number is one order, if nothing said of it differs."""
    found: dict[tuple[str, str, str], list[Match]] = {}
    for match in sorted(matches, key=lambda match: list(Source).index(match.sources[0].source)):
        patient = match.order.patient
        same = found.setdefault((patient.patient_id, patient.issuer, match.order.accession_number), [])
        for place, other in enumerate(same):
            both = _together(other.order, match.order)
            if both is not None:
                sources = tuple(dict.fromkeys((*other.sources, *match.sources)))
                same[place] = replace(other, order=both, sources=sources)
                break
        else:
            same.append(match)
    return [match for same in found.values() for match in same]


def _together(one: Order, other: Order) -> Order | None:
    """All that both say; None where they contradict each other, or do not say whom they speak of."""
    if not one.patient.patient_id:
        return one if one == other else None
    patient = _texts(one.patient, other.patient)
    order = _texts(one, other)
    if patient is None or order is None:
        return None
    return replace(one, patient=Patient(**patient), **order)  # type: ignore[arg-type]  # the keys are Order's own texts


def _texts(one: Order | Patient, other: Order | Patient) -> dict[str, str] | None:
    texts = {}
    for each in fields(one):
        if each.type != "str":
            continue
        a, b = getattr(one, each.name), getattr(other, each.name)
        if a and b and a != b:
            return None
        texts[each.name] = a or b
    return texts


def _match(source: Source, candidate: OrderCandidate) -> Match:
    return Match(candidate.order, (NamedSource(source, candidate.source),), candidate.at, candidate.what)


def _in_time(worklist: WorklistSection, future: Future[Answer], began: float) -> Answer:
    try:
        return future.result(max(0.0, began + worklist.timeout_s + GRACE_S - time.monotonic()))
    except NotInTime:
        where = f"{worklist.called_ae_title} at {worklist.host}:{worklist.port}"
        return Answer((), "timeout", f"{where} did not answer in {worklist.timeout_s:g} s")


def _place(match: Match, now: datetime) -> tuple[int, float]:
    """Scheduled ones first, and of one kind those nearest to now."""
    rank = list(Source).index(match.sources[0].source)
    return rank, abs((match.at - now).total_seconds()) if match.at else float("inf")
