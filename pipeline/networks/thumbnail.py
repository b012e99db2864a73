"""What the source network sees of a page: a thumbnail of the whole and, below it, three places at full resolution.

The kinds of image differ in texture as much as in light: one bit a pixel, moire, mould and grain are gone from a
thumbnail of 456 pixels. The page's own pixels are shown where it is busy, middling and quiet: strokes, ruling, paper.
A network is shown pictures of the side it was trained on; that side stands among its arguments in the manifest.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

SIDE = 456  # the input size EfficientNet-B5 was designed for
GROUND = 128  # beside a page that does not fill its place
BUSY = (0.9, 0.5, 0.15)  # quantiles of the places by their busyness; extremes are stamps, desks and black margins
SKIP = 4  # pixels: busyness needs no more than every fourth


def compose(image: UInt8, busy: tuple[float, float, float] = BUSY, side: int = SIDE) -> UInt8:
    """uint8 (side, side, 3) of uint8 (H, W, 3) RGB: the thumbnail in the upper two thirds, three places in the lower.

    A place is a square of a third of the side, of the page's own pixels.
    """
    out = np.full((side, side, 3), GROUND, np.uint8)
    h, w = image.shape[:2]
    reach = side // 3
    room = side - reach
    scale = min(side / w, room / h)
    size = (min(side, max(1, round(w * scale))), min(room, max(1, round(h * scale))))
    thumb = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (room - size[1]) // 2, (side - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = thumb
    for i, (y, x) in enumerate(places(image, busy, reach)):
        crop = image[y : y + reach, x : x + reach]
        out[room : room + crop.shape[0], i * reach : i * reach + crop.shape[1]] = crop
    return out


def places(image: UInt8, busy: tuple[float, ...] = BUSY, reach_px: int = SIDE // 3) -> list[tuple[int, int]]:
    """Top left (y, x) of a square place for every quantile of busyness; the same page gives the same places."""
    h, w = image.shape[:2]
    tops, lefts = _starts(h, reach_px), _starts(w, reach_px)
    grey = image[::SKIP, ::SKIP].astype(np.int16).sum(axis=2)
    change = np.abs(np.diff(grey, axis=1, append=grey[:, -1:])) + np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    sums = np.pad(change.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    reach = max(1, reach_px // SKIP)
    y, x = (np.minimum(np.array(at) // SKIP, n - 1) for at, n in ((tops, grey.shape[0]), (lefts, grey.shape[1])))
    y1, x1 = np.minimum(y + reach, grey.shape[0]), np.minimum(x + reach, grey.shape[1])
    busyness = sums[np.ix_(y1, x1)] - sums[np.ix_(y, x1)] - sums[np.ix_(y1, x)] + sums[np.ix_(y, x)]
    order = np.argsort(busyness, axis=None, kind="stable")
    picked = (int(order[round(q * (len(order) - 1))]) for q in busy)
    return [(tops[i // len(lefts)], lefts[i % len(lefts)]) for i in picked]


def _starts(length: int, reach_px: int) -> list[int]:
    """Evenly spread starts of places along a side, overlapping rather than leaving a rest."""
    last = max(length - reach_px, 0)
    count = -(-last // reach_px) + 1
    return [round(i * last / max(count - 1, 1)) for i in range(count)]
