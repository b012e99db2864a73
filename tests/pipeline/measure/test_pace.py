"""The speed of the paper is told by the beats where nothing printed tells it, and never in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibration import Calibration, calibrate
from pipeline.findings import FindingCode
from pipeline.measure.pace import SPEEDS_MM_S, pace_at, speeds_by_beats
from pipeline.recording import TWELVE, Correction, Finding, Float32, Known, Scale, Seen, Severity, Strip
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import PageSpec, render
from pipeline.synth.spec import Place, Print

RATE_HZ = 500
EVEN = dict.fromkeys(SPEEDS_MM_S, 1 / 3)


def strips_of(leads: Float32, start_s: float = 0.0) -> list[Strip]:
    read = np.full(leads.shape[1], Seen.READ, np.uint8)
    sigma = np.full(leads.shape[1], 0.01, np.float32)
    return [Strip(name, start_s, lead, sigma, read) for name, lead in zip(TWELVE, leads, strict=True)]


def read_for(strips: list[Strip], slower: float) -> list[Strip]:
    """As they come out of a page that ran so many times as fast as it was read for."""
    out = []
    for strip in strips:
        at = np.arange(0, strip.samples - 1, 1 / slower)
        lead = np.interp(at, np.arange(strip.samples), strip.millivolts).astype(np.float32)
        seen, sigma = np.full(len(lead), Seen.READ, np.uint8), np.full(len(lead), 0.01, np.float32)
        out.append(Strip(strip.lead, strip.start_s * slower, lead, sigma, seen))
    return out


@pytest.mark.parametrize("speed_mm_s", SPEEDS_MM_S)
def test_most_hearts_tell_the_speed(speed_mm_s: float) -> None:
    hearts = [strips_of(synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ)) for seed in range(12)]
    told = [speeds_by_beats(read_for(strips, speed_mm_s / 25), RATE_HZ, 25.0) for strips in hearts]
    assert sum(max(each, key=lambda speed: each[speed]) == speed_mm_s for each in told) >= 9
    assert all(sum(each.values()) == pytest.approx(1) for each in told)


def test_what_is_told_does_not_depend_on_the_speed_it_was_read_for() -> None:
    strips = strips_of(synthetic_ecg(np.random.default_rng(3), 10.0, RATE_HZ))
    at_25, at_50 = speeds_by_beats(strips, RATE_HZ, 25.0), speeds_by_beats(read_for(strips, 0.5), RATE_HZ, 50.0)
    for speed in SPEEDS_MM_S:
        assert at_50[speed] == pytest.approx(at_25[speed], abs=0.1)


def test_a_flat_line_and_nothing_read_tell_nothing() -> None:
    flat = strips_of(np.zeros((12, 2500), np.float32))
    unread = strips_of(np.full((12, 2500), np.nan, np.float32))
    for strips in (flat, unread, []):
        assert speeds_by_beats(strips, RATE_HZ, 25.0) == EVEN
        assert pace_at(strips, RATE_HZ, 1.0) is None


def calibrated(**printed: object) -> Calibration:
    signals = synthetic_ecg(np.random.default_rng(4), 10.0, RATE_HZ)
    page = render(signals, RATE_HZ, replace(PageSpec(), print=Print(**printed)), 1)  # type: ignore[arg-type]
    baselines = sorted({s.baseline_mm for s in page.truth.segments})
    extent = min(s.start_mm for s in page.truth.segments), max(s.end_mm for s in page.truth.segments)
    return calibrate(page.page.image, page.truth.paper, baselines, extent)


def test_beats_decide_where_there_is_no_pulse() -> None:
    found = calibrated(pulse=Place.NONE)
    assert found.other_speeds_mm_s == (50.0,)  # ten seconds at 25 mm/s would be twenty at 12.5
    other = found.of_beats({12.5: 0.0, 25.0: 0.02, 50.0: 0.98})
    assert other is not None
    assert other.speed_mm_s == Scale(50.0, Known.ASSUMED)
    assert FindingCode.SPEED_BY_BEATS in [f.code for f in other.findings]
    told = [f.detail for f in other.findings if f.code == FindingCode.SCALE_ASSUMED]
    assert len(told) == 1  # of the gain, and no more of the speed
    assert told[0].startswith("gain")


def test_beats_in_doubt_leave_the_usual_speed() -> None:
    found = calibrated(pulse=Place.NONE)
    assert found.of_beats({12.5: 0.0, 25.0: 0.3, 50.0: 0.7}) is None
    assert found.of_beats(EVEN) is None


@pytest.mark.parametrize(
    ("likelihood", "severity"),
    [
        ({12.5: 0.0, 25.0: 0.3, 50.0: 0.7}, Severity.ERROR),  # 30 % likely with what is usual
        (EVEN, Severity.ERROR),  # as what is usual alone: 16 %
        ({12.5: 0.0, 25.0: 0.95, 50.0: 0.05}, Severity.WARNING),  # 1 %
    ],
)
def test_an_assumed_speed_holds_the_page_where_another_is_likely_enough(
    likelihood: dict[float, float], severity: Severity
) -> None:
    found = calibrated(pulse=Place.NONE).doubted_by_beats(likelihood)
    assumed = {f.detail.split()[0]: f.severity for f in found.findings if f.code == FindingCode.SCALE_ASSUMED}
    assert assumed == {"speed": severity, "gain": Severity.WARNING}


@pytest.mark.parametrize(("at_50", "severity"), [(0.97, Severity.ERROR), (0.999, Severity.WARNING)])
def test_a_speed_by_beats_holds_the_page_where_they_are_not_sure_enough(at_50: float, severity: Severity) -> None:
    other = calibrated(pulse=Place.NONE).of_beats({12.5: 0.0, 25.0: 1.0 - at_50, 50.0: at_50})
    assert other is not None
    assert [f.severity for f in other.findings if f.code == FindingCode.SPEED_BY_BEATS] == [severity]


def test_a_measured_speed_is_no_assumption_to_doubt() -> None:
    found = calibrated(speed_mm_s=50.0)
    assert found.doubted_by_beats(EVEN) is found


def test_a_clear_pulse_leaves_the_beats_nothing_to_decide_but_a_doubt() -> None:
    found = calibrated(speed_mm_s=50.0)
    assert (found.speed_mm_s, found.other_speeds_mm_s) == (Scale(50.0, Known.PULSE), ())
    against = {12.5: 0.0, 25.0: 0.999, 50.0: 0.001}
    assert found.of_beats(against) is None
    assert found.is_unlike(against)
    assert not found.is_unlike(EVEN)


def test_an_assumed_speed_that_no_beats_bear_out_is_contradicted() -> None:
    found = calibrated(pulse=Place.NONE)
    assert (found.speed_mm_s, found.other_speeds_mm_s) == (Scale(25.0, Known.ASSUMED), (50.0,))
    against = {12.5: 0.999, 25.0: 0.001, 50.0: 0.0}  # ten seconds at 25 mm/s would be twenty
    assert found.of_beats(against) is None
    assert found.is_unlike(against)
    assert not found.is_unlike(EVEN)


def test_a_person_ends_what_was_assumed_and_may_be_contradicted_by_the_beats() -> None:
    found = calibrated(pulse=Place.NONE).as_told(Correction(speed_mm_s=50.0))
    assert (found.speed_mm_s, found.other_speeds_mm_s) == (Scale(50.0, Known.PERSON), ())
    assert [f.detail[:4] for f in found.findings if f.code == FindingCode.SCALE_ASSUMED] == ["gain"]
    against = {12.5: 0.0, 25.0: 0.999, 50.0: 0.001}
    assert found.of_beats(against) is None
    assert found.is_unlike(against)
    of_all = calibrated(pulse=Place.NONE).as_told(Correction(gain_mm_mv=20.0))
    assert (of_all.gain_mm_mv, of_all.chest_gain_mm_mv) == (Scale(20.0, Known.PERSON), None)
    assert [f.detail[:5] for f in of_all.findings if f.code == FindingCode.SCALE_ASSUMED] == ["speed"]


def test_a_pulse_of_five_millimetres_may_be_a_tenth_of_a_second_at_twice_the_speed() -> None:
    found = calibrated()
    assert (found.speed_mm_s, found.other_speeds_mm_s) == (Scale(25.0, Known.PULSE), (50.0,))
    assert found.of_beats({12.5: 0.0, 25.0: 0.1, 50.0: 0.9}) is None  # nine pulses of ten last 0.2 s
    other = found.of_beats({12.5: 0.0, 25.0: 0.001, 50.0: 0.999})
    assert other is not None
    assert other.findings[-1] == Finding(
        FindingCode.SPEED_BY_BEATS, Severity.WARNING, detail="50 mm/s, 99% likely, instead of 25 mm/s"
    )


@pytest.mark.parametrize(("at_50", "held"), [(0.3, True), (0.7, True), (0.1, False)])
def test_a_speed_by_a_pulse_is_doubted_by_the_same_rule_as_one_that_was_assumed(at_50: float, held: bool) -> None:
    found = calibrated()
    likelihood = {12.5: 0.0, 25.0: 1.0 - at_50, 50.0: at_50}
    doubted = found.doubted_by_beats(likelihood)
    told = [f for f in doubted.findings if f.code == FindingCode.SPEED_UNLIKE_BEATS]
    assert [f.severity for f in told] == [Severity.ERROR] * held
    assert doubted.speed_mm_s == found.speed_mm_s
    other = 1.0 - found.chances(likelihood)[25.0]
    assert all(f.detail == f"25 mm/s by the pulse; by the beats another is {other:.0%} likely" for f in told)


def test_leads_that_end_half_way_across_speak_for_the_slowest_paper() -> None:
    found = replace(calibrated(pulse=Place.NONE), other_speeds_mm_s=(12.5, 50.0))
    doubtful = {12.5: 0.9, 25.0: 0.1, 50.0: 0.0}
    assert found.of_beats(doubtful) is None
    assert found.of_beats(doubtful, across_mm=250.0) is None
    slow = found.of_beats(doubtful, across_mm=125.0)
    assert slow is not None
    assert slow.speed_mm_s == Scale(12.5, Known.ASSUMED)
    assert found.of_beats({12.5: 0.1, 25.0: 0.9, 50.0: 0.0}, across_mm=125.0) is None  # the beats still decide
