"""Leads printed twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from printed_strips import RATE_HZ, page, strip

from pipeline.quality.twice import SETTLED_S, belies, check_twice, recognise, renamed
from pipeline.recording import TWELVE, Lead


def test_the_same_lead_agrees_with_itself_under_a_shift() -> None:
    strips = page()
    late = replace(strips[-1], millivolts=np.roll(strips[-1].millivolts, 40))
    (check,) = check_twice([*strips[:-1], late], RATE_HZ)
    assert check.lead is Lead.II
    assert check.correlation > 0.98
    assert not check.bad


def test_the_agreement_is_the_best_correlation_of_what_is_known_in_both() -> None:
    long, short = strip(Lead.II, 0.0, 10.0), strip(Lead.II, 2.5, 2.5)
    rng = np.random.default_rng(3)
    noisy = (short.millivolts + rng.normal(0, 0.2, short.samples) + 2).astype(np.float32)
    noisy[200:300], holes = np.nan, np.where(np.arange(long.samples) % 400 < 20, np.float32(np.nan), long.millivolts)
    (check,) = check_twice([replace(long, millivolts=holes), replace(short, millivolts=noisy)], RATE_HZ)
    told = []
    for late in (0, SETTLED_S):
        y = np.where(np.arange(short.samples) >= late * RATE_HZ, noisy, np.nan)
        for first in (0, round(2.5 * RATE_HZ)):
            for at in range(first - 100, first + 101, 2):
                x = np.array([holes[k] if k >= 0 else np.nan for k in range(at, at + short.samples)])
                known = np.isfinite(x) & np.isfinite(y)
                told += [np.corrcoef(x[known], y[known])[0, 1]] if known.sum() >= RATE_HZ else []
    assert check.correlation == pytest.approx(max(told), abs=1e-9)


def test_another_lead_under_the_same_name_does_not_agree() -> None:
    strips = page(Lead.V1)
    (check,) = check_twice([*strips[:-1], renamed(strips[-1], Lead.II)], RATE_HZ)
    assert check.bad


def test_an_unnamed_long_strip_is_recognised_by_its_short_one() -> None:
    for lead in (Lead.II, Lead.V1, Lead.V4, Lead.AVR):
        strips = page(lead)
        assert recognise(renamed(strips[-1], Lead.AVF), strips[:-1], RATE_HZ) is lead


def test_noise_is_recognised_as_nothing() -> None:
    strips = page()
    noise = np.random.default_rng(1).normal(0, 0.3, strips[-1].samples).astype(np.float32)
    assert recognise(replace(strips[-1], millivolts=noise), strips[:-1], RATE_HZ) is None


def test_pages_whose_columns_all_show_one_time_agree_too() -> None:
    shorts = [replace(strip(lead), start_s=2.5 * (k // 3)) for k, lead in enumerate(TWELVE)]
    (check,) = check_twice([*shorts, strip(Lead.V5, 0.0, 10.0)], RATE_HZ)
    assert check.lead is Lead.V5
    assert not check.bad


def test_a_long_strip_under_a_wrong_name_is_told_by_what_it_shows() -> None:
    strips = page(Lead.V1)
    assert belies(renamed(strips[-1], Lead.II), strips[:-1], RATE_HZ) is Lead.V1


def test_a_wrong_name_is_told_by_columns_of_a_second_and_a_quarter_too() -> None:
    shorts = [strip(lead, 1.25 * (k // 3), 1.25) for k, lead in enumerate(TWELVE)]
    read = [replace(s, millivolts=np.where(np.arange(s.samples) < 130, np.nan, s.millivolts)) for s in shorts]
    long = renamed(strip(Lead.II, 0.0, 5.0), Lead.I)
    assert belies(long, read, RATE_HZ) is Lead.II
    assert len(check_twice([*read, long], RATE_HZ)) == 1


def test_gaps_between_columns_that_take_no_time_of_the_long_strip_do_not_belie_its_name() -> None:
    for lead in (Lead.V4, Lead.V6):
        strips = page(lead)
        apart = [replace(s, start_s=s.start_s + 0.15 * round(s.start_s / 2.5)) for s in strips[:-1]]
        assert belies(strips[-1], apart, RATE_HZ) is None
        (check,) = check_twice([*apart, strips[-1]], RATE_HZ)
        assert not check.bad


def test_a_name_that_its_own_short_strip_confirms_is_kept() -> None:
    for lead in (Lead.II, Lead.V1, Lead.V5):
        strips = page(lead)
        assert belies(strips[-1], strips[:-1], RATE_HZ) is None


def test_a_name_whose_own_short_strip_was_not_read_is_kept() -> None:
    strips = page(Lead.V1)
    others = [s for s in strips[:-1] if s.lead is not Lead.II]
    assert belies(renamed(strips[-1], Lead.II), others, RATE_HZ) is None


def test_a_lead_drawn_apart_by_a_settling_machine_is_still_recognised_where_no_other_comes_near() -> None:
    strips = page(Lead.V1)
    seconds = np.arange(strips[-1].samples) / RATE_HZ
    settling = (0.9 * np.exp(-seconds / 0.25)).astype(np.float32)
    assert recognise(replace(strips[-1], millivolts=strips[-1].millivolts + settling), strips[:-1], RATE_HZ) is Lead.V1


def test_two_leads_that_are_both_alike_are_not_told_apart() -> None:
    strips = page(Lead.V3)
    twin = renamed(next(s for s in strips[:-1] if s.lead is Lead.V3), Lead.V4)
    others = [s for s in strips[:-1] if s.lead is not Lead.V4]
    assert recognise(renamed(strips[-1], Lead.AVF), others, RATE_HZ) is Lead.V3
    assert recognise(renamed(strips[-1], Lead.AVF), [*others, twin], RATE_HZ) is None


def test_a_miscounted_stroke_is_told_where_the_other_lead_is_clearly_more_alike() -> None:
    strips = page(Lead.II)
    noise = np.random.default_rng(3).normal(0, 0.05, strips[-1].samples).astype(np.float32)
    worn = replace(strips[-1], millivolts=strips[-1].millivolts + noise)
    assert belies(renamed(worn, Lead.I), strips[:-1], RATE_HZ) is Lead.II
    assert belies(worn, strips[:-1], RATE_HZ) is None


def test_a_lead_of_strokes_is_not_renamed_for_one_that_is_hardly_more_alike() -> None:
    strips = page(Lead.II)
    twin = replace(next(s for s in strips[:-1] if s.lead is Lead.II), lead=Lead.III)
    nearly = replace(twin, millivolts=twin.millivolts * np.float32(0.95))
    others = [s for s in strips[:-1] if s.lead is not Lead.III]
    assert belies(renamed(strips[-1], Lead.III), [*others, nearly], RATE_HZ) is None


def test_a_chest_lead_taken_for_a_limb_lead_is_recognised_at_the_chest_leads_own_gain() -> None:
    strips = page(Lead.V1)
    halved = replace(strips[-1], lead=Lead.II, millivolts=strips[-1].millivolts / 2, sigma_mv=strips[-1].sigma_mv / 2)
    assert recognise(halved, strips[:-1], RATE_HZ) is None
    assert recognise(halved, strips[:-1], RATE_HZ, limb_to_chest=2.0) is Lead.V1


def test_ink_under_another_name_is_measured_at_that_names_gain() -> None:
    v1 = strip(Lead.V1)
    as_limb = renamed(v1, Lead.II, limb_to_chest=2.0)
    np.testing.assert_allclose(as_limb.millivolts, v1.millivolts / 2)
    np.testing.assert_allclose(as_limb.sigma_mv, v1.sigma_mv / 2)
    back = renamed(as_limb, Lead.V5, limb_to_chest=2.0)
    np.testing.assert_allclose(back.millivolts, v1.millivolts)
    assert back.lead is Lead.V5


def test_a_lead_whose_short_strip_begins_askew_is_recognised_by_the_rest_of_it() -> None:
    strips = page(Lead.II)
    seconds = np.arange(strips[1].samples) / RATE_HZ
    askew = (2.5 * np.exp(-seconds / 0.15)).astype(np.float32)  # gone within SETTLED_S
    others = [replace(s, millivolts=s.millivolts + askew) if s.lead is Lead.II else s for s in strips[:-1]]
    assert recognise(renamed(strips[-1], Lead.AVF), others, RATE_HZ) is Lead.II


def test_a_lead_whose_short_strip_begins_askew_agrees_with_its_long_one() -> None:
    strips = page(Lead.II)
    seconds = np.arange(strips[1].samples) / RATE_HZ
    askew = (2.5 * np.exp(-seconds / 0.15)).astype(np.float32)
    others = [replace(s, millivolts=s.millivolts + askew) if s.lead is Lead.II else s for s in strips[:-1]]
    (check,) = check_twice([*others, strips[-1]], RATE_HZ)
    assert not check.bad
