"""The delineator: where P, QRS and T begin and end in a beat, from any few leads that show it at the same time.

A small network (34,000 weights), computed with NumPy: who sends documents or shows a page must not load torch for it.
Trained and judged by `pipeline.training.train.delineator`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import load

from pipeline.errors import WeightsError
from pipeline.intervals.build import BEFORE_S, CELL_S, CELLS, DILATIONS, HEAD_DILATIONS, REACH_CELLS, SHA256, STRIDE
from pipeline.recording import Float32, Float64

WEIGHTS = Path(__file__).with_name("delineator.safetensors")
BOUNDARIES = ("p_on", "p_off", "qrs_on", "qrs_off", "t_on", "t_off")


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Of each of k beats. at_s: float64 (k, 6) as BOUNDARIES, seconds from the beat's centre. present: float64 (k, 6),
    the probability that the wave is there. spread_s: float64 (k, 6), standard deviation of the place."""

    at_s: Float64
    present: Float64
    spread_s: Float64


@cache
def shipped() -> Mapping[str, Float32]:
    """The weights that come with this package, by name. Raises WeightsError."""
    return verified(WEIGHTS)


def verified(path: Path) -> Mapping[str, Float32]:
    """The weights of a file, by name. Raises WeightsError unless its SHA-256 is that of delineator.toml."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise WeightsError(f"{path}, the weights of the delineator, cannot be read: {e}") from e
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise WeightsError(f"{path} has SHA-256 {found}, delineator.toml names {SHA256}: install the package again")
    return load(data)


def log_probabilities(leads: Float32, weights: Mapping[str, Float32]) -> Float32:
    """float32 (6, CELLS + 1) of one beat: of each boundary where it is; the last column, that there is no such wave.

    leads: float32 (leads, 3, SAMPLES), as windows.window makes them; at least one.
    """
    x = np.maximum(_convolved(leads, weights, "stem", 1)[:, :, ::STRIDE], 0)
    for number, dilation in enumerate(DILATIONS):
        x = x + np.maximum(_convolved(x, weights, f"trunk.{number}", dilation), 0)
    x = np.concatenate([x.mean(0), x.max(0)])[None]
    for number, dilation in enumerate(HEAD_DILATIONS):
        x = np.maximum(_convolved(x, weights, f"head.{number}", dilation), 0)
    where = _convolved(x, weights, "where", 1)[0]
    pooled = np.concatenate([x[0].mean(1), x[0].max(1)])
    absent = weights["absent.weight"] @ pooled + weights["absent.bias"]
    scores = np.concatenate([where, absent[:, None]], 1)
    scores = scores - scores.max(1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(1, keepdims=True)), np.float32)


def boundaries(said: Float32) -> Boundaries:
    """The places that log-probabilities (k, 6, CELLS + 1) of k beats mean."""
    odds = np.exp(said.astype(np.float64))
    likeliest = odds[:, :, :-1].argmax(2)
    cells = np.arange(CELLS)
    near = np.where(np.abs(cells - likeliest[:, :, None]) <= REACH_CELLS, odds[:, :, :-1], 0.0)
    near /= near.sum(2, keepdims=True)
    place = (near * cells).sum(2)
    spread = np.sqrt((near * (cells - place[:, :, None]) ** 2).sum(2))
    return Boundaries(place * CELL_S - BEFORE_S, 1.0 - odds[:, :, -1], spread * CELL_S)


def _convolved(x: Float32, weights: Mapping[str, Float32], name: str, dilation: int) -> Float32:
    """float32 (n, out, samples) of float32 (n, in, samples), as long as before: torch's Conv1d."""
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    taps = kernel.shape[2]
    reach = dilation * (taps - 1)
    padded = np.pad(x, ((0, 0), (0, 0), (reach // 2, reach - reach // 2)))
    views = sliding_window_view(padded, reach + 1, axis=2)[..., ::dilation]
    return np.asarray(np.einsum("nisk,oik->nos", views, kernel, optimize=True) + bias[:, None], np.float32)
