"""A folder of rendered pages that trainers draw from while a side process keeps replacing the oldest.

Run as: python -m pipeline.training.data.pages --signals DIR --cache DIR --pool DIR --size 300 --minutes 60
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.geometry import Segment
from pipeline.recording import Page
from pipeline.synth.page import render
from pipeline.synth.random_page import random_spec
from pipeline.synth.signals import RATE_HZ, SignalBank, Split, synthetic_ecg
from pipeline.synth.spec import PageSpec, Place, Separator
from pipeline.synth.truth import PageTruth, Rendered

SYNTHETIC_SHARE = 0.15  # the rest are real recordings
HARD_START_SHARE = 0.35
Spec = Callable[[np.random.Generator], PageSpec]


@dataclass(frozen=True, eq=False)
class PooledPage:
    """A page of the pool: its image memory-mapped, its truth, and paper (x, y) in mm of every printed lead name."""

    rendered: Rendered
    names_mm: tuple[tuple[float, float], ...]

    def gain_mm_mv(self, segment: Segment) -> float:
        return gain_of(self.rendered.truth, segment)


def gain_of(truth: PageTruth, segment: Segment) -> float:
    """The gain a segment was printed at: chest leads may have their own."""
    recording = truth.recording
    chest = recording.chest_gain_mm_mv
    return chest.value if chest is not None and segment.lead.startswith("V") else recording.gain_mm_mv.value


def training_spec(rng: np.random.Generator) -> PageSpec:
    """A random page; on a third of them leads start where readers err: at a pulse, a bold tick, over their name."""
    spec = random_spec(rng)
    if rng.random() > HARD_START_SHARE:
        return spec
    printed = replace(
        spec.print,
        label_offset_mm=(float(rng.uniform(-0.3, 1.5)), float(rng.uniform(0.3, 5.0))),
        separator=Separator.TICK,
        separator_bold=float(rng.uniform(1.0, 3.0)),
    )
    if rng.random() < 0.7:
        printed = replace(printed, pulse=Place.LEFT, pulse_gap_mm=0.0, pulse_feet_mm=float(rng.choice([0.0, 0.3])))
    return replace(spec, print=printed)


def draw_page(bank: SignalBank, split: Split, seed: int, spec: Spec = training_spec) -> Rendered:
    """The page of a seed: signals of the split, varied, or a synthetic heart."""
    rng = np.random.default_rng(seed)
    synthetic = rng.random() < SYNTHETIC_SHARE
    signals = synthetic_ecg(rng, 10.0, RATE_HZ) if synthetic else bank.draw(rng, split)
    return render(signals, RATE_HZ, spec(rng), seed)


def store_page(rendered: Rendered, pool: Path, number: int) -> None:
    """Write image and truth; the truth last, so that its presence says the image is whole."""
    np.save(pool / f"{number:07d}.npy", rendered.page.image)
    points = np.array([(k.x_px, k.y_px) for k in rendered.truth.keypoints], np.float64).reshape(-1, 2)
    names = rendered.truth.paper.to_mm(points) if len(points) else points
    part = pool / f"{number:07d}.part"
    part.write_bytes(pickle.dumps((rendered.truth, rendered.page.dpi, [(float(x), float(y)) for x, y in names])))
    part.replace(pool / f"{number:07d}.pkl")


class Pool:
    """The pages of a folder, as they come and go. Only for folders this module wrote: it unpickles what is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, PooledPage] = {}
        self._listed = 0.0

    def draw(self, rng: np.random.Generator) -> PooledPage:
        """A random page. Raises FileNotFoundError when the pool is empty."""
        self.refresh()
        if not self._open:
            raise FileNotFoundError(f"no pages in {self.folder}: start pipeline.training.data.pages first")
        names = sorted(self._open)
        return self._open[names[rng.integers(len(names))]]

    def first(self, count: int) -> list[PooledPage]:
        """The oldest pages, in their order."""
        self.refresh()
        return [self._open[stem] for stem in sorted(self._open)[:count]]

    def refresh(self, every_s: float = 10.0) -> int:
        """Look for new and gone pages, at most once in every_s. The number of pages."""
        now = time.monotonic()
        if now - self._listed >= every_s or not self._open:
            self._listed = now
            there = {path.stem for path in self.folder.glob("*.pkl")}
            self._open = {stem: page for stem, page in self._open.items() if stem in there}
            for stem in there - self._open.keys():
                try:
                    self._open[stem] = self._load(stem)
                except FileNotFoundError:  # replaced between the listing and the reading
                    continue
        return len(self._open)

    def _load(self, stem: str) -> PooledPage:
        truth, dpi, names = pickle.loads((self.folder / f"{stem}.pkl").read_bytes())
        image = np.load(self.folder / f"{stem}.npy", mmap_mode="r")
        return PooledPage(Rendered(Page(image, dpi), truth), tuple(names))


def fill(
    pool: Path, bank: SignalBank, size: int, until: float, seed: int, at_most_per_s: float = 1e9, split: Split = "train"
) -> int:
    """Render until the time.monotonic() given; the number of pages drawn. Beyond size the oldest makes room."""
    pool.mkdir(parents=True, exist_ok=True)
    number = max((int(path.stem) for path in pool.glob("*.pkl")), default=-1) + 1
    drawn = 0
    while time.monotonic() < until:
        began = time.monotonic()
        store_page(draw_page(bank, split, seed + number), pool, number)
        number, drawn = number + 1, drawn + 1
        for old in sorted(pool.glob("*.pkl"))[:-size]:
            old.unlink()
            old.with_suffix(".npy").unlink(missing_ok=True)
        time.sleep(max(0.0, 1 / at_most_per_s - (time.monotonic() - began)))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=Path, required=True, help="folder of *.npz recordings")
    parser.add_argument("--cache", type=Path, required=True, help="where they are unpacked")
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="pages of different seeds 10,000,000 apart never meet")
    parser.add_argument("--at-most-per-s", type=float, default=1e9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    bank = SignalBank(options.signals, options.cache)
    until = time.monotonic() + options.minutes * 60
    print(fill(options.pool, bank, options.size, until, options.seed, options.at_most_per_s), "pages")


if __name__ == "__main__":
    main()
