"""The trained reader of the kind of a page: a picture of it in, probabilities of kinds and severities out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from pipeline.errors import WeightsError
from pipeline.networks import Network, Opened, Weights
from pipeline.networks.thumbnail import BUSY, SIDE, compose
from pipeline.recording import Source, UInt8

# the page's own pixels at other places: a stamp or a signature may fill one of them, hardly one of each
VIEWS = (BUSY, (0.97, 0.7, 0.3))


@dataclass(frozen=True)
class SourceReading:
    """probabilities: of each Source, summing to 1. severities: 0..1 of each Degradation; in the order of the enums."""

    probabilities: tuple[float, ...]
    severities: tuple[float, ...]

    def probability(self, of: Source) -> float:
        return self.probabilities[tuple(Source).index(of)]


class Reader(Protocol):
    """Whatever tells kinds of pages apart by looking at them."""

    def read(self, image: UInt8) -> SourceReading:
        """Of a page, uint8 (H, W, 3) RGB."""
        ...


@dataclass(frozen=True, eq=False)
class SourceReader:
    """The source network. side: of the pictures it was trained on, pixels, as its row in the manifest says."""

    look: Network
    side: int = SIDE

    @classmethod
    def of(cls, opened: Opened) -> SourceReader:
        """With the weights that ship. Raises WeightsError."""
        return cls(opened.look, _side(opened.weights))

    def read(self, image: UInt8) -> SourceReading:
        pictures = np.stack([compose(image, busy, self.side) for busy in VIEWS])
        (logits,) = self.look(torch.from_numpy(pictures.transpose(0, 3, 1, 2)))
        kinds = logits[:, : len(Source)].float().softmax(dim=1).mean(dim=0)
        severities = logits[:, len(Source) :].float().sigmoid().mean(dim=0)
        return SourceReading(tuple(kinds.tolist()), tuple(severities.tolist()))


def _side(weights: Weights) -> int:
    """Of the pictures a network was trained on. Raises WeightsError where its row of the manifest says nonsense."""
    side = weights.arguments.get("side", SIDE)
    if not isinstance(side, int):
        raise WeightsError(f"side = {side!r} of the weights {weights.file} is no number of pixels")
    return side
