"""Speed and gain are read from the calibration pulses, and guessed only aloud."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibration import Calibration, Pulse, _by_gain, _one_of_half, calibrate
from pipeline.calibration.pulse import joined
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.geometry import PaperMap
from pipeline.recording import Float32, Known, Lead, Scale, Source
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import PageSpec, render
from pipeline.synth.spec import Camera, GridStyle, Paper, Place, Print, Wear
from pipeline.synth.truth import Rendered


@pytest.fixture(scope="module")
def signals() -> Float32:
    return synthetic_ecg(np.random.default_rng(4), 10.0, 500)


def drawn(signals: Float32, printed: Print, **changes: object) -> Rendered:
    return render(signals, 500, replace(PageSpec(print=printed), **changes), 1)  # type: ignore[arg-type]


def baselines_mm(page: Rendered) -> list[float]:
    return sorted({s.baseline_mm for s in page.truth.segments})


def extent_mm(page: Rendered) -> tuple[float, float]:
    return min(s.start_mm for s in page.truth.segments), max(s.end_mm for s in page.truth.segments)


def calibrated(page: Rendered, dpi: tuple[float, float] | None = None) -> Calibration:
    return calibrate(page.page.image, page.truth.paper, baselines_mm(page), extent_mm(page), dpi)


@pytest.mark.parametrize("speed", [12.5, 25.0, 50.0])
@pytest.mark.parametrize("gain", [2.5, 5.0, 10.0, 20.0])
def test_reads_speed_and_gain_from_the_pulses(signals: Float32, speed: float, gain: float) -> None:
    page = drawn(signals, Print(speed_mm_s=speed, gain_mm_mv=gain))
    found = calibrated(page)
    assert (found.speed_mm_s.value, found.speed_mm_s.known) == (speed, Known.PULSE)
    assert (found.gain_mm_mv.value, found.gain_mm_mv.known) == (gain, Known.PULSE)


@pytest.mark.parametrize("place", [Place.LEFT, Place.RIGHT])
def test_says_where_the_pulses_are(signals: Float32, place: Place) -> None:
    page = drawn(signals, Print(pulse=place))
    found = calibrated(page)
    true = sorted(page.truth.pulses_mm, key=lambda p: p[2])
    mine = sorted(found.pulses, key=lambda p: p.baseline_mm)
    assert len(mine) == len(true)
    for pulse, (x0, x1, baseline, height) in zip(mine, true, strict=True):
        assert pulse.x0_mm == pytest.approx(x0, abs=0.15)
        assert pulse.x1_mm == pytest.approx(x1, abs=0.15)
        assert pulse.baseline_mm == pytest.approx(baseline, abs=0.8)
        assert pulse.height_mm == pytest.approx(height, abs=0.8)


def test_does_not_take_a_narrow_pulse_before_a_ten_second_row_for_half_speed(signals: Float32) -> None:
    page = drawn(signals, Print(pulse_s=0.1))
    found = calibrated(page)
    assert (found.speed_mm_s.value, found.speed_mm_s.known) == (25.0, Known.ASSUMED)
    assert found.gain_mm_mv.known is Known.PULSE
    assert FindingCode.SCALE_ASSUMED in [f.code for f in found.findings]


def test_pulses_of_a_width_that_no_speed_explains_tell_the_gain_alone(signals: Float32) -> None:
    found = calibrated(drawn(signals, Print(pulse_s=0.128)))
    assert (found.speed_mm_s.value, found.speed_mm_s.known) == (25.0, Known.ASSUMED)
    assert (found.gain_mm_mv.value, found.gain_mm_mv.known) == (10.0, Known.PULSE)


def test_says_that_it_assumed_speed_and_gain_without_a_pulse(signals: Float32) -> None:
    page = drawn(signals, Print(pulse=Place.NONE))
    found = calibrated(page)
    assert (found.speed_mm_s.known, found.gain_mm_mv.known) == (Known.ASSUMED, Known.ASSUMED)
    codes = [f.code for f in found.findings]
    assert codes.count(FindingCode.SCALE_ASSUMED) == 2
    assert FindingCode.PULSE_NOT_FOUND in codes
    assert found.pulses == ()


def test_reads_pulses_of_a_gridless_fax(signals: Float32) -> None:
    page = drawn(
        signals,
        Print(trace_mm=0.35, gain_mm_mv=5.0),
        paper=Paper(style=GridStyle.NONE),
        camera=Camera(roll_deg=0.3),
        wear=Wear(noise=0.2, dirt=0.2),
        source=Source.FAX_FINE,
        px_per_mm=204 / 25.4,
        grey=True,
        fax_dpi=(204.0, 196.0),
    )
    found = calibrated(page)
    assert (found.gain_mm_mv.value, found.gain_mm_mv.known) == (5.0, Known.PULSE)


def test_finds_the_half_gain_of_chest_rows(signals: Float32) -> None:
    page = drawn(signals, Print(layout="12x1", row_mm=13.5, top_mm=40.0, chest_gain_mm_mv=5.0))
    found = calibrated(page)
    assert found.gain_mm_mv.value == 10.0
    assert found.chest_gain_mm_mv is not None
    assert found.chest_gain_mm_mv.value == 5.0
    assert FindingCode.HALF_GAIN_CHEST in [f.code for f in found.findings]


def test_one_rhythm_strip_of_a_chest_lead_tells_the_gain_of_all(signals: Float32) -> None:
    printed = Print(layout="3x4+3", row_mm=22.0, rhythms=(Lead.V1, Lead.II, Lead.III), chest_gain_mm_mv=5.0)
    found = calibrated(drawn(signals, printed))
    assert found.gain_mm_mv.value == 10.0
    assert found.chest_gain_mm_mv == Scale(5.0, Known.PULSE)


def test_half_a_pulse_that_stands_on_no_row_tells_no_gain() -> None:
    whole = [Pulse(9.5, 14.5, y, 10.0, 0.9) for y in (40.0, 62.0, 84.0)]
    half = Pulse(9.5, 14.5, 101.0, 5.0, 0.9)
    groups = {10.0: tuple(whole), 5.0: (half,)}
    assert _one_of_half(groups, 10.0, (40.0, 62.0, 84.0, 106.0)) is None
    assert _one_of_half(groups, 10.0, (40.0, 62.0, 84.0, 101.5)) == (5.0, (half,))


def test_of_two_pulses_of_one_roof_the_one_that_stands_on_its_row_counts() -> None:
    """A thick trace ends a small pulse's upright early for the eye that follows the ink."""
    cut = Pulse(7.1, 9.7, 29.3, 3.7, 1.0)
    whole = Pulse(7.3, 10.0, 30.6, 5.07, 0.92)
    assert joined([cut], [whole], (30.6, 69.2)) == (whole,)
    assert joined([cut], [whole], (29.3, 69.2)) == (cut,)
    assert len(joined([Pulse(7.1, 9.7, 30.4, 4.9, 0.6)], [whole], (30.6, 69.2))) == 1


