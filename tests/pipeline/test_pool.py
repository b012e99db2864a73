"""Several pages at once: as read alone, by processes of their own or with networks that all of them share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

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


def test_a_closed_pool_says_so() -> None:
    pool = DigitizerPool(1, "cpu")
    pool.close()
    with pytest.raises(LostError, match="closed"):
        pool.digitize(SMALL)


PARENT = """
import sys, time
import numpy as np
from pipeline.errors import Unreadable
from pipeline.pool import DigitizerPool
from pipeline.recording import Page

if __name__ == "__main__":
    pool = DigitizerPool(1, "cpu")
    try:
        pool.digitize(Page(np.full((100, 120, 3), 255, np.uint8), None))
    except Unreadable:
        print(*(process.pid for process in pool._processes._processes.values()), flush=True)
    time.sleep(60)
"""


def test_the_processes_end_with_the_one_that_began_them(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    ends = monotonic() + 20
    while _is_there(child):
        assert monotonic() < ends
        sleep(0.05)


def _is_there(pid: int) -> bool:
    """A process that nobody has waited for yet is a zombie: it is no longer there."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


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


def interrupt() -> str:
    raise KeyboardInterrupt


def test_after_an_answer_that_was_not_waited_for_none_is_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Pipe()

    asker = Remote("swapped", here)
    monkeypatch.setattr(here, "recv", interrupt)
    with pytest.raises(KeyboardInterrupt):
        asker(torch.ones(1), torch.zeros(1))
    monkeypatch.undo()
    with pytest.raises(LostError, match="does not answer"):
        asker(torch.zeros(1), torch.ones(1))
    there.close()


def test_one_who_hangs_up_while_looked_for_ends_the_answering_without_a_word() -> None:
    here, there = Pipe()
    looking, go_on = Event(), Event()

    def look(*inputs: Tensor) -> tuple[Tensor, ...]:
        looking.set()
        assert go_on.wait(20)
        return inputs

    with ThreadPoolExecutor(1) as threads:
        answered = threads.submit(answer, there, {"slow": look})
        here.send("slow")
        here.send([])
        assert looking.wait(20)
        here.close()
        go_on.set()
        assert answered.result(20) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_pages_share_the_networks(clean: Rendered, alone: list[Recording]) -> None:
    with DigitizerPool(2, "cuda") as pool, ThreadPoolExecutor(2) as threads:
        for found in threads.map(pool.digitize, [clean.page] * 2):
            assert found.layout == alone[0].layout
            for a, b in zip(found.strips, alone[0].strips, strict=True):
                both = np.isfinite(a.millivolts) & np.isfinite(b.millivolts)
                assert np.median(np.abs(a.millivolts - b.millivolts)[both]) < 0.01
