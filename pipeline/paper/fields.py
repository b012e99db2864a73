"""What the grid network says of a page: the phases of its ruling, wherever one shows, at a scale the network knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from pipeline.networks import Network
from pipeline.networks.phase import CELL, PERIODS_MM, PX_MM
from pipeline.recording import UInt8

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Complex64 = npt.NDArray[np.complex64]

STRIDE_PX = 32  # a picture's sides are multiples of the network's coarsest stride, at any depth
LARGEST_PX = 3.0e6  # of the picture: an A3 sheet at the network's scale, beyond which memory would not do
PROBE_PX = 320  # side of the piece on which a scale is tried: 75 mm of paper
OTHERS = (1.0, 0.62, 1.6)  # scales tried beside a guessed one: the network reads 0.75 to 1.35 times its own
BELIEVED = 0.35  # mean length of the 5-mm pairs on a probe below which the next scale is tried too
OFF_SCALE = 1.2  # of the network's scale, beyond which the page is looked at again at what the first look measured


@dataclass(frozen=True, eq=False)
class Fields:
    """Unit vectors of the paper's phases, as long as they are sure, a cell every CELL pixels of a resized page.

    coarse, fine: complex64 (2, h, w): exp(2 pi i mm / 5) and exp(2 pi i mm / 1) of x and of y.
    printed: float32 (h, w), 0..1, a ruling is printed here.
    step_px: pixels of the image given from one cell to the next along x and y; corner_px: of the first cell.
    """

    coarse: Complex64
    fine: Complex64
    printed: Float32
    step_px: tuple[float, float]

    @property
    def corner_px(self) -> tuple[float, float]:
        """The image's pixel (x, y) at the centre of the first cell."""
        return self.step_px[0] / 2 - 0.5, self.step_px[1] / 2 - 0.5

    @property
    def size_px(self) -> tuple[float, float]:
        """Width and height of what was looked at, pixels of the image given."""
        height, width = self.printed.shape
        return width * self.step_px[0], height * self.step_px[1]


def look(network: Network, image: UInt8, guesses_px_mm: Iterable[tuple[float, float]]) -> Fields:
    """The fields of a whole page at the scale whose answer is surest, looked at again where that scale was far off.

    image: uint8 (H, W, 3) RGB. guesses_px_mm: pixels per mm along x and y, the likeliest first.
    """
    px_mm = _surest(network, image, guesses_px_mm)
    found = see(network, image, px_mm)
    measured = pitch_px(found)
    if any(not 1 / OFF_SCALE < m / p < OFF_SCALE for m, p in zip(measured, px_mm, strict=True)):
        again = see(network, image, measured)
        found = max((found, again), key=sureness)
    return found


