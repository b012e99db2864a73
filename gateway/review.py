"""What a person says of a page, and the recording as it is with that said: the provenance goes out with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from pipeline.findings import FindingCode
from pipeline.recording import Correction, Finding, Lead, Page, Recording, Seen, Severity, Strip

AWAITS_APPROVAL = "awaits_approval"
HELD_BY_RULE = "held_by_rule"
AWAITS_SECOND_APPROVAL = "awaits_second_approval"  # of another person, by a rule with hold_even_approved
NO_CORRECTION = Correction()


@dataclass(frozen=True)
class Approval:
    """Who let a reading go out, and when."""

    by: str
    at: datetime


@dataclass(frozen=True)
class PageReview:
    """What people decided about one page; "" where nobody did.

    corrected_by, invalid_by: who changed it last, also by taking back what another had entered.
    approved_sha256: the stored recording that was approved, "" for none; another one is not approved by it.
    approved_again_by: who approved the same recording after approved_by, as a rule with hold_even_approved asks.
    left_out_by: who let the document go without this page. without: the pages that this page's document goes without.
    """

    correction: Correction = NO_CORRECTION
    corrected_by: str = ""
    invalid_leads: tuple[Lead, ...] = ()
    invalid_by: str = ""
    approved_sha256: str = ""
    approved_by: str = ""
    approved_at: datetime | None = None
    approved_again_by: str = ""
    left_out_by: str = ""
    without: tuple[int, ...] = ()

    @property
    def approval(self) -> Approval | None:
        """Of the recording that is stored, None where nobody approved it."""
        return Approval(self.approved_by, self.approved_at) if self.approved_sha256 and self.approved_at else None

    @property
    def approvals(self) -> int:
        """How many people have approved the recording that is stored: 0, 1 or 2."""
        return bool(self.approved_sha256) + bool(self.approved_sha256 and self.approved_again_by)

    @property
    def changed(self) -> bool:
        """Whether a person changed what goes out; then a person must approve it too."""
        return self.correction != NO_CORRECTION or bool(self.invalid_leads)

    @property
    def changed_by(self) -> frozenset[str]:
        """Who did last, also by taking back what another had said: that changes what goes out no less."""
        return frozenset(filter(None, (self.corrected_by, self.invalid_by)))


class Digitize(Protocol):
    """What turns a page into a recording, with a person's correction."""

    def __call__(self, page: Page, correction: Correction = ..., /) -> Recording:
        """Raises Unreadable."""


NO_REVIEW = PageReview()


def reviewed(recording: Recording, review: PageReview) -> Recording:
    """The recording as it goes out: without the samples of invalid leads, and with findings that say who-did-what.

    The findings name what was changed, never the person: who it was is in the audit, and who approved it on the report.
    """
    strips = tuple(_emptied(s) if s.lead in review.invalid_leads else s for s in recording.strips)
    return replace(recording, strips=strips, findings=(*recording.findings, *_findings(recording, review)))


def not_released(recording: Recording, code: str) -> Recording:
    """The recording of a job that is held, for a person who wants it all the same: what is made of it says so first.

    code: why the job is held.
    """
    finding = Finding(FindingCode.NOT_RELEASED, Severity.ERROR, detail=f"held: {code}")
    return replace(recording, findings=(finding, *recording.findings))


def as_read(review: PageReview, correction: Correction) -> PageReview:
    """The review that belongs to a reading made with this correction, without a later correction."""
    return review if review.correction == correction else replace(review, correction=correction, corrected_by="")


def of_this_reading(review: PageReview, recording_sha256: str, correction: Correction) -> PageReview:
    """The review of the stored recording with this hash, read with this correction: an approval is of one reading."""
    if review.approved_sha256 != recording_sha256:
        review = replace(review, approved_sha256="", approved_by="", approved_at=None, approved_again_by="")
    return as_read(review, correction)


def correction_json(correction: Correction) -> str:
    """What a person said, as JSON of what is not left to the digitizer."""
    stated = {key: value for key, value in vars(correction).items() if value not in (None, ())}
    return json.dumps(stated, sort_keys=True)


def correction_from_json(text: str | None) -> Correction:
    """The correction that correction_json wrote; NO_CORRECTION for None."""
    values = json.loads(text) if text else {}
    leads = tuple(Lead(name) for name in values.pop("leads", ()))
    return Correction(leads=leads, **values)


def correction_text(correction: Correction) -> str:
    """A correction as text for the provenance: ``layout 6x2, speed 50 mm/s``."""
    return ", ".join(_correction_parts(correction))


def _correction_parts(correction: Correction) -> Iterator[str]:
    if correction.orientation is not None:
        mirrored = ", mirrored" if correction.orientation >= 4 else ""
        yield f"orientation {correction.orientation % 4} quarter turns{mirrored}"
    if correction.layout is not None:
        yield f"layout {correction.layout}"
    if correction.leads:
        yield f"leads {' '.join(correction.leads)}"
    if correction.speed_mm_s is not None:
        yield f"speed {correction.speed_mm_s:g} mm/s"
    if correction.gain_mm_mv is not None:
        yield f"gain {correction.gain_mm_mv:g} mm/mV"
    if correction.chest_gain_mm_mv is not None:
        yield f"chest gain {correction.chest_gain_mm_mv:g} mm/mV"


def _emptied(strip: Strip) -> Strip:
    nothing = np.full(strip.samples, np.nan, np.float32)
    return Strip(strip.lead, strip.start_s, nothing, nothing.copy(), np.full(strip.samples, Seen.NOTHING, np.uint8))


def _findings(recording: Recording, review: PageReview) -> Iterator[Finding]:
    if review.correction != NO_CORRECTION:
        yield Finding(FindingCode.CORRECTED_BY_PERSON, Severity.INFO, detail=correction_text(review.correction))
    for lead in review.invalid_leads:
        yield Finding(FindingCode.LEAD_MARKED_INVALID, Severity.ERROR, lead)
    if review.approved_sha256:
        detail = f"confidence {recording.confidence_text}"
        yield Finding(FindingCode.APPROVED_BY_PERSON, Severity.INFO, detail=detail)
    for page in review.without:  # each page goes out as a document of its own, and would look like the whole
        yield Finding(FindingCode.PAGE_LEFT_OUT, Severity.WARNING, detail=f"page {page} was left out by a person")
