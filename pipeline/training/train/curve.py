"""A training log as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure

_ACROSS = 4  # panels in a row


def draw_curve(table: Path, picture: Path, against: str) -> None:
    """Every column of a CSV log in a panel of its own, against one of them; train and valid loss share theirs."""
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name not in (against, "minutes", "train_loss")]
    tall = -(-len(columns) // _ACROSS)
    figure = Figure(figsize=(4 * min(_ACROSS, len(columns)), 3.2 * tall), layout="tight")
    for number, name in enumerate(columns, 1):
        axes = figure.add_subplot(tall, min(_ACROSS, len(columns)), number)
        at = [float(row[against]) for row in rows]
        axes.plot(at, [float(row[name]) for row in rows], label=name)
        if name == "valid_loss":
            axes.plot(at, [float(row["train_loss"]) for row in rows], label="train_loss")
        axes.set_xlabel(against)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(picture, dpi=80)
