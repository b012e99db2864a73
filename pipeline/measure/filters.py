"""Filters that shift nothing in time, over many strips at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import sosfiltfilt

from pipeline.geometry import Float64


def zero_phase(sections: Float64, waves: Sequence[Float64]) -> list[Float64]:
    """Each wave, float64 (n,), filtered forwards and backwards by second-order sections, float64 (k, 6).

    Waves of one length go together: of a single strip's time most is spent before its first sample.
    """
    filtered: dict[int, Float64] = {}
    for length in {len(wave) for wave in waves}:
        alike = [i for i, wave in enumerate(waves) if len(wave) == length]
        filtered.update(zip(alike, sosfiltfilt(sections, np.stack([waves[i] for i in alike])), strict=True))
    return [filtered[i] for i in range(len(waves))]
