"""One network for several pages: what waits is looked at together, and everybody gets what is theirs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic, sleep

import pytest
import torch
from torch import Tensor

from pipeline.networks import build_row
from pipeline.networks.gathered import Gathered
from pipeline.networks.row import HINTS
from pipeline.networks.running import Running

PATIENCE_S = 20.0


class Held:
    """Doubles what it is shown; its first look lasts until told, so that others come to wait."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.go_on = Event()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        first = not self.shapes
        self.shapes.append(tuple(inputs[0].shape))
        assert not first or self.go_on.wait(PATIENCE_S)
        return inputs[0] * 2, inputs[0].sum(dim=(1, 2))


def until(is_so: Callable[[], bool]) -> None:
    ends = monotonic() + PATIENCE_S
    while not is_so():
        assert monotonic() < ends
        sleep(0.001)


def asked(held: Held, pictures: list[Tensor], samples_most: int = 32) -> list[tuple[Tensor, ...] | Exception]:
    """What each picture is answered, the first alone and the others having waited meanwhile."""
    gathered = Gathered(held, samples_most)
    with ThreadPoolExecutor(len(pictures)) as threads:
        futures = [threads.submit(gathered, pictures[0])]
        until(lambda: bool(held.shapes))
        for number, picture in enumerate(pictures[1:], 1):
            futures.append(threads.submit(gathered, picture))
            until(lambda number=number: len(gathered._waiting) == number)
        held.go_on.set()
        return [error if (error := future.exception()) else future.result() for future in futures]


def pictures(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.arange(float(torch.Size(shape).numel())).view(shape) + 100 * k for k, shape in enumerate(shapes)]


def test_what_waits_is_looked_at_together_and_each_gets_its_own() -> None:
    held, mine = Held(), pictures((1, 4, 6), (2, 4, 6), (1, 4, 6), (3, 4, 6))
    answers = asked(held, mine)
    assert sorted(held.shapes) == [(1, 4, 6), (6, 4, 6)]
    for picture, answer in zip(mine, answers, strict=True):
        assert isinstance(answer, tuple)
        assert torch.equal(answer[0], picture * 2)
        assert torch.equal(answer[1], picture.sum(dim=(1, 2)))


def test_pictures_of_other_sizes_and_kinds_are_looked_at_by_themselves() -> None:
    held, mine = Held(), pictures((1, 4, 6), (1, 4, 6), (1, 4, 8), (1, 4, 6))
    mine[3] = mine[3].double()
    answers = asked(held, mine)
    assert len(held.shapes) == 4
    assert all(isinstance(a, tuple) and torch.equal(a[0], x * 2) for a, x in zip(answers, mine, strict=True))


def test_a_batch_grows_no_larger_than_was_said() -> None:
    held, mine = Held(), pictures((1, 4, 6), (2, 4, 6), (2, 4, 6), (5, 4, 6))
    asked(held, mine, samples_most=4)
    assert sorted(held.shapes) == [(1, 4, 6), (4, 4, 6), (5, 4, 6)]  # what one page asks is never divided


def test_a_batch_that_fails_is_looked_at_one_by_one_and_fails_only_those_that_do() -> None:
    class Narrow(Held):
        def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            told = super().__call__(*inputs)
            if len(inputs[0]) > 2:
                raise RuntimeError("out of memory")
            return told

    mine = pictures((1, 4, 6), (1, 4, 6), (3, 4, 6), (2, 4, 6))
    first, one, large, two = asked(Narrow(), mine)
    assert isinstance(large, RuntimeError)
    assert all(isinstance(a, tuple) and torch.equal(a[0], mine[k] * 2) for k, a in ((0, first), (1, one), (3, two)))


def test_a_look_that_failed_leaves_nothing_in_memory() -> None:
    alive: list[weakref.ref[Tensor]] = []

    def full(*inputs: Tensor) -> tuple[Tensor, ...]:
        activations = inputs[0] * 2
        alive.append(weakref.ref(activations))
        assert [ref() is not None for ref in alive] == [False] * (len(alive) - 1) + [True]
        raise RuntimeError("out of memory")

    gc.disable()  # a cycle would be found by it, some time
    try:
        gathered = Gathered(full)
        for picture in pictures((1, 4, 6), (1, 4, 6)):
            with pytest.raises(RuntimeError, match="out of memory"):
                gathered(picture)
        del picture
        assert [ref() for ref in alive] == [None, None]
    finally:
        gc.enable()


def test_a_network_gives_in_a_batch_what_it_gives_alone() -> None:
    torch.manual_seed(1)
    running = Running(build_row((8, 8), head=8).eval())
    rows = [(torch.randn(n, 3, 64, 96), torch.randn(n, HINTS, 16, 24)) for n in (1, 2, 3)]
    alone = [running(*row)[0] for row in rows]
    together = running(*(torch.cat(parts) for parts in zip(*rows, strict=True)))[0].split([1, 2, 3])
    for one, other in zip(alone, together, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_a_network_of_pictures_takes_bytes_and_sees_minus_one_to_one() -> None:
    class Seen(torch.nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            return torch.stack([pixels.amin(), pixels.amax()])

    bytes_ = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
    assert Running(Seen())(bytes_)[0].tolist() == pytest.approx([-1.0, 1.0])
