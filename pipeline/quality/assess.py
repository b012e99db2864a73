"""Judges what was read: checks the leads against one another, says what is wrong, and how sure the page is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import Unreadable
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.judgement import fitted
from pipeline.quality.confidence import Features, confidence
from pipeline.quality.doubts import gain_doubt, held_together, lead_doubt, unharmed
from pipeline.quality.ends import trim_ends
from pipeline.quality.limb import LimbCheck, check_limbs, correct_limbs, turn_over
from pipeline.quality.twice import TwiceCheck, belies, check_twice, recognise, renamed
from pipeline.quality.weakest import Checked, weakest
from pipeline.recording import Doubt, Finding, Lead, Seen, Severity, Strip

NOISE_ALIKE, HEART_ALIKE = 0.65, 0.95
NAMES_MIN = 3
LEADS_MIN = 6  # fewer cannot be told from a page of something else
READ_MIN = 0.35  # of a strip's samples, for its lead to count as read
GAP_MIN_S = 0.1  # unread stretches shorter than a QRS complex are not worth a finding
FLAT_MV = 0.04  # peak to peak; a lead at 10 mm/mV then stays within its own line width
HUGE_MV = 9.0  # peak to peak; paced and hypertrophied hearts reach 7
BEST_DB = 25.0  # of a page: the contest caps its decibel near it
LOW = 0.5  # confidence below which the page says so itself


@dataclass(frozen=True)
class PageEvidence:
    """What earlier stages knew.

    grid: 0..1, how well the millimetre is known over the page. scale_measured: 0..1, how well speed and gain are known.
    names_read: leads whose name stood in place. border_evidence: 0..1. starts_met: 0..1, of lead starts expected and
    found, those that are both; None without a network. margin: of the layout over the next best, in names. unnamed:
    leads of long strips without a name. beats_alike: correlation of neighbouring beats, above 0.9 in hearts and below
    0.7 in noise. rate_found: a heart rate was measured. told: a person named the leads; no likeness knows better.
    limb_to_chest: gain of the limb leads over that of the chest leads. cabrera: the leads stand in that order, in which
    aVR is printed upside down. gain_told: by a pulse, a text or a person; else it is taken for the usual one. ink: what
    is written or spilt over leads. timed, begun: 0..1, as of waveform.Clock.
    """

    grid: float
    scale_measured: float
    names_read: int
    border_evidence: float
    starts_met: float | None
    margin: float
    unnamed: frozenset[Lead]
    beats_alike: float
    rate_found: bool
    told: bool = False
    limb_to_chest: float = 1.0
    cabrera: bool = False
    gain_told: bool = True
    ink: tuple[Doubt, ...] = ()
    timed: float = 1.0
    begun: float = 1.0


@dataclass(frozen=True)
class Assessment:
    """strips: corrected where that was safe. features: what the confidence was made from. weakest: what cost most.

    A doubt that a person must settle, whatever the confidence, is a finding of severity error. doubts: all of them,
    told or not, those of the evidence among them.
    """

    strips: tuple[Strip, ...]
    findings: tuple[Finding, ...]
    confidence: float
    features: Features
    weakest: Finding | None = None
    doubts: tuple[Doubt, ...] = ()


def assess(strips: Sequence[Strip], rate_hz: int, evidence: PageEvidence) -> Assessment:
    """Check, correct and rate the strips of a page.

    Raises Unreadable: too_few_leads when fewer than six leads were read, not_an_ecg when neither names nor beats were
    found, low_confidence when what was read is hopeless.
    """
    findings: list[Finding] = []
    strips = tuple(trim_ends(strip, rate_hz) for strip in strips)
    read = {s.lead for s in strips if _share_read(s) >= READ_MIN}
    if len(read) < LEADS_MIN:
        raise Unreadable(
            UnreadableCode.TOO_FEW_LEADS, f"only {len(read)} of {len({s.lead for s in strips})} leads read"
        )
    if evidence.beats_alike < NOISE_ALIKE and evidence.names_read < NAMES_MIN:
        raise Unreadable(UnreadableCode.NOT_AN_ECG, "no lead names, and no two stretches of the traces look like beats")
    if not evidence.told:
        strips = _named(strips, rate_hz, evidence, findings)
    limbs = check_limbs(strips, rate_hz)
    if evidence.cabrera and any(check.inverted for check in limbs):  # elsewhere leads that contradict it are misread
        strips = tuple(turn_over(s) if s.lead is Lead.AVR else s for s in strips)
        limbs = check_limbs(strips, rate_hz)
    corrected = correct_limbs(strips, limbs, rate_hz)
    twice = check_twice(strips, rate_hz)
    findings += [f for strip in strips for f in _lead_findings(strip, rate_hz)]
    findings += _limb_findings(limbs)
    findings += [_twice_finding(check) for check in twice if check.bad]
    if not evidence.rate_found:
        findings.append(Finding(FindingCode.HEART_RATE_UNSURE, Severity.INFO))
    doubts = [lead_doubt(strip, rate_hz) for strip in corrected if _share_read(strip) >= READ_MIN]
    if not evidence.gain_told:
        doubts.append(gain_doubt(corrected))
    in_all = held_together((*doubts, *evidence.ink))
    findings += [doubt.finding for doubt in in_all if _is_told(doubt)]
    features = _features(strips, limbs, twice, evidence, doubts)
    sure = confidence(features)
    if sure < fitted().hopeless:
        raise Unreadable(UnreadableCode.LOW_CONFIDENCE, f"what was read contradicts itself (confidence {sure:.2f})")
    if sure < LOW:
        findings.append(Finding(FindingCode.LOW_CONFIDENCE, Severity.ERROR, detail=f"{sure:.2f}"))
    told = weakest(Checked(corrected, rate_hz, limbs, twice, features, in_all))
    return Assessment(corrected, tuple(findings), sure, features, told, in_all)


def _named(
    strips: tuple[Strip, ...], rate_hz: int, evidence: PageEvidence, findings: list[Finding]
) -> tuple[Strip, ...]:
    """Long strips under the name of the short strip that shows the same, where their own was not read or is belied."""
    out = list(strips)
    for k, strip in enumerate(strips):
        if not _long(strip, strips):
            continue
        others = [s for s in strips if s is not strip]
        if strip.lead in evidence.unnamed:
            lead = recognise(strip, others, rate_hz, evidence.limb_to_chest)
            if lead is None:
                findings.append(Finding(FindingCode.RHYTHM_LEAD_ASSUMED, Severity.WARNING, strip.lead))
        else:
            lead = belies(strip, others, rate_hz, evidence.limb_to_chest)
            if lead is not None:
                detail = f"read as {strip.lead.value}, shows {lead.value}"
                findings.append(Finding(FindingCode.RHYTHM_LEAD_ASSUMED, Severity.WARNING, lead, detail=detail))
        if lead is not None and lead is not strip.lead:
            out[k] = renamed(strip, lead, evidence.limb_to_chest)
    return tuple(out)


def _long(strip: Strip, strips: Sequence[Strip]) -> bool:
    return strip.samples > 1.5 * min(s.samples for s in strips)


def _is_told(doubt: Doubt) -> bool:
    return doubt.finding.code != FindingCode.SIGMA_LARGE or doubt.chance >= fitted().told_from


def _share_read(strip: Strip) -> float:
    return float(np.mean(strip.seen == Seen.READ)) if strip.samples else 0.0


def _lead_findings(strip: Strip, rate_hz: int) -> Iterator[Finding]:
    """What is wrong with one strip by itself."""
    share = _share_read(strip)
    end_s = strip.start_s + strip.samples / rate_hz
    if share < READ_MIN:
        yield Finding(FindingCode.LEAD_MISSING, Severity.ERROR, strip.lead, strip.start_s, end_s)
        return
    unread = strip.seen == Seen.NOTHING
    for first, stop in _runs(unread, round(GAP_MIN_S * rate_hz)):
        at = strip.start_s + first / rate_hz, strip.start_s + stop / rate_hz
        if first == 0 or stop == strip.samples:
            yield Finding(FindingCode.LEAD_CUT_SHORT, Severity.INFO, strip.lead, *at)
        else:
            yield Finding(FindingCode.GAP_NOT_READ, Severity.WARNING, strip.lead, *at)
    for first, stop in _runs(strip.seen == Seen.BRIDGED, round(0.02 * rate_hz)):
        at = strip.start_s + first / rate_hz, strip.start_s + stop / rate_hz
        yield Finding(FindingCode.GAP_BRIDGED, Severity.INFO, strip.lead, *at)
    known = strip.millivolts[np.isfinite(strip.millivolts)]
    span = float(known.max() - known.min())
    if span > HUGE_MV:
        yield Finding(FindingCode.AMPLITUDE_IMPLAUSIBLE, Severity.ERROR, strip.lead, detail=f"{span:.1f} mV")
    if span < FLAT_MV:
        yield Finding(FindingCode.FLAT_LEAD, Severity.WARNING, strip.lead, detail=f"{span:.2f} mV")


def _runs(flags: np.ndarray[tuple[int], np.dtype[np.bool_]], least: int) -> list[tuple[int, int]]:
    """(first, stop) of every run of true entries of at least this length."""
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


def _limb_findings(checks: Sequence[LimbCheck]) -> Iterator[Finding]:
    for check in checks:
        if check.inverted or check.bad:
            code = FindingCode.EINTHOVEN_RESIDUAL if check.einthoven else FindingCode.GOLDBERGER_RESIDUAL
            detail = f"{check.residual_mv:.2f} mV, {check.residual:.0%} of the leads"
            yield Finding(code, Severity.WARNING, check.worst, check.start_s, check.end_s, detail)


def _twice_finding(check: TwiceCheck) -> Finding:
    detail = f"correlation {check.correlation:.2f}"
    return Finding(FindingCode.RHYTHM_DISAGREEMENT, Severity.WARNING, check.lead, check.start_s, check.end_s, detail)


def _features(
    strips: Sequence[Strip],
    limbs: Sequence[LimbCheck],
    twice: Sequence[TwiceCheck],
    evidence: PageEvidence,
    doubts: Sequence[Doubt],
) -> Features:
    samples = sum(s.samples for s in strips)
    read = sum(int(np.sum(s.seen == Seen.READ)) for s in strips) / max(samples, 1)
    shares = [_share_read(s) for s in strips]
    return Features(
        read=read,
        least_read=min(shares),
        sharp=_expected_db(strips) / BEST_DB,
        limbs=float(np.clip(1.0 - np.median([c.residual for c in limbs]) / 0.8, 0.0, 1.0)) if limbs else 1.0,
        twice=float(np.clip((min(c.correlation for c in twice) - 0.5) / 0.5, 0.0, 1.0)) if twice else 1.0,
        beats=float(np.clip((evidence.beats_alike - NOISE_ALIKE) / (HEART_ALIKE - NOISE_ALIKE), 0.0, 1.0)),
        names=min(evidence.names_read / 8, 1.0),
        borders=min(evidence.border_evidence / 0.6, 1.0),
        starts=0.5 if evidence.starts_met is None else min(evidence.starts_met / 0.6, 1.0),
        margin=float(np.clip(evidence.margin / 3.0, 0.0, 1.0)),
        grid=evidence.grid,
        scale=evidence.scale_measured,
        checked=(bool(limbs) + bool(twice)) / 2,
        leads=unharmed(doubt for doubt in doubts if doubt.finding.code == FindingCode.SIGMA_LARGE),
        gain=unharmed(doubt for doubt in doubts if doubt.finding.code == FindingCode.GAIN_ASSUMED),
        unmarked=unharmed(evidence.ink),
        timed=evidence.timed,
        begun=evidence.begun,
    )


def _expected_db(strips: Sequence[Strip]) -> float:
    """The decibel that the sigmas predict of all strips together, 0..BEST_DB."""
    read = [s for s in strips if _share_read(s) >= READ_MIN]
    power = sum(s.samples * float(np.nanvar(s.millivolts.astype(np.float64))) for s in read)
    noise = sum(s.samples * float(np.nanmean(s.sigma_mv.astype(np.float64) ** 2)) for s in read)
    return float(np.clip(10 * np.log10(max(power, 1e-9) / max(noise, 1e-9)), 0.0, BEST_DB))
