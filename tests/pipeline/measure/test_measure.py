"""Heart rate and R peaks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from pipeline.measure import beats_and_likeness, beats_s, heart_rate, heart_rate_bpm, likeness, r_peaks_s
from pipeline.measure.filters import zero_phase
from pipeline.recording import TWELVE, Float32, Lead, Seen, Strip

RATE_HZ = 500


def beating(per_minute: float, seconds: float = 10.0, noise_mv: float = 0.01) -> tuple[Float32, list[float]]:
    """One lead of narrow beats with a broad T wave, and when they happen."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    beats = list(np.arange(0.4, seconds - 0.1, 60 / per_minute))
    lead = np.random.default_rng(0).normal(0, noise_mv, len(t))
    for beat in beats:
        lead += np.exp(-(((t - beat) / 0.012) ** 2)) + 0.25 * np.exp(-(((t - beat - 0.25) / 0.06) ** 2))
    return lead.astype(np.float32), beats


@pytest.mark.parametrize("per_minute", [42, 75, 140, 200])
def test_counts_beats(per_minute: float) -> None:
    lead, _ = beating(per_minute)
    assert heart_rate_bpm(lead, RATE_HZ) == pytest.approx(per_minute, abs=1.5)


@pytest.mark.parametrize("per_minute", [245, 280, 320])
def test_never_tells_half_the_rate_of_a_very_fast_heart(per_minute: float) -> None:
    lead, _ = beating(per_minute)
    found = heart_rate_bpm(lead, RATE_HZ)
    assert found is None or found == pytest.approx(per_minute, abs=3)


def test_beats_beside_a_level_stretch_are_as_good_as_unlike_it() -> None:
    lead, _ = beating(75)
    lead[2500:] = 0.0
    read = np.full(len(lead), Seen.READ, np.uint8)
    strip = Strip(Lead.II, 0.0, lead, np.zeros(len(lead), np.float32), read)
    with np.errstate(all="raise"):
        assert 0.0 <= likeness([strip], np.array([2.0, 3.0, 7.0, 8.0, 9.0]), RATE_HZ) <= 1.0


def test_beats_and_their_likeness_together_are_the_same_as_apart() -> None:
    lead, _ = beating(75, noise_mv=0.1)
    seen = np.full(len(lead), Seen.READ, np.uint8)
    short = Strip(Lead.I, 9.5, lead[:400], np.zeros(400, np.float32), seen[:400])
    strips = [Strip(Lead.II, 0.0, lead, np.zeros(len(lead), np.float32), seen), short]
    beats, alike = beats_and_likeness(strips, RATE_HZ)
    assert np.array_equal(beats, beats_s(strips, RATE_HZ))
    assert alike == likeness(strips, beats, RATE_HZ)


def test_waves_are_filtered_together_as_they_are_alone() -> None:
    sections = butter(2, (6.0, 22.0), btype="bandpass", fs=RATE_HZ, output="sos")
    waves = [np.random.default_rng(k).normal(size=length) for k, length in enumerate((1250, 5000, 1250, 900))]
    filtered = zero_phase(sections, waves)
    assert all(np.array_equal(f, sosfiltfilt(sections, w)) for f, w in zip(filtered, waves, strict=True))


def test_finds_the_r_peaks_to_a_few_milliseconds() -> None:
    lead, beats = beating(75)
    found = r_peaks_s(lead, RATE_HZ)
    assert len(found) == len(beats)
    assert np.allclose(found, beats, atol=0.006)


def test_says_nothing_about_noise_silence_or_two_beats() -> None:
    noise = np.random.default_rng(1).normal(0, 0.2, 5000).astype(np.float32)
    assert heart_rate_bpm(noise, RATE_HZ) is None
    assert heart_rate_bpm(np.full(5000, np.nan, np.float32), RATE_HZ) is None
    assert heart_rate_bpm(np.zeros(5000, np.float32), RATE_HZ) is None
    assert heart_rate_bpm(beating(60, 2.0)[0], RATE_HZ) is None
    assert len(r_peaks_s(np.full(100, np.nan, np.float32), RATE_HZ)) == 0


def test_four_short_columns_give_one_rate() -> None:
    lead, _ = beating(80)
    strips = []
    for k in range(4):
        part = lead[k * 1250 : (k + 1) * 1250]
        seen = np.full(1250, Seen.READ, np.uint8)
        strips.append(Strip(TWELVE[3 * k], 2.5 * k, part, np.zeros(1250, np.float32), seen))
    assert heart_rate(strips, RATE_HZ) == pytest.approx(80, abs=1.5)
    assert strips[1].lead is Lead.AVR
