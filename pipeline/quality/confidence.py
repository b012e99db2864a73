"""How sure a page is of itself: one number from what all stages noticed, rising with every feature."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass

import numpy as np


@dataclass(frozen=True)
class Features:
    """Each 0..1, 1 the best; 0.5 where the page offers nothing to check.

    read: share of samples read. least_read: the same of the worst strip. sharp: small sigma against the signal.
    limbs: limb leads obey Einthoven. twice: leads printed twice agree. beats: neighbouring beats look alike.
    names, borders: lead names and borders seen. starts: lead starts seen where the layout has them, and nowhere else.
    margin: of the layout over the next best. grid, scale: how firmly millimetres, seconds and millivolts are known.
    """

    read: float
    least_read: float
    sharp: float
    limbs: float
    twice: float
    beats: float
    names: float
    borders: float
    starts: float
    margin: float
    grid: float
    scale: float


# log-odds that the page was read right (10 dB or better), per unit of a feature; fitted by
# pipeline.training.fit.confidence on 137 rendered pages of all kinds, none negative, so a better sign never lowers it
WEIGHTS = Features(
    read=0.21,
    least_read=1.71,
    sharp=1.99,
    limbs=3.10,
    twice=2.17,
    beats=0.22,
    names=0.0,
    borders=2.38,
    starts=0.71,
    margin=1.01,
    grid=2.57,
    scale=1.40,
)
BIAS = -13.45


def confidence(features: Features) -> float:
    """0..1: the estimated chance that the page was read right."""
    logit = BIAS + float(np.dot(astuple(WEIGHTS), astuple(features)))
    return float(1.0 / (1.0 + np.exp(-logit)))


def costs(features: Features) -> dict[str, float]:
    """Log-odds that each feature takes from a page, none negative; 0 where it is the best it can be."""
    weights = asdict(WEIGHTS)
    return {name: weights[name] * max(1.0 - value, 0.0) for name, value in asdict(features).items()}


def costliest(features: Features) -> str | None:
    """The name of the feature that takes most, the first of equals; None where no feature takes anything."""
    taken = costs(features)
    name = max(taken, key=lambda feature: taken[feature])
    return name if taken[name] > 0 else None
