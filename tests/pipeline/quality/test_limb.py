"""Einthoven and Goldberger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from printed_strips import RATE_HZ, as_strip, strip

from pipeline.quality.limb import check_limbs, correct_limbs, turn_over
from pipeline.recording import Lead, Seen, Strip


def column(*leads: Lead) -> list[Strip]:
    return [strip(lead) for lead in leads]


def test_leads_that_obey_the_law_pass() -> None:
    (check,) = check_limbs(column(Lead.I, Lead.II, Lead.III), RATE_HZ)
    assert check.einthoven
    assert check.residual < 0.02
    assert not check.bad


def test_offsets_and_a_little_skew_between_rows_are_forgiven() -> None:
    leads = column(Lead.I, Lead.II, Lead.III)
    shifted = replace(leads[2], millivolts=np.roll(leads[2].millivolts, 6) + np.float32(0.3))
    (check,) = check_limbs([*leads[:2], shifted], RATE_HZ)
    assert check.residual < 0.1
    assert check.lags_s[2] == pytest.approx(-6 / RATE_HZ, abs=0.004)


def test_two_leads_that_changed_places_break_the_law() -> None:
    one, two, three = column(Lead.I, Lead.II, Lead.III)
    swapped = [one, replace(two, millivolts=three.millivolts), replace(three, millivolts=two.millivolts)]
    (check,) = check_limbs(swapped, RATE_HZ)
    assert check.bad


def test_goldberger_checks_the_augmented_leads_alone() -> None:
    (good,) = check_limbs(column(Lead.AVR, Lead.AVL, Lead.AVF), RATE_HZ)
    assert not good.bad
    assert not good.einthoven
    wrong = [strip(Lead.AVR), strip(Lead.AVL), as_strip(Lead.AVF, 0.0, strip(Lead.V2).millivolts)]
    (bad,) = check_limbs(wrong, RATE_HZ)
    assert bad.bad


def test_names_the_lead_that_does_not_belong() -> None:
    leads = column(Lead.I, Lead.II, Lead.III, Lead.AVR, Lead.AVL, Lead.AVF)
    leads[4] = as_strip(Lead.AVL, 0.0, strip(Lead.V3).millivolts)
    (check,) = check_limbs(leads, RATE_HZ)
    assert check.worst is Lead.AVL


def test_sees_that_avr_was_printed_upside_down() -> None:
    leads = [strip(Lead.AVL), strip(Lead.I), turn_over(strip(Lead.AVR))]
    (check,) = check_limbs(leads, RATE_HZ)
    assert check.inverted
    (right,) = check_limbs([*leads[:2], turn_over(leads[2])], RATE_HZ)
    assert not right.inverted


def test_leads_of_different_columns_are_not_compared() -> None:
    assert check_limbs([strip(Lead.I), strip(Lead.II, 2.5), strip(Lead.III, 5.0)], RATE_HZ) == ()


def test_correction_takes_noise_off_and_moves_the_uncertain_lead_most() -> None:
    rng = np.random.default_rng(0)
    clean = column(Lead.I, Lead.II, Lead.III)
    noise = [0.01, 0.01, 0.04]
    noisy = [
        as_strip(s.lead, 0.0, s.millivolts + rng.normal(0, sd, s.samples).astype(np.float32), sd)
        for s, sd in zip(clean, noise, strict=True)
    ]
    fixed = correct_limbs(noisy, check_limbs(noisy, RATE_HZ), RATE_HZ)
    before = [float(np.std(n.millivolts - c.millivolts)) for n, c in zip(noisy, clean, strict=True)]
    after = [float(np.std(f.millivolts - c.millivolts)) for f, c in zip(fixed, clean, strict=True)]
    assert after[2] < 0.5 * before[2]
    assert max(after[0], after[1]) < 1.05 * before[0]


def test_a_spike_that_one_lead_lost_is_not_taken_from_the_others() -> None:
    clean = column(Lead.AVR, Lead.AVL, Lead.AVF)
    peak = int(np.argmax(np.abs(clean[2].millivolts)))
    lost = clean[2].millivolts.copy()
    lost[peak - 2 : peak + 3] = np.float32(0.0)
    read = [as_strip(s.lead, 0.0, s.millivolts, 0.02) for s in clean[:2]] + [as_strip(Lead.AVF, 0.0, lost, 0.02)]
    checks = check_limbs(read, RATE_HZ)
    assert not checks[0].bad
    fixed = correct_limbs(read, checks, RATE_HZ)
    for before, after in zip(read[:2], fixed[:2], strict=True):
        assert np.abs(before.millivolts - after.millivolts).max() < 0.02


def test_correction_leaves_unread_samples_and_bad_columns_alone() -> None:
    leads = column(Lead.I, Lead.II, Lead.III)
    holed = leads[1].millivolts.copy()
    holed[200:300] = np.nan
    seen = leads[1].seen.copy()
    seen[200:300] = Seen.NOTHING
    leads[1] = replace(leads[1], millivolts=holed, seen=seen)
    fixed = correct_limbs(leads, check_limbs(leads, RATE_HZ), RATE_HZ)
    assert np.isnan(fixed[1].millivolts[200:300]).all()
    assert np.array_equal(fixed[0].millivolts[200:300], leads[0].millivolts[200:300])
    wrong = [*column(Lead.I, Lead.II), as_strip(Lead.III, 0.0, strip(Lead.V1).millivolts)]
    untouched = correct_limbs(wrong, check_limbs(wrong, RATE_HZ), RATE_HZ)
    assert all(np.array_equal(a.millivolts, b.millivolts) for a, b in zip(wrong, untouched, strict=True))
