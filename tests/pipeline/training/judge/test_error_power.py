"""Where the error of a reading lies: each kind of mistake shows in its own place, and in no other."""

import numpy as np
import pytest

from pipeline.training.judge.error_power import error_power, qrs_places, shares

RATE_HZ = 500


def lead():
    """2.5 s with a QRS complex of 1 mV each 0.8 s and a T wave of 0.3 mV after it."""
    t = np.arange(1250) / RATE_HZ
    signal = np.zeros(1250)
    for beat in (0.4, 1.2, 2.0):
        signal += np.exp(-(((t - beat) / 0.012) ** 2)) + 0.3 * np.exp(-(((t - beat - 0.25) / 0.06) ** 2))
    return signal.astype(np.float32)


def test_finds_the_complexes_and_no_t_wave():
    places = qrs_places(lead().astype(float), RATE_HZ)
    for beat in (0.4, 1.2, 2.0):
        assert places[round(beat * RATE_HZ)]
        assert not places[round((beat + 0.25) * RATE_HZ)]
    assert not qrs_places(np.zeros(500), RATE_HZ).any()


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("qrs", slice(198, 203)),
        ("ends", slice(0, 20)),
        ("elsewhere", slice(280, 310)),
    ],
)
def test_a_mistake_counts_where_it_was_made(part, wrong):
    found = lead()
    found[wrong] += 0.4
    power = error_power(lead()[None], found[None], RATE_HZ)
    assert getattr(power, part) > 0.9 * power.total > 0
    assert power.not_read == 0


def test_what_was_not_read_counts_as_the_signal_it_was():
    found = lead()
    found[190:215] = np.nan
    power = error_power(lead()[None], found[None], RATE_HZ)
    assert power.not_read > 0.9 * power.total


def test_peaks_are_told_by_how_high_they_were_read():
    found = lead()
    found[np.abs(np.arange(1250) - 200) < 10] *= 0.8  # each of three equal peaks may be the largest
    found[np.abs(np.arange(1250) - 600) < 10] *= 0.8
    found[np.abs(np.arange(1250) - 1000) < 10] *= 0.8
    (height,) = error_power(lead()[None], found[None], RATE_HZ).peaks
    assert height == pytest.approx(0.8, abs=0.02)


def test_the_summary_names_every_place():
    found = lead()
    found[198:203] += 0.4
    text = shares([error_power(lead()[None], found[None], RATE_HZ)])
    assert "QRS 100 %, lead ends 0 %, not read 0 %, elsewhere 0 %" in text
    assert "largest peaks read at 1." in text
