"""Trains stage 2 on the patches of a pool of rendered pages.

Run as: python -m pipeline.training.train.waveform --pool DIR --valid DIR --run DIR --minutes 60 [--resume]
[--workers 2]
Stop it at any time: the checkpoint is at most three minutes old, whole, and --resume goes on from it.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from pipeline.errors import WeightsError
from pipeline.networks import RowNetwork, RowOptions, load, prefers_bfloat16
from pipeline.training.data.pages import Pool
from pipeline.training.data.patches import ORDINARY, TALL, Patch, draw_patch
from pipeline.training.data.targets import Batch, loss_of, sigmoid_loss_of, stack
from pipeline.waveform.decode import BIN_MM

CHECKPOINT_EVERY_S = 180.0
AVERAGE_EVERY = 8  # steps: two single-thread processes use two busy cores better than two threads of one
EMA = 0.998
EMA_SETTLED = 10_000  # steps after which the average forgets as slowly as it ever does
DECAY_TO = 0.03  # of the rate, at the end
PATCHES_PER_VISIT = 2  # of one page in a row: its truth is in the cache
TALL_SHARE = 0.12  # of the batches

Scores = tuple[float, float, float, float]  # loss, mm, dB, share of columns with wrong presence


@dataclass(frozen=True)
class Options:
    """One training run."""

    pool: Path
    valid: Path
    run: Path
    minutes: float
    batch: int = 8
    rate: float = 1.5e-3
    warmup: int = 200
    workers: int = 1
    seed: int = 1
    resume: bool = False
    network: RowOptions = field(default_factory=RowOptions)
    patches: int | None = None  # an end by patches instead of minutes: runs to be compared see equally many
    sigmoid: bool = False  # the ablation in which every height is asked for by itself
    from_shipped: bool = False  # begin with the weights that ship, where no checkpoint is gone on from
    already: int = 0  # patches those weights have seen
    from_checkpoint: Path | None = None  # begin with the average of another run
    decay_share: float = 0.25  # of the time budget, at its end: the rate stays, then falls


@torch.inference_mode()
def validate(network: nn.Module, batches: list[Batch], sigmoid: bool = False) -> Scores:
    """On held-out patches: loss, median |error| in mm, dB of all columns pooled, share of wrong presence."""
    network.eval()
    loss = sigmoid_loss_of if sigmoid else loss_of
    losses, errors, signal, noise, wrong, counted = [], [], 0.0, 0.0, 0, 0
    for batch in batches:
        logits = network(batch.pixels, batch.hints).float()
        losses.append(float(loss(logits, batch)))
        p = torch.sigmoid(logits) if sigmoid else torch.softmax(logits, dim=1)
        ink = torch.isfinite(batch.target)
        peak = p[:, :-1].argmax(dim=1, keepdim=True)
        near = (torch.arange(p.shape[1] - 1, device=p.device)[None, :, None] - peak).abs() <= 4
        q = p[:, :-1] * near
        expected = (q * torch.arange(q.shape[1], device=p.device)[None, :, None]).sum(1) / q.sum(1).clamp_min(1e-9)
        use = ink & batch.counted
        error = (expected - batch.target)[use] * BIN_MM
        errors.append(error.abs())
        height = (batch.target - (q.shape[1] - 1) / 2)[use] * BIN_MM
        signal, noise = signal + float((height**2).sum()), noise + float((error**2).sum())
        wrong += int((((p[:, -1] < 0.5) != ink) & batch.counted).sum())
        counted += int(batch.counted.sum())
    decibel = 10 * math.log10(signal / max(noise, 1e-9))
    return float(np.mean(losses)), float(torch.cat(errors).median()), decibel, wrong / max(counted, 1)


def batches(pool: Pool, rng: np.random.Generator, size: int, device: torch.device) -> Iterator[Batch]:
    """Random disturbed patches without end."""
    while True:
        patches: list[Patch] = []
        shape = TALL if rng.random() < TALL_SHARE else ORDINARY
        while len(patches) < size:
            page = pool.draw(rng)
            patches += [draw_patch(page, rng, shape) for _ in range(PATCHES_PER_VISIT)]
        yield stack(patches[:size], device)


def held_out(options: Options, device: torch.device, count: int = 12) -> list[Batch]:
    """The same plain patches in every run on the same pool of held-out pages."""
    rng = np.random.default_rng(0)
    pool = Pool(options.valid)
    return [stack([draw_patch(pool.draw(rng), rng, plain=True) for _ in range(8)], device) for _ in range(count)]


@dataclass(eq=False)
class Trainer:
    """Network, its running average, optimizer and counters: all that a checkpoint holds."""

    network: RowNetwork
    average: RowNetwork
    optimizer: torch.optim.Optimizer
    patches: int = 0
    steps: int = 0

    @classmethod
    def fresh(cls, options: Options, device: torch.device) -> Trainer:
        torch.manual_seed(options.seed)
        network = RowNetwork(options.network)
        network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        decayed = [p for p in network.parameters() if p.ndim > 1]
        plain = [p for p in network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
        return cls(network, copy.deepcopy(network), torch.optim.AdamW(groups, lr=options.rate))

    def save(self, path: Path, options: RowOptions) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "patches": self.patches,
            "steps": self.steps,
            "options": asdict(options) | {"widths": list(options.widths)},
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.patches, self.steps = state["patches"], state["steps"]

    def begin_with_shipped(self, already: int) -> None:
        """The shipped weights as network and average, with a fresh optimizer; already: patches they have seen.

        Raises WeightsError where none ship or they are of another build, and RuntimeError where they have other widths.
        """
        shipped = load("waveform")
        if shipped is None:
            raise WeightsError("no weights of stage 2 ship: begin without --from-shipped")
        self._begin_with(shipped.network.state_dict(), already)

    def begin_with_checkpoint(self, path: Path) -> None:
        """The running average of another run, with a fresh optimizer.

        Raises WeightsError where the run's network is of another build.
        """
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._begin_with(state["average"], state["patches"])

    def _begin_with(self, state: dict[str, Tensor], already: int) -> None:
        for mine in (self.network, self.average):
            try:
                mine.load_state_dict(state)
            except RuntimeError as wrong:
                raise WeightsError(f"weights of another build: {wrong}") from wrong
        self.patches, self.steps = already, EMA_SETTLED

    def step(self, batch: Batch, sigmoid: bool = False) -> float:
        """One optimizer step, in bfloat16 where that is fast: half the time on a CPU that has it, and on a GPU."""
        self.network.train()
        pixels = batch.pixels.contiguous(memory_format=torch.channels_last)
        device = batch.pixels.device
        with torch.autocast(device.type, torch.bfloat16, enabled=prefers_bfloat16(device)):
            logits = self.network(pixels, batch.hints)
        loss = (sigmoid_loss_of if sigmoid else loss_of)(logits.float(), batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimizer.step()
        self.steps += 1
        self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(EMA, self.steps / (self.steps + 20))
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)

    @torch.no_grad()
    def meet(self, workers: int) -> None:
        """Average the network with the other workers'."""
        tensors = [t for t in self.network.state_dict().values() if t.dtype.is_floating_point]
        flat = torch.cat([t.reshape(-1) for t in tensors])
        torch.distributed.all_reduce(flat)
        flat /= workers
        at = 0
        for t in tensors:
            t.copy_(flat[at : at + t.numel()].view_as(t))
            at += t.numel()


