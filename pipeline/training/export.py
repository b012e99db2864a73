"""Judges the running average in a trainer's checkpoint, as it will be shipped, and ships it.

Run as: python -m pipeline.training.export source|register|grid --run DIR --valid DIR [--ship] [--to DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pipeline.networks import WEIGHTS, Weights
from pipeline.training.ship import commit_here, ship
from pipeline.training.train import grid, register, source
from pipeline.training.train.loop import Run, Task, held_out

TASKS: dict[str, Callable[[], Task]] = {"source": source.task, "register": register.task, "grid": grid.task}
DATA = "pages of pipeline.synth with signals of training patients; judged on pages of others"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(TASKS))
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--judged", type=int, default=240, help="held-out samples")
    parser.add_argument("--seed", type=int, default=1, help="of the training run, for the record")
    parser.add_argument("--ship", action="store_true", help="write the weights and their row of the manifest")
    parser.add_argument("--to", type=Path, default=WEIGHTS, help="folder of the manifest")
    given = parser.parse_args()
    row, state = judged_row(TASKS[given.name](), given.run, given.valid, given.judged, given.seed)
    print(row.score)
    if given.ship:
        print(ship(state, row, given.to))


def judged_row(task: Task, run: Path, valid: Path, judged: int, seed: int = 1) -> tuple[Weights, dict[str, Tensor]]:
    """The row of the manifest and the tensors of the checkpoint's average, judged after rounding to fp16 and back."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    if state["name"] != task.name:
        raise ValueError(f"{run} holds a run of {state['name']}, not of {task.name}")
    average = {key: rounded(value) for key, value in state["average"].items()}
    task = replace(task, arguments=state["arguments"])
    trained = Run(task, seed, run, device)
    trained.average.load_state_dict(average)
    figures = trained.judge(held_out(task, valid, judged, 8))
    score = ", ".join(f"{key} {value:.3g}" for key, value in figures.items())
    score += f" ({judged} held-out samples), {state['samples']} samples in {state['minutes']:.0f} minutes"
    file = f"{task.name}.safetensors"
    return Weights(task.name, file, "", commit_here(), seed, DATA, score, arguments=state["arguments"]), average


def rounded(value: Tensor) -> Tensor:
    """As it comes back from the shipped file: kernels through fp16."""
    return value.to(torch.float16).float() if value.dtype == torch.float32 and value.ndim > 1 else value


if __name__ == "__main__":
    main()
