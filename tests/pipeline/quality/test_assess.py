"""The judgement of a page."""

from __future__ import annotations

import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from printed_strips import RATE_HZ, as_strip, page, strip

from pipeline.errors import Unreadable
from pipeline.findings import FindingCode
from pipeline.judgement import fitted
from pipeline.measure import beats_s, likeness
from pipeline.quality import PageEvidence, assess
from pipeline.quality.confidence import Features, confidence
from pipeline.recording import TWELVE, Doubt, Finding, Lead, Seen, Severity, Strip

GOOD = PageEvidence(0.9, 1.0, 12, 0.9, 1.0, 3.0, frozenset(), 0.99, True)


def codes(strips: list[Strip], evidence: PageEvidence = GOOD) -> dict[str, set[Lead | None]]:
    found: dict[str, set[Lead | None]] = {}
    for finding in assess(strips, RATE_HZ, evidence).findings:
        found.setdefault(finding.code, set()).add(finding.lead)
    return found


def emptied(strip: Strip, first: int, stop: int, seen: Seen = Seen.NOTHING) -> Strip:
    millivolts, marks = strip.millivolts.copy(), strip.seen.copy()
    marks[first:stop] = seen
    if seen is Seen.NOTHING:
        millivolts[first:stop] = np.nan
    return replace(strip, millivolts=millivolts, seen=marks)


def test_a_well_read_page_is_sure_of_itself_and_has_nothing_to_tell() -> None:
    judged = assess(page(), RATE_HZ, GOOD)
    assert judged.confidence > 0.9
    assert judged.findings == ()


def of_height(millivolts: float) -> list[Strip]:
    """The page with leads whose median height is this, and sigmas that grow with them."""
    times = np.float32(millivolts / np.median([np.ptp(s.millivolts) for s in page()]))
    return [replace(s, millivolts=s.millivolts * times, sigma_mv=s.sigma_mv * times) for s in page()]


@pytest.mark.parametrize("millivolts", [0.3, 4.8])
def test_a_page_whose_gain_nothing_tells_is_held_where_its_leads_are_of_unusual_height(millivolts: float) -> None:
    judged = assess(of_height(millivolts), RATE_HZ, replace(GOOD, gain_told=False))
    told = [f for f in judged.findings if f.code == FindingCode.GAIN_ASSUMED]
    assert [(f.severity, f.detail) for f in told] == [
        (Severity.ERROR, f"the leads are {millivolts:.1f} mV tall, if it is right")
    ]


def test_a_page_whose_gain_nothing_tells_is_told_and_less_sure_where_its_leads_are_of_usual_height() -> None:
    strips = of_height(1.2)
    judged = assess(strips, RATE_HZ, replace(GOOD, gain_told=False))
    assert [(f.code, f.severity) for f in judged.findings] == [(FindingCode.GAIN_ASSUMED, Severity.WARNING)]
    assert judged.confidence <= assess(strips, RATE_HZ, GOOD).confidence


def test_what_is_written_over_a_lead_costs_confidence() -> None:
    ink = Doubt(Finding(FindingCode.INK_OVER_LEAD, Severity.WARNING, Lead.V1, 5.0, 5.5), 0.25, ())
    judged = assess(page(), RATE_HZ, replace(GOOD, ink=(ink,)))
    assert judged.features.unmarked < assess(page(), RATE_HZ, GOOD).features.unmarked == pytest.approx(1.0)
    assert ink in judged.doubts


@pytest.mark.parametrize(("leads", "severity"), [(1, Severity.WARNING), (2, Severity.ERROR)])
def test_doubts_that_are_likely_together_hold_the_page(leads: int, severity: Severity) -> None:
    chance = 0.6 * fitted().holds_from
    ink = tuple(
        Doubt(Finding(FindingCode.INK_OVER_LEAD, Severity.WARNING, lead, 5.0, 5.5), chance, ())
        for lead in (Lead.V1, Lead.V2)[:leads]
    )
    judged = assess(page(), RATE_HZ, replace(GOOD, ink=ink))
    assert [f.severity for f in judged.findings if f.code == FindingCode.INK_OVER_LEAD] == [severity] * leads


def test_doubts_too_small_to_be_told_hold_no_page_however_many() -> None:
    chance = 0.9 * fitted().told_from
    ink = tuple(
        Doubt(Finding(FindingCode.INK_OVER_LEAD, Severity.WARNING, lead, 5.0, 5.5), chance, ()) for lead in TWELVE
    )
    judged = assess(page(), RATE_HZ, replace(GOOD, ink=ink))
    assert all(f.severity is Severity.WARNING for f in judged.findings if f.code == FindingCode.INK_OVER_LEAD)


