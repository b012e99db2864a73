"""Heights, uncertainty and presence out of hand-made distributions."""

import numpy as np
import pytest

from pipeline.waveform.decode import BIN_MM, bin_rise_mm, decode
from pipeline.waveform.strip import RowStrip

BINS, COLUMNS = 160, 200


def strip():
    blank = np.ones((2 * BINS, COLUMNS, 3), np.float32)
    return RowStrip(blank, np.ones((2 * BINS, COLUMNS), bool), 0.0, 50.0)


def log_p(rise_mm, width_mm=BIN_MM, null=0.0):
    """float32 (BINS + 1, COLUMNS): a Gaussian around each column's height, and the probability of no ink."""
    p = np.exp(-0.5 * ((bin_rise_mm(BINS)[:, None] - rise_mm) / width_mm) ** 2)
    p = p / p.sum(axis=0) * (1 - np.broadcast_to(null, (COLUMNS,)))
    return np.log(np.vstack([p, np.broadcast_to(null, (1, COLUMNS))]) + 1e-9).astype(np.float32)


def test_reads_heights_between_bins():
    rise = 3.0 * np.sin(np.arange(COLUMNS) / 15)
    reading = decode(log_p(rise), strip(), [(0.0, 25.0)])
    np.testing.assert_allclose(reading.rise_mm, rise, atol=0.02)
    assert (reading.present > 0.99).all()


def test_follows_a_steep_stroke_to_its_peak():
    rise = np.zeros(COLUMNS)
    rise[98:103] = [6, 15, 22, 12, 3]
    reading = decode(log_p(rise), strip(), [(0.0, 25.0)])
    np.testing.assert_allclose(reading.rise_mm, rise, atol=0.1)


def test_smoothing_leaves_a_narrow_peak_its_height():
    rise = 0.03 * np.random.default_rng(0).standard_normal(COLUMNS)
    rise[100:103] += [4.0, 10.0, 4.0]
    reading = decode(log_p(rise), strip(), [(0.0, 25.0)])
    assert reading.rise_mm[101] == pytest.approx(rise[101], abs=0.05)
    assert np.std(reading.rise_mm[:95]) < 0.8 * np.std(rise[:95])


def test_a_broad_column_is_read_at_the_middle_of_its_ink():
    p = np.full((BINS + 1, COLUMNS), -20.0, np.float32)
    p[60:81] = np.log(1 / 21)
    reading = decode(p, strip(), [(0.0, 25.0)])
    np.testing.assert_allclose(reading.rise_mm, bin_rise_mm(BINS)[70], atol=0.05)


def test_stays_on_its_row_where_a_neighbour_is_darker_for_a_moment():
    rise = np.zeros(COLUMNS)
    p = 0.45 * np.exp(log_p(rise)) + 0.55 * np.exp(log_p(np.full(COLUMNS, 20.0)))
    only_here = np.arange(COLUMNS)[None, :] % 50 >= 45
    mixed = np.where(only_here, np.log(p), log_p(rise)).astype(np.float32)
    assert np.abs(decode(mixed, strip(), [(0.0, 25.0)]).rise_mm).max() < 0.5


def test_a_lead_may_start_at_another_height_than_the_last_one_ended():
    rise = np.where(np.arange(COLUMNS) < 100, -20.0, 20.0)
    reading = decode(log_p(rise, 3 * BIN_MM), strip(), [(0.0, 12.5), (12.5, 25.0)])
    np.testing.assert_allclose(reading.rise_mm[[99, 100]], [-20, 20], atol=0.1)


def test_doubt_shows_as_sigma():
    sure = decode(log_p(np.zeros(COLUMNS)), strip(), [])
    unsure = decode(log_p(np.zeros(COLUMNS), width_mm=4 * BIN_MM), strip(), [])
    assert np.median(unsure.sigma_mm) == pytest.approx(np.sqrt(15) * BIN_MM, rel=0.05)
    assert np.median(sure.sigma_mm) < 0.2


def test_sigma_is_scaled_by_the_calibration():
    p = log_p(np.zeros(COLUMNS), width_mm=4 * BIN_MM)
    np.testing.assert_allclose(decode(p, strip(), [], 2.0).sigma_mm, 2 * decode(p, strip(), [], 1.0).sigma_mm)


def test_columns_without_ink_are_not_present_and_do_not_bend_the_path():
    rise = np.zeros(COLUMNS)
    rise[80:90] = 25.0
    null = np.zeros(COLUMNS)
    null[80:90] = 0.999
    reading = decode(log_p(rise, null=null), strip(), [(0.0, 25.0)])
    assert (reading.present[80:90] < 0.5).all()
    assert np.abs(reading.rise_mm[[79, 90]]).max() < 0.05


def test_tells_how_near_the_trace_comes_to_the_edge():
    rise = np.zeros(COLUMNS)
    rise[50] = 31.0
    assert decode(log_p(rise), strip(), [(0.0, 25.0)]).edge_mm < 1.0
    assert decode(log_p(np.zeros(COLUMNS)), strip(), [(0.0, 25.0)]).edge_mm > 30.0


def test_a_stroke_that_may_leave_the_strip_counts_as_near_its_edge():
    p = log_p(np.zeros(COLUMNS))
    p[:BINS, 50] = np.log(1 / BINS)  # a column of ink from top to bottom
    assert decode(p, strip(), [(0.0, 25.0)]).edge_mm < 4.0
