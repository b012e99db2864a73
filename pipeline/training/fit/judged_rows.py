"""What is noted of a page that was read, for who fits how likely a page is right: what was doubted, what was wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.findings import FindingCode
from pipeline.quality.assess import READ_MIN
from pipeline.quality.doubts import HARM_DB, HARM_MV
from pipeline.recording import TWELVE, Lead, Recording, Seen, Severity
from pipeline.score import LeadScore, score, score_leads
from pipeline.training.data.suite import Case, Drawn

PAGE_DB = 10.0
SCALE_OFF = 0.02  # speeds and gains are a factor 2 apart
# findings whose severity is fitted; low_confidence is the confidence itself
FITTED = (FindingCode.SIGMA_LARGE, FindingCode.INK_OVER_LEAD, FindingCode.GAIN_ASSUMED, FindingCode.LOW_CONFIDENCE)


@dataclass(frozen=True)
class DoubtRow:
    """One doubt of a page: its figures, and whether what was doubted was wrong."""

    code: str
    lead: str | None
    figures: Mapping[str, float]
    harmed: bool


@dataclass(frozen=True)
class PageRow:
    """What one page came to.

    scaled: speed and gain are as printed. right: scaled, at least PAGE_DB, and no lead harmed. held: codes of the other
    findings that hold it.
    """

    number: int
    kind: str
    patient: str
    refused: str
    db: float = 0.0
    scaled: bool = False
    right: bool = False
    signs: Mapping[str, float] | None = None
    doubts: tuple[DoubtRow, ...] = ()
    held: tuple[str, ...] = ()


def is_harmed(lead: LeadScore) -> bool:
    """Whether a reader would be misled by a lead."""
    return lead.db < HARM_DB and lead.rmse_mv > HARM_MV


def row_of(recording: Recording, drawn: Drawn, case: Case, whose: str) -> PageRow:
    """The row of a page that was read."""
    truth = drawn.rendered.truth.recording
    found = recording.twelve().millivolts
    leads = dict(zip(TWELVE, score_leads(drawn.label, found, truth.rate_hz), strict=True))
    harmed = {lead for lead, one in leads.items() if one is not None and is_harmed(one)}
    db = score(drawn.label, found, truth.rate_hz).kaggle_db
    gain_right = _alike(recording.gain_mm_mv.value, truth.gain_mm_mv.value)
    scaled = gain_right and _alike(recording.speed_mm_s.value, truth.speed_mm_s.value)
    return PageRow(
        case.number,
        str(case.source),
        whose,
        "",
        db,
        scaled,
        db >= PAGE_DB and not harmed and scaled,
        dict(recording.signs),
        tuple(_doubts(recording, harmed, gain_right)),
        tuple(sorted({f.code for f in recording.findings if f.severity is Severity.ERROR} - set(FITTED))),
    )


def _alike(one: float, other: float) -> bool:
    return abs(one / other - 1) < SCALE_OFF


def _doubts(recording: Recording, harmed: set[Lead], gain_right: bool) -> Iterator[DoubtRow]:
    """Of a lead printed twice only the longest strip, which is the one that was scored."""
    longest = {id(recording.longest(lead)) for lead in TWELVE}
    read = [strip for strip in recording.strips if float(np.mean(strip.seen == Seen.READ)) >= READ_MIN]
    of_strips = [doubt for doubt in recording.doubts if doubt.finding.code == FindingCode.SIGMA_LARGE]
    for strip, doubt in zip(read, of_strips, strict=True):
        if id(strip) in longest:
            yield DoubtRow(FindingCode.SIGMA_LARGE, strip.lead, dict(doubt.figures), strip.lead in harmed)
    for doubt in recording.doubts:
        code, lead = doubt.finding.code, doubt.finding.lead
        if code == FindingCode.INK_OVER_LEAD:
            yield DoubtRow(code, lead, dict(doubt.figures), lead in harmed)
        elif code == FindingCode.GAIN_ASSUMED:
            yield DoubtRow(code, None, dict(doubt.figures), not gain_right)


def to_json(row: PageRow) -> str:
    """One line."""
    return json.dumps(asdict(row))


def from_json(line: str) -> PageRow:
    """The other way."""
    told = json.loads(line)
    doubts = tuple(DoubtRow(**doubt) for doubt in told.pop("doubts"))
    return PageRow(**{**told, "doubts": doubts, "held": tuple(told["held"])})


def rows_in(file: Path) -> list[PageRow]:
    """What was written so far; none where there is no such file."""
    return [from_json(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
