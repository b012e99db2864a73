"""How sure a page is of itself: one number from what all stages noticed, rising with every feature."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pipeline.judgement import fitted


@dataclass(frozen=True)
class Features:
    """Each 0..1, 1 the best.

    read: share of samples read. least_read: the same of the worst strip. sharp: the decibel that the sigmas predict.
    limbs: limb leads obey Einthoven. twice: leads printed twice agree. beats: neighbouring beats look alike.
    names, borders: lead names and borders seen. starts: lead starts seen where the layout has them, and nowhere else.
    margin: of the layout over the next best. grid, scale: how firmly millimetres, seconds and millivolts are known.
    checked: there were limb leads, and leads printed twice, to compare. leads: no lead is read wrongly, by its sigmas.
    gain: a gain that was assumed is right. unmarked: nothing that is written over a lead harms it.
    timed: the length of a second is known. begun: rows begin together, or along a line.
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
    checked: float
    leads: float
    gain: float
    unmarked: float
    timed: float
    begun: float


def confidence(features: Features) -> float:
    """0..1: the estimated chance that the page was read right."""
    return fitted().right.chance(asdict(features))


def costs(features: Features) -> dict[str, float]:
    """Log-odds that each feature takes from a page, none negative; 0 where it is the best it can be."""
    weights = fitted().right.weights
    return {name: weights.get(name, 0.0) * max(1.0 - value, 0.0) for name, value in asdict(features).items()}


def costliest(features: Features) -> str | None:
    """The name of the feature that takes most, the first of equals; None where no feature takes anything."""
    taken = costs(features)
    name = max(taken, key=lambda feature: taken[feature])
    return name if taken[name] > 0 else None