def test_tells_gaps_bridges_and_leads_cut_short() -> None:
    strips = page()
    strips[0] = emptied(strips[0], 400, 500)
    strips[3] = emptied(strips[3], 600, 630, Seen.BRIDGED)
    strips[6] = emptied(strips[6], 1100, 1250)
    found = codes(strips)
    assert found[FindingCode.GAP_NOT_READ] == {Lead.I}
    assert found[FindingCode.GAP_BRIDGED] == {Lead.AVR}
    assert found[FindingCode.LEAD_CUT_SHORT] == {Lead.V1}


def test_a_gap_is_told_with_its_page_time() -> None:
    strips = page()
    strips[9] = emptied(strips[9], 400, 500)
    gap = next(f for f in assess(strips, RATE_HZ, GOOD).findings if f.code == FindingCode.GAP_NOT_READ)
    assert (gap.lead, gap.start_s, gap.end_s) == (Lead.V4, 7.5 + 0.8, 7.5 + 1.0)


def test_a_lead_that_was_not_read_is_an_error() -> None:
    strips = page()
    strips[7] = emptied(strips[7], 0, 1200)
    missing = [f for f in assess(strips, RATE_HZ, GOOD).findings if f.code == FindingCode.LEAD_MISSING]
    assert [(f.lead, f.severity) for f in missing] == [(Lead.V2, Severity.ERROR)]


def test_implausible_flat_and_uncertain_leads_are_told() -> None:
    strips = page()
    strips[6] = replace(strips[6], millivolts=strips[6].millivolts * 30)
    strips[7] = replace(strips[7], millivolts=strips[7].millivolts * 0, sigma_mv=strips[7].sigma_mv / 2)
    strips[8] = replace(strips[8], sigma_mv=strips[8].sigma_mv * 20)
    found = codes(strips)
    assert found[FindingCode.AMPLITUDE_IMPLAUSIBLE] == {Lead.V1}
    assert found[FindingCode.FLAT_LEAD] == {Lead.V2}
    assert found[FindingCode.SIGMA_LARGE] == {Lead.V3}


def test_a_lead_that_is_doubted_where_its_beats_are_is_told_there_and_holds_its_page() -> None:
    strips = page()
    sigma = strips[7].sigma_mv.copy()
    sigma[500:560] = 0.7
    strips[7] = replace(strips[7], sigma_mv=sigma)
    judged = assess(strips, RATE_HZ, GOOD)
    (told,) = judged.findings
    assert (told.code, told.lead, told.detail) == (FindingCode.SIGMA_LARGE, Lead.V2, "up to 0.70 mV")
    assert told.severity is Severity.ERROR
    assert (told.start_s, told.end_s) == pytest.approx((strips[7].start_s + 1.0, strips[7].start_s + 1.12), abs=0.02)
    assert judged.confidence < assess(page(), RATE_HZ, GOOD).confidence


def test_a_lead_that_the_limb_law_leaves_doubtful_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def corrected(strips: tuple[Strip, ...], *_: object) -> tuple[Strip, ...]:
        return tuple(replace(s, sigma_mv=s.sigma_mv * 20) if s.lead in (Lead.AVL, Lead.V2) else s for s in strips)

    monkeypatch.setattr(sys.modules[assess.__module__], "correct_limbs", corrected)
    strips = page()
    strips[7] = replace(strips[7], sigma_mv=strips[7].sigma_mv * 20)  # V2 was doubtful before
    judged = assess(strips, RATE_HZ, GOOD)
    monkeypatch.undo()
    told = [f for f in judged.findings if f.code == FindingCode.SIGMA_LARGE]
    assert sorted((f.lead for f in told), key=list(Lead).index) == [Lead.AVL, Lead.V2]
    assert {f.severity for f in told} == {Severity.ERROR}


def test_a_level_lead_is_not_doubted_for_being_level() -> None:
    strips = page()
    strips[7] = replace(strips[7], millivolts=strips[7].millivolts * 0.1, sigma_mv=strips[7].sigma_mv / 2)
    assert FindingCode.SIGMA_LARGE not in codes(strips)


