"""What takes most from a page's confidence is told, whichever bound it is held by."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from printed_strips import RATE_HZ, as_strip, page

from pipeline.judgement import fitted
from pipeline.quality import PageEvidence, assess
from pipeline.quality.confidence import Features, confidence, costliest, costs
from pipeline.quality.weakest import Checked, weakest
from pipeline.recording import Lead, Seen, Severity, Strip

BEST = Features(**{field.name: 1.0 for field in fields(Features)})
EVIDENCE = PageEvidence(1.0, 1.0, 12, 1.0, 1.0, 3.0, frozenset(), 0.99, True)
vectors = st.builds(Features, **{field.name: st.floats(0, 1) for field in fields(Features)})


def told(features: Features) -> str:
    finding = weakest(Checked(page(), RATE_HZ, (), (), features))
    assert finding is not None
    assert finding.severity is Severity.INFO
    return finding.detail


@given(vectors, st.floats(0.01, 1))
def test_a_page_below_any_bound_says_what_it_lacks(features: Features, bound: float) -> None:
    if confidence(features) < min(bound, confidence(BEST)):
        assert told(features)


@given(vectors)
def test_the_finding_is_of_the_feature_whose_mending_gains_most(features: Features) -> None:
    name = costliest(features)
    gains = {f.name: confidence(replace(features, **{f.name: 1.0})) for f in fields(Features)}
    if name is None:
        assert max(gains.values()) == confidence(features)
    else:
        assert gains[name] == pytest.approx(max(gains.values()), abs=1e-12)


@given(vectors)
def test_what_the_features_take_is_all_that_a_page_lacks(features: Features) -> None:
    weights = fitted().right.weights
    lacking = sum(weights[name] * (1.0 - value) for name, value in asdict(features).items())
    assert sum(costs(features).values()) == pytest.approx(lacking)


def test_every_feature_has_words_of_its_own() -> None:
    # read is told as least_read is; where nothing was compared, limbs and twice lack what checked does
    alike = ("read", "limbs", "twice")
    weighed = [name for name, weight in fitted().right.weights.items() if weight and name not in alike]
    assert len({told(replace(BEST, **{name: 0.0})) for name in weighed}) == len(weighed)


def test_a_page_that_lacks_nothing_tells_nothing() -> None:
    assert weakest(Checked(page(), RATE_HZ, (), (), BEST)) is None


def test_says_which_strip_was_read_least_and_where() -> None:
    strips = [replace(strip, sigma_mv=strip.sigma_mv / 4) for strip in page()]  # surely: so that no lead is doubted
    seen = strips[4].seen.copy()
    seen[300:900] = Seen.BRIDGED
    strips[4] = replace(strips[4], seen=seen)
    finding = assess(strips, RATE_HZ, EVIDENCE).weakest
    assert finding is not None
    assert (finding.lead, finding.detail) == (strips[4].lead, "52% of it was read")
    start = strips[4].start_s
    assert (finding.start_s, finding.end_s) == pytest.approx((start + 0.6, start + 1.8))


def test_says_which_lead_printed_twice_differs_and_when() -> None:
    strips: list[Strip] = page()
    strips[-1] = as_strip(Lead.II, 0.0, strips[-1].millivolts[::-1].copy())
    finding = assess(strips, RATE_HZ, EVIDENCE).weakest
    assert finding is not None
    assert finding.lead is Lead.II
    assert finding.detail.startswith("its two printed strips correlate by")
    assert finding.end_s is not None
