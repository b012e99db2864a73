"""Finds the calibration pulses: the square steps of 1 mV and 0.2 s printed before or after the traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline

from pipeline.geometry import Landmarks, PaperMap
from pipeline.recording import UInt8

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

PX_MM = 8  # of the straightened page: a 0.3 mm stroke is two to three pixels wide
ABOVE_MM, BELOW_MM = 26.0, 9.0  # around a row: a 20 mm pulse whose foot drifted some mm from the row's baseline
OUTWARD_MM, INWARD_MM = 15.0, 25.0  # around a row's ends: where machines print the pulse
FEET_MOST_MM = 1.5  # between two feet found of one pulse, by which it still is the same seen twice
FEET_APART = 0.15  # of a height, from which the feet of two pulses of one roof are not the same
SHORTEST_MM = 1.8  # of a pulse
ROOF = 0.75  # of the columns between two strokes, that a line from one to the other covers
SQUARE_MM = 5  # period of the grid that is taken off


@dataclass(frozen=True)
class Pulse:
    """One calibration pulse in millimetres of paper: its upright edges, its foot, its height, and 0..1 how sure."""

    x0_mm: float
    x1_mm: float
    baseline_mm: float
    height_mm: float
    score: float

    @property
    def width_mm(self) -> float:
        return self.x1_mm - self.x0_mm

    def resized(self, across: float, down: float) -> Pulse:
        """The same pulse on a paper whose millimetres are smaller by these factors."""
        wide = (self.x0_mm * across, self.x1_mm * across)
        return Pulse(*wide, self.baseline_mm * down, self.height_mm * down, self.score)


@dataclass(frozen=True, eq=False)
class _Patch:
    """A straightened piece of the page without its grid: ink float32 (h, w) 0..1, 8 px/mm, from (left, top) mm on.

    baseline_mm: of the row it is cut around.
    """

    ink: Float32
    left_mm: float
    top_mm: float
    baseline_mm: float

    @property
    def black(self) -> Bool:
        return np.asarray(self.ink > 0.4, np.bool_)


@dataclass(frozen=True)
class _Stroke:
    """An upright stroke, in pixels of a patch. goes_on: below the patch, so that it was cut off at its row."""

    x: float
    top: float
    bottom: float
    goes_on: bool = False


def find_pulses(
    image: UInt8, paper: PaperMap, baselines_mm: Sequence[float], x_extent_mm: tuple[float, float]
) -> tuple[Pulse, ...]:
    """Every pulse at the ends of the rows, best first, at most one for each row and end.

    image: uint8 (H, W, 3) RGB. baselines_mm: y of the printed rows. x_extent_mm: where the traces begin and end.
    """
    found: list[Pulse] = []
    for left_mm in (x_extent_mm[0] - OUTWARD_MM, x_extent_mm[1] - INWARD_MM):
        for patch in _patches(image, paper, baselines_mm, left_mm):
            best = max(_candidates(patch), key=lambda p: p.score, default=None)
            if best is not None and not any(_same(best, p) for p in found):
                found.append(best)
    return tuple(sorted(found, key=lambda p: -p.score))


def _same(a: Pulse, b: Pulse) -> bool:
    """A tall pulse is also seen from its neighbours' rows."""
    return abs(a.x0_mm - b.x0_mm) < 1.5 and abs(a.baseline_mm - b.baseline_mm) < 1.5


