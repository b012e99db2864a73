"""One training loop for the networks that look at whole pages or large pieces of them: source, register, grid.

Resumes from its checkpoint, keeps to a time budget, logs to a CSV and draws its curve; on one GPU or CPU threads.
"""

from __future__ import annotations

import csv
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from pipeline.errors import WeightsError
from pipeline.networks.build import BUILDERS, Arguments, load
from pipeline.networks.device import prefers_bfloat16
from pipeline.training.data.pages import Pool, PooledPage
from pipeline.training.train.curve import draw_curve
from pipeline.training.train.options import Options

CHECKPOINT_EVERY_S = 150.0
JUDGING_SHARE = 0.1  # of the time at most
EMA = 0.998
EMA_SETTLED = 10_000  # steps after which the average forgets as slowly as it ever does
EMA_START = 20  # steps: the average forgets the fresh weights this fast at first
WARM_UP_STEPS = 100
FALL_SHARE = 0.4  # of the time budget: the rate stays, then falls to zero along a half cosine
CLIP = 2.0
DECAY = 0.01

Array = npt.NDArray[Any]
Arrays = tuple[Array, ...]


@dataclass(frozen=True)
class Task(ABC):
    """What one network learns. A sample is its input, uint8 (3, h, w), followed by its targets, all of fixed shapes.

    name and arguments: the network's row in the manifest, by which it is built here and at run time.
    """

    name: str
    arguments: Arguments = field(default_factory=dict)

    def build(self) -> nn.Module:
        """The network, fresh."""
        return BUILDERS[self.name](**self.arguments)

    @abstractmethod
    def sample(self, page: PooledPage, rng: np.random.Generator, *, plain: bool) -> Arrays:
        """A sample of a page; plain: undisturbed, for judging."""

    def disturb(self, pixels: Tensor) -> Tensor:
        """What happens to colours in training, on the device: float32 (N, 3, h, w), 0..1, in and out."""
        return pixels

    @abstractmethod
    def loss(self, output: Any, targets: Sequence[Tensor]) -> Tensor:
        """Of a batch."""

    @abstractmethod
    def judge(self, output: Any, targets: Sequence[Tensor]) -> Mapping[str, float]:
        """Figures of a batch of held-out samples, averaged over batches in the log; NaN where there is none."""


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

    def __init__(self, task: Task, seed: int, folder: Path, device: torch.device) -> None:
        torch.manual_seed(seed)
        self.task, self.device = task, device
        self.network, self.average = (self._onto_device(task.build()) for _ in range(2))
        self.average.load_state_dict(self.network.state_dict())
        weights = list(self.network.parameters())
        groups = [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": DECAY},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},  # biases and norms: not to shrink
        ]
        self.optimizer = torch.optim.AdamW(groups)
        self.steps = self.samples = 0
        self.minutes = 0.0
        self.checkpoint = folder / "checkpoint.pt"

    def _onto_device(self, network: nn.Module) -> nn.Module:
        return network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def save(self) -> None:
        """Write the checkpoint whole: a process killed at any moment leaves this one or the one before."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "samples": self.samples,
            "minutes": self.minutes,
            "name": self.task.name,
            "arguments": self.task.arguments,
        }
        part = self.checkpoint.with_suffix(".part")
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.checkpoint)

    def load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.samples, self.minutes = state["steps"], state["samples"], state["minutes"]
        torch.manual_seed(torch.initial_seed() + self.samples)  # other noise and other drop-out than before

    def begin_with_shipped(self) -> None:
        """The shipped weights as network and average, with a fresh optimizer. Raises WeightsError where none fit."""
        shipped = load(self.task.name)
        if shipped is None:
            raise WeightsError(f"no weights of {self.task.name} ship: begin without --from-shipped")
        for mine in (self.network, self.average):
            mine.load_state_dict(shipped.network.state_dict())
        self.steps = EMA_SETTLED

    def step(self, batch: Sequence[Tensor], rate: float) -> Tensor:
        """One optimizer step, in bfloat16 where that is fast, the loss in float32; returns the loss, on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        pixels, targets = self._given(batch)
        with torch.no_grad():
            pixels = _centred(self.task.disturb(pixels))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=prefers_bfloat16(self.device)):
            output = self.network(pixels)
        loss = self.task.loss(output, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.steps += 1
        self.samples += len(pixels)
        self._follow()
        return loss.detach()

    @torch.inference_mode()
    def judge(self, batches: Sequence[Sequence[Tensor]]) -> dict[str, float]:
        """The task's figures of the running average on held-out samples, and its loss."""
        self.average.eval()
        rows: list[dict[str, float]] = []
        for batch in batches:
            pixels, targets = self._given(batch)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=prefers_bfloat16(self.device)):
                output = self.average(_centred(pixels))
            rows.append({"valid_loss": float(self.task.loss(output, targets)), **self.task.judge(output, targets)})
        return {key: _mean([row[key] for row in rows]) for key in rows[0]}

    def _given(self, batch: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Pixels as float32 0..1 and the targets, on the device."""
        pixels = batch[0].to(self.device, non_blocking=True).float() / 255
        return pixels, [target.to(self.device, non_blocking=True) for target in batch[1:]]

    @torch.no_grad()
    def _follow(self) -> None:
        """The average takes in the network: weights and batch-norm statistics by EMA, counters as they are."""
        keep = min(EMA, self.steps / (self.steps + EMA_START))
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)


def _centred(pixels: Tensor) -> Tensor:
    """0..1 to -1..1, in the memory layout convolutions are fastest in."""
    return (pixels * 2 - 1).contiguous(memory_format=torch.channels_last)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def train(task: Task, options: Options) -> None:
    """Trains until the minutes are over; the checkpoint is at most CHECKPOINT_EVERY_S old, and whole.

    Raises FloatingPointError when the loss is no number any more; the checkpoint before it stays.
    """
    began = time.monotonic()
    options.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    run = Run(task, options.seed, options.run, device)
    if options.resume and run.checkpoint.exists():
        run.load()
    elif options.from_shipped:
        run.begin_with_shipped()
    held_out_batches = held_out(task, options.valid, options.judged, options.batch)
    first, before, losses = run.steps, run.minutes, list[Tensor]()
    saved, seen, pause_s = time.monotonic(), run.samples, CHECKPOINT_EVERY_S
    judged = saved
    for batch in _loader(task, options, run):
        now = time.monotonic()
        spent = (now - began) / 60 / options.minutes
        losses.append(run.step(batch, rate_now(options.rate, run.steps - first, spent)))
        if spent < 1 and now - saved < CHECKPOINT_EVERY_S:
            continue
        train_loss = float(torch.stack(losses).mean())
        if not math.isfinite(train_loss):
            raise FloatingPointError(f"the loss is {train_loss} after {run.steps} steps: go on with a lower --rate")
        per_s = (run.samples - seen) / (time.monotonic() - saved)
        run.minutes = before + (time.monotonic() - began) / 60
        run.save()
        saved, seen = time.monotonic(), run.samples
        if spent >= 1 or saved - judged >= pause_s:
            row = {"minutes": run.minutes, "samples": run.samples, "samples_per_s": per_s, "train_loss": train_loss}
            _log(options.run, {**row, **run.judge(held_out_batches)})
            pause_s = max(CHECKPOINT_EVERY_S, (time.monotonic() - saved) / JUDGING_SHARE)
            judged = saved = time.monotonic()
            losses.clear()
        if spent >= 1:
            return


def _loader(task: Task, options: Options, run: Run) -> DataLoader[Arrays]:
    """Batches without end, cut ahead by workers; others than those the run has seen."""
    return DataLoader(
        Samples(task, options.pool, (options.seed, run.samples)),
        batch_size=options.batch,
        num_workers=options.workers,
        pin_memory=run.device.type == "cuda",
        prefetch_factor=4 if options.workers else None,
    )


def rate_now(rate: float, steps: int, spent: float) -> float:
    """Warm-up over the first steps, a plateau, then a half cosine to zero; spent: share of the time budget, 0..1."""
    fall = max(0.0, (spent - (1 - FALL_SHARE)) / FALL_SHARE)
    return rate * min(1.0, (steps + 1) / WARM_UP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * min(fall, 1.0)))


def held_out(task: Task, folder: Path, count: int, size: int) -> list[list[Tensor]]:
    """At least `count` plain samples in batches of `size`; the same in every run on the same held-out pages."""
    rng, pages = np.random.default_rng(0), Pool(folder).first(count)
    drawn = [task.sample(pages[i % len(pages)], rng, plain=True) for i in range(math.ceil(count / size) * size)]
    batches = [drawn[i : i + size] for i in range(0, len(drawn), size)]
    return [[torch.from_numpy(np.stack(column)) for column in zip(*batch, strict=True)] for batch in batches]


def _log(run: Path, row: Mapping[str, float]) -> None:
    """Another line in log.csv, and the curve drawn anew. Figures a line lacks, as those of older code, are NaN."""
    path = run / "log.csv"
    rows: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    rows.append({key: f"{value:.6g}" for key, value in row.items()})
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for line in rows for key in line)), restval="nan")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
    print(" ".join(f"{key}={value:.4g}" for key, value in row.items()), flush=True)
    draw_curve(path, run / "curve.png", "samples")
