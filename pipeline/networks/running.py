"""A network where it is computed: tensors of the processor in, tensors of the processor out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.networks.build import load
from pipeline.networks.device import prefers_bfloat16
from pipeline.networks.folded import fold_batch_norms
from pipeline.networks.manifest import Weights, manifest

NETWORKS = ("waveform", "register", "grid", "source")
HALVED = ("register", "grid")  # where they are right to a pixel, bfloat16 loses nothing; stage 2 and the kinds do lose


class Network(Protocol):
    """A network as the stages know it, wherever it runs.

    Pictures are uint8 (N, 3, H, W) RGB, or what else the network takes, one entry a sample along the first axis.
    """

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]: ...


@dataclass(frozen=True, eq=False)
class Opened:
    """A network to look with and its row of the manifest."""

    look: Network
    weights: Weights


@dataclass(frozen=True, eq=False)
class Running:
    """A network in eval mode on its device. halved: in bfloat16, where the device multiplies that itself."""

    network: nn.Module
    device: str = "cpu"
    halved: bool = False

    def __post_init__(self) -> None:
        self.network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        halved = self.halved and prefers_bfloat16(self.device)
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=halved):
            told = self.network(*(self._moved(x) for x in inputs))
            return tuple(output.cpu() for output in ((told,) if isinstance(told, Tensor) else told))

    def _moved(self, x: Tensor) -> Tensor:
        there = x.to(self.device)
        if there.dtype == torch.uint8:  # a quarter of the bytes on the way, and every network of pictures takes -1..1
            there = there.float() / 127.5 - 1
        return there.contiguous(memory_format=torch.channels_last) if there.dim() == 4 else there


def shipped() -> dict[str, Weights]:
    """The rows of the networks that a page needs, by name. Raises WeightsError."""
    rows = manifest()
    return {name: rows[name] for name in NETWORKS if name in rows}


def open_networks(device: str) -> dict[str, Opened]:
    """Those that ship, by name, ready to look on "cpu" or "cuda". Raises WeightsError."""
    opened: dict[str, Opened] = {}
    for name in NETWORKS:
        found = load(name)
        if found is not None:
            opened[name] = Opened(Running(fold_batch_norms(found.network), device, name in HALVED), found.weights)
    return opened
