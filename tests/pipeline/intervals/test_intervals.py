"""pipeline/intervals: values of known hearts, and the reasons why others are not given."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from known_hearts import RATE_HZ, Heart, in_columns, recording, side_by_side

from pipeline.findings import FindingCode
from pipeline.intervals import Intervals, Quantity, Reason, measure_intervals, measure_strips
from pipeline.measure import BEATS_MIN
from pipeline.recording import Finding, Known, Lead, Scale, Severity

TIMED = (
    Quantity.HEART_RATE,
    Quantity.RR_INTERVAL,
    Quantity.PR_INTERVAL,
    Quantity.QRS_DURATION,
    Quantity.QT_INTERVAL,
    Quantity.QTC_BAZETT,
    Quantity.QTC_FRIDERICIA,
)
AXES = (Quantity.P_AXIS, Quantity.QRS_AXIS, Quantity.T_AXIS)


def measured(heart: Heart) -> Intervals:
    return measure_strips(in_columns(heart.leads()), RATE_HZ)


def value(found: Intervals, quantity: Quantity) -> float:
    of = found.of(quantity)
    assert of.value is not None, of.reason
    return of.value


@pytest.fixture(scope="module")
def usual() -> Intervals:
    return measured(Heart())


def test_a_usual_heart_gives_everything_with_its_error_and_beats(usual: Intervals) -> None:
    assert [each.quantity for each in usual.measurements] == list(Quantity)
    for each in usual.measurements:
        assert each.value is not None
        assert each.standard_error is not None
        assert each.standard_error > 0
        assert each.beats >= BEATS_MIN
    assert value(usual, Quantity.HEART_RATE) == pytest.approx(75, abs=0.5)
    assert value(usual, Quantity.RR_INTERVAL) == pytest.approx(800, abs=5)
    assert 120 < value(usual, Quantity.PR_INTERVAL) < 220
    assert 60 < value(usual, Quantity.QRS_DURATION) < 120
    assert 320 < value(usual, Quantity.QT_INTERVAL) < 450


def test_a_longer_pr_interval_is_as_much_longer(usual: Intervals) -> None:
    later = value(measured(Heart(pr_s=0.20)), Quantity.PR_INTERVAL) - value(usual, Quantity.PR_INTERVAL)
    assert later == pytest.approx(40, abs=8)


def test_a_later_t_wave_makes_qt_longer_and_leaves_pr_and_qrs(usual: Intervals) -> None:
    found = measured(Heart(qt_s=0.33))
    assert value(found, Quantity.QT_INTERVAL) - value(usual, Quantity.QT_INTERVAL) == pytest.approx(50, abs=10)
    for same in (Quantity.PR_INTERVAL, Quantity.QRS_DURATION):
        assert value(found, same) == pytest.approx(value(usual, same), abs=6)


def test_a_wide_qrs_complex_is_wide(usual: Intervals) -> None:
    wider = value(measured(Heart(qrs=1.7)), Quantity.QRS_DURATION) / value(usual, Quantity.QRS_DURATION)
    assert 1.35 < wider < 1.9


def test_columns_of_two_and_a_half_seconds_say_what_whole_leads_say(usual: Intervals) -> None:
    whole = measure_strips(side_by_side(Heart().leads()), RATE_HZ)
    for quantity in (Quantity.PR_INTERVAL, Quantity.QRS_DURATION, Quantity.QT_INTERVAL):
        assert value(usual, quantity) == pytest.approx(value(whole, quantity), abs=10)


@pytest.mark.parametrize("per_minute", [50.0, 100.0])
def test_qt_is_corrected_by_the_square_and_the_cubic_root_of_rr(per_minute: float) -> None:
    found = measured(Heart(per_minute=per_minute))
    qt, rr_s = value(found, Quantity.QT_INTERVAL), value(found, Quantity.RR_INTERVAL) / 1000
    assert value(found, Quantity.QTC_BAZETT) == pytest.approx(qt / rr_s**0.5)
    assert value(found, Quantity.QTC_FRIDERICIA) == pytest.approx(qt / rr_s ** (1 / 3))


@pytest.mark.parametrize("axis", [-60.0, 0.0, 85.0, 150.0])
def test_the_axes_are_those_of_the_dipole(axis: float) -> None:
    found = measured(Heart(axis_deg=axis))
    assert value(found, Quantity.QRS_AXIS) == pytest.approx(axis, abs=8)
    assert value(found, Quantity.T_AXIS) == pytest.approx(40, abs=10)
    p_axis = found.of(Quantity.P_AXIS)  # not given where its waves are faint beside this QRS complex in many beats
    assert p_axis.reason is Reason.PR_VARIES if p_axis.value is None else p_axis.value == pytest.approx(50, abs=12)


def test_without_p_waves_and_a_steady_beat_there_is_no_pr_interval_but_a_rate() -> None:
    heart = Heart(p_mv=0.0, unevenness=0.25)
    found = measured(heart)
    for quantity in (Quantity.PR_INTERVAL, Quantity.P_AXIS):
        assert (found.of(quantity).value, found.of(quantity).reason) == (None, Reason.NO_P_WAVES)
    # of an irregular heart the beats are counted: the usual distance of two would say another rate
    assert value(found, Quantity.HEART_RATE) == pytest.approx(60 / np.diff(heart.beats_s()).mean(), abs=2)
    assert value(found, Quantity.HEART_RATE) != pytest.approx(60 / np.median(np.diff(heart.beats_s())), abs=0.5)
    assert value(found, Quantity.QRS_DURATION) > 0


@pytest.mark.parametrize(("per_minute", "p_per_minute"), [(40.0, 83.0), (40.0, 77.0), (45.0, 70.0), (35.0, 91.0)])
def test_p_waves_that_run_by_themselves_give_no_pr_interval(per_minute: float, p_per_minute: float) -> None:
    """A complete AV block."""
    found = measured(Heart(per_minute=per_minute, p_per_minute=p_per_minute))
    for quantity in (Quantity.PR_INTERVAL, Quantity.P_AXIS):
        assert (found.of(quantity).value, found.of(quantity).reason) == (None, Reason.PR_VARIES)
    assert value(found, Quantity.HEART_RATE) == pytest.approx(per_minute, abs=1)


@pytest.mark.parametrize("longer_s", [0.03, 0.05])
def test_a_pr_interval_that_lengthens_varies_and_its_p_waves_are_not_called_absent(longer_s: float) -> None:
    """As in Wenckebach's block."""
    assert measured(Heart(pr_longer_s=longer_s)).of(Quantity.PR_INTERVAL).reason is Reason.PR_VARIES


