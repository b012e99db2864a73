"""Pages a minute of one process and of several, in one run. Prints ratios; asserts nothing.

Run as `python -m tests.bench.bench_pool [PROCESSES] [DEVICE]`; on a GPU the processes share its networks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.digitize import Digitizer
from pipeline.pool import DigitizerPool
from pipeline.recording import Page, Recording
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import clean_page, scanned_page

PAGES = 8


def main() -> None:
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    device = sys.argv[2] if len(sys.argv) > 2 else "auto"
    pages = []
    for seed in range(PAGES):
        signals = synthetic_ecg(np.random.default_rng(seed), 10.0, 500)
        pages.append((clean_page, scanned_page)[seed % 2](signals, 500, seed=seed).page)
    alone_s = seconds_a_page(Digitizer(device).digitize, pages, 1)
    print(f"one process: {alone_s:.2f} s a page")
    with DigitizerPool(processes, device) as pool:
        together_s = seconds_a_page(pool.digitize, pages * processes, processes)
    print(f"{processes} processes: {together_s:.2f} s a page, {alone_s / together_s:.2f} times as many pages")


def seconds_a_page(digitize: Callable[[Page], Recording], pages: Sequence[Page], at_once: int) -> float:
    """Wall time, without that of loading."""
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(digitize, pages[:at_once]))
        started = time.perf_counter()
        list(threads.map(digitize, pages))
        return (time.perf_counter() - started) / len(pages)


if __name__ == "__main__":
    main()
