"""Hearts whose waves are known, as pages print them: every wave a bell around a time, seen by the leads as a dipole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.recording import TWELVE, Known, Lead, MadeBy, Recording, Scale, Seen, Source, Strip
from pipeline.synth.heart import twelve_from_eight

RATE_HZ = 500
# directions in which leads look at a dipole: x to the left arm, y to the feet, z to the front
LIMB = np.array([[1.0, 0.0, 0.0], [0.5, np.sqrt(0.75), 0.0]])
CHEST = np.array(
    [[-0.4, 0.1, 0.9], [0.1, 0.1, 1.2], [0.5, 0.2, 1.1], [0.9, 0.3, 0.7], [1.0, 0.3, 0.3], [0.9, 0.3, 0.1]]
)


@dataclass(frozen=True)
class Heart:
    """pr_s: from the middle of P to that of QRS. qrs: times as wide as usual. qt_s: from QRS to the middle of T.

    axis_deg: of QRS; P and T lie at 50 and 40. p_mv: 0 for none. unevenness: standard deviation of an interval.
    spike_mv: of a pacing spike of 6 ms before every paced_every-th beat. p_per_minute: of P waves that no beat follows
    but by chance, None where one is before every beat; the first at p_from_s. pr_longer_s: by how much PR lengthens
    from beat to beat, over three beats.
    """

    per_minute: float = 75.0
    pr_s: float = 0.16
    qrs: float = 1.0
    qt_s: float = 0.28
    axis_deg: float = 30.0
    p_mv: float = 0.15
    unevenness: float = 0.0
    spike_mv: float = 0.0
    paced_every: int = 1
    p_per_minute: float | None = None
    p_from_s: float = 0.1
    pr_longer_s: float = 0.0

    def beats_s(self, seconds: float = 10.0) -> np.ndarray:
        """float64 (k,): the middles of the QRS complexes."""
        rr = 60 / self.per_minute
        gaps = np.random.default_rng(4).normal(1, self.unevenness, round(2 * seconds / rr))
        beats = np.cumsum(rr * np.maximum(gaps, 0.5)) - 0.5 * rr
        return beats[beats < seconds]

    def _p_waves_s(self, seconds: float) -> np.ndarray:
        """float64 (k,): the middles of the P waves."""
        if self.p_per_minute is not None:
            return np.arange(self.p_from_s, seconds, 60 / self.p_per_minute)
        beats = self.beats_s(seconds)
        return beats - self.pr_s - self.pr_longer_s * (np.arange(len(beats)) % 3)

    def leads(self, seconds: float = 10.0) -> np.ndarray:
        """float32 (12, n) mV."""
        t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        dipole = np.zeros((3, len(t)))
        for middle in self._p_waves_s(seconds + 1.0):
            wave = self.p_mv * np.exp(-0.5 * ((t - middle) / 0.022) ** 2)
            dipole += np.outer([np.cos(np.radians(50.0)), np.sin(np.radians(50.0)), 0.2], wave)
        for beat in self.beats_s(seconds + 1.0):
            for late, wide, high, deg, front in (
                (-0.022 * self.qrs, 0.008 * self.qrs, -0.15, self.axis_deg, -1.0),
                (0.0, 0.011 * self.qrs, 1.2, self.axis_deg, -0.5),
                (0.024 * self.qrs, 0.008 * self.qrs, -0.3, self.axis_deg, 0.5),
                (self.qt_s, 0.045, 0.35, 40.0, 0.5),
            ):
                wave = high * np.exp(-0.5 * ((t - beat - late) / wide) ** 2)
                dipole += np.outer([np.cos(np.radians(deg)), np.sin(np.radians(deg)), front], wave)
        if self.p_mv == 0:
            dipole += np.outer([0.01, 0.03, 0.03], np.sin(2 * np.pi * 6.3 * t + np.sin(3 * t)))
        for beat in self.beats_s(seconds)[:: self.paced_every]:
            first = round((beat - 0.07) * RATE_HZ)
            dipole[:, max(first, 0) : max(first + 3, 0)] += self.spike_mv
        noise = np.random.default_rng(5).normal(0, 0.006, (8, len(t)))
        return twelve_from_eight((np.concatenate([LIMB, CHEST]) @ dipole + noise).astype(np.float32))


def strip(lead: Lead, start_s: float, millivolts: np.ndarray) -> Strip:
    shown = np.isfinite(millivolts)
    sigma = np.where(shown, 0.01, np.nan).astype(np.float32)
    return Strip(
        lead, start_s, millivolts.astype(np.float32), sigma, np.where(shown, Seen.READ, Seen.NOTHING).astype(np.uint8)
    )


def side_by_side(leads: np.ndarray) -> tuple[Strip, ...]:
    """Every lead over the whole page."""
    return tuple(strip(lead, 0.0, row) for lead, row in zip(TWELVE, leads, strict=True))


def in_columns(leads: np.ndarray, rhythm: Sequence[Lead] = (Lead.II,)) -> tuple[Strip, ...]:
    """3x4: every lead for 2.5 s, with rhythm strips."""
    wide = round(2.5 * RATE_HZ)
    columns = [
        strip(lead, k // 3 * 2.5, leads[k, k // 3 * wide : (k // 3 + 1) * wide]) for k, lead in enumerate(TWELVE)
    ]
    return *columns, *(strip(lead, 0.0, leads[TWELVE.index(lead)]) for lead in rhythm)


def recording(strips: tuple[Strip, ...], **changes: object) -> Recording:
    values: dict[str, object] = {
        "strips": strips,
        "rate_hz": RATE_HZ,
        "layout": "3x4+1",
        "speed_mm_s": Scale(25.0, Known.GRID),
        "gain_mm_mv": Scale(10.0, Known.PULSE),
        "source": Source.COLOUR_SCAN,
        "confidence": 0.95,
        "made_by": MadeBy("0.1.0"),
    }
    return Recording(**(values | changes))  # type: ignore[arg-type]
