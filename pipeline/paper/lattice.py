"""The lattice of the paper: a node every 5 mm, moved until the printed lines of its surroundings lie where they should.

The page is drawn straight by the lattice as it is; what is left of the lines' phase around each node says how far the
node is off. Phases are unwrapped from strong to weak evidence, smoothed by a thin plate, and the page is drawn again.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter, median_filter

from pipeline.paper.spline import on_grid

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Complex128 = npt.NDArray[np.complex128]

NODE_MM = 5.0
INLIER_MM = (1e-3, 0.1)  # distance from the surface that no node is turned down for; the second where it is near
HARMONICS = 10  # of the 5-mm period: the second of the millimetre lines; finer detail is the lines' profile
COHERENT = 0.45  # correlation with the page's own line profile below which a node's surroundings show no lines
ROUNDS = 9  # at most; a flat page needs one with each plate
# Stiffness of the thin plate against a node of full evidence, round by round, and how far a node may lie from the
# lattice of the round before without being taken for text or blank paper. STEADY bends broadly at first, so that lines
# of text are outvoted; SUPPLE follows every bend at once, as a badly curled page needs. Both end within two nodes.
STEADY = ((300.0, np.inf), (30.0, 2.5), (5.0, 1.5), (1.5, 1.0))
CLOSE = ((5.0, 0.7), (1.5, 0.7))  # for a lattice that is near
SUPPLE = ((1.5, np.inf), (1e3, 2.5), (100.0, 1.5), (10.0, 1.0), (1.5, 0.7))


class Coordinate(Protocol):
    """Millimetres of paper as a smooth function of the pixel, along x or along y."""

    def at(self, points_px: Float64) -> Float64:
        """float64 (N,) of float64 (N, 2) pixels."""
        ...

    def gradient(self, points_px: Float64) -> Float64:
        """Millimetres per pixel along x and y, float64 (N, 2)."""
        ...


@dataclass(frozen=True, eq=False)
class Lattice:
    """x_mm float64 (C,), y_mm float64 (R,), nodes_px float64 (R, C, 2) in pixels of the image it was fitted to.

    coherence: float64 (2, R, C), how well the lines across x and across y around each node fit, 0..1.
    residual_mm: float64 (2, R, C), what the smooth surface leaves of each node's own displacement; NaN without lines.
    """

    x_mm: Float64
    y_mm: Float64
    nodes_px: Float64
    coherence: Float64
    residual_mm: Float64


def initial(across_x: Coordinate, across_y: Coordinate, shape: tuple[int, int]) -> Lattice:
    """A lattice over the whole image (H, W) from the coarse millimetre coordinates."""
    height, width = shape
    x, y = np.meshgrid(np.linspace(0, width - 1, 25), np.linspace(0, height - 1, 25))
    border = np.column_stack([x.ravel(), y.ravel()])
    u, v = across_x.at(border), across_y.at(border)
    x_mm = np.arange(np.floor(u.min() / NODE_MM), np.ceil(u.max() / NODE_MM) + 1) * NODE_MM
    y_mm = np.arange(np.floor(v.min() / NODE_MM), np.ceil(v.max() / NODE_MM) + 1) * NODE_MM
    target = np.stack(np.meshgrid(x_mm, y_mm), axis=-1).reshape(-1, 2)
    plane = np.linalg.lstsq(np.column_stack([u, v, np.ones(len(u))]), border, rcond=None)[0]
    guess = np.column_stack([target, np.ones(len(target))]) @ plane
    low, high = np.zeros(2), np.array([width - 1.0, height - 1.0])
    for _ in range(8):
        inside = np.clip(guess, low, high)  # beyond the image a cubic runs wild: go on along its slope at the edge
        gx, gy = across_x.gradient(inside), across_y.gradient(inside)
        here_x = across_x.at(inside) + np.sum(gx * (guess - inside), axis=1)
        here_y = across_y.at(inside) + np.sum(gy * (guess - inside), axis=1)
        gap = target - np.column_stack([here_x, here_y])
        det = gx[:, 0] * gy[:, 1] - gx[:, 1] * gy[:, 0]
        det = np.where(np.abs(det) < 1e-9, 1e-9, det)
        guess = guess + np.column_stack(
            [
                (gap[:, 0] * gy[:, 1] - gap[:, 1] * gx[:, 1]) / det,
                (gap[:, 1] * gx[:, 0] - gap[:, 0] * gy[:, 0]) / det,
            ]
        )
    nodes = guess.reshape(len(y_mm), len(x_mm), 2)
    empty = np.zeros((2, len(y_mm), len(x_mm)))
    return Lattice(x_mm, y_mm, nodes, empty, empty * np.nan)


def refine(
    lattice: Lattice,
    ink: Float32,
    px_mm: tuple[float, float],
    period_mm: float,
    plates: tuple[tuple[float, float], ...] = STEADY,
    near: bool = False,
) -> Lattice:
    """Moves the nodes until the lines of ink float32 (H, W) lie straight and every period_mm (1 or 5) millimetres.

    Each round the coherent part of the page grows into what was bent too much for the round before. near: the lattice
    is right to a fraction of a millimetre already, so that each node's nearest lines are its own from the first round.
    """
    before = 0.0
    for done in range(ROUNDS):
        stiffness, strayed_mm = plates[min(done, len(plates) - 1)]
        straight, seen = straighten(lattice, ink, px_mm)
        moved, coherence, residual = [], [], []
        for axis in (0, 1):
            order = (0, 1, 2, 3) if axis == 0 else (2, 3, 0, 1)
            harmonics, energy = _harmonics(straight.transpose(order), seen.transpose(order))
            off, fit = _displacements(harmonics, energy, period_mm, first=done == 0 and not near)
            off, fit = (off, fit) if axis == 0 else (off.T, fit.T)
            weight = np.clip(fit - COHERENT, 0, None) ** 2 * agreement(off) / (1 + (off / strayed_mm) ** 4)
            surface, rest = thin_plate(off, weight / max(float(weight.max()), 1e-9), stiffness, INLIER_MM[near])
            moved.append(surface)
            coherence.append(fit)
            residual.append(np.where(weight > 0, rest, np.nan))
        nodes = at(lattice, lattice.x_mm[None] - moved[0], lattice.y_mm[:, None] - moved[1])
        lattice = Lattice(lattice.x_mm, lattice.y_mm, nodes, np.stack(coherence), np.stack(residual))
        now = float(np.mean(lattice.coherence))
        if done >= len(plates) - 1 and now < before + 0.004:
            break
        before = now
    return lattice


def explained(lattice: Lattice, ink: Float32, px_mm: tuple[float, float]) -> Float64:
    """How well a lattice explains what is printed: float64 (2, R, C), per family and node, 1 at best, 0 by chance.

    The correlation of the ink around a node with the page's own line profile, just where the lattice puts the node.
    """
    straight, seen = straighten(lattice, ink, px_mm)
    out = []
    for axis in (0, 1):
        order = (0, 1, 2, 3) if axis == 0 else (2, 3, 0, 1)
        harmonics, energy = _harmonics(straight.transpose(order), seen.transpose(order))
        shapes = np.where(energy > 1e-3, harmonics / np.maximum(energy, 1e-3), 0.0)  # ink has a deviation of about 1
        profile = np.sum(shapes, axis=(1, 2))
        profile /= max(float(np.linalg.norm(profile)), 1e-12)
        fit = np.real(np.sum(shapes * np.conj(profile)[:, None, None], axis=0))
        out.append(fit if axis == 0 else fit.T)
    return np.stack(out)


def agreement(off: Float64, within_mm: float = 0.15) -> Float64:
    """Whether each displacement is like those of its neighbours: 1, falling to 0 a few within_mm away."""
    middle = median_filter(off, size=5, mode="nearest")
    return np.asarray(1 / (1 + ((off - middle) / within_mm) ** 4), np.float64)


def padded(lattice: Lattice) -> tuple[Float64, Float64, Float64]:
    """The lattice with one more node on every side, gone on linearly."""
    nodes = lattice.nodes_px
    nodes = np.concatenate([2 * nodes[:1] - nodes[1:2], nodes, 2 * nodes[-1:] - nodes[-2:-1]], axis=0)
    nodes = np.concatenate([2 * nodes[:, :1] - nodes[:, 1:2], nodes, 2 * nodes[:, -1:] - nodes[:, -2:-1]], axis=1)
    x = np.concatenate([[lattice.x_mm[0] - NODE_MM], lattice.x_mm, [lattice.x_mm[-1] + NODE_MM]])
    y = np.concatenate([[lattice.y_mm[0] - NODE_MM], lattice.y_mm, [lattice.y_mm[-1] + NODE_MM]])
    return x, y, nodes


def at(lattice: Lattice, x_mm: Float64, y_mm: Float64) -> Float64:
    """The pixels of displaced nodes: float64 (R, C, 2)."""
    x, y, nodes = padded(lattice)
    return np.stack([RectBivariateSpline(y, x, nodes[..., i]).ev(y_mm, x_mm) for i in (0, 1)], axis=-1)


def straighten(lattice: Lattice, ink: Float32, px_mm: tuple[float, float]) -> tuple[Float32, Float32]:
    """The ink in paper coordinates, a block around each node, and where the image shows it.

    Returns float32 (R, r, C, c) twice: r and c samples in the 5 mm around each node.
    """
    across, down = (max(4, round(NODE_MM * p)) for p in px_mm)
    steps_x = (np.arange(across) + 0.5) / across * NODE_MM - NODE_MM / 2
    steps_y = (np.arange(down) + 0.5) / down * NODE_MM - NODE_MM / 2
    xs = (lattice.x_mm[:, None] + steps_x).ravel()
    ys = (lattice.y_mm[:, None] + steps_y).ravel()
    x, y, nodes = padded(lattice)
    at = [on_grid(RectBivariateSpline(y, x, nodes[..., i]), ys, xs).astype(np.float32) for i in (0, 1)]
    straight = cv2.remap(ink, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    height, width = ink.shape
    seen = (at[0] >= 0) & (at[0] <= width - 1) & (at[1] >= 0) & (at[1] <= height - 1)
    shape = (len(lattice.y_mm), down, len(lattice.x_mm), across)
    return np.asarray(straight, np.float32).reshape(shape), seen.reshape(shape).astype(np.float32)


def _harmonics(straight: Float32, seen: Float32) -> tuple[Complex128, Float64]:
    """Fourier coefficients of the lines that cross the last axis, around each node.

    straight, seen: float32 (R, r, C, c) as from straighten. Returns complex128 (10, R, C) and the profiles' energy.
    """
    weight = seen.sum(axis=1)
    profile = (straight * seen).sum(axis=1) / np.maximum(weight, 1.0)  # (R, C, c): averaged along the lines
    profile = profile - profile.mean(axis=-1, keepdims=True)
    complete = weight.min(axis=-1) > 0.5 * straight.shape[1]
    profile = np.where(complete[..., None], profile, 0.0)
    wide = np.zeros_like(profile)  # neighbours along and across: a window of about 10 mm each way
    for rows, share in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        wide += share * np.roll(profile, rows, axis=0)
    spectrum = np.fft.rfft(wide, axis=-1)[..., 1 : HARMONICS + 1]
    samples = profile.shape[-1]
    # block samples start 2.5 mm before the node
    k = np.arange(1, spectrum.shape[-1] + 1)
    spectrum = spectrum * np.exp(-2j * np.pi * k * (0.5 / samples - 0.5))
    spectrum[:, 1:-1] = 0.25 * spectrum[:, :-2] + 0.5 * spectrum[:, 1:-1] + 0.25 * spectrum[:, 2:]
    energy = np.sqrt(np.sum(wide**2, axis=-1) * samples / 2)
    return np.moveaxis(spectrum, -1, 0), energy


def _displacements(harmonics: Complex128, energy: Float64, period_mm: float, first: bool) -> tuple[Float64, Float64]:
    """How far the lines around each node are beyond it (mm), and their correlation with the page's line profile."""
    usable = len(harmonics)
    k = np.arange(1, usable + 1)[:, None, None]
    strength = np.sum(np.abs(harmonics) ** 2, axis=(1, 2))
    fine = usable >= 5 and (period_mm < NODE_MM or strength[4] > 1.5 * strength[0])
    key = 5 if fine else 1  # the harmonic to begin with: of the millimetre lines, or of the 5-mm lines
    amplitude = np.abs(harmonics[key - 1])
    off = np.zeros(energy.shape)
    if first:
        off = np.angle(harmonics[key - 1]) * NODE_MM / (2 * np.pi * key)
        off = unwrap(off, amplitude**2 / np.maximum(energy, 1e-9), NODE_MM / key)
    template = np.sum(harmonics * np.exp(-2j * np.pi * k * off / NODE_MM) * amplitude, axis=(1, 2))
    template /= max(float(np.linalg.norm(template)), 1e-12)
    matched = harmonics * np.conj(template)[:, None, None]
    if not first:
        off = _nearest_match(matched / np.maximum(energy, 1e-9))
    aligned = matched * np.exp(-2j * np.pi * k * off / NODE_MM)
    fit = np.abs(np.sum(aligned, axis=0)) / np.maximum(energy, 1e-9)
    share = k**2 * np.abs(aligned)
    turn = np.sum(share * np.angle(aligned) / k, axis=0) / np.maximum(np.sum(share, axis=0), 1e-12)
    return off + turn * NODE_MM / (2 * np.pi), np.where(energy > 1e-6, np.minimum(fit, 1.0), 0.0)