@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_an_irregular_heart_rate_covers_how_its_intervals_differ(seed: int) -> None:
    rate = measured(Heart(p_mv=0.0, unevenness=0.2 + 0.02 * seed)).of(Quantity.HEART_RATE)
    assert rate.value is not None
    assert rate.standard_error is not None
    assert rate.standard_error > 0.02 * rate.value


def test_a_heart_paced_in_a_third_of_its_beats_is_paced() -> None:
    found = measured(Heart(spike_mv=-1.0, paced_every=3))
    assert found.of(Quantity.QRS_DURATION).reason is Reason.PACED


def test_the_axis_of_p_is_that_of_the_dipole(usual: Intervals) -> None:
    assert value(usual, Quantity.P_AXIS) == pytest.approx(50, abs=12)
    assert value(measured(Heart(axis_deg=85.0)), Quantity.P_AXIS) == pytest.approx(50, abs=12)


def test_a_paced_heart_gives_rate_and_qrs_axis_only() -> None:
    page = recording(
        in_columns(Heart().leads()), findings=(Finding(FindingCode.SPIKES_NOT_READ, Severity.WARNING, Lead.II),)
    )
    found = measure_intervals(page)
    assert {each.quantity for each in found.measurements if each.value is not None} == {
        Quantity.HEART_RATE,
        Quantity.RR_INTERVAL,
        Quantity.QRS_AXIS,
    }
    assert {each.reason for each in found.measurements if each.value is None} == {Reason.PACED}


