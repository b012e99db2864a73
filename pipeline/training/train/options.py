"""What is said on the command line of every trainer of `pipeline.training.train.loop`."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, fields
from pathlib import Path

import torch


@dataclass(frozen=True)
class Options:
    """One training run. workers: processes that cut samples beside the one that trains (0: none). judged: samples."""

    pool: Path
    valid: Path
    run: Path
    minutes: float
    batch: int = 8
    rate: float = 1e-3
    workers: int = 0
    threads: int = 1
    seed: int = 1
    judged: int = 64
    resume: bool = False
    from_shipped: bool = False


def parser_of(description: str | None, batch: int) -> argparse.ArgumentParser:
    """The command line every trainer of this loop has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pool", type=Path, required=True, help="pages of pipeline.training.data.pages, training patients"
    )
    parser.add_argument("--valid", type=Path, required=True, help="the same, held-out patients; not replaced")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint, log and curve")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=Options.rate)
    workers = len(os.sched_getaffinity(0)) if torch.cuda.is_available() else 0
    parser.add_argument("--workers", type=int, default=workers, help="processes that cut samples")
    parser.add_argument("--threads", type=int, default=Options.threads, help="of the process that trains, on a CPU")
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--judged", type=int, default=Options.judged, help="held-out samples")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--from-shipped", action="store_true", help="begin with the weights that ship")
    return parser


def options_of(given: argparse.Namespace) -> Options:
    return Options(**{f.name: getattr(given, f.name) for f in fields(Options)})
