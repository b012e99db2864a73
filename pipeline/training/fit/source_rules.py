"""Counts what the rules say of pages of every kind, for the opinion of rules and network together.

Run as: python -m pipeline.training.fit.source_rules --pool DIR --pages 900 [--seed 5]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from pipeline.recording import Source
from pipeline.source import SAID, page_statistics
from pipeline.training.data.pages import Pool, PooledPage


def count(pages: list[PooledPage]) -> Counter[tuple[Source, Source]]:
    """How many pages of a kind the rules said which kind of: (kind, said) -> pages."""
    counted: Counter[tuple[Source, Source]] = Counter()
    for page in pages:
        image, dpi = np.ascontiguousarray(page.rendered.page.image), page.rendered.page.dpi
        counted[page.rendered.truth.source, page_statistics.said_of(image, dpi)] += 1
    return counted


def text_of(counted: Counter[tuple[Source, Source]]) -> str:
    """The table as opinion.toml holds it."""
    lines = [
        "# Of how many pages of each kind (a table) the rules said which kind; by pipeline.training.fit.source_rules on"
    ]
    lines.append(f"# {sum(counted.values())} rendered pages of training patients.")
    for kind in Source:
        said = [f"{other} = {counted[kind, other]}" for other in Source if counted[kind, other]]
        if said:
            lines += ["", f"[{kind}]", *said]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pool", type=Path, required=True, help="pages of pipeline.training.data.pages, training patients"
    )
    parser.add_argument("--pages", type=int, default=900)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    drawn = Pool(given.pool).first(10**9)
    chosen = np.random.default_rng(given.seed).permutation(len(drawn))[: given.pages]
    SAID.write_text(text_of(count([drawn[i] for i in chosen])), encoding="utf-8")
    print(SAID.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