def _patches(image: UInt8, paper: PaperMap, baselines_mm: Sequence[float], left_mm: float) -> list[_Patch]:
    """One piece of the page around the same end of every row, the grid taken off all of them together."""
    wide = OUTWARD_MM + INWARD_MM
    tall = ABOVE_MM + BELOW_MM
    left_mm = np.floor(left_mm / SQUARE_MM) * SQUARE_MM  # whole squares: the grid has the same phase in all pieces
    tops = [float(np.floor((b - ABOVE_MM) / SQUARE_MM) * SQUARE_MM) for b in baselines_mm]
    dark = [_straight_darkness(image, paper, left_mm, top, wide, tall) for top in tops]
    if not dark:
        return []
    stack = np.stack(dark)
    count, height, width = stack.shape
    side = SQUARE_MM * PX_MM
    squares = stack.reshape(count, height // side, side, width // side, side)
    grid = np.nanmedian(squares, axis=(0, 1, 3))  # a trace crosses few of the squares at the same place
    clean = np.nan_to_num(squares - grid[None, None, :, None, :], nan=0.0).reshape(stack.shape)
    level = float(np.percentile(clean[np.isfinite(stack)], 99)) if np.isfinite(stack).any() else 0.0
    if level <= 8:  # grey levels: an empty piece, where all that is left is noise
        return []
    clean = np.clip(clean / level, 0, 1).astype(np.float32)
    return [_Patch(piece, left_mm, top, b) for piece, top, b in zip(clean, tops, baselines_mm, strict=True)]


def _straight_darkness(
    image: UInt8, paper: PaperMap, left_mm: float, top_mm: float, wide_mm: float, tall_mm: float
) -> Float32:
    """How much darker than its surroundings the page is, grey levels, float32 at 8 px/mm; NaN outside the image."""
    pad = 1.0 / (2 * PX_MM)
    xs = left_mm + pad + np.arange(round(wide_mm * PX_MM)) / PX_MM
    ys = top_mm + pad + np.arange(round(tall_mm * PX_MM)) / PX_MM
    coarse_x = np.arange(left_mm, left_mm + wide_mm + 2.5, 2.5)
    coarse_y = np.arange(top_mm, top_mm + tall_mm + 2.5, 2.5)
    nodes = paper.to_px(np.stack(np.meshgrid(coarse_x, coarse_y), axis=-1))
    x, y = (RectBivariateSpline(coarse_y, coarse_x, nodes[..., i])(ys, xs).astype(np.float32) for i in (0, 1))
    height, width = image.shape[:2]
    x0, y0 = max(0, int(x.min()) - 2), max(0, int(y.min()) - 2)
    x1, y1 = min(width, int(x.max()) + 3), min(height, int(y.max()) + 3)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return np.full(x.shape, np.nan, np.float32)
    channels = cv2.split(image[y0:y1, x0:x1])
    # the coloured grid weighs half
    grey = (reduce(np.minimum, channels).astype(np.float32) + reduce(np.maximum, channels)) / 2
    straight = np.asarray(cv2.remap(grey, x - x0, y - y0, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    small = cv2.resize(straight, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    light = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4.0), straight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    return np.where(outside, np.float32(np.nan), light - straight).astype(np.float32)


def _strokes(black: Bool) -> list[_Stroke]:
    """Upright strokes of at least 2 mm."""
    wide = cv2.dilate(black.astype(np.uint8), np.ones((1, 3), np.uint8))  # a stroke may lean by a pixel
    joined = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((5, 1), np.uint8))  # gaps up to half a millimetre
    height, width = joined.shape
    run = np.zeros(width, np.int64)
    longest, end = np.zeros(width, np.int64), np.zeros(width, np.int64)
    for y in range(height):
        run = (run + 1) * joined[y]
        better = run > longest
        longest[better], end[better] = run[better], y
    found = []
    x = 0
    while x < width:
        if longest[x] < 2 * PX_MM:
            x += 1
            continue
        stop = x
        while stop < width and longest[stop] >= 2 * PX_MM and abs(end[stop] - end[x]) < 3 * PX_MM:
            stop += 1
        if stop - x <= 1.5 * PX_MM:  # wider than 1.5 mm is a blot, a letter or a beat
            peak = x + int(np.argmax(longest[x:stop]))
            bottom, top = int(end[peak]), int(end[peak] - longest[peak] + 1)
            found.append(_Stroke(_centroid(black[top : bottom + 1, x:stop].sum(axis=0), x), top, bottom))
        x = stop
    return found


def _centroid(weights: npt.NDArray[np.generic], start: int) -> float:
    w = np.asarray(weights, np.float64)
    total = float(w.sum())
    return start + (float(np.sum(w * np.arange(len(w)))) / total if total > 0 else (len(w) - 1) / 2)


def _candidates(patch: _Patch) -> list[Pulse]:
    """Pairs of upright strokes joined by a flat top over an empty inside."""
    black = patch.black
    strokes = [_on_row(stroke, patch) for stroke in _strokes(black)]
    found = []
    for i, left in enumerate(strokes):
        for right in strokes[i + 1 :]:
            width = (right.x - left.x) / PX_MM
            if width < 1.8 or width > 14.0 or abs(left.top - right.top) > 0.9 * PX_MM:
                continue
            pulse = _judge(patch, black, left, right)
            if pulse is not None:
                found.append(pulse)
    return found


def _on_row(stroke: _Stroke, patch: _Patch) -> _Stroke:
    """A stroke that goes on below the piece, as of pulses that touch those of the next row, cut off at its own row."""
    row = (patch.baseline_mm - patch.top_mm) * PX_MM
    goes_on = stroke.bottom >= len(patch.ink) - 2 and stroke.top < row
    return replace(stroke, bottom=row, goes_on=True) if goes_on else stroke


def _judge(patch: _Patch, black: Bool, left: _Stroke, right: _Stroke) -> Pulse | None:
    a, b = round(left.x), round(right.x)
    top = _level(patch.ink, (left.top + right.top) / 2 + 1, a + 3, b - 2, reach=7)
    foot_guess = min(left.bottom, right.bottom)
    feet = [
        _level(patch.ink, bottom - 1, x0, x1, reach=12)
        for bottom, x0, x1 in ((left.bottom, a - 20, a - 4), (right.bottom, b + 5, b + 21))
    ]
    if top is None or top[1] < ROOF:
        return None
    stubs = [f for f in feet if f is not None and f[1] > 0.6]
    # the foot is where the stubs lie; a pulse cut from its row has none, and its strokes end half a line too low
    foot = max(stubs, key=lambda f: f[1])[0] if stubs else foot_guess - 1.5
    # where rows are so near that their pulses touch, the strokes of one go on into the next: the lowest roof is its own
    across = _roofs(black, round(top[0]), round(foot), a, b) if left.goes_on and right.goes_on else None
    top = top if across is None else (across, top[1])
    height = foot - top[0]
    if height < SHORTEST_MM * PX_MM or height > 24 * PX_MM:
        return None
    inside = black[round(top[0]) + 7 : max(round(foot) - 7, round(top[0]) + 8), a + 6 : b - 5]
    above = black[max(0, round(top[0]) - 20) : max(0, round(top[0]) - 6), a:b]
    full = float(inside.mean()) if inside.size else 0.0
    over = float(above.mean()) if above.size else 0.0
    uprights = [_upright(black, s.x, top[0], foot) for s in (left, right)]
    if full > 0.15 or over > 0.15 or min(uprights) < 0.8:
        return None
    score = top[1] * min(uprights) * (1 - full) * (1 - over) * (1.0 if stubs else 0.6)
    return Pulse(
        patch.left_mm + (left.x + 0.5) / PX_MM,
        patch.left_mm + (right.x + 0.5) / PX_MM,
        patch.top_mm + (foot + 0.5) / PX_MM,
        height / PX_MM,
        score,
    )


def _roofs(black: Bool, top: int, foot: int, a: int, b: int) -> float | None:
    """The lowest flat line from stroke to stroke inside a pulse and clear of its foot; None where it is empty."""
    first, last = top + 7, foot - round(SHORTEST_MM * PX_MM)
    flat = black[first:last, a + 3 : b - 2].mean(axis=1) > ROOF if last > first and b - a > 8 else np.zeros(0, bool)
    if not flat.any():
        return None
    end = int(np.flatnonzero(flat)[-1])
    begin = end
    while begin and flat[begin - 1]:
        begin -= 1
    return first + (begin + end) / 2


def _level(ink: Float32, y: float, x0: int, x1: int, reach: int) -> tuple[float, float] | None:
    """The flat line near row y between two columns: its sub-pixel row and the share of columns it covers."""
    x0, x1 = max(0, x0), min(ink.shape[1], x1)
    y0, y1 = max(0, round(y) - reach), min(ink.shape[0], round(y) + reach + 1)
    if x1 - x0 < 4 or y1 - y0 < 3:
        return None
    rows = ink[y0:y1, x0:x1]
    profile = rows.mean(axis=1)
    peak = int(np.argmax(profile))
    lo, hi = max(0, peak - 3), min(len(profile), peak + 4)
    near = rows[max(0, peak - 2) : peak + 3]
    return _centroid(profile[lo:hi], y0 + lo), float(np.mean(near.max(axis=0) > 0.4))


def _upright(black: Bool, x: float, top: float, foot: float) -> float:
    """The share of rows between top and foot that have ink near column x."""
    at = round(x)
    part = black[round(top) : max(round(foot), round(top) + 1), max(0, at - 3) : at + 4]
    return float(np.mean(part.any(axis=1))) if part.size else 0.0


def marked_pulses(marks: Landmarks) -> tuple[Pulse, ...]:
    """The pulses that a network's points make, best first."""
    return tuple(
        Pulse(float(x0), float(x1), float(foot), float(foot - roof), float(score))
        for x0, x1, foot, roof, score in marks.pulses()
    )


def joined(seen: Sequence[Pulse], marked: Sequence[Pulse], baselines_mm: Sequence[float] = ()) -> tuple[Pulse, ...]:
    """Pulses seen in the ink and those a network found, best first; what both found is surer, as the ink has it.

    Two of one roof are one pulse, whose foot is the one nearer to its row: a bold separator printed over the upright
    ends it half-way for the eye that follows the ink.
    """
    whole = [p for p in seen if not _spans(p, [*seen, *marked])]
    out = [
        p for p in whole if not any(_same_roof(p, m) and _off(m, baselines_mm) < _off(p, baselines_mm) for m in marked)
    ]
    marked = [m for m in marked if not any(_same_roof(p, m) for p in out)]
    for pulse in marked:
        same = next((i for i, p in enumerate(out) if _alike(p, pulse)), None)
        if same is None:
            out.append(pulse)
        else:
            out[same] = replace(out[same], score=min(1.0, out[same].score + pulse.score))
    return tuple(sorted(out, key=lambda p: -p.score))


def _spans(pulse: Pulse, pulses: Sequence[Pulse]) -> bool:
    """Whether it goes from one pulse's foot to the roof of another above that: rows whose pulses were joined."""
    lower = [p for p in pulses if _same(pulse, p) and p.height_mm < pulse.height_mm - FEET_MOST_MM]
    upper = [p for p in pulses if _same_roof(pulse, p) and p.height_mm < pulse.height_mm - FEET_MOST_MM]
    return any(up.baseline_mm <= low.baseline_mm - low.height_mm for up in upper for low in lower)


def _same_roof(a: Pulse, b: Pulse) -> bool:
    """Whether they differ in nothing but their foot."""
    roofs_mm = a.baseline_mm - a.height_mm, b.baseline_mm - b.height_mm
    edges_mm = abs(a.x0_mm - b.x0_mm), abs(a.x1_mm - b.x1_mm)
    apart_mm = min(FEET_MOST_MM, FEET_APART * max(a.height_mm, b.height_mm))
    return (
        max(edges_mm) < 1.0 and abs(roofs_mm[0] - roofs_mm[1]) < 1.0 and abs(a.baseline_mm - b.baseline_mm) > apart_mm
    )


def _off(pulse: Pulse, baselines_mm: Sequence[float]) -> float:
    """How far its foot lies from the nearest row, mm."""
    return min((abs(pulse.baseline_mm - b) for b in baselines_mm), default=0.0)


def _alike(a: Pulse, b: Pulse) -> bool:
    return _same(a, b) and abs(a.height_mm - b.height_mm) < 1.5 and abs(a.width_mm - b.width_mm) < 1.0