def _surest(network: Network, image: UInt8, guesses_px_mm: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """The scale at which the network is surest of the middle of the page, as it measures it there."""
    best: tuple[float, tuple[float, float]] | None = None
    for guess in guesses_px_mm:
        for factor in OTHERS:
            px_mm = (guess[0] * factor, guess[1] * factor)
            found = see(network, _middle(image, px_mm), px_mm)
            sure = sureness(found)
            if best is None or sure > best[0]:
                best = (sure, pitch_px(found))
        if best is not None and best[0] > BELIEVED:
            break
    if best is None:
        raise ValueError("no scale to look at the page at")
    return best[1]


def _middle(image: UInt8, px_mm: tuple[float, float]) -> UInt8:
    """The part of the image that is PROBE_PX wide and tall once it is resized."""
    (height, width), side_mm = image.shape[:2], PROBE_PX / PX_MM
    wide, tall = min(width, round(side_mm * px_mm[0])), min(height, round(side_mm * px_mm[1]))
    left, top = (width - wide) // 2, (height - tall) // 2
    return image[top : top + max(tall, 1), left : left + max(wide, 1)]


def see(network: Network, image: UInt8, px_mm: tuple[float, float]) -> Fields:
    """One look at an image in which a millimetre is px_mm pixels along x and y."""
    height, width = image.shape[:2]
    wide, tall = (max(1.0, n / p * PX_MM) for n, p in zip((width, height), px_mm, strict=True))
    shrink = min(1.0, float(np.sqrt(LARGEST_PX / (wide * tall))))
    size = (max(CELL, round(wide * shrink)), max(CELL, round(tall * shrink)))
    smaller = size[0] * size[1] < width * height
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    right, below = -size[0] % STRIDE_PX, -size[1] % STRIDE_PX
    picture = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
    (told,) = network(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None])
    output = told[0].float()[:, : -(-size[1] // CELL), : -(-size[0] // CELL)]
    pairs = output[:-1].reshape(len(PERIODS_MM), 2, 2, *output.shape[1:])
    vectors = torch.complex(pairs[:, :, 0], pairs[:, :, 1]).numpy()
    vectors = vectors / np.maximum(np.abs(vectors), 1.0)  # longer than one is no surer than sure
    printed = torch.sigmoid(output[-1]).numpy()
    step = (CELL * width / size[0], CELL * height / size[1])
    return Fields(vectors[0].astype(np.complex64), vectors[1].astype(np.complex64), printed, step)


def sureness(fields: Fields) -> float:
    """The mean length of the weaker family's 5-mm vectors over the page, 0..1."""
    return float(np.abs(fields.coarse).min(axis=0).mean())


def gradients(fields: Fields, block: int = 16) -> tuple[Float64, Float64, Float64]:
    """Where the phases within 5 mm run, in blocks of cells.

    Returns float64 (N, 2) centres in pixels of the image, (2, N, 2) mm per pixel along x and y for the lines across x
    and across y, and (2, N) the evidence, 0..1.
    """
    height, width = (max(1, n // block) for n in fields.printed.shape)
    turns = np.zeros((2, height, width, 2))
    evidence = np.zeros((2, height, width))
    for axis in (0, 1):
        z = fields.coarse[axis]
        steps = (z[:, 1:] * np.conj(z[:, :-1]), z[1:] * np.conj(z[:-1]))
        sums = [means(s, (height, width), block) for s in steps]
        turns[axis] = np.stack(
            [np.angle(s) / (2 * np.pi) * PERIODS_MM[0] / p for s, p in zip(sums, fields.step_px, strict=True)], axis=-1
        )
        evidence[axis] = np.minimum(np.abs(sums[0]), np.abs(sums[1]))
    x = fields.corner_px[0] + (np.arange(width) * block + (block - 1) / 2) * fields.step_px[0]
    y = fields.corner_px[1] + (np.arange(height) * block + (block - 1) / 2) * fields.step_px[1]
    centres = np.stack(np.meshgrid(x, y), axis=-1)
    return centres.reshape(-1, 2), turns.reshape(2, -1, 2), evidence.reshape(2, -1)


def means(cells: npt.NDArray[Any], shape: tuple[int, ...], block: int) -> npt.NDArray[Any]:
    """The mean of the cells in every block; what the blocks reach beyond the cells counts as zeros."""
    height, width = shape[0] * block, shape[1] * block
    part = cells[:height, :width]
    whole = np.pad(part, ((0, height - part.shape[0]), (0, width - part.shape[1])))
    return np.asarray(whole.reshape(shape[0], block, shape[1], block).mean(axis=(1, 3)))


def pitch_px(fields: Fields) -> tuple[float, float]:
    """Pixels per mm along x and y of the image, by the median of the surer blocks."""
    _, turns, evidence = gradients(fields)
    pitches = []
    for axis in (0, 1):
        size = np.linalg.norm(turns[axis], axis=1)
        sure = evidence[axis] >= np.quantile(evidence[axis], 0.5)
        pitches.append(1 / max(float(np.median(size[sure])), 1e-3))
    return pitches[0], pitches[1]
