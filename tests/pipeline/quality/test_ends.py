"""The ends of strips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from printed_strips import RATE_HZ, strip

from pipeline.quality.ends import trim_ends
from pipeline.recording import Lead, Seen


def test_takes_off_a_doubtful_start_and_what_lies_before_it() -> None:
    lead = strip(Lead.II)
    millivolts, sigma = lead.millivolts.copy(), lead.sigma_mv.copy()
    millivolts[:12] = -0.5  # a tick, read with confidence
    sigma[12:16] = 0.4  # and the way from there to the trace
    trimmed = trim_ends(replace(lead, millivolts=millivolts, sigma_mv=sigma), RATE_HZ)
    assert np.isnan(trimmed.millivolts[:16]).all()
    assert np.isnan(trimmed.sigma_mv[:16]).all()
    assert (trimmed.seen[:16] == Seen.NOTHING).all()
    assert np.array_equal(trimmed.millivolts[16:], lead.millivolts[16:])


def test_a_doubtful_end_goes_and_a_doubtful_middle_stays() -> None:
    lead = strip(Lead.II)
    sigma = lead.sigma_mv.copy()
    sigma[-5] = sigma[600] = 0.5
    trimmed = trim_ends(replace(lead, sigma_mv=sigma), RATE_HZ)
    assert np.isnan(trimmed.millivolts[-5:]).all()
    assert np.isfinite(trimmed.millivolts[:-5]).all()


def test_a_sure_strip_is_left_alone() -> None:
    lead = strip(Lead.V3)
    assert trim_ends(lead, RATE_HZ) is lead


def test_a_page_that_is_uncertain_everywhere_keeps_its_ends() -> None:
    lead = strip(Lead.V3, sigma_mv=0.15)
    sigma = lead.sigma_mv.copy()
    sigma[10] = 0.3
    assert trim_ends(replace(lead, sigma_mv=sigma), RATE_HZ).seen.all()
