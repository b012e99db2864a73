"""Reads rendered pages end to end and keeps each reading beside its truth: what other scripts fit and judge with.

Run as: python -m pipeline.training.data.read_pages --out DIR
(--pool DIR | --signals DIR --cache DIR --source fax_standard)
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from pipeline.digitize import Digitizer
from pipeline.errors import Unreadable
from pipeline.recording import Lead, Recording, Source
from pipeline.synth.page import in_picture, render
from pipeline.synth.random_page import random_spec
from pipeline.synth.signals import RATE_HZ, SignalBank
from pipeline.synth.truth import Rendered
from pipeline.training.data.pages import Pool

SEED = 70_000_000  # far from every seed of training and of the suite


@dataclass(frozen=True, eq=False)
class ReadPage:
    """read: None where the page was refused, with the code in refused."""

    truth: Recording
    read: Recording | None
    refused: str


def pages_of(source: Source, bank: SignalBank, count: int) -> Iterator[Rendered]:
    """Pages of one kind with signals of validation patients; the same numbers, the same pages."""
    for number in range(SEED, SEED + count):
        rng = np.random.default_rng(number)
        signals = bank.draw(rng, "valid", vary=False)
        yield render(signals, RATE_HZ, random_spec(rng, source=source), number)


def shown(rendered: Rendered) -> Recording:
    """The truth as far as the picture shows it. Without aVR: some pages print its negative under its name."""
    recording = rendered.truth.recording
    strips = [
        replace(strip, millivolts=np.where(inside, strip.millivolts, np.nan).astype(np.float32))
        for strip, inside in zip(recording.strips, in_picture(rendered), strict=True)
        if strip.lead is not Lead.AVR
    ]
    return replace(recording, strips=tuple(strips))


def read_page(rendered: Rendered, digitizer: Digitizer) -> ReadPage:
    """One page read end to end."""
    truth = shown(rendered)
    try:
        return ReadPage(truth, digitizer.digitize(rendered.page), "")
    except Unreadable as error:
        return ReadPage(truth, None, str(error.code))


def load(folder: Path) -> list[ReadPage]:
    """What this script wrote into a folder of its own, in the order of the pages: it unpickles what is there."""
    return [ReadPage(*pickle.loads(file.read_bytes())) for file in sorted(folder.glob("*.read"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pool", type=Path, help="pages that are rendered already")
    parser.add_argument("--signals", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--source", type=Source, default=Source.FAX_STANDARD)
    parser.add_argument("--pages", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    digitizer = Digitizer("cpu", page_seconds_max=np.inf)
    pages = (
        (page.rendered for page in Pool(given.pool).first(given.pages))
        if given.pool
        else pages_of(given.source, SignalBank(given.signals, given.cache), given.pages)
    )
    for number, rendered in enumerate(pages):
        file = given.out / f"{number:04d}.read"
        if not file.exists():
            page = read_page(rendered, digitizer)
            file.write_bytes(pickle.dumps((page.truth, page.read, page.refused)))


if __name__ == "__main__":
    main()
