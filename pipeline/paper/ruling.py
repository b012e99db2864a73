"""The lines printed on the paper: their pitch and direction, from the power spectra of overlapping windows.

Shared by the stages that must know whether there is a grid (source) and where exactly (grid).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft

from pipeline.recording import UInt8

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

SHRINK = 8  # the background is estimated on a page 8 times smaller: it is smooth, and 64 times cheaper there
WINDOW_PX = 256  # 40 to 60 mm at the working scale: some ten 5-mm squares, and local enough for a curled page
STRIDE_PX = 128
MIRROR = 8  # columns of negative x frequency kept beside the half spectrum, so that sampling across zero is smooth
HARMONICS = 15  # three millimetre-line harmonics of the 5-mm comb; beyond them a print has no contrast left
NYQUIST = 0.46  # cycles per pixel: a little below 0.5, where the two sides of the spectrum run into each other
ABSENT = 0.45  # a harmonic whose log power stands less than this above its surroundings counts against the comb
SURE = 3.0  # log power above which a harmonic proves no more
NEAR = 1.05  # to a known pitch: nearer than any of the other multiples at which lines can be followed
LARGEST_TILT = np.tan(np.radians(25.0))
DPI_RATIOS = (1.0, 204 / 196, 204 / 98, 204 / 391)  # x to y resolution of scanners and of the three fax modes


@dataclass(frozen=True, eq=False)
class Windows:
    """Spectra of the windows of a page.

    power: float32 (N, 256, 8 + 129), total 1 each; rows: y frequency, zero at row 128; columns: x frequency, zero at 8.
    centres_px: float64 (N, 2), the (x, y) of each window's centre.
    """

    power: Float32
    centres_px: Float64


@dataclass(frozen=True)
class Comb:
    """A family of parallel, evenly spaced lines: its fundamental frequency in cycles per pixel along x and y.

    score: summed evidence of its harmonics, 0 and below for none. support: evidence of each harmonic, first to last.
    """

    fx: float
    fy: float
    score: float
    support: tuple[float, ...]

    @property
    def pitch_px(self) -> float:
        return 1.0 / float(np.hypot(self.fx, self.fy))


def darkness(image: UInt8) -> Float32:
    """Ink at each pixel of an RGB page, float32 (H, W): mean about 0, local standard deviation about 1.

    The darkest channel sees a grid of any colour. Traces are darker than the grid; they are clipped to what the
    darkest 3 % of the page have, so that they weigh no more than the lines they cover.
    """
    blue_green = cv2.min(image[..., 1], image[..., 2])
    darkest = cv2.min(image[..., 0], blue_green).astype(np.float32)
    ink = smooth(darkest, 1.5) - darkest
    ceiling = float(np.percentile(ink[::3, ::3], 97))
    np.clip(ink, -ceiling, ceiling, out=ink)
    spread = np.sqrt(smooth(ink * ink, 5.0))
    # half a grey level: an empty margin stays quiet instead of showing its compression noise at full height
    return cast(Float32, ink / (spread + 0.5))


def smooth(values: Float32, sigma: float) -> Float32:
    """A broad local mean: Gaussian of sigma (in units of 8 pixels) of a page shrunk 8 times."""
    height, width = values.shape
    small = cv2.resize(values, (max(2, width // SHRINK), max(2, height // SHRINK)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return cast(Float32, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def windows(ink: Float32) -> Windows:
    """Power spectra of half-overlapping windows of ink, float32 (H, W); a small page is continued by zeros."""
    height, width = ink.shape
    ink = np.pad(ink, ((0, max(0, WINDOW_PX - height)), (0, max(0, WINDOW_PX - width))))
    height, width = ink.shape
    tops = np.linspace(0, height - WINDOW_PX, max(1, round((height - WINDOW_PX) / STRIDE_PX) + 1)).astype(int)
    lefts = np.linspace(0, width - WINDOW_PX, max(1, round((width - WINDOW_PX) / STRIDE_PX) + 1)).astype(int)
    taper = np.hanning(WINDOW_PX).astype(np.float32)
    taper2 = taper[:, None] * taper
    power, centres = [], []
    for top in tops:
        for left in lefts:
            patch = ink[top : top + WINDOW_PX, left : left + WINDOW_PX]
            spectrum = scipy.fft.rfft2((patch - patch.mean()) * taper2)
            half = np.asarray(scipy.fft.fftshift(spectrum.real**2 + spectrum.imag**2, axes=0), np.float32)
            total = float(half.sum())
            if total > 0:
                power.append(_with_mirror(half / total))
                centres.append((left + (WINDOW_PX - 1) / 2, top + (WINDOW_PX - 1) / 2))
    if not power:
        return Windows(np.zeros((0, WINDOW_PX, MIRROR + WINDOW_PX // 2 + 1), np.float32), np.zeros((0, 2)))
    return Windows(np.stack(power), np.array(centres))


def _with_mirror(half: Float32) -> Float32:
    """Puts the first negative x frequencies before a half spectrum: a real image has the same power at -f."""
    rows = (-np.arange(WINDOW_PX)) % WINDOW_PX  # row 128 is zero frequency, so -y is the row 256 - y
    return np.concatenate([half[rows, MIRROR:0:-1], half], axis=1)


def prominence(power: Float32, axis: int) -> Float32:
    """Log power above its surroundings along one axis: what remains of a peak when ridges and slopes are taken off.

    power: one of Windows.power or their mean. axis 0: peaks of lines that cross x (vertical lines); 1: that cross y.
    """
    log = np.log(power + 1e-12)
    along = 15  # bins: wider than a peak (5 bins of a Hann window), narrower than two 5-mm harmonics
    size = (along, 3) if axis == 0 else (3, along)
    return cast(Float32, cv2.GaussianBlur(log, (3, 3), 0.6) - cv2.blur(log, size))


def sample(table: Float32, fx: Float64, fy: Float64) -> Float32:
    """Bilinear values of a spectrum at frequencies in cycles per pixel, arrays of two or more dimensions."""
    sign = np.where(fx < 0, -1.0, 1.0)
    x = (MIRROR + WINDOW_PX * fx * sign).reshape(-1, fx.shape[-1]).astype(np.float32)
    y = (WINDOW_PX / 2 + WINDOW_PX * fy * sign).reshape(-1, fx.shape[-1]).astype(np.float32)
    return cast(Float32, cv2.remap(table, x, y, cv2.INTER_LINEAR).reshape(fx.shape))


def evidence(table: Float32, axis: int, along: Float64, across: Float64, cap: float = SURE) -> Float32:
    """For each (along, across) frequency of a comb's fundamental, arrays (M, N): what its harmonics say together."""
    seen = int(np.searchsorted(np.arange(1, HARMONICS + 1) * float(along.min()), NYQUIST))
    k = np.arange(1, max(seen, 1) + 1)[:, None, None]
    one, other = along * k, across * k
    found = sample(table, one, other) if axis == 0 else sample(table, other, one)
    # blur takes the high harmonics first: their absence says less
    weight = np.where(k <= 6, np.float32(1.0), np.float32(0.5))
    found = weight * np.clip(found - np.float32(ABSENT), np.float32(-1.0), np.float32(cap - ABSENT))
    found[one >= NYQUIST] = 0.0
    return np.asarray(found.sum(axis=0), np.float32)


