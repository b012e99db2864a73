"""From local line frequencies to one smooth map of the whole page, good to a fraction of a millimetre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.paper.ruling import SURE, Comb, Windows, evidence, prominence

Float64 = npt.NDArray[np.float64]

REACH = 0.14  # of the frequency: less than the 0.2 between the 4th, 5th and 6th harmonic of the 5-mm lines
UNIT_PX = 1000.0  # polynomials are in thousands of pixels, where their terms have like sizes


@dataclass(frozen=True, eq=False)
class Phase:
    """Millimetres as a cubic polynomial of the pixel: mm(x, y) = sum of coefficient * x**p * y**q.

    coefficients: float64 (9,), in the order of POWERS, for x and y in thousands of pixels from centre_px.
    """

    centre_px: tuple[float, float]
    coefficients: Float64

    def at(self, points_px: Float64) -> Float64:
        x, y = ((points_px - self.centre_px) / UNIT_PX).T
        return sum((c * x**p * y**q for c, (p, q) in zip(self.coefficients, POWERS, strict=True)), np.zeros(len(x)))

    def gradient(self, points_px: Float64) -> Float64:
        """Millimetres per pixel along x and y, float64 (N, 2)."""
        return _slopes(points_px, self.centre_px) @ self.coefficients


POWERS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))


def _slopes(points_px: Float64, centre_px: tuple[float, float]) -> Float64:
    """What each coefficient adds to the gradient at each point: float64 (N, 2, 9)."""
    x, y = ((points_px - centre_px) / UNIT_PX).T
    dx = [p * x ** max(p - 1, 0) * y**q for p, q in POWERS]
    dy = [q * x**p * y ** max(q - 1, 0) for p, q in POWERS]
    return np.stack([np.stack(dx, axis=-1), np.stack(dy, axis=-1)], axis=1) / UNIT_PX


def local_frequencies(found: Windows, comb: Comb, axis: int) -> tuple[Float64, Float64]:
    """The frequency of the comb in each window near the page's: float64 (N, 2) (fx, fy), and its evidence (N,)."""
    along0, across0 = (comb.fx, comb.fy) if axis == 0 else (comb.fy, comb.fx)
    out, weight = [], []
    for power in found.power:
        table = prominence(power, axis)
        along, across, reach = along0, across0, REACH
        score = 0.0
        for steps in (np.linspace(-1, 1, 29), np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)):
            a, b = np.meshgrid(along * (1 + reach * steps), across + along * reach * steps)
            total = evidence(table, axis, a, b, cap=2 * SURE)
            at = np.unravel_index(int(np.argmax(total)), total.shape)
            score, along, across = float(total[at]), float(a[at]), float(b[at])
            reach /= 10
        out.append((along, across) if axis == 0 else (across, along))
        weight.append(max(score, 0.0))
    return np.array(out).reshape(-1, 2), np.array(weight)


def phase(found: Windows, comb: Comb, axis: int, comb_mm: float) -> Phase:
    """The smooth millimetre coordinate whose gradient agrees with most windows."""
    frequencies, weight = local_frequencies(found, comb, axis)
    return smooth_phase(found.centres_px, frequencies * comb_mm, weight, np.array([comb.fx, comb.fy]) * comb_mm)


def smooth_phase(centres_px: Float64, gradient: Float64, weight: Float64, start: Float64) -> Phase:
    """The smooth millimetre coordinate whose gradient agrees with most of those measured.

    centres_px, gradient: float64 (N, 2), where, and millimetres per pixel along x and y there; weight (N,) their
    evidence, 0 for none. start: (2,) the page's gradient, from which most differ little.
    """
    size = float(np.hypot(*start))
    used = weight > 0
    centre = (float(np.mean(centres_px[:, 0])), float(np.mean(centres_px[:, 1])))
    slopes = _slopes(centres_px, centre)
    coefficients = np.zeros(len(POWERS))
    coefficients[:2] = start * UNIT_PX
    if used.sum() < 4:
        return Phase(centre, coefficients)
    # curvature costs: with few or poor windows the page stays plane
    order = np.array([p + q for p, q in POWERS])
    stiffness = np.where(order == 1, 1e-6, np.where(order == 2, 0.02, 0.1)) / (size * UNIT_PX) ** 2
    trust = weight / weight.max()
    off = np.linalg.norm(gradient - start, axis=1) / size
    scale = 0.05
    for _ in range(12):
        w = trust / (1 + (off / scale) ** 2) ** 2  # Geman-McClure: windows on text or another family of lines drop out
        a = slopes[used] * np.sqrt(w[used])[:, None, None] / size
        b = gradient[used] * np.sqrt(w[used])[:, None] / size
        normal = np.einsum("nki,nkj->ij", a, a) + np.diag(stiffness)
        coefficients = np.linalg.solve(normal, np.einsum("nki,nk->i", a, b))
        off = np.linalg.norm(gradient - slopes @ coefficients, axis=1) / size
        scale = max(0.008, 0.7 * scale)
    return Phase(centre, coefficients)
