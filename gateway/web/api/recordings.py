"""Recordings out of the store, kept for a while: a person turns back and forth between a few pages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from gateway.emit import npz
from gateway.errors import NotFound
from gateway.job import PageResult
from gateway.mapping import mappings
from gateway.review import NO_REVIEW, PageReview, of_this_reading, reviewed
from gateway.store import Store
from gateway.web.api.models import Measured, NotMeasured
from pipeline.recording import Correction, Lead, Recording

KEPT = 64  # recordings of some hundred kilobytes


@dataclass(frozen=True, eq=False)
class Read:
    """A page that was read: as it was read, what is measured on what goes out of it, and what people said of it.

    identity: SHA-256 over the whole recording: its samples, and the scales and findings that are stored beside them.
    review: only what was said of this very reading. outdated: the page was corrected since, and is to be read again.
    """

    page: PageResult
    identity: str
    recording: Recording
    measurements: tuple[Measured, ...]
    not_measured: tuple[NotMeasured, ...]
    review: PageReview
    outdated: bool


@dataclass(frozen=True, eq=False)
class _Key:
    """A stored recording known by its identity, so that the cache compares no megabytes, and the leads not believed."""

    identity: str
    npz: bytes
    summary: str
    invalid: tuple[Lead, ...]

    def __hash__(self) -> int:
        return hash((self.identity, self.invalid))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and (self.identity, self.invalid) == (other.identity, other.invalid)


def read_page(store: Store, job_id: str, number: int) -> Read:
    """A page with its recording. NotFound where there is no such job or page, or nothing was read on it."""
    page = next((page for page in store.pages(job_id) if page.number == number), None)
    if page is None:
        raise NotFound(f"job {job_id} has no page {number}")
    read = read_of(page, store.reviews.of(job_id).get(number, NO_REVIEW))
    if read is None:
        raise NotFound(f"nothing was read on page {number} of job {job_id}")
    return read


def read_of(page: PageResult, review: PageReview, *, keep: bool = True) -> Read | None:
    """The same of a page in hand, None where nothing was read on it. keep: for who turns back to it."""
    if page.recording_npz is None:
        return None
    sha256 = hashlib.sha256(page.recording_npz).hexdigest()
    identity = hashlib.sha256(f"{sha256}{page.summary}".encode()).hexdigest()
    latest, review = review, of_this_reading(review, sha256, page.correction)
    key = _Key(identity, page.recording_npz, page.summary, review.invalid_leads)
    recording, measurements, missing = _recording(key) if keep else _recording.__wrapped__(key)
    return Read(page, identity, recording, measurements, missing, review, outdated=is_outdated(page.correction, latest))


def is_outdated(correction: Correction, review: PageReview) -> bool:
    """Whether a page that was read with this correction was corrected since."""
    return correction != review.correction


@lru_cache(KEPT)
def _recording(key: _Key) -> tuple[Recording, tuple[Measured, ...], tuple[NotMeasured, ...]]:
    from gateway.emit.measured import (  # scipy's filters: seconds, which the window need not wait to open
        measured,
        reasons,
        values,
    )

    recording = npz.from_npz(key.npz, key.summary)
    table = mappings()
    found = measured(reviewed(recording, PageReview(invalid_leads=key.invalid)))  # as what is sent is measured
    measurements = []
    for each in values(found):
        row = table.measured[each.what]
        measurements.append(
            Measured(
                code=each.what.value,
                meaning=row.meaning,
                value=round(each.value, row.decimals),
                unit=table.units[row.unit].ucum,
                error=float(each.error_number) if each.error is not None else None,
                beats=each.beats,
            )
        )
    missing = tuple(
        NotMeasured(
            code=each.what.value,
            meaning=table.measured[each.what].meaning,
            reason=each.reason.value,
            text=each.reason.meaning,
        )
        for each in reasons(found)
    )
    return recording, tuple(measurements), missing