def combs(power: Float32, axis: int, pitches_px: tuple[float, float] = (2.2, 90.0), keep: int = 8) -> list[Comb]:
    """The best families of lines that cross one axis (0: x, that is vertical lines), best first."""
    table = prominence(power, axis)
    pitch = np.geomspace(*pitches_px, round(110 * np.log(pitches_px[1] / pitches_px[0])) + 2)  # steps of 0.9 %
    tilt = np.linspace(-LARGEST_TILT, LARGEST_TILT, 101)
    along = np.repeat(1.0 / pitch[:, None], len(tilt), axis=1)
    across = along * tilt
    score = evidence(table, axis, along, across)
    found: list[Comb] = []
    for _ in range(keep):
        i, j = np.unravel_index(int(np.argmax(score)), score.shape)
        if score[i, j] <= 0:
            break
        found.append(_polish(table, axis, float(along[i, j]), float(across[i, j])))
        near = (np.abs(np.log(pitch / pitch[i])) < 0.03)[:, None] & (np.abs(tilt - tilt[j]) < 0.06)
        score[near] = -np.inf
    return sorted(found, key=lambda c: -c.score)


def _polish(table: Float32, axis: int, along: float, across: float) -> Comb:
    """The comb near a first guess with the best evidence, by three finer and finer searches."""
    reach, score = 0.02, 0.0
    for _ in range(3):
        steps = np.linspace(-reach, reach, 13)
        a, b = np.meshgrid(along * (1 + steps), across + along * steps)
        total = evidence(table, axis, a, b, cap=np.inf)  # uncapped: the top of the peak is where the line is
        at = np.unravel_index(int(np.argmax(total)), total.shape)
        score, along, across = float(total[at]), float(a[at]), float(b[at])
        reach /= 4
    k = np.arange(1, HARMONICS + 1, dtype=np.float64)[None]
    fx, fy = (along * k, across * k) if axis == 0 else (across * k, along * k)
    support = sample(table, fx, fy)[0]
    kept = tuple(float(s) for s, f in zip(support, along * k[0], strict=True) if f < NYQUIST)
    return Comb(along, across, score, kept) if axis == 0 else Comb(across, along, score, kept)


def pair(power: Float32, x_to_y: float | None, near_px: tuple[float, float] | None = None) -> tuple[Comb, Comb] | None:
    """The best vertical and horizontal lines that fit together, None without any.

    x_to_y: pixels per mm along x over those along y, where the file tells; else the ratios of scanners and faxes.
    near_px: the pitch along x and y, where it is known to some per cent.
    """
    if near_px is None:
        vertical, horizontal = combs(power, 0), combs(power, 1)
    else:
        vertical, horizontal = (combs(power, k, (p / NEAR, p * NEAR)) for k, p in enumerate(near_px))
    best: tuple[float, Comb, Comb] | None = None
    for v in vertical:
        for h in horizontal:
            ratio = v.pitch_px / h.pitch_px
            expected = DPI_RATIOS if x_to_y is None else (x_to_y,)
            # 12 %: prints stretched to a page and photographs from the side; 1 and 5 mm are a factor 5 apart
            off = min(abs(np.log(ratio / r)) + (0.05 if r != expected[0] else 0.0) for r in expected)
            turn = abs(v.fy / v.fx + h.fx / h.fy * (1.0 if x_to_y is None else x_to_y**2))
            if off > 0.2 or turn > 0.3:
                continue
            score = v.score + h.score - 20.0 * off - 10.0 * turn
            if best is None or score > best[0]:
                best = (score, v, h)
    return None if best is None else best[1:]
