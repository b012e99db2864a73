"""Does the same with many pages, in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import cv2
import torch

from pipeline.synth.signals import SignalBank

Todo = TypeVar("Todo")
Done = TypeVar("Done")


def in_processes(work: Callable[[Todo], Done], todo: Sequence[Todo], workers: int) -> Iterator[Done]:
    """What work makes of each, in the order given, as soon as it is known. Each process computes with one thread."""
    if workers == 1:
        yield from map(work, todo)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=one_thread) as pool:
        for done, row in enumerate(pool.imap(work, todo, chunksize=2), 1):
            print(f"\r{done}/{len(todo)}", end="", flush=True)
            yield row
    print()


def one_thread() -> None:
    """Makes networks and pictures compute with a single thread in this process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@cache
def bank(signals: Path, unpacked: Path) -> SignalBank:
    """The recordings of a folder, opened once a process."""
    return SignalBank(signals, unpacked)
