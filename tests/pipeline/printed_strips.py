"""Strips as a perfect reader would return them, for tests that judge strips."""

from __future__ import annotations

import numpy as np

from pipeline.recording import TWELVE, Float32, Lead, Seen, Strip
from pipeline.synth.heart import synthetic_ecg, twelve_from_eight

RATE_HZ = 500


def heart(seed: int = 1) -> Float32:
    """float32 (12, 5000) mV at 500 Hz."""
    return synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ)


def turning_heart() -> Float32:
    """float32 (12, 5000) mV: 70 beats a minute whose waves point in clearly different directions; no noise."""
    t = np.arange(5000) / RATE_HZ
    looks = np.array(
        [
            [1, 0, 0],
            [0.5, 0.87, 0],
            *([x, 0.1, z] for x, z in ((-0.5, 1), (0, 1.3), (0.6, 1), (1, 0.5), (1, 0), (1, -0.4))),
        ]
    )
    waves = (  # when in the beat, how wide (s), direction and size in mV
        (-0.16, 0.025, (0.1, 0.15, 0.05)),
        (-0.03, 0.008, (-0.25, 0.05, 0.35)),
        (0.0, 0.011, (0.9, 0.7, -0.3)),
        (0.03, 0.010, (-0.1, -0.5, -0.6)),
        (0.25, 0.045, (0.2, 0.05, 0.3)),
    )
    dipole = np.zeros((3, len(t)))
    for beat in np.arange(0.4, 10.0, 60 / 70):
        for at, width, direction in waves:
            dipole += np.outer(direction, np.exp(-(((t - beat - at) / width) ** 2) / 2))
    return twelve_from_eight((looks @ dipole).astype(np.float32))


SIGNALS = turning_heart()


def strip(lead: Lead, start_s: float = 0.0, seconds: float = 2.5, sigma_mv: float = 0.02) -> Strip:
    """What one heart shows in a lead at a page time."""
    first, n = round(start_s * RATE_HZ), round(seconds * RATE_HZ)
    return as_strip(lead, start_s, SIGNALS[TWELVE.index(lead), first : first + n].copy(), sigma_mv)


def as_strip(lead: Lead, start_s: float, millivolts: Float32, sigma_mv: float = 0.02) -> Strip:
    """Any signal as a strip that was read throughout."""
    n = len(millivolts)
    return Strip(lead, start_s, millivolts, np.full(n, sigma_mv, np.float32), np.full(n, Seen.READ, np.uint8))


def page(rhythm: Lead = Lead.II) -> list[Strip]:
    """3x4+1: twelve strips of 2.5 s in four columns, and a long one."""
    shorts = [strip(lead, 2.5 * (k // 3)) for k, lead in enumerate(TWELVE)]
    return [*shorts, strip(rhythm, 0.0, 10.0)]
