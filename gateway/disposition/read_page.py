"""Reads one page of a document: decoded and digitized, or why not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.emit import npz
from gateway.errors import Refused
from gateway.job import PageResult, Verdict
from gateway.review import NO_CORRECTION, Digitize
from gateway.unpack import Unpacked
from pipeline.errors import Unreadable
from pipeline.recording import Correction, Page, Recording

NOT_AN_ECG = "not_an_ecg"


@dataclass(frozen=True, eq=False)
class PageReading:
    """A page as it was read. recording is None exactly where result says why; page is None where it was not decoded."""

    result: PageResult
    recording: Recording | None = None
    page: Page | None = None


def digitize_page(
    page: Page, digitize: Digitize, confidence_min: float, correction: Correction = NO_CORRECTION
) -> Recording:
    """The recording of a page. Below confidence_min it has a finding that names what its confidence lacks.

    Every way to read a page calls this, so that a low confidence always comes with something to look at.

    Raises: what digitize raises.
    """
    recording = digitize(page, correction)
    if recording.weakest is None or recording.confidence >= confidence_min:
        return recording
    return replace(recording, findings=(*recording.findings, recording.weakest))


def read_page(
    number: int, unpacked: Unpacked, digitize: Digitize, confidence_min: float, correction: Correction = NO_CORRECTION
) -> PageReading:
    """A page as it was read; a page that is damaged has that verdict alone. Raises TryAgain."""
    page: Page | None = None
    try:
        page = unpacked.read(number)
        recording = digitize_page(page, digitize, confidence_min, correction)
    except (Unreadable, Refused) as error:
        return PageReading(
            PageResult(number, verdict_of(error), error.code, error.why, correction=correction), page=page
        )
    summary, data = npz.summary_json(recording), npz.to_npz(recording)
    return PageReading(PageResult(number, Verdict.DIGITIZED, "", "", summary, data, correction), recording, page)


def verdict_of(error: Unreadable | Refused) -> Verdict:
    """What a page is that was not read: none but one that is surely no ECG lets its document go without it."""
    return Verdict.NOT_AN_ECG if error.code == NOT_AN_ECG and getattr(error, "sure", False) else Verdict.UNREADABLE