def rate_now(options: Options, steps_here: int, spent: float) -> float:
    """Warm-up, a long plateau, then a linear fall over the last decay_share of the time budget (spent: 0..1)."""
    warm = min(1.0, (steps_here + 1) / options.warmup)
    fall = max(0.0, (spent - (1 - options.decay_share)) / options.decay_share)
    return options.rate * warm * (1 - (1 - DECAY_TO) * min(fall, 1.0))


def work(rank: int, options: Options) -> None:
    """One worker; rank 0 validates, logs and writes checkpoints."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if options.workers > 1:
        meeting = (options.run / "meeting").resolve().as_uri()
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=options.workers)
    trainer = Trainer.fresh(options, device)
    checkpoint = options.run / "checkpoint.pt"
    if options.resume and checkpoint.exists():
        trainer.load(checkpoint)
    elif options.from_checkpoint is not None:
        trainer.begin_with_checkpoint(options.from_checkpoint)
    elif options.from_shipped:
        trainer.begin_with_shipped(options.already)
    rng = np.random.default_rng([options.seed, rank, trainer.patches])
    valid = held_out(options, device) if rank == 0 else []
    began, saved, losses, first_step = time.monotonic(), time.monotonic(), [], trainer.steps
    first_patch = trainer.patches
    for batch in batches(Pool(options.pool), rng, options.batch, device):
        minutes = (time.monotonic() - began) / 60
        seen = trainer.patches - first_patch
        spent = torch.tensor(minutes / options.minutes if options.patches is None else seen / options.patches)
        if trainer.steps % AVERAGE_EVERY == 0 and options.workers > 1:
            trainer.meet(options.workers)
            torch.distributed.broadcast(spent, 0)  # all stop at the same step
            stop = float(spent) >= 1
        else:
            stop = options.workers == 1 and float(spent) >= 1
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate_now(options, trainer.steps - first_step, float(spent))
        losses.append(trainer.step(batch, options.sigmoid))
        trainer.patches += options.batch * options.workers
        if rank == 0 and (stop or time.monotonic() - saved > CHECKPOINT_EVERY_S):
            saved = time.monotonic()
            trainer.save(checkpoint, options.network)
            scores = validate(trainer.average, valid, options.sigmoid)
            log(options.run, minutes, trainer, float(np.mean(losses)), scores)
            losses.clear()
        if stop:
            break


def log(
    run: Path, minutes: float, trainer: Trainer, train_loss: float, valid: tuple[float, float, float, float]
) -> None:
    """One line in log.csv, and the curve drawn anew."""
    path = run / "log.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(
                ["minutes", "patches", "steps", "train_loss", "valid_loss", "valid_mm", "valid_db", "valid_presence"]
            )
        writer.writerow([f"{minutes:.1f}", trainer.patches, trainer.steps, *(f"{v:.4f}" for v in (train_loss, *valid))])
    draw(path, run / "curve.png")


def draw(table: Path, picture: Path) -> None:
    """Loss and dB against patches seen."""
    from matplotlib.figure import Figure

    rows = list(csv.DictReader(table.open()))
    patches = [int(r["patches"]) for r in rows]
    figure = Figure(figsize=(9, 4))
    left, right = figure.subplots(1, 2)
    for name in ("train_loss", "valid_loss"):
        left.plot(patches, [float(r[name]) for r in rows], label=name)
    right.plot(patches, [float(r["valid_db"]) for r in rows], label="held-out patches, dB")
    for axes in (left, right):
        axes.legend()
        axes.set_xlabel("patches")
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pool", type=Path, required=True, help="pages of pipeline.training.data.pages, training patients"
    )
    parser.add_argument("--valid", type=Path, required=True, help="the same, held-out patients; not replaced")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint, log and curve")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--batch", type=int, default=Options.batch)
    parser.add_argument("--rate", type=float, default=Options.rate)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--no-coordinates", action="store_true", help="the ablation without CoordConv")
    parser.add_argument("--sigmoid", action="store_true", help="the ablation without a softmax over the heights")
    parser.add_argument("--patches", type=int, help="stop after so many instead of after the minutes")
    parser.add_argument("--from-shipped", action="store_true", help="begin with the weights that ship")
    parser.add_argument("--from-checkpoint", type=Path, help="begin with the average of another run's checkpoint.pt")
    parser.add_argument("--columns", type=int, default=RowOptions.columns, help="of the strip in a cell, 4 or 2")
    parser.add_argument("--already", type=int, default=0, help="patches that those have seen, for the record")
    parser.add_argument("--decay-share", type=float, default=Options.decay_share, help="of the time, at its end")
    given = parser.parse_args()
    network = RowOptions(coordinates=not given.no_coordinates, columns=given.columns)
    options = Options(
        given.pool,
        given.valid,
        given.run,
        given.minutes,
        given.batch,
        given.rate,
        workers=given.workers,
        seed=given.seed,
        resume=given.resume,
        network=network,
        patches=given.patches,
        sigmoid=given.sigmoid,
        from_shipped=given.from_shipped,
        already=given.already,
        from_checkpoint=given.from_checkpoint,
        decay_share=given.decay_share,
    )
    options.run.mkdir(parents=True, exist_ok=True)
    (options.run / "meeting").unlink(missing_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if options.workers == 1:
        work(0, options)
    else:
        spawn(work, (options,), nprocs=options.workers)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