def _nearest_match(matched: Complex128) -> Float64:
    """The displacement within half a 5-mm square at which a node and its neighbours fit the line profile best."""
    shifts = (np.arange(51) - 25) * 0.1  # mm; what is left is found from the phases
    k = np.arange(1, len(matched) + 1)
    turns = np.exp(-2j * np.pi * shifts[:, None] * k / NODE_MM)
    score = np.real(np.tensordot(turns, matched, axes=(1, 0)))
    score = gaussian_filter(score, sigma=(0, 1.2, 1.2), mode="nearest")  # a neighbourhood decides together
    # millimetre lines alone fit at every whole millimetre: then the nearest is meant
    score *= 1 - 0.08 * np.abs(shifts)[:, None, None]
    return np.asarray(shifts[np.argmax(score, axis=0)], np.float64)


def unwrap(wrapped: Float64, evidence: Float64, period: float) -> Float64:
    """Takes whole periods out of float64 (R, C), from the strongest node to ever weaker neighbours."""
    rows, columns = wrapped.shape
    # lists, for single numbers of an array take ten times as long; and the sums over the settled nodes within two of
    # each node grow as these are settled, on a margin of two
    out, strong = wrapped.tolist(), evidence.tolist()
    settled = [[False] * columns for _ in range(rows)]
    weight, weighed = np.zeros((2, rows + 4, columns + 4))
    start = np.unravel_index(int(np.argmax(evidence)), evidence.shape)
    queue: list[tuple[float, int, int]] = [(0.0, int(start[0]), int(start[1]))]
    while queue:
        _, r, c = heapq.heappop(queue)
        if settled[r][c]:
            continue
        here = out[r][c]
        if (around := weight.item(r + 2, c + 2)) > 0:
            here += period * float(np.rint((weighed.item(r + 2, c + 2) / around - here) / period))
        out[r][c], settled[r][c] = here, True
        weight[r : r + 5, c : c + 5] += strong[r][c] + 1e-12
        weighed[r : r + 5, c : c + 5] += (strong[r][c] + 1e-12) * here
        for rr, cc in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if 0 <= rr < rows and 0 <= cc < columns and not settled[rr][cc]:
                heapq.heappush(queue, (-strong[rr][cc], rr, cc))
    return np.array(out, np.float64)


