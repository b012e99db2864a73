"""What is known here of a patient id that a person typed, and what of it contradicts what they said of the patient.

An id that was mistyped is mostly somebody else's: worklists, feeds and earlier ECGs know another name or birth date
under it. Such an identity stops until the person says that it is right all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.config import WorklistSection
from gateway.identity.order import Patient
from gateway.identity.same_patient import contradictions
from gateway.patient_search.search import Match, Memory, NamedSource, Unanswered, search
from gateway.store import JobQuery

TOLD_KEYS = frozenset(("patient_id", "issuer", "name", "birth_date", "sex"))


@dataclass(frozen=True)
class PatientCandidate:
    """A patient of this id, and who knows them. contradicts: what is known of them and not the same, by its key."""

    patient: Patient
    sources: tuple[NamedSource, ...]
    contradicts: tuple[str, ...]

    @property
    def source_names(self) -> str:
        """Who told, in words: ``worklist ris and an earlier ECG``."""
        return " and ".join(f"{each.source} {each.name}" if each.name else "an earlier ECG" for each in self.sources)


@dataclass(frozen=True)
class Lookup:
    """What is known of an id, each patient once. job_ids: the earlier ECGs among it, for the audit."""

    candidates: tuple[PatientCandidate, ...] = ()
    unanswered: tuple[Unanswered, ...] = ()
    job_ids: tuple[str, ...] = ()

    @property
    def contradicting(self) -> tuple[PatientCandidate, ...]:
        """Those who are somebody else by what was said."""
        return tuple(each for each in self.candidates if each.contradicts)

    @property
    def overridden(self) -> str:
        """What a person who goes on says otherwise than who, for the audit: keys and sources, nobody's data."""
        return "; ".join(f"{' '.join(each.contradicts)} of {each.source_names}" for each in self.contradicting)

    @property
    def code(self) -> str:
        """Eight characters that change when a contradiction is added or changed; "" where there is none.

        A person gives it back on the command line, so that only the contradictions shown to them are overridden.
        """
        shown = sorted(
            [each.patient.name, each.patient.birth_date, each.patient.sex, *each.contradicts]
            for each in self.contradicting
        )
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:8] if shown else ""

    @property
    def why(self) -> str:
        """The same for the person who is stopped."""
        texts = "; ".join(
            f"{each.source_names} {'know' if len(each.sources) > 1 else 'knows'} another "
            f"{' and '.join(key.replace('_', ' ') for key in each.contradicts)}"
            for each in self.contradicting
        )
        return f"Under this patient id, {texts}."


def find_candidates(
    worklists: Sequence[WorklistSection], store: Memory, patient: Patient, now: datetime, without: str = ""
) -> Lookup:
    """What worklists, feeds and earlier ECGs know of a patient's id. Takes as long as the slowest worklist may.

    without: the job that is identified; what was said of it before is no knowledge of the patient.
    """
    if not patient.patient_id:
        return Lookup()
    jobs = JobQuery(patient=patient.patient_id)
    found = search(worklists, store, patient.patient_id, now, jobs, without)
    by_patient: dict[Patient, tuple[NamedSource, ...]] = {}
    for match in filter(lambda match: _has_id(match, patient), found.matches):
        found_patient = match.order.patient
        by_patient[found_patient] = tuple(dict.fromkeys((*by_patient.get(found_patient, ()), *match.sources)))
    candidates = tuple(
        PatientCandidate(each, sources, tuple(str(key) for key in contradictions(each, patient)))
        for each, sources in by_patient.items()
    )
    return Lookup(candidates, found.unanswered, found.job_ids)


def _has_id(match: Match, patient: Patient) -> bool:
    """Whether a match is of this very id; ids of two issuers are two ids."""
    found = match.order.patient
    issuers = {found.issuer, patient.issuer} - {""}
    return found.patient_id == patient.patient_id and len(issuers) < 2
