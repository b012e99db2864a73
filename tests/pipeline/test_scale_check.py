"""Which size a page's millimetre has: chosen where witnesses agree on another one, doubted where they contradict."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace

import numpy as np
import pytest
from printed_strips import RATE_HZ, heart

from pipeline import paper, source
from pipeline.calibration import Pulse
from pipeline.digitize import Digitizer
from pipeline.findings import FindingCode
from pipeline.geometry import Float64
from pipeline.layout.templates import templates
from pipeline.recording import Known, Page, Severity
from pipeline.scale_check import FACTORS, FITTED, LINES_PER_MM, Table, Witnesses, fitted, pulse_of, table_of, weigh
from pipeline.synth.page import faxed_page
from pipeline.synth.truth import Rendered
from pipeline.training.fit.scale_check import MISREAD

READ_4_OF_5 = {0.8: 4.8, 1.0: 1.7, 0.4: 1.0, 0.5: 1.0, 0.2: 1.0, 0.6: 1.2, 0.16: -0.3, 0.32: 0.5, 0.48: 0.4}


def lines(strong: dict[float, float]) -> Float64:
    """The power of the lines of each density, none where nothing is said."""
    return np.array([strong.get(round(d, 2), 0.4) for d in LINES_PER_MM])


def a_right_page(**changes: object) -> Witnesses:
    ruling = lines({1.0: 4.5, 2.0: 3.0, 0.2: 2.5, 0.4: 2.5, 0.6: 2.5})
    page = Witnesses(1.002, ruling, (4.9, 10.1), 25.0, 10.0, 249.8)
    return replace(page, **changes)  # type: ignore[arg-type]


def test_a_right_page_is_neither_changed_nor_doubted() -> None:
    found = weigh(a_right_page())
    assert found.choice is None
    assert found.doubts() == ()
    assert sum(found.factors) + found.none == pytest.approx(1.0)


def test_four_lines_taken_for_five_are_found_out_by_lines_and_resolution_alone() -> None:
    assert weigh(Witnesses(0.790, lines(READ_4_OF_5))).choice == 4 / 5


@pytest.mark.parametrize("factor", FACTORS[1:])
def test_a_wrong_size_is_named_by_pulses_words_and_length(factor: float) -> None:
    read = Witnesses(1 / factor, None, (5.0 / factor, 10.0 / factor), 25.0, 10.0, 250.0 / factor)
    found = weigh(read)
    assert found.choice == factor
    (doubt,) = found.doubts()
    assert (doubt.code, doubt.severity) == (FindingCode.RULING_DOUBTED, Severity.ERROR)
    assert f"pulses are {5 / factor:.1f} x {10 / factor:.1f} mm" in doubt.detail
    five_seconds = factor == 2.0  # are as long, and no contradiction
    assert (f"rows are {250 / factor:.0f} mm long" in doubt.detail) is not five_seconds


@pytest.mark.parametrize("read_mm", [1.0, 2.0])
def test_a_size_that_was_chosen_is_no_surer_for_being_followed_anew(read_mm: float) -> None:
    """A right page of plain lines whose file says half its resolution: both sizes are about as likely."""
    plain = {round(d / read_mm, 6): power for d, power in ((1.0, 4.5), (2.0, 3.0), (3.0, 2.0), (4.0, 2.0))}
    ruling = np.array([plain.get(d, 0.4) for d in LINES_PER_MM])
    found = weigh(Witnesses(2.0 / read_mm, ruling, length_mm=250.0 * read_mm), taken=read_mm)
    first, other = FACTORS.index(1.0 / read_mm), FACTORS.index(2.0 / read_mm)
    assert found.factors[first] == pytest.approx(0.6, abs=0.25)
    assert found.factors[other] == pytest.approx(0.4, abs=0.25)
    assert found.doubts() != ()


def test_a_size_that_was_chosen_rightly_is_sure_by_pulses_words_and_lines() -> None:
    for factor in FACTORS:
        assert weigh(a_right_page(), taken=factor).doubts() == ()


def test_a_size_that_nothing_tells_is_doubted_however_many_pages_the_table_is_fitted_to() -> None:
    assert weigh(Witnesses()).doubts() != ()
    table = fitted()
    assert table.wrong * (len(FACTORS) - 1) + table.none == pytest.approx(MISREAD, rel=1e-3)


def test_two_strong_witnesses_against_the_ruling_hold_the_page() -> None:
    found = weigh(a_right_page(lines=None, resolution=None, pulse_mm=(6.1, 12.3), length_mm=305.0))
    assert [f.severity for f in found.doubts()] == [Severity.ERROR]


def test_witnesses_that_agree_on_no_size_hold_the_page_too() -> None:
    found = weigh(Witnesses(0.9, None, (3.7, 13.1), 25.0, 10.0, 221.0))
    assert found.choice is None
    assert [f.code for f in found.doubts()] == [FindingCode.RULING_DOUBTED]


@pytest.mark.parametrize(
    "astray", [{"resolution": 0.8}, {"resolution": 0.5}, {"length_mm": 200.0}, {"pulse_mm": (3.2, 10.0)}]
)
def test_one_witness_astray_holds_no_page_whose_others_agree(astray: dict[str, object]) -> None:
    assert weigh(a_right_page(**astray)).doubts() == ()


COLUMNS_S = (2.0, 2.4, 2.5, 3.0, 4.0, 4.8, 5.0, 6.0, 8.0, 9.6, 10.0, 12.0)


@pytest.mark.parametrize("columns", sorted({len(template.rows[0]) for template in templates()}))
def test_rows_of_other_lengths_than_ten_seconds_contradict_no_right_page(columns: int) -> None:
    for length_s in (columns * column for column in COLUMNS_S if 4.0 <= columns * column <= 12.0):
        ruled = weigh(a_right_page(resolution=None, pulse_mm=None, length_mm=25.0 * length_s))
        assert (ruled.choice, ruled.doubts()) == (None, ()), length_s
        unruled = weigh(Witnesses(speed_said=25.0, gain_said=10.0, length_mm=25.0 * length_s))
        assert (unruled.choice, unruled.doubts(stated=True)) == (None, ()), length_s


def test_a_size_that_the_file_states_is_believed_until_another_is_likelier() -> None:
    assert weigh(Witnesses()).doubts(stated=True) == ()
    against = weigh(Witnesses(None, None, (3.7, 13.1), 25.0, 10.0, 221.0))
    assert [f.severity for f in against.doubts(stated=True)] == [Severity.ERROR]


def test_a_size_that_was_chosen_is_held_to_a_bound_of_its_own() -> None:
    table = fitted()
    again = weigh(a_right_page(resolution=None, pulse_mm=None), taken=1 / 2)
    assert table.sure_again <= again.factors[0] < table.sure
    assert again.doubts() == ()


def test_a_page_of_fifty_mm_per_second_is_no_page_at_half_its_size() -> None:
    assert weigh(a_right_page(pulse_mm=(10.0, 10.0), speed_said=None, length_mm=250.0)).doubts() == ()
    assert weigh(a_right_page(pulse_mm=(2.5, 5.0), speed_said=12.5, gain_said=5.0, length_mm=125.0)).doubts() == ()


def test_the_pulses_that_most_are_like_tell() -> None:
    equal = [Pulse(5.0, 10.0 + d, y, 10.0, 0.8) for y, d in ((30.0, 0.0), (60.0, 0.2))]
    assert pulse_of([Pulse(40.0, 42.0, 30.0, 4.0, 0.85), *equal]) == (pytest.approx(5.1), pytest.approx(10.0))
    assert pulse_of([Pulse(40.0, 42.0, 30.0, 4.0, 0.5)]) is None


def test_the_table_beside_the_code_is_whole_and_says_what_it_is_worth() -> None:
    text = FITTED.read_text(encoding="utf-8")
    assert "held out: right" in text
    assert set(tomllib.loads(text)) == {field.name for field in fields(Table)}
    table = table_of(tomllib.loads(text))
    assert table == fitted()
    for shares, count in ((table.speeds, 3), (table.gains, 4), (table.pulses, 2), (table.rows, 2)):
        assert len(shares) == count
        assert sum(shares) == pytest.approx(1.0, abs=1e-3)


def test_lines_are_followed_anew_at_the_size_that_was_chosen(clean: Rendered) -> None:
    fit = paper.find_grid(clean.page.image, clean.page.dpi)
    again = paper.follow_again(fit.resized(1.25), 0.8, clean.page.image, clean.page.dpi)
    assert again.pitch_px == pytest.approx(fit.pitch_px, rel=1e-3)
    assert again.strength == pytest.approx(fit.strength, abs=0.1)


def test_lines_are_seen_where_they_are_printed(clean: Rendered) -> None:
    fit = paper.find_grid(clean.page.image, clean.page.dpi)
    millimetre, box, between, too_fine = paper.lines_seen(clean.page.image, fit.paper, (1.0, 0.2, 0.7, 9.0)).tolist()
    assert min(millimetre, box) > 2.0
    assert between < 0.5
    assert np.isnan(too_fine)


def test_a_page_followed_at_a_wrong_size_is_read_at_the_right_one(
    clean: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = paper.find_grid

    def wrong(*args: object, **kwargs: object) -> paper.GridFit:
        fit = own(*args, **kwargs)  # type: ignore[arg-type]
        return fit.resized(1.25) if len(args) < 5 else fit

    classified: list[object] = []
    classify = source.classify
    monkeypatch.setattr("pipeline.digitize.paper_stage.find_grid", wrong)
    monkeypatch.setattr("pipeline.digitize.source.classify", lambda *a: classified.append(a) or classify(*a))
    recording = Digitizer(page_seconds_max=600.0).digitize(Page(clean.page.image, None))
    assert len(classified) == 1
    assert recording.duration_s == pytest.approx(10.0, abs=0.1)
    assert recording.gain_mm_mv.value == 10.0
    assert not any(f.severity == Severity.ERROR for f in recording.findings)
    assert any("1.25 times its size" in f.detail for f in recording.findings)
    assert recording.speed_mm_s.known is Known.PULSE


def test_a_fax_whose_resolution_is_not_its_own_is_read_at_its_true_size() -> None:
    page = faxed_page(heart(), RATE_HZ, 11).page
    assert page.dpi is not None
    stated = (page.dpi[0] * 0.8, page.dpi[1] * 0.8)
    recording = Digitizer(page_seconds_max=600.0).digitize(replace(page, dpi=stated))
    assert recording.duration_s == pytest.approx(10.0, abs=0.1)
    assert (recording.speed_mm_s.value, recording.gain_mm_mv.value) == (25.0, 10.0)
    assert any("file's resolution made the page 1.25 times" in f.detail for f in recording.findings)
