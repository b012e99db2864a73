"""What the parts of stage 2 are worth: small networks, each without one of them, learn side by side from one stream.

Run as: python -m pipeline.training.judge.ablate --pool DIR --valid DIR --patches 6000 [--out FILE]
All see the same patches in the same order, so that only the part left out tells them apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from pipeline.networks import RowOptions
from pipeline.training.data.pages import Pool
from pipeline.training.data.targets import Batch
from pipeline.training.train.waveform import (
    Options,
    Trainer,
    batches,
    held_out,
    rate_now,
    validate,
)

SMALL = RowOptions(widths=(24, 32, 48, 80), head=32)  # learns three times as fast as the network that ships
JUDGED = 24  # batches of held-out patches


@dataclass(frozen=True)
class Variant:
    """One network of the comparison."""

    name: str
    network: RowOptions = SMALL
    sigmoid: bool = False


VARIANTS = (
    Variant("whole"),
    Variant("without coordinates (CoordConv)", replace(SMALL, coordinates=False)),
    Variant("every height by itself (sigmoid) instead of softmax over y", sigmoid=True),
)


def compare(
    options: Options, stream: Iterator[Batch], judged: Sequence[Batch], variants: Sequence[Variant] = VARIANTS
) -> str:
    """Markdown: what each variant reaches on held-out patches after options.patches of the stream."""
    if options.patches is None:
        raise ValueError("a comparison ends by patches: tell how many")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainers = [Trainer.fresh(replace(options, network=v.network), device) for v in variants]
    steps = max(1, options.patches // options.batch)
    for step in range(steps):
        batch = next(stream)
        for variant, trainer in zip(variants, trainers, strict=True):
            for group in trainer.optimizer.param_groups:
                group["lr"] = rate_now(options, step, step / steps)
            trainer.step(batch, variant.sigmoid)
        if step % 50 == 49:
            print(f"\r{step + 1}/{steps}", end="", flush=True)
    print()
    lines = ["| variant | patches | dB, pooled | median error, mm | ink or none, wrong |", "|---|---|---|---|---|"]
    for variant, trainer in zip(variants, trainers, strict=True):
        _, off_mm, db, presence = validate(trainer.average, list(judged), variant.sigmoid)
        lines.append(f"| {variant.name} | {steps * options.batch} | {db:.1f} | {off_mm:.3f} | {presence:.2%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pool", type=Path, required=True, help="pages of pipeline.training.data.pages, training patients"
    )
    parser.add_argument("--valid", type=Path, required=True, help="the same, held-out patients")
    parser.add_argument("--patches", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where the table is written, too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options = Options(given.pool, given.valid, given.pool, 0.0, seed=given.seed, patches=given.patches)
    stream = batches(Pool(given.pool), np.random.default_rng(given.seed), options.batch, device)
    text = compare(options, stream, held_out(options, device, JUDGED))
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