def test_pulses_of_rows_that_touch_are_not_read_as_one(signals: Float32) -> None:
    page = drawn(signals, Print(layout="12x1", row_mm=10.0, top_mm=25.0))
    found = calibrated(page)
    assert (found.gain_mm_mv.value, found.gain_mm_mv.known) == (10.0, Known.PULSE)
    assert all(pulse.height_mm == pytest.approx(10.0, abs=0.6) for pulse in found.pulses)
    assert len(found.pulses) >= 6


def test_of_two_pulses_of_one_foot_the_one_as_high_as_the_others_counts() -> None:
    """The upper row's roof was joined to the lower row's foot: 20 mm instead of 5."""
    upper, lower = Pulse(9.5, 14.5, 40.0, 5.0, 0.9), Pulse(9.5, 14.5, 55.0, 5.0, 0.7)
    spanning = Pulse(9.5, 14.5, 55.0, 20.0, 0.95)
    assert set(joined([spanning], [upper, lower], (40.0, 55.0))) == {upper, lower}
    assert joined([spanning], [], (40.0, 55.0)) == (spanning,)


def test_equal_pulses_may_be_a_pen_apart_in_width() -> None:
    narrow = [Pulse(7.0, 7.0 + width, y, 5.0, 0.9) for y, width in ((30.0, 2.61), (69.0, 2.95), (108.0, 2.73))]
    assert len(_by_gain(narrow)[5.0]) == 3
    wide = [Pulse(7.0, 7.0 + width, y, 10.0, 0.9) for y, width in ((30.0, 10.0), (69.0, 11.4), (108.0, 10.2))]
    assert len(_by_gain(wide)[10.0]) == 2


def test_tells_that_grid_and_resolution_disagree(signals: Float32) -> None:
    page = drawn(signals, Print())
    assert not calibrated(page, (200.0, 200.0)).findings
    codes = [f.code for f in calibrated(page, (300.0, 300.0)).findings]
    assert codes == [FindingCode.SCALE_DISAGREEMENT]


def assumed(paper: PaperMap, factor: float) -> PaperMap:
    """The map of a page whose millimetres nobody knows: all of them wrong by one factor."""
    return paper.scaled(factor, Known.ASSUMED)


def test_scales_a_page_by_its_pulses_where_nothing_else_does(signals: Float32) -> None:
    page = drawn(signals, Print(), paper=Paper(style=GridStyle.NONE))
    x0, x1 = extent_mm(page)
    guess = assumed(page.truth.paper, 1.1)
    found = calibrate(page.page.image, guess, [1.1 * b for b in baselines_mm(page)], (1.1 * x0, 1.1 * x1))
    assert found.paper.known is Known.PULSE
    assert found.stretch == pytest.approx((1 / 1.1, 1 / 1.1), rel=0.03)
    assert found.speed_mm_s.known is Known.PULSE
    assert [f.code for f in found.findings] == [FindingCode.SCALED_BY_PULSES]


def test_refuses_a_page_that_nothing_scales(signals: Float32) -> None:
    page = drawn(signals, Print(pulse=Place.NONE), paper=Paper(style=GridStyle.NONE))
    with pytest.raises(Unreadable) as refused:
        calibrate(page.page.image, assumed(page.truth.paper, 1.0), baselines_mm(page), extent_mm(page))
    assert refused.value.code == UnreadableCode.NO_GRID
