"""How dark the paper's printing is at each pixel, with the light taken out and the traces held down."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.recording import UInt8

Float32 = npt.NDArray[np.float32]

SHRINK = 8  # the background is estimated on a page 8 times smaller: it is smooth, and 64 times cheaper there


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
