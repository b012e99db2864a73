"""The fitted table belongs to the weights and to the signs of this version."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from printed_strips import RATE_HZ, page

from pipeline.findings import FindingCode
from pipeline.judgement import Odds, fitted, judgement_of
from pipeline.networks import manifest
from pipeline.quality.confidence import Features
from pipeline.quality.doubts import gain_figures, lead_figures, unharmed_by
from pipeline.recording import Severity


def test_was_fitted_to_pages_read_by_the_weights_that_ship() -> None:
    """Where this fails the weights were replaced: run python -m pipeline.training.fit.confidence --fit --card anew."""
    assert fitted().networks == {name: weights.sha256 for name, weights in manifest().items()}


def test_weighs_the_signs_that_quality_makes_and_none_against_a_page() -> None:
    weights = fitted().right.weights
    assert set(weights) == {field.name for field in fields(Features)}
    assert min(weights.values()) >= 0


def test_weighs_the_figures_that_each_doubt_has() -> None:
    harm = fitted().harm
    assert set(harm[FindingCode.SIGMA_LARGE].weights) == set(lead_figures(page()[0], RATE_HZ))
    assert set(harm[FindingCode.GAIN_ASSUMED].weights) == set(gain_figures(page()))
    assert set(harm[FindingCode.INK_OVER_LEAD].weights) == {"touch", "drawn", "unsure"}


def test_a_lead_that_is_expected_to_be_read_worse_is_likelier_to_be_wrong() -> None:
    odds = fitted().harm[FindingCode.SIGMA_LARGE]
    assert min(odds.weights.values()) >= 0
    assert max(odds.weights.values()) > 0


def test_a_doubt_of_all_leads_holds_at_a_smaller_chance_than_one_of_a_single_lead() -> None:
    table = fitted()
    small = table.holds_from / 2
    assert table.severity(small) is Severity.WARNING
    assert table.severity(small, leads=12) is Severity.ERROR
    assert table.severity(table.holds_from) is Severity.ERROR


def test_a_part_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        judgement_of("holds_from = 0.3\n")


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3))
def test_a_chance_lies_between_0_and_1_whatever_the_figure(figure: float, weight: float) -> None:
    assert 0.0 <= Odds(0.0, {"it": weight}).chance({"it": figure}) <= 1.0


@given(st.lists(st.floats(0, 1), max_size=13), st.floats(0, 1))
def test_a_further_doubt_never_makes_a_page_surer(chances: list[float], further: float) -> None:
    assert 0.0 <= unharmed_by([*chances, further]) <= unharmed_by(chances) <= 1.0
    assert unharmed_by([]) == pytest.approx(1.0)


def test_leads_of_usual_height_make_the_usual_gain_likelier_than_others() -> None:
    odds = fitted().harm[FindingCode.GAIN_ASSUMED]
    usual, low, tall = (odds.chance({"tall": t, "tall2": t * t}) for t in np.log([1.2, 0.3, 4.8]))
    assert usual < 0.05 < min(low, tall)
