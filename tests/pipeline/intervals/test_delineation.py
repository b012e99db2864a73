"""pipeline/intervals: the network as trained and as run, windows, beats, and the fitted table."""

from __future__ import annotations

import hashlib
from pathlib import Path

import known_hearts as hearts
import numpy as np
import pytest
import torch
from known_hearts import Heart, in_columns, side_by_side, strip

from pipeline.errors import WeightsError
from pipeline.intervals.axes import LIMB_LEADS, axis
from pipeline.intervals.beats import delineate, shows
from pipeline.intervals.build import CELLS, RATE_HZ, SAMPLES, SHA256
from pipeline.intervals.errors import Growth, fitted
from pipeline.intervals.network import BOUNDARIES, WEIGHTS, boundaries, log_probabilities, shipped, verified
from pipeline.intervals.rhythm import features
from pipeline.intervals.values import AXES, TIMES, UNITS, Quantity
from pipeline.intervals.windows import swing, window
from pipeline.measure import beats_s
from pipeline.recording import Lead
from pipeline.training.train.delineator import CHANNELS, Delineator


def test_the_weights_are_those_that_the_table_names() -> None:
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == SHA256


def test_other_weights_than_the_table_names_are_not_loaded(tmp_path: Path) -> None:
    altered = tmp_path / WEIGHTS.name
    altered.write_bytes(WEIGHTS.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(WeightsError, match="SHA-256"):
        verified(altered)
    with pytest.raises(WeightsError, match="cannot be read"):
        verified(tmp_path / "missing")


def test_numpy_computes_what_torch_trained() -> None:
    network = Delineator()
    network.load_state_dict({name: torch.from_numpy(np.array(each)) for name, each in shipped().items()})
    leads = np.random.default_rng(0).normal(0, 0.3, (4, CHANNELS, SAMPLES)).astype(np.float32)
    with torch.no_grad():
        trained = network(torch.from_numpy(leads[None]))[0].numpy()
    assert np.abs(log_probabilities(leads, shipped()) - trained).max() < 1e-3
    assert np.exp(trained).sum(1) == pytest.approx(1)


def test_the_order_of_the_leads_does_not_matter() -> None:
    leads = np.random.default_rng(1).normal(0, 0.3, (3, CHANNELS, SAMPLES)).astype(np.float32)
    assert np.allclose(log_probabilities(leads, shipped()), log_probabilities(leads[::-1], shipped()), atol=1e-4)


def test_a_place_is_the_mean_around_the_likeliest_cell() -> None:
    said = np.full((1, len(BOUNDARIES), CELLS + 1), -50.0, np.float32)
    said[0, :, 100] = said[0, :, 101] = np.log(0.4)
    said[0, :, -1] = np.log(0.2)
    found = boundaries(said)
    assert found.at_s == pytest.approx(100.5 * 0.008 - 0.5)
    assert found.present == pytest.approx(0.8)
    assert found.spread_s == pytest.approx(0.004)


def test_a_window_is_the_lead_by_its_own_swing_and_says_where_it_is_read() -> None:
    lead = Heart().leads()[1]
    lead[1000:1100] = np.nan
    found = window(lead, hearts.RATE_HZ, 2.0)
    tall = window(3 * lead, hearts.RATE_HZ, 2.0)
    assert np.allclose(found, tall, atol=1e-5)
    # page second 2.0 is half a second into the window, and is not read for a fifth of a second
    assert not found[2, round(0.52 * RATE_HZ) : round(0.68 * RATE_HZ)].any()
    assert found[2, : round(0.48 * RATE_HZ)].all()
    assert np.isfinite(found).all()
    assert swing(np.full(10, np.nan, np.float32)) == 0.0


def test_boundaries_follow_one_another_in_every_beat() -> None:
    strips = in_columns(Heart().leads())
    beats = delineate(strips, hearts.RATE_HZ, beats_s(strips, hearts.RATE_HZ), shipped())
    inner = beats.at_s[1:-1]
    assert len(inner) >= 9
    assert np.isfinite(inner).all()
    assert (np.diff(inner, axis=1) > 0).all()


def test_a_beat_is_seen_in_its_column_and_the_rhythm_strip() -> None:
    strips = in_columns(Heart().leads())
    beats = delineate(strips, hearts.RATE_HZ, np.array([1.2, 3.6]), shipped())
    assert beats.leads.tolist() == [4, 4]
    assert shows(strips[0], hearts.RATE_HZ, 1.2)
    assert not shows(strips[0], hearts.RATE_HZ, 2.45)


def test_a_beat_that_no_lead_shows_is_left_out() -> None:
    strips = side_by_side(np.full((12, 5000), np.nan, np.float32))
    assert len(delineate(strips, hearts.RATE_HZ, np.array([1.0, 2.0]), shipped())) == 0


def test_the_axis_of_three_leads_is_that_of_six_and_two_tell_none() -> None:
    strips = side_by_side(Heart(axis_deg=-40).leads())
    beats = delineate(strips, hearts.RATE_HZ, beats_s(strips, hearts.RATE_HZ), shipped())
    three = tuple(each for each in strips if each.lead in (Lead.I, Lead.II, Lead.AVF))
    of_six, of_three = (axis(each, hearts.RATE_HZ, beats, "qrs_on", "qrs_off") for each in (strips, three))
    assert of_six is not None
    assert of_three is not None
    assert of_three.degrees == pytest.approx(of_six.degrees, abs=3)
    assert of_six.unsure_deg < 10
    # two leads, however often they are printed, leave no third to check them
    assert axis((*three[:2], three[1]), hearts.RATE_HZ, beats, "qrs_on", "qrs_off") is None


def test_limb_leads_contradicting_one_another_make_an_axis_unsure() -> None:
    strips = side_by_side(Heart().leads())
    beats = delineate(strips, hearts.RATE_HZ, beats_s(strips, hearts.RATE_HZ), shipped())
    swapped = (strip(Lead.I, 0.0, -strips[0].millivolts), *strips[1:])
    found = axis(swapped, hearts.RATE_HZ, beats, "qrs_on", "qrs_off")
    assert found is not None
    assert found.unsure_deg > 15


def test_einthoven_and_goldberger_hold_for_the_directions_of_the_limb_leads() -> None:
    first, second, third, right, left, foot = (np.array(LIMB_LEADS[lead]) for lead in LIMB_LEADS)
    assert np.allclose(first + third, second)
    assert np.allclose(right + left + foot, 0)
    assert np.allclose(foot, (second + third) / 2)


def test_p_waves_are_seen_more_surely_and_steadily_than_none() -> None:
    def seen(heart: Heart) -> tuple[float, float, float]:
        strips = in_columns(heart.leads())
        centres = beats_s(strips, hearts.RATE_HZ)
        found = features(delineate(strips, hearts.RATE_HZ, centres, shipped()), centres, fitted().rhythm)
        assert found is not None
        return found

    with_p, without = seen(Heart()), seen(Heart(p_mv=0.0, unevenness=0.15))
    assert with_p[0] > without[0] + 1
    assert with_p[1] < without[1] - 1


def test_an_error_grows_with_how_unsure_a_value_is() -> None:
    assert Growth(3.0, 0.5).at(0.0) == 3.0
    assert Growth(3.0, 0.5).at(8.0) == pytest.approx(5.0)
    errors = fitted()
    for quantity in TIMES:
        assert errors.of_time(quantity, 30.0) >= errors.of_time(quantity, 5.0) > 0
        assert errors.of_time(quantity, 5.0) < errors.time_error_max_ms[quantity]
    assert all(errors.of_axis(quantity, 20.0) >= errors.of_axis(quantity, 1.0) > 0 for quantity in AXES)
    assert set(UNITS) == set(Quantity)
