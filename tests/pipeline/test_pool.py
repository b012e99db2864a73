"""Several pages at once: as read alone, by processes of their own or with networks that all of them share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from threading import Thread

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.digitize import Digitizer
from pipeline.errors import LostError, Unreadable
from pipeline.findings import UnreadableCode
from pipeline.networks.remote import Remote, RemoteError, answer
from pipeline.pool import DigitizerPool
from pipeline.recording import Page, Recording
from pipeline.synth.truth import Rendered

SMALL = Page(np.full((100, 120, 3), 255, np.uint8), None)


@pytest.fixture(scope="module", params=[False, True], ids=["own networks", "shared networks"])
def pool(request: pytest.FixtureRequest) -> Iterator[DigitizerPool]:
    with DigitizerPool(2, "cpu", shared=request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def alone(clean: Rendered, nameless: Rendered) -> list[Recording]:
    digitizer = Digitizer("cpu")
    return [digitizer.digitize(rendered.page) for rendered in (clean, nameless)]


def test_pages_read_together_are_as_read_alone(
    pool: DigitizerPool, clean: Rendered, nameless: Rendered, alone: list[Recording]
) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(pool.digitize, [page.page for page in (clean, nameless, clean, nameless)]))
    for one, other in zip(found, alone * 2, strict=True):
        assert one.layout == other.layout
        assert one.made_by == other.made_by == pool.made_by
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
        for a, b in zip(one.strips, other.strips, strict=True):
            assert a.lead is b.lead
            assert np.array_equal(np.isnan(a.millivolts), np.isnan(b.millivolts))
            off = np.abs(a.millivolts - b.millivolts)  # another order of summing: up to 5 uV in a lead's last sample
            assert np.nanquantile(off, 0.99) < 1e-3
            assert np.nanmax(off) < 0.02


def test_a_page_that_cannot_be_read_is_told_as_by_a_digitizer(pool: DigitizerPool) -> None:
    with pytest.raises(Unreadable) as found:
        pool.digitize(SMALL)
    assert found.value.code == UnreadableCode.IMAGE_TOO_SMALL
    assert "120 x 100 pixels" in found.value.why


def test_a_process_that_is_killed_is_told_and_nothing_hangs() -> None:
    with DigitizerPool(1, "cpu", shared=True) as pool:
        with pytest.raises(Unreadable):
            pool.digitize(SMALL)
        (process,) = pool._processes._processes.values()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        for _ in range(2):
            with pytest.raises(LostError, match="memory"):
                pool.digitize(SMALL)


def test_a_pool_without_processes_is_none() -> None:
    with pytest.raises(ValueError, match="0 processes"):
        DigitizerPool(0, "cpu")


class Swapped:
    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs) == 1:
            raise RuntimeError("one is too few")
        return inputs[1], inputs[0]


def test_a_remote_network_gives_back_tensors_of_every_kind() -> None:
    here, there = Pipe()
    thread = Thread(target=answer, args=(there, {"swapped": Swapped()}))
    thread.start()
    remote = Remote("swapped", here)
    bytes_ = torch.arange(24, dtype=torch.uint8).view(2, 3, 4).permute(0, 2, 1)
    halves = torch.randn(2, 5).bfloat16()
    for _ in range(2):
        told = remote(bytes_, halves)
        assert [x.dtype for x in told] == [torch.bfloat16, torch.uint8]
        assert torch.equal(told[0], halves)
        assert torch.equal(told[1], bytes_)
        with pytest.raises(RemoteError, match="RuntimeError: one is too few"):
            remote(bytes_)
    here.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_pages_share_the_networks(clean: Rendered, alone: list[Recording]) -> None:
    with DigitizerPool(2, "cuda") as pool, ThreadPoolExecutor(2) as threads:
        for found in threads.map(pool.digitize, [clean.page] * 2):
            assert found.layout == alone[0].layout