@pytest.mark.parametrize("spike_mv", [-1.0, 0.8])
def test_spikes_that_were_read_are_pacing_too(spike_mv: float) -> None:
    found = measured(Heart(spike_mv=spike_mv))
    for quantity in (Quantity.PR_INTERVAL, Quantity.QRS_DURATION, Quantity.QT_INTERVAL, Quantity.QTC_BAZETT):
        assert found.of(quantity).reason is Reason.PACED
    assert value(found, Quantity.HEART_RATE) == pytest.approx(75, abs=1)


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (Known.ASSUMED, None),
        (Known.ASSUMED, FindingCode.SPEED_BY_BEATS),
        (Known.TEXT, FindingCode.SPEED_UNLIKE_BEATS),
        (Known.GRID, FindingCode.RULING_DOUBTED),
        (Known.PERSON, FindingCode.RULING_DOUBTED),
    ],
)
def test_a_page_whose_speed_is_assumed_or_contradicted_gives_axes_only(known: Known, code: FindingCode | None) -> None:
    page = recording(
        in_columns(Heart().leads()),
        speed_mm_s=Scale(25.0, known),
        findings=(Finding(code, Severity.WARNING),) if code is not None else (),
    )
    found = measure_intervals(page)
    assert all(found.of(quantity).reason is Reason.SPEED_ASSUMED for quantity in TIMED)
    assert all(found.of(quantity).value is not None for quantity in AXES)


def test_a_speed_that_a_person_gave_is_believed_against_the_beats() -> None:
    page = recording(
        in_columns(Heart().leads()),
        speed_mm_s=Scale(25.0, Known.PERSON),
        findings=(Finding(FindingCode.SPEED_UNLIKE_BEATS, Severity.WARNING),),
    )
    assert all(each.value is not None for each in measure_intervals(page).measurements)


def test_a_fast_heart_on_fast_paper_read_at_an_assumed_speed_has_no_rate() -> None:
    """At 50 mm/s 120 a minute look like 60 at 25."""
    fast = Heart(per_minute=120.0).leads()
    slowed = np.repeat(fast, 2, axis=1)[:, : fast.shape[1]]
    page = recording(in_columns(slowed), speed_mm_s=Scale(25.0, Known.ASSUMED))
    assert measure_intervals(page).of(Quantity.HEART_RATE).value is None


def test_noise_and_nothing_give_nothing() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (12, 5000)).astype(np.float32)
    for leads in (noise, np.full((12, 5000), np.nan, np.float32), np.zeros((12, 5000), np.float32)):
        found = measure_strips(side_by_side(leads), RATE_HZ)
        assert {each.reason for each in found.measurements} == {Reason.RATE_UNSURE}


def test_beats_of_which_no_p_wave_is_read_give_no_pr_interval() -> None:
    leads = Heart(per_minute=60).leads()
    t = np.arange(leads.shape[1]) / RATE_HZ
    leads[:, (t % 1.0 > 0.2) & (t % 1.0 < 0.42)] = np.nan  # beats are at 0.5 s of every second, P waves at 0.34 s
    found = measure_strips(side_by_side(leads), RATE_HZ)
    assert found.of(Quantity.PR_INTERVAL).reason is Reason.TOO_FEW_BEATS


def test_without_limb_leads_there_is_no_axis() -> None:
    chest = tuple(each for each in side_by_side(Heart().leads()) if each.lead.startswith("V"))
    found = measure_strips(chest, RATE_HZ)
    assert all(found.of(quantity).reason is Reason.LIMB_LEADS_MISSING for quantity in AXES)
    assert found.of(Quantity.QRS_DURATION).value is not None


def test_one_lead_alone_that_reads_well_still_has_intervals() -> None:
    alone = tuple(each for each in side_by_side(Heart().leads()) if each.lead is Lead.II)
    assert value(measure_strips(alone, RATE_HZ), Quantity.QRS_DURATION) > 0


def test_a_lead_marked_invalid_counts_no_more() -> None:
    strips = side_by_side(Heart().leads())
    wrong = np.random.default_rng(2).normal(0, 3, 5000).astype(np.float32)
    emptied = replace(strips[0], millivolts=np.full(5000, np.nan, np.float32))
    good = measure_strips((emptied, *strips[1:]), RATE_HZ)
    bad = measure_strips((replace(strips[0], millivolts=wrong), *strips[1:]), RATE_HZ)
    assert value(good, Quantity.QRS_AXIS) == pytest.approx(30, abs=8)
    assert bad.of(Quantity.QRS_AXIS).value != good.of(Quantity.QRS_AXIS).value


def test_measuring_loads_no_networks_of_the_digitizer() -> None:
    code = "import sys, pipeline.intervals; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
