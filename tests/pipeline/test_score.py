"""The contest's rule on cases worked out by hand."""

import numpy as np
import pytest

from pipeline.score import align, kaggle_db, score

RATE_HZ = 500


def wave(n: int = 1250) -> np.ndarray:
    t = np.arange(n) / RATE_HZ
    return (np.exp(-(((t - 1.2) / 0.02) ** 2)) + 0.2 * np.sin(2 * np.pi * 1.3 * t)).astype(np.float32)


def test_a_perfect_reading_reaches_the_cap():
    assert kaggle_db(wave()[None], wave()[None]) == pytest.approx(25.843, abs=1e-3)


def test_an_offset_and_a_lag_within_a_fifth_of_a_second_cost_only_what_leaves_the_window():
    late = np.full((1, 1250), np.nan, np.float32)
    late[0, 20:] = wave()[:-20] + 0.7
    result = score(wave()[None], late, RATE_HZ)
    assert result.lag_ms == pytest.approx(40.0)
    lost = (wave()[-20:] ** 2).sum() / (wave() ** 2).sum()  # read nowhere: counts as zero
    assert result.ratio == pytest.approx(min(1 / lost, 384), rel=1e-3)


def test_a_lag_beyond_a_fifth_of_a_second_is_not_forgiven():
    late = np.full((1, 1250), np.nan, np.float32)
    late[0, 150:] = wave()[:-150]
    assert kaggle_db(wave()[None], late) < 5


def test_nothing_read_scores_nothing():
    result = score(wave()[None], np.full((1, 1250), np.nan, np.float32), RATE_HZ)
    assert result.kaggle_db == pytest.approx(0.0)
    assert result.r == 0.0


def test_noise_of_a_tenth_of_the_amplitude_is_twenty_decibels():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((1, 100_000)).astype(np.float32)
    noisy = truth + 0.1 * rng.standard_normal(truth.shape).astype(np.float32)
    assert kaggle_db(truth, noisy) == pytest.approx(20.0, abs=0.1)


def test_powers_are_pooled_over_leads_while_lead_decibels_are_averaged():
    label = np.stack([np.tile([1.0, -1.0], 500), np.tile([0.1, -0.1], 500)]).astype(np.float32)
    found = label.copy()
    found[1] = np.nan  # the small lead is missing: 2 mV2 * 0.005 of the power
    result = score(label, found, RATE_HZ)
    assert result.kaggle_db == pytest.approx(10 * np.log10(1010 / 10), abs=0.01)
    assert result.lead_db == pytest.approx((25.843 + 0) / 2, abs=0.01)
    assert result.rmse_mv == pytest.approx(np.sqrt(10 / 2000), rel=1e-6)


def test_a_lead_is_judged_only_where_it_was_printed():
    label = np.full((2, 2500), np.nan, np.float32)
    label[1, 1250:] = wave()
    found = np.zeros((2, 2500), np.float32)
    found[1, 1250:] = wave()
    result = score(label, found, RATE_HZ)
    assert result.leads == 1
    assert result.kaggle_db == pytest.approx(25.843, abs=1e-3)


def test_a_recording_shorter_than_the_label_loses_its_missing_end():
    assert kaggle_db(np.ones((1, 1000), np.float32), np.ones((1, 900), np.float32)) == pytest.approx(10, abs=1e-6)


def test_of_equal_lags_the_smallest_wins():
    tone = np.sin(2 * np.pi * np.arange(1000) / 50)
    assert align(tone, tone, 100)[1] == 0


def test_refuses_a_label_without_leads():
    with pytest.raises(ValueError, match="no lead"):
        score(np.full((12, 10), np.nan, np.float32), np.zeros((12, 10), np.float32), RATE_HZ)


def test_a_stretch_that_the_page_does_not_show_is_not_asked_for() -> None:
    t = np.arange(1000) / 500
    label = np.sin(2 * np.pi * 3 * t)[None].astype(np.float32)
    holed = label.copy()
    holed[0, 400:450] = np.nan
    found = label.copy()
    found[0, 400:450] = 5.0  # whatever was read there counts neither for nor against
    assert score(holed, found, 500).kaggle_db > 25
