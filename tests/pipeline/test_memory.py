"""Freed memory goes back to the system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from pipeline.memory import give_back


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the GNU C library keeps freed memory so")
def test_gives_back_what_freed_tensors_lay_in() -> None:
    kept = []
    for _ in range(400):  # small enough to come from the heap, each followed by one that stays
        big, small = torch.ones(100_000 // 4), torch.ones(64)
        kept.append((big, small))
    kept = [(None, small) for _, small in kept]
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > 20e6


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