def test_a_broken_law_and_a_disagreeing_rhythm_strip_are_told_and_cost_confidence() -> None:
    strips = page()
    strips[1] = as_strip(Lead.II, 0.0, strips[8].millivolts)
    found = codes(strips)
    assert FindingCode.EINTHOVEN_RESIDUAL in found
    assert found[FindingCode.RHYTHM_DISAGREEMENT] == {Lead.II}
    assert assess(strips, RATE_HZ, GOOD).confidence < assess(page(), RATE_HZ, GOOD).confidence - 0.02


def test_names_an_unnamed_rhythm_strip_by_what_it_shows() -> None:
    strips = page(Lead.V1)
    strips[-1] = replace(strips[-1], lead=Lead.II)
    judged = assess(strips, RATE_HZ, replace(GOOD, unnamed=frozenset({Lead.II})))
    assert judged.strips[-1].lead is Lead.V1
    assert FindingCode.RHYTHM_LEAD_ASSUMED not in {f.code for f in judged.findings}


def test_a_misread_name_of_a_rhythm_strip_is_corrected_and_told() -> None:
    strips = page(Lead.V1)
    strips[-1] = replace(strips[-1], lead=Lead.II)
    judged = assess(strips, RATE_HZ, GOOD)
    assert judged.strips[-1].lead is Lead.V1
    assert [f.lead for f in judged.findings if f.code == FindingCode.RHYTHM_LEAD_ASSUMED] == [Lead.V1]


def test_a_name_that_a_person_gave_is_kept_whatever_the_strip_looks_like() -> None:
    strips = page(Lead.V1)
    strips[-1] = replace(strips[-1], lead=Lead.II)
    judged = assess(strips, RATE_HZ, replace(GOOD, told=True))
    assert judged.strips[-1].lead is Lead.II
    assert FindingCode.RHYTHM_DISAGREEMENT in {f.code for f in judged.findings}


@pytest.mark.parametrize(("cabrera", "sign"), [(True, 1.0), (False, -1.0)])
def test_turns_an_inverted_avr_back_in_the_order_of_cabrera_only(cabrera: bool, sign: float) -> None:
    """Elsewhere no device prints it so: what contradicts the law is told, and left as it was printed."""
    strips = page()
    leads = (Lead.AVL, Lead.I, Lead.AVR)
    same_time = [strip(Lead.AVL), strip(Lead.I), replace(strip(Lead.AVR), millivolts=-strip(Lead.AVR).millivolts)]
    rest = [s for s in strips if s.lead not in leads]
    judged = assess([*same_time, *rest], RATE_HZ, replace(GOOD, cabrera=cabrera))
    avr = next(s for s in judged.strips if s.lead is Lead.AVR)
    assert np.corrcoef(avr.millivolts, strip(Lead.AVR).millivolts)[0, 1] * sign > 0.99
    told = {f.code for f in judged.findings} & {FindingCode.GOLDBERGER_RESIDUAL, FindingCode.EINTHOVEN_RESIDUAL}
    assert bool(told) is not cabrera


def test_refuses_a_page_with_hardly_a_lead() -> None:
    strips = [emptied(s, 0, s.samples) if k > 4 else s for k, s in enumerate(page())]
    with pytest.raises(Unreadable) as refusal:
        assess(strips[:12], RATE_HZ, GOOD)
    assert refusal.value.code == "too_few_leads"


def test_refuses_noise() -> None:
    rng = np.random.default_rng(2)
    noise = [
        replace(
            s,
            millivolts=rng.normal(0, 0.4, s.samples).astype(np.float32),
            sigma_mv=np.full(s.samples, 0.3, np.float32),
            seen=np.where(rng.random(s.samples) < 0.6, np.uint8(Seen.READ), np.uint8(Seen.BRIDGED)),
        )
        for s in page()
    ]
    beats_alike = likeness(noise, beats_s(noise, RATE_HZ), RATE_HZ)
    with pytest.raises(Unreadable) as refusal:
        assess(noise, RATE_HZ, PageEvidence(0.0, 0.2, 0, 0.0, None, 0.0, frozenset(), beats_alike, False))
    assert refusal.value.code == "not_an_ecg"
    with pytest.raises(Unreadable) as refusal:
        assess(noise, RATE_HZ, PageEvidence(0.0, 0.2, 3, 0.0, None, 0.0, frozenset(), beats_alike, False))
    assert refusal.value.code == "low_confidence"


def test_no_feature_lowers_the_confidence_by_getting_better() -> None:
    assert min(fitted().right.weights.values()) >= 0
    middling = Features(**{field.name: 0.5 for field in fields(Features)})
    for field in fields(Features):
        assert confidence(replace(middling, **{field.name: 0.9})) >= confidence(middling)
