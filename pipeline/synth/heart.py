"""A twelve-lead ECG from nothing: a moving dipole seen by the leads, so that Einthoven and Goldberger hold exactly."""

from __future__ import annotations

import numpy as np

from pipeline.recording import Float32

# Directions in which I, II and V1..V6 look at the dipole: x to the left arm, y to the feet, z to the front.
_LOOK = np.array(
    [
        [1.00, 0.00, 0.00],
        [0.50, 0.87, 0.00],
        [-0.45, 0.05, 0.95],
        [0.05, 0.10, 1.25],
        [0.50, 0.20, 1.15],
        [0.90, 0.30, 0.75],
        [1.00, 0.30, 0.25],
        [0.90, 0.30, -0.05],
    ]
)


def twelve_from_eight(eight: Float32) -> Float32:
    """float32 (8, n) of I, II, V1..V6 -> float32 (12, n): the other limb leads by Einthoven and Goldberger."""
    first, second = eight[0], eight[1]
    third = second - first
    limb = np.stack([first, second, third, -(first + second) / 2, (first - third) / 2, (second + third) / 2])
    return np.concatenate([limb, eight[2:]]).astype(np.float32)


def synthetic_ecg(rng: np.random.Generator, seconds: float, rate_hz: int) -> Float32:
    """A plausible ECG, float32 (12, seconds * rate_hz) mV, I II III aVR aVL aVF V1..V6, made without any recording.

    Rates from 40 to 180 per minute, atrial fibrillation, ectopic beats, pacing spikes, wide QRS and ST changes occur.
    """
    n = round(seconds * rate_hz)
    t = np.arange(n) / rate_hz
    fibrillating = rng.random() < 0.15
    wide = rng.random() < 0.2
    paced = rng.random() < 0.08
    rate = float(rng.choice([rng.uniform(55, 100), rng.uniform(40, 180)], p=[0.7, 0.3]))
    spread = 0.18 if fibrillating else 0.02
    beats = _beat_times(rng, seconds, 60.0 / rate, spread)
    early = rng.random(len(beats)) < (rng.uniform(0.05, 0.3) if rng.random() < 0.2 else 0.0)
    usual = _Beat(rng, wide=wide or paced, flutter=fibrillating, rate=rate)
    ectopic = _Beat(rng, wide=True, flutter=True, rate=rate)
    dipole = np.zeros((3, n))
    for at, odd in zip(beats, early, strict=True):
        (ectopic if odd else usual).add(dipole, t, at)
    if fibrillating:
        dipole += _fibrillation(rng, t)
    eight = _LOOK @ dipole
    if paced:
        spike = rng.uniform(-4, 4) * rng.normal(1, 0.4, 8) * np.linalg.norm(_LOOK, axis=1)
        for at in beats:
            here = round((at - 0.045 + (0.0 if wide else -0.02)) * rate_hz)
            if 0 <= here < n:
                eight[:, here : here + max(1, round(0.002 * rate_hz))] += spike[:, None]
    return twelve_from_eight((eight + _drift_and_noise(rng, t)).astype(np.float32))


def _beat_times(rng: np.random.Generator, seconds: float, mean_s: float, spread: float) -> np.ndarray:
    gaps = mean_s * np.clip(rng.normal(1.0, spread, int(seconds / mean_s * 2) + 6), 0.45, 1.9)
    times = np.cumsum(gaps) - mean_s * rng.uniform(0.5, 2.0)
    return np.asarray(times[times < seconds + 0.6])


class _Beat:
    """One form of beat: Gaussian waves (time, width, dipole vector) around the R wave."""

    def __init__(self, rng: np.random.Generator, *, wide: bool, flutter: bool, rate: float) -> None:
        broad = rng.uniform(1.7, 3.0) if wide else rng.uniform(0.85, 1.2)
        size = rng.lognormal(0.0, 0.35)
        axis = rng.normal(0.75, 0.5)
        main = np.array([np.cos(axis), np.sin(axis), rng.normal(-0.45, 0.3)]) * 1.1 * size
        septal = np.array([-0.25, -0.1, 0.45]) * size * rng.uniform(0.2, 1.1)
        basal = np.array([-0.25, -0.3, -0.65]) * size * rng.uniform(0.1, 1.2)
        turned = rng.uniform(-0.6, -0.2) if wide else rng.uniform(0.1, 0.4)
        repol = np.array([np.cos(axis * 0.8), np.sin(axis * 0.8), rng.uniform(0.2, 0.8)]) * turned * size
        if rng.random() < 0.15:
            repol = -repol
        # Bazett: the QT interval shrinks with the square root of the RR interval.
        qt = 0.40 * np.sqrt(60.0 / rate) * rng.uniform(0.9, 1.1)
        self._waves = [
            (-0.024 * broad, 0.009 * broad, septal),
            (0.0, 0.0115 * broad, main),
            (0.026 * broad, 0.011 * broad, basal),
            (qt - 0.12, 0.055 * rng.uniform(0.8, 1.2), repol * 0.75),
            (qt - 0.085, 0.035, repol * 0.5),
        ]
        if not flutter:
            p = np.array([0.6, 0.8, 0.25]) * rng.uniform(0.06, 0.2)
            at = -rng.uniform(0.13, 0.22)
            self._waves += [(at, 0.02, p), (at + 0.03, 0.02, p * rng.uniform(0.2, 0.9))]
        injury = rng.normal(0, 0.25, 3) if rng.random() < 0.2 else rng.normal(0, 0.02, 3)
        self._waves += [(0.09, 0.035, injury), (0.15, 0.04, injury)]

    def add(self, dipole: np.ndarray, t: np.ndarray, at: float) -> None:
        lo, hi = np.searchsorted(t, [at - 0.5, at + 0.8])
        for shift, width, vector in self._waves:
            bump = np.exp(-0.5 * ((t[lo:hi] - at - shift) / width) ** 2)
            dipole[:, lo:hi] += vector[:, None] * bump


def _fibrillation(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    waves = np.zeros((3, len(t)))
    for hz in rng.uniform(4.5, 8.5, 4):
        swell = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * t + rng.uniform(0, 6.28))
        waves += rng.normal(0, 0.03, 3)[:, None] * swell * np.sin(2 * np.pi * hz * t + rng.uniform(0, 6.28))
    return waves


def _drift_and_noise(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """float64 (8, n): breathing, electrode drift and muscle, never the same in two leads."""
    drift = np.zeros((8, len(t)))
    for hz in rng.uniform(0.1, 0.5, 2):
        drift += rng.normal(0, 0.03, (8, 1)) * np.sin(2 * np.pi * hz * t + rng.uniform(0, 6.28))
    return drift + rng.normal(0, rng.uniform(0.001, 0.008), (8, len(t)))
