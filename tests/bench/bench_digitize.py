"""Seconds a page and peak memory of digitize, on clean, scanned and faxed renders. Prints; asserts nothing."""

from __future__ import annotations

import resource
import statistics
import time

import numpy as np

from gateway.digitizer.load import load_digitizer
from pipeline.errors import Unreadable
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.page import clean_page, faxed_page, scanned_page

PAGES = 5


def main() -> None:
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    eye = load_digitizer()
    loaded_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory: {before_mb:.0f} MB at start, {loaded_mb:.0f} MB with networks")
    for name, render in (("clean", clean_page), ("scan", scanned_page), ("fax", faxed_page)):
        seconds, refused = [], 0
        for seed in range(PAGES):
            signals = synthetic_ecg(np.random.default_rng(seed), 10.0, 500)
            page = render(signals, 500, seed=seed).page
            started = time.perf_counter()
            try:
                eye.digitize(page)
            except Unreadable:
                refused += 1
            seconds.append(time.perf_counter() - started)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        middle, slowest = statistics.median(seconds), max(seconds)
        print(f"{name:6} {middle:.2f} s a page (max {slowest:.2f}), {refused} refused, peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
