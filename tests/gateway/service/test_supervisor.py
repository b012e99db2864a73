"""The supervisor: who dies is replaced, who cannot start is tried ever more rarely."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from gateway.service.supervisor import Supervisor


def _live(_number: int) -> None:
    time.sleep(60)


def _fail(_number: int) -> None:
    os._exit(3)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crew(clock: Clock) -> Iterator[Supervisor]:
    crew = Supervisor(1, _live, clock)
    yield crew
    crew.stop(5)


def _dead(crew: Supervisor) -> None:
    deadline = time.monotonic() + 60
    while crew.pids and time.monotonic() < deadline:
        time.sleep(0.02)
    assert crew.pids == ()


def test_a_killed_worker_is_replaced_after_a_moment(crew: Supervisor, clock: Clock) -> None:
    crew.check()
    (first,) = crew.pids
    os.kill(first, 9)
    _dead(crew)
    crew.check()
    assert crew.pids == ()
    clock.now += 1.0
    crew.check()
    (second,) = crew.pids
    assert second != first


def test_a_worker_that_cannot_start_is_tried_ever_more_rarely(clock: Clock) -> None:
    crew = Supervisor(1, _fail, clock)
    starts = []
    for _ in range(3):
        before = clock.now
        crew.check()
        _dead(crew)
        crew.check()
        while not crew.pids and clock.now - before < 100 and len(starts) < 3:
            clock.now += 0.5
            crew.check()
        starts.append(clock.now - before)
    crew.stop(5)
    assert starts == sorted(starts)
    assert starts[-1] > starts[0]