def thin_plate(values: Float64, weight: Float64, stiffness: float, inlier: float = 1e-3) -> tuple[Float64, Float64]:
    """The smoothest surface near weighted values, outliers turned down; linear where there are none.

    values, weight: float64 (R, C). inlier: distance from the surface that is never turned down. Returns the surface
    and values minus surface.
    """
    rows, columns = values.shape
    flipped = rows < columns
    z, w0 = (values.T, weight.T) if flipped else (values, weight)  # the shorter side inside: a narrower band
    band = _bending(z.shape, stiffness)
    w = w0.copy()
    surface = z
    for _ in range(3):
        system = band.copy()
        system[-1] += w.ravel() + 1e-9
        surface = solveh_banded(system, (w * z).ravel(), check_finite=False).reshape(z.shape)
        rest = z - surface
        spread = 1.4826 * np.median(np.abs(rest[w0 > 0])) if np.any(w0 > 0) else 1.0
        w = w0 / (1 + (rest / max(3 * spread, inlier)) ** 2) ** 2
    surface = surface.T if flipped else surface
    return surface, values - surface


def _bending(shape: tuple[int, int], stiffness: float) -> Float64:
    """The bending energy of a grid in the upper banded form of solveh_banded."""
    rows, columns = shape
    width = 2 * columns
    band = np.zeros((width + 1, rows * columns))
    index = np.arange(rows * columns).reshape(shape)
    stencils = (
        (((0, 0), 1.0), ((0, 1), -2.0), ((0, 2), 1.0)),
        (((0, 0), 1.0), ((1, 0), -2.0), ((2, 0), 1.0)),
        (((0, 0), np.sqrt(2)), ((0, 1), -np.sqrt(2)), ((1, 0), -np.sqrt(2)), ((1, 1), np.sqrt(2))),
    )
    for stencil in stencils:
        tall = rows - max(o[0] for o, _ in stencil)
        wide = columns - max(o[1] for o, _ in stencil)
        if tall <= 0 or wide <= 0:
            continue
        for (r1, c1), a in stencil:
            i = index[r1 : r1 + tall, c1 : c1 + wide].ravel()
            for (r2, c2), b in stencil:
                j = index[r2 : r2 + tall, c2 : c2 + wide].ravel()
                if j[0] >= i[0]:
                    np.add.at(band, (width + i - j, j), stiffness * a * b)
    return band
