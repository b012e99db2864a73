"""Fits what tells the paper's speed by the beats, on the signals of rendered pages.

Run as: python -m pipeline.training.fit.speed --pool DIR --valid DIR [--pages 2400]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from pipeline.geometry import Float64
from pipeline.measure.pace import FITTED, SPEEDS_MM_S, pace_at
from pipeline.recording import Strip
from pipeline.synth.truth import PageTruth
from pipeline.training.data.pages import Pool

NOISE_MV = 0.02  # at most, of the readings the judge will see; the truth of a page has none
SMOOTH = 9  # samples: a reading's noise is no finer than its pixels
RIDGE = 1e-3


def examples(truths: Sequence[PageTruth], seed: int = 1) -> tuple[Float64, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """float64 (n, speeds, features), int64 (n,): pages at each speed they can be of, and which of SPEEDS_MM_S it is."""
    rng = np.random.default_rng(seed)
    found, right = [], []
    count = len(SPEEDS_MM_S)
    for truth in truths:
        strips = [read_so(strip, rng) for strip in truth.recording.strips]
        # a heart printed at one speed is as good as printed at any: only the ratio to a wrong one is seen
        paces = [pace_at(strips, truth.recording.rate_hz, 2.0**k) for k in range(1 - count, count)]
        features = [None if pace is None else pace.features() for pace in paces]
        for own in range(count):
            seen = [f for f in features[count - 1 - own : 2 * count - 1 - own] if f is not None]
            if len(seen) == count:
                found.append(np.stack(seen))
                right.append(own)
    return np.stack(found), np.array(right, np.int64)


def read_so(strip: Strip, rng: np.random.Generator) -> Strip:
    """A printed strip with the noise of a reading."""
    noise = np.convolve(rng.normal(0, 1, strip.samples), np.ones(SMOOTH) / SMOOTH, "same") * np.sqrt(SMOOTH)
    level = float(rng.uniform(0, NOISE_MV))
    return replace(strip, millivolts=(strip.millivolts + level * noise).astype(np.float32))


def fit(found: Float64, right: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Float64, Float64, Float64]:
    """Mean, scale and weight of every feature: the weights that make the right speed likely, with a ridge."""
    mean = found.reshape(-1, found.shape[-1]).mean(axis=0)
    scale = found.reshape(-1, found.shape[-1]).std(axis=0) + 1e-9
    x = (found - mean) / scale
    rows = np.arange(len(right))

    def loss(weight: Float64) -> tuple[float, Float64]:
        p = likelihoods(x @ weight)
        slope = p.copy()
        slope[rows, right] -= 1
        gradient = np.einsum("ns,nsf->f", slope, x) / len(right) + 2 * RIDGE * weight
        return float(-np.log(p[rows, right] + 1e-300).mean() + RIDGE * weight @ weight), gradient

    best = minimize(loss, np.zeros(x.shape[-1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return mean, scale, np.asarray(best.x, np.float64)


def likelihoods(scores: Float64) -> Float64:
    """Each row to probabilities."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True), np.float64)


def report(
    name: str, found: Float64, right: np.ndarray[tuple[int], np.dtype[np.int64]], fitted: Sequence[Float64]
) -> str:
    """How often the likeliest speed is right, and at which doubt."""
    mean, scale, weight = fitted
    p = likelihoods((found - mean) / scale @ weight)
    hit = p.argmax(axis=1) == right
    sure = p.max(axis=1) >= 0.95
    share = f"{sure.mean():.0%} sure (0.95), of them {hit[sure].mean():.1%} right"
    return f"{name}: {len(right)} examples, {hit.mean():.1%} right; {share}"


def text_of(fitted: Sequence[Float64], said: str) -> str:
    """pace.toml."""
    lines = ["# Fitted by pipeline.training.fit.speed; features in the order of pipeline.measure.pace.Pace.features."]
    lines += [f"# {line}" for line in said.splitlines()]
    for name, values in zip(("mean", "scale", "weight"), fitted, strict=True):
        lines += ["", f"{name} = [", *(f"  {value:.5g}," for value in values.tolist()), "]"]
    return "\n".join(lines) + "\n"


def _truths(folder: Path, count: int) -> Iterator[PageTruth]:
    for page in Pool(folder).first(count):
        yield page.rendered.truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pool", type=Path, required=True, help="pages of pipeline.training.data.pages, training patients"
    )
    parser.add_argument("--valid", type=Path, required=True, help="the same, held-out patients")
    parser.add_argument("--pages", type=int, default=2400)
    given = parser.parse_args()
    known, unknown = (examples(list(_truths(folder, given.pages))) for folder in (given.pool, given.valid))
    fitted = fit(*known)
    said = "\n".join(report(name, *pages, fitted) for name, pages in (("fitted", known), ("held out", unknown)))
    FITTED.write_text(text_of(fitted, said), encoding="utf-8")
    print(said)


if __name__ == "__main__":
    main()
