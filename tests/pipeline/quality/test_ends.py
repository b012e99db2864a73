"""The ends of strips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from printed_strips import RATE_HZ, strip

from pipeline.quality.ends import trim_ends
from pipeline.recording import Lead, Seen


def test_takes_off_a_doubtful_start_and_nothing_else() -> None:
    lead = strip(Lead.II)
    sigma = lead.sigma_mv.copy()
    sigma[:16] = 0.4
    trimmed = trim_ends(replace(lead, sigma_mv=sigma), RATE_HZ)
    assert np.isnan(trimmed.millivolts[:16]).all()
    assert np.isnan(trimmed.sigma_mv[:16]).all()
    assert (trimmed.seen[:16] == Seen.NOTHING).all()
    assert np.array_equal(trimmed.millivolts[16:], lead.millivolts[16:])


def test_what_is_read_without_doubt_at_an_end_stays_though_doubt_follows() -> None:
    """A lead that begins within a QRS complex: its first samples are sure, the steep ones after them are not."""
    lead = strip(Lead.II)
    sigma = lead.sigma_mv.copy()
    sigma[10:20] = sigma[-20:-10] = 0.6
    assert trim_ends(replace(lead, sigma_mv=sigma), RATE_HZ).seen.all()


def test_a_doubtful_end_goes_and_a_doubtful_middle_stays() -> None:
    lead = strip(Lead.II)
    sigma = lead.sigma_mv.copy()
    sigma[-5:] = sigma[600] = 0.5
    trimmed = trim_ends(replace(lead, sigma_mv=sigma), RATE_HZ)
    assert np.isnan(trimmed.millivolts[-5:]).all()
    assert np.isfinite(trimmed.millivolts[:-5]).all()


def test_no_more_than_two_millimetres_of_an_end_are_taken_off() -> None:
    lead = strip(Lead.II)
    sigma = lead.sigma_mv.copy()
    sigma[:100] = 0.5
    assert np.flatnonzero(trim_ends(replace(lead, sigma_mv=sigma), RATE_HZ).seen)[0] == round(0.08 * RATE_HZ)


def test_a_sure_strip_is_left_alone() -> None:
    lead = strip(Lead.V3)
    assert trim_ends(lead, RATE_HZ) is lead


def test_a_page_that_is_uncertain_everywhere_keeps_its_ends() -> None:
    lead = strip(Lead.V3, sigma_mv=0.15)
    sigma = lead.sigma_mv.copy()
    sigma[10] = 0.3
    assert trim_ends(replace(lead, sigma_mv=sigma), RATE_HZ).seen.all()
