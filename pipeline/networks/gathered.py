"""One network for several pages at once: pictures that wait while it works are looked at together."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

import torch
from torch import Tensor

from pipeline.networks.running import Network

SAMPLES_MOST = 32  # strips of eight pages; what the activations of more take, a hospital's GPU does not have


@dataclass(eq=False)
class _Asked:
    inputs: tuple[Tensor, ...]
    told: tuple[Tensor, ...] | None = None
    failed: RuntimeError | None = None

    @property
    def is_answered(self) -> bool:
        return self.told is not None or self.failed is not None

    def goes_with(self, other: _Asked) -> bool:
        """Whether both fit into one batch: inputs of the same kinds and sizes, however many samples of them."""
        return [(x.dtype, x.shape[1:]) for x in self.inputs] == [(x.dtype, x.shape[1:]) for x in other.inputs]


@dataclass(eq=False)
class Gathered:
    """A Look for several threads: one of them looks for all that asked alike while the last look was being taken.

    Nobody waits for a batch to fill: a page alone is looked at alone, and the busier the network the larger the
    batches. samples_most: of one batch; what one thread asks is never divided. Each gets what it would get alone, but
    for the rounding of another order of summing, and raises what its own look alone raised.
    """

    look: Network
    samples_most: int = SAMPLES_MOST
    _waiting: list[_Asked] = field(default_factory=list)
    _list: Lock = field(default_factory=Lock)
    _looking: Lock = field(default_factory=Lock)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        mine = _Asked(inputs)
        with self._list:
            self._waiting.append(mine)
        with self._looking:
            if not mine.is_answered:
                self._answer(self._taken(mine))
        try:
            if mine.failed is not None:
                raise mine.failed
            assert mine.told is not None
            return mine.told
        finally:
            del mine  # the error knows this frame, which must not know the error: the two would stay, tensors and all

    def _taken(self, mine: _Asked) -> list[_Asked]:
        """What is looked at with mine, taken off the list: the longest waiting first."""
        with self._list:
            batch, samples = [mine], len(mine.inputs[0])
            for asked in self._waiting:
                if asked is not mine and asked.goes_with(mine) and samples + len(asked.inputs[0]) <= self.samples_most:
                    batch.append(asked)
                    samples += len(asked.inputs[0])
            self._waiting = [asked for asked in self._waiting if asked not in batch]
        return batch

    def _answer(self, batch: list[_Asked]) -> None:
        """One look for all; where it fails, one for each: together they may not fit into the memory."""
        failed = self._looked(batch)
        if failed is not None and len(batch) == 1:
            batch[0].failed = failed
        elif failed is not None:
            for asked in batch:
                self._answer([asked])

    def _looked(self, batch: list[_Asked]) -> RuntimeError | None:
        try:
            together = tuple(torch.cat(parts) for parts in zip(*(asked.inputs for asked in batch), strict=True))
            sizes = [len(asked.inputs[0]) for asked in batch]
            outputs = [output.split_with_sizes(sizes) for output in self.look(*together)]
        except RuntimeError as error:
            return error.with_traceback(None)  # whose frames hold all that did not fit
        for asked, told in zip(batch, zip(*outputs, strict=True), strict=True):
            asked.told = told
        return None
