"""What the network and the rules say together: how likely each kind is when the network says this and the rules that.

Both err in their own way: the rules never name a crease or a screen but know one bit a pixel and a flat light; the
network knows folds and moire but was shown a small picture. What the rules say of pages of each kind was counted.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.recording import Source
from pipeline.source.network import SourceReading

SAID = Path(__file__).with_name("opinion.toml")
ECGS = tuple(kind for kind in Source if kind is not Source.NOT_AN_ECG)
UNSEEN = 0.3  # pages added to every count: what was not met among hundreds may still be


def together(reading: SourceReading, said: Source) -> Mapping[Source, float]:
    """The probability of each kind of ECG, summing to 1."""
    of_kind, by_kind = ECGS.index(said), _shares()
    seen = np.array([reading.probability(kind) for kind in ECGS]) + 1e-9
    joint = seen * by_kind[:, of_kind]
    return dict(zip(ECGS, (joint / joint.sum()).tolist(), strict=True))


@cache
def _shares() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """float64 (kinds, kinds): of the pages of a kind (row), the share of which the rules say another (column)."""
    counted = tomllib.loads(SAID.read_text(encoding="utf-8"))
    pages = np.array([[counted.get(kind, {}).get(said, 0) for said in ECGS] for kind in ECGS], np.float64) + UNSEEN
    return np.asarray(pages / pages.sum(axis=1, keepdims=True), np.float64)
