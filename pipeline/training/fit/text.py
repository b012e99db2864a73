"""Fits from how much text on a page is no ECG's: more than twice that of any ECG page of a pool.

Run as: python -m pipeline.training.fit.text --pool DIR --pages 300 [--others 60] [--seed 5]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from pipeline.recording import Page
from pipeline.source import page_statistics
from pipeline.synth.other import render_not_an_ecg
from pipeline.training.data.pages import Pool

HEIGHTS = (0.015, 0.02, 0.03, 0.045)  # of the tallest line of text, in page lengths, that are tried
MARGIN = 2.0  # times the text of the ECG page that has most
FIRST_SEED = 0


def strokes(pages: Iterable[Page]) -> list[page_statistics.Strokes]:
    """The wide marks of each page."""
    return [page_statistics.strokes_of(np.ascontiguousarray(page.image), page.dpi) for page in pages]


def fit(ecgs: list[page_statistics.Strokes], others: list[page_statistics.Strokes]) -> tuple[float, float, int]:
    """Height and bound, (height, much, others above it), by which most of the other pages are told."""

    def tried(height: float) -> tuple[int, float, float]:
        much = MARGIN * max(page.text(height) for page in ecgs)
        return sum(page.text(height) > much for page in others), height, much

    told, height, much = max(map(tried, HEIGHTS))
    return height, round(much, 2), told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pool", type=Path, required=True, help="pages of pipeline.training.data.pages, training patients"
    )
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--others", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    drawn = Pool(given.pool).first(10**9)
    chosen = np.random.default_rng(given.seed).permutation(len(drawn))[: given.pages]
    others = strokes(render_not_an_ecg(FIRST_SEED + nth) for nth in range(given.others))
    height, much, told = fit(strokes(drawn[i].rendered.page for i in chosen), others)
    lines = (
        f"# By pipeline.training.fit.text on {len(chosen)} rendered ECG pages of training patients, none of which has",
        f"# half as much text; of {given.others} pages that are no ECG (letters, covers, tables, charts), {told} have",
        "# more.",
        f"height = {height}",
        f"much = {much}",
    )
    page_statistics.TEXT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(page_statistics.TEXT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
