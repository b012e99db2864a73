"""Einthoven and Goldberger: six limb leads are two voltages, so any three printed together check one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.geometry import Float64
from pipeline.recording import Lead, Seen, Strip

# each lead as (a, b) of a * I + b * II
LIMB: dict[Lead, tuple[float, float]] = {
    Lead.I: (1.0, 0.0),
    Lead.II: (0.0, 1.0),
    Lead.III: (-1.0, 1.0),
    Lead.AVR: (-0.5, -0.5),
    Lead.AVL: (1.0, -0.5),
    Lead.AVF: (-0.5, 1.0),
}
OVERLAP_MIN_S = 1.0
SAME_START_S = 0.02  # strips of one printed column begin together
LAG_MAX_S = 0.016  # 0.4 mm of paper: rows rectified askew; more freedom would fit one wave of a wrong lead to another
RESIDUAL_BAD = 0.35  # rms over rms of the leads; well-read leads stay below 0.2
RESIDUAL_BAD_MV = 0.04  # small leads may differ by their noise
CORRECT_BELOW = 0.25  # leads that agree worse are not mixed with one another
CORRECT_LAG_MAX_S = 0.004
SIGMA_MIN_MV = 0.005  # what the law may rely on: no trace is read better
OFF_SIGMAS = 4.0  # off the law by more of their sigmas, one lead is wrong, and the law cannot say which


@dataclass(frozen=True)
class LimbCheck:
    """Three to six limb leads of one printed column.

    residual: rms of what breaks the law over rms of the leads, 0 perfect, about 1 when a lead is another one.
    residual_mv: rms. lags_s: by how much each lead had to be shifted against the first to agree best.
    worst: the lead without which the others agree best, None where three leads cannot tell.
    inverted: aVR upside down would agree, as it is it does not (Cabrera).
    """

    leads: tuple[Lead, ...]
    residual: float
    residual_mv: float
    lags_s: tuple[float, ...]
    worst: Lead | None
    inverted: bool
    start_s: float
    end_s: float

    @property
    def bad(self) -> bool:
        return self.residual > RESIDUAL_BAD and self.residual_mv > RESIDUAL_BAD_MV

    @property
    def einthoven(self) -> bool:
        return {Lead.I, Lead.II, Lead.III} <= set(self.leads)


def check_limbs(strips: Sequence[Strip], rate_hz: int) -> tuple[LimbCheck, ...]:
    """One check per printed column that shows three or more limb leads."""
    return tuple(check for group in _columns(strips) if (check := _check(group, rate_hz)) is not None)


def correct_limbs(strips: Sequence[Strip], checks: Sequence[LimbCheck], rate_hz: int) -> tuple[Strip, ...]:
    """Move well-read, aligned limb leads towards the plane that the law leaves them, the uncertain ones further.

    Only samples that every lead of the column read are touched, and no lead's own offset is. The further a sample is
    off the law, for the sigmas it was read with, the less it is moved, and not at all from OFF_SIGMAS on (Tukey's
    biweight): there the error is one lead's, and spread over all it would spoil the others'.
    """
    corrected = list(strips)
    for check in checks:
        if check.inverted or check.residual > CORRECT_BELOW or max(map(abs, check.lags_s)) > CORRECT_LAG_MAX_S:
            continue
        at = [
            k
            for k, s in enumerate(corrected)
            if s.lead in check.leads and abs(s.start_s - check.start_s) < SAME_START_S
        ]
        if len(at) != len(check.leads):
            continue
        for k, strip in zip(at, _on_plane([corrected[k] for k in at]), strict=True):
            corrected[k] = strip
    return tuple(corrected)


def turn_over(strip: Strip) -> Strip:
    """The same strip with its sign changed."""
    return replace(strip, millivolts=-strip.millivolts)


def _columns(strips: Sequence[Strip]) -> Iterator[list[Strip]]:
    """Limb strips of about equal length that begin together, three and more."""
    limb = [s for s in strips if s.lead in LIMB]
    seen: set[int] = set()
    for k, first in enumerate(limb):
        group = [
            j
            for j, s in enumerate(limb)
            if j not in seen
            and abs(s.start_s - first.start_s) < SAME_START_S
            and abs(s.samples - first.samples) < 0.1 * first.samples
        ]
        if k in seen or len({limb[j].lead for j in group}) < 3:
            continue
        seen.update(group)
        yield list({limb[j].lead: limb[j] for j in group}.values())


def _check(strips: list[Strip], rate_hz: int) -> LimbCheck | None:
    n = min(s.samples for s in strips)
    values = np.stack([s.millivolts[:n] for s in strips]).astype(np.float64)
    good = np.isfinite(values).mean(axis=1) >= 0.5
    if good.sum() < 3:
        return None
    strips, values = [s for s, g in zip(strips, good, strict=True) if g], values[good]
    leads = tuple(s.lead for s in strips)
    if np.isfinite(values).all(axis=0).sum() < OVERLAP_MIN_S * rate_hz:
        return None
    lags = _lags(values, leads, round(LAG_MAX_S * rate_hz))
    shifted = _shifted(values, lags)
    residual, residual_mv = _residual(shifted, leads)
    inverted = False
    if Lead.AVR in leads and residual > RESIDUAL_BAD:
        turned = values.copy()
        turned[leads.index(Lead.AVR)] *= -1
        inverted = (
            _residual(_shifted(turned, _lags(turned, leads, round(LAG_MAX_S * rate_hz))), leads)[0] < 0.5 * residual
        )
    start = strips[0].start_s
    return LimbCheck(
        leads,
        residual,
        residual_mv,
        tuple(lag / rate_hz for lag in lags),
        _worst(shifted, leads),
        inverted,
        start,
        start + n / rate_hz,
    )


def _plane(leads: Sequence[Lead]) -> Float64:
    return np.array([LIMB[lead] for lead in leads])


def _residual(values: Float64, leads: Sequence[Lead]) -> tuple[float, float]:
    """(rms off the plane over rms, rms off the plane in mV), offsets of single leads forgiven."""
    known = values[:, np.isfinite(values).all(axis=0)]
    if known.shape[1] < 2:
        return 1.0, 0.0
    known = known - known.mean(axis=1, keepdims=True)  # the mean, unlike the median, obeys the law too
    plane = _plane(leads)
    off = known - plane @ (np.linalg.pinv(plane) @ known)
    rms = float(np.sqrt(np.mean(off**2)))
    return rms / max(float(np.sqrt(np.mean(known**2))), 1e-3), rms


def _lags(values: Float64, leads: Sequence[Lead], reach: int) -> tuple[int, ...]:
    """Per lead the shift in samples, at most reach, under which all agree best; the first stays."""
    lags = [0] * len(leads)
    for _ in range(2):  # each lead in turn against the others' present places
        for k in range(1, len(leads)):
            tries = {}
            for lag in range(-reach, reach + 1):
                # a small price per sample: without it, noise shifts what agrees already
                tries[lag] = _residual(_shifted(values, (*lags[:k], lag, *lags[k + 1 :])), leads)[1] * (
                    1 + 0.002 * abs(lag)
                )
            lags[k] = min(tries, key=lambda lag: tries[lag])
    return tuple(lags)


def _shifted(values: Float64, lags: Sequence[int]) -> Float64:
    out = np.full_like(values, np.nan)
    n = values.shape[1]
    for k, lag in enumerate(lags):
        out[k, max(0, lag) : n + min(0, lag)] = values[k, max(0, -lag) : n - max(0, lag)]
    return out


def _worst(values: Float64, leads: tuple[Lead, ...]) -> Lead | None:
    if len(leads) < 4:
        return None
    without = {
        lead: _residual(np.delete(values, k, axis=0), [other for other in leads if other != lead])[0]
        for k, lead in enumerate(leads)
    }
    return min(without, key=lambda lead: without[lead])


def _on_plane(strips: list[Strip]) -> list[Strip]:
    """Towards weighted least squares on (I, II) where every lead was read, each lead's own offset kept."""
    n = min(s.samples for s in strips)
    values = np.stack([s.millivolts[:n] for s in strips]).astype(np.float64)
    sigma = np.stack([s.sigma_mv[:n] for s in strips]).astype(np.float64)
    read = np.stack([s.seen[:n] == Seen.READ for s in strips]).all(axis=0) & np.isfinite(values).all(axis=0)
    plane = _plane([s.lead for s in strips])
    offset = values[:, read].mean(axis=1, keepdims=True) if read.any() else np.zeros((len(strips), 1))
    weight = 1.0 / np.maximum(sigma[:, read], SIGMA_MIN_MV) ** 2
    known = values[:, read] - offset
    normal = np.einsum("ka,kt,kb->tab", plane, weight, plane)
    right = np.einsum("ka,kt,kt->ta", plane, weight, known)
    lawful = plane @ np.linalg.solve(normal, right[..., None])[..., 0].T
    off = np.sum(weight * (lawful - known) ** 2, axis=0) / (len(strips) - 2)  # 1 where the sigmas say all
    trust = np.maximum(1.0 - off / OFF_SIGMAS**2, 0.0) ** 2
    values[:, read] = known + trust * (lawful - known) + offset
    out = []
    for strip, moved in zip(strips, values, strict=True):
        millivolts = strip.millivolts.copy()
        millivolts[:n] = moved
        out.append(replace(strip, millivolts=millivolts))
    return out
