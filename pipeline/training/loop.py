"""One training loop for the networks that look at whole pages or large pieces of them: source, register, grid.

Resumes from its checkpoint, keeps to a time budget, logs to a CSV and draws its curve; on one GPU or CPU threads.
"""

from __future__ import annotations

import argparse
import csv
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from pipeline.training.curve import draw_curve
from pipeline.training.pages import Pool, PooledPage

CHECKPOINT_EVERY_S = 150.0
EMA = 0.998
WARM_UP_STEPS = 100
FALL_SHARE = 0.4  # of the time budget: the rate stays, then falls to zero along a half cosine
CLIP = 2.0

Arrays = tuple[np.ndarray, ...]


class Task(ABC):
    """What one network learns. A sample is its input, uint8 (3, h, w), followed by its targets."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The network, fresh."""

    @abstractmethod
    def sample(self, page: PooledPage, rng: np.random.Generator, *, plain: bool) -> Arrays:
        """A sample of a page; plain: undisturbed, for judging. All samples of a task have the same shapes."""

    @abstractmethod
    def loss(self, output: object, targets: Sequence[Tensor]) -> Tensor:
        """Of a batch."""

    @abstractmethod
    def judge(self, output: object, targets: Sequence[Tensor]) -> Mapping[str, float]:
        """Figures of a batch of held-out samples, averaged over batches in the log."""


@dataclass(frozen=True)
class Options:
    """One training run. workers: processes that cut samples beside the one that trains (0: none)."""

    pool: Path
    valid: Path
    run: Path
    minutes: float
    batch: int = 8
    rate: float = 1e-3
    workers: int = 0
    threads: int = 1
    seed: int = 1
    resume: bool = False


class Samples(IterableDataset[Arrays]):
    """Samples of a pool without end, another sequence in every worker and every run."""

    def __init__(self, task: Task, folder: Path, seed: Sequence[int]) -> None:
        self.task, self.folder, self.seed = task, folder, tuple(seed)

    def __iter__(self) -> Iterator[Arrays]:
        cv2.setNumThreads(1)
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([*self.seed, worker.id if worker is not None else 0])
        pool = Pool(self.folder)
        while True:
            yield self.task.sample(pool.draw(rng), rng, plain=False)


class Run:
    """Network, its running average, optimizer and counters: all that a checkpoint holds."""

    def __init__(self, task: Task, options: Options, device: torch.device) -> None:
        torch.manual_seed(options.seed)
        self.task, self.options, self.device = task, options, device
        self.network = task.build().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = task.build().to(device)
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=options.rate, weight_decay=0.01)
        self.steps = self.samples = 0
        self.checkpoint = options.run / "checkpoint.pt"

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "samples": self.samples,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)

    def load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.samples = state["steps"], state["samples"]

    def step(self, batch: Sequence[Tensor], rate: float) -> float:
        """One optimizer step in bfloat16, the loss in float32."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        pixels, targets = self._onto_device(batch)
        with torch.autocast(self.device.type, torch.bfloat16):
            output = self.network(pixels)
        loss = self.task.loss(output, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.steps += 1
        self.samples += len(pixels)
        self._follow()
        return float(loss.detach())

    @torch.inference_mode()
    def judge(self, batches: Sequence[Sequence[Tensor]]) -> dict[str, float]:
        """The task's figures of the running average on held-out samples, and its loss."""
        self.average.eval()
        rows: list[dict[str, float]] = []
        for batch in batches:
            pixels, targets = self._onto_device(batch)
            with torch.autocast(self.device.type, torch.bfloat16):
                output = self.average(pixels)
            rows.append({"valid_loss": float(self.task.loss(output, targets)), **self.task.judge(output, targets)})
        return {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}

    def _onto_device(self, batch: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        pixels = batch[0].to(self.device, non_blocking=True)
        pixels = (pixels.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        return pixels, [target.to(self.device, non_blocking=True) for target in batch[1:]]

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(EMA, self.steps / (self.steps + 20))
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)


def train(task: Task, options: Options) -> None:
    """Trains until the minutes are over; the checkpoint is at most CHECKPOINT_EVERY_S old, and whole."""
    options.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = Run(task, options, device)
    if options.resume and run.checkpoint.exists():
        run.load()
    held_out = _held_out(task, options)
    loader = DataLoader(
        Samples(task, options.pool, (options.seed, run.samples)),
        batch_size=options.batch,
        num_workers=options.workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if options.workers else None,
    )
    began = saved = time.monotonic()
    first, losses = run.steps, list[float]()
    for batch in loader:
        spent = (time.monotonic() - began) / 60 / options.minutes
        losses.append(run.step(batch, _rate(options, run.steps - first, spent)))
        if spent >= 1 or time.monotonic() - saved > CHECKPOINT_EVERY_S:
            saved = time.monotonic()
            run.save()
            minutes = (time.monotonic() - began) / 60
            row = {"minutes": minutes, "samples": run.samples, "train_loss": float(np.mean(losses))}
            _log(options.run, {**row, **run.judge(held_out)})
            losses.clear()
        if spent >= 1:
            return


def _rate(options: Options, steps: int, spent: float) -> float:
    fall = max(0.0, (spent - (1 - FALL_SHARE)) / FALL_SHARE)
    return options.rate * min(1.0, (steps + 1) / WARM_UP_STEPS) * (0.5 + 0.5 * float(np.cos(np.pi * min(fall, 1.0))))


def _held_out(task: Task, options: Options, batches: int = 8) -> list[list[Tensor]]:
    """The same plain samples in every run on the same pool of held-out pages."""
    rng, pool = np.random.default_rng(0), Pool(options.valid)
    drawn = [[task.sample(pool.draw(rng), rng, plain=True) for _ in range(options.batch)] for _ in range(batches)]
    return [[torch.from_numpy(np.stack(column)) for column in zip(*batch, strict=True)] for batch in drawn]


def _log(run: Path, row: Mapping[str, float]) -> None:
    path = run / "log.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({key: f"{value:.5g}" for key, value in row.items()})
    print(" ".join(f"{key}={value:.4g}" for key, value in row.items()), flush=True)
    draw_curve(path, run / "curve.png", "samples")


def options_from(description: str, batch: int) -> Options:
    """The command line every trainer of this loop has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pool", type=Path, required=True, help="pages of pipeline.training.pages, training patients")
    parser.add_argument("--valid", type=Path, required=True, help="the same, held-out patients; not replaced")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint, log and curve")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=Options.rate)
    parser.add_argument("--workers", type=int, default=Options.workers)
    parser.add_argument("--threads", type=int, default=Options.threads)
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--resume", action="store_true")
    return Options(**vars(parser.parse_args()))
