"""Trains the delineator on the marks that cardiologists set in LUDB, and judges it on patients it has not seen.

Run as: python -m pipeline.training.train.delineator --signals DIR --out DIR [--folds 3] [--epochs 24]

What is learned is, for every beat, the median over the leads of where cardiologists saw a wave begin and end, from any
few of the leads: the median QRS duration of hearts without a block is 92 ms by it, as electrocardiographs print, where
the earliest and the latest mark of all leads make 110.
"""

from __future__ import annotations

import argparse
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter1d
from torch import nn
from torch.nn import functional

from pipeline.intervals.build import (
    AFTER_S,
    BEFORE_S,
    CELL_S,
    CELLS,
    DILATIONS,
    HEAD_DILATIONS,
    SAMPLES,
    STRIDE,
    WHOLE,
)
from pipeline.intervals.network import BOUNDARIES
from pipeline.intervals.windows import swing, window
from pipeline.recording import TWELVE, Float32, Float64

MARKS = "ludb_delineation.json.gz"
SIGNALS = "ludb_shape_only.npz"
LEADS_MIN = 6  # with a mark of their own: fewer make no median over the leads
ONE_BEAT_S = 0.15  # marks of QRS complexes of different leads that belong to one beat
P_REACH_S, T_REACH_S = 0.4, 0.7  # how far before and after its QRS complex a beat's P and T wave peak
COLUMNS = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11))
CHANNELS, WIDTH, HEAD_WIDTH = 3, 24, 32
TARGET_S = 0.006  # standard deviation: what cardiologists differ by on steep waves
AVERAGED = 0.005  # of every step in the running average: some 200 steps, a third of a run
BATCH = 32


@dataclass(frozen=True, eq=False)
class Beat:
    """A beat of a recording.

    marks_s: float64 (6,) as BOUNDARIES, seconds from the recording's start, NaN for no wave.
    """

    record: int
    centre_s: float
    marks_s: Float64


@dataclass(frozen=True, eq=False)
class Ludb:
    """signals: float32 (records, 12, n), each lead on its own scale. patients: whose each is. labels: as published."""

    signals: Float32
    rate_hz: float
    patients: tuple[str, ...]
    labels: tuple[str, ...]
    beats: tuple[Beat, ...]

    @classmethod
    def read(cls, folder: Path) -> Ludb:
        """The recordings and marks of a folder. Raises FileNotFoundError where they are not there."""
        with np.load(folder / SIGNALS, allow_pickle=False) as held:
            signals = held["x"].astype(np.float32) / 1000
            rate_hz = float(held["fs"][0])
            records = [str(each) for each in held["record_id"]]
            patients = tuple(str(each) for each in held["patient_id"])
            labels = tuple(str(each) for each in held["label"])
        marks = json.loads(gzip.decompress((folder / MARKS).read_bytes()))
        beats = [beat for k, name in enumerate(records) for beat in _beats(k, marks[name], rate_hz)]
        return cls(signals, rate_hz, patients, labels, tuple(beats))

    def folds(self, count: int) -> tuple[frozenset[int], ...]:
        """Disjoint sets of recordings, no patient in two of them."""
        people = sorted(set(self.patients), key=lambda name: (len(name), name))
        fold = {person: k % count for k, person in enumerate(people)}
        return tuple(
            frozenset(k for k, person in enumerate(self.patients) if fold[person] == each) for each in range(count)
        )


def _beats(record: int, marks: dict[str, list[tuple[int, str]]], rate_hz: float) -> list[Beat]:
    waves = {lead: _waves(each, rate_hz) for lead, each in marks.items()}
    peaks = sorted((peak, lead) for lead in waves for kind, _, peak, _ in waves[lead] if kind == "N")
    groups: list[list[tuple[float, str]]] = []
    for peak, lead in peaks:
        if groups and peak - groups[-1][0][0] < ONE_BEAT_S:
            groups[-1].append((peak, lead))
        else:
            groups.append([(peak, lead)])
    centres = [
        float(np.median([peak for peak, _ in group]))
        for group in groups
        if len({lead for _, lead in group}) >= LEADS_MIN
    ]
    out = []
    for k, centre in enumerate(centres):
        before = centres[k - 1] if k else -np.inf
        after = centres[k + 1] if k + 1 < len(centres) else np.inf
        seen: dict[str, list[float]] = {name: [] for name in BOUNDARIES}
        for lead in waves:
            for kind, begins, peak, ends in waves[lead]:
                late = peak - centre
                if kind == "N" and abs(late) < ONE_BEAT_S:
                    name = "qrs"
                elif kind == "p" and -P_REACH_S < late < 0 and peak > before + ONE_BEAT_S:
                    name = "p"
                elif kind == "t" and 0 < late < T_REACH_S and peak < after:
                    name = "t"
                else:
                    continue
                seen[f"{name}_on"].append(begins)
                seen[f"{name}_off"].append(ends)
        found = [float(np.median(seen[name])) if len(seen[name]) >= LEADS_MIN else np.nan for name in BOUNDARIES]
        out.append(Beat(record, centre, np.array(found)))
    return out


def _waves(marks: list[tuple[int, str]], rate_hz: float) -> list[tuple[str, float, float, float]]:
    """Kind, begin, peak and end in seconds of every wave whose three marks are there."""
    out, begins, peak = [], None, None
    for sample, kind in marks:
        if kind == "(":
            begins, peak = sample, None
        elif kind == ")":
            if begins is not None and peak is not None:
                out.append((peak[1], begins / rate_hz, peak[0] / rate_hz, sample / rate_hz))
            begins, peak = None, None
        else:
            peak = (sample, kind)
    return out


class Delineator(nn.Module):
    """As pipeline.intervals.network computes it: leads alike, then what any of them shows, then where waves begin."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(CHANNELS, WIDTH, 9, stride=STRIDE, padding=4)
        self.trunk = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, 5, padding=2 * d, dilation=d) for d in DILATIONS)
        widths = [2 * WIDTH] + [HEAD_WIDTH] * len(HEAD_DILATIONS)
        self.head = nn.ModuleList(
            nn.Conv1d(a, HEAD_WIDTH, 5, padding=2 * d, dilation=d) for a, d in zip(widths, HEAD_DILATIONS, strict=False)
        )
        self.where = nn.Conv1d(HEAD_WIDTH, len(BOUNDARIES), 1)
        self.absent = nn.Linear(2 * HEAD_WIDTH, len(BOUNDARIES))

    def forward(self, leads: torch.Tensor) -> torch.Tensor:
        """(beats, leads, CHANNELS, SAMPLES) -> (beats, 6, CELLS + 1) log-probabilities; the last: no such wave."""
        beats, count = leads.shape[:2]
        x = functional.relu(self.stem(leads.flatten(0, 1)))
        for layer in self.trunk:
            x = x + functional.relu(layer(x))
        x = x.view(beats, count, *x.shape[1:])
        x = torch.cat([x.mean(1), x.amax(1)], 1)
        for layer in self.head:
            x = functional.relu(layer(x))
        absent = self.absent(torch.cat([x.mean(2), x.amax(2)], 1))
        return functional.log_softmax(torch.cat([self.where(x), absent[:, :, None]], 2), 2)


def targets(marks_s: Float64) -> Float32:
    """float32 (6, CELLS + 1): where each boundary is, as odds. marks_s: from the beat's centre, NaN for none."""
    cells_s = np.arange(CELLS) * CELL_S - BEFORE_S
    out = np.zeros((len(BOUNDARIES), CELLS + 1), np.float32)
    for row, mark in enumerate(marks_s):
        if np.isnan(mark):
            out[row, -1] = 1
        elif -BEFORE_S < mark < AFTER_S - CELL_S:
            near = np.exp(-0.5 * ((cells_s - mark) / TARGET_S) ** 2)
            out[row, :-1] = near / near.sum()
    return out


def draw(data: Ludb, beat: Beat, leads: np.ndarray, rng: np.random.Generator) -> tuple[Float32, Float32, Float64]:
    """A beat varied: windows float32 (leads, CHANNELS, SAMPLES), targets, and the marks from the window's centre."""
    pace = float(rng.uniform(0.8, 1.25))
    centre = beat.centre_s + rng.uniform(-0.04, 0.04)
    begins, ends = _span(rng)
    cut_off, noise = rng.exponential(0.0025), rng.exponential(0.006)
    out = []
    for lead in leads:
        whole = data.signals[beat.record, lead]
        size = swing(whole)
        first = max(0, round((centre - 1.0) * data.rate_hz))
        part = whole[first : round((centre + 1.2) * data.rate_hz)].astype(np.float64)
        part = gaussian_filter1d(part, max(cut_off * data.rate_hz, 1e-3)) * rng.choice([1, 1, 1, -1])
        at = np.arange(len(part)) / data.rate_hz
        part = part + size * rng.normal(0, noise, len(part))
        drift = rng.exponential(0.02) * np.sin(2 * np.pi * rng.uniform(0.1, 0.7) * at + rng.uniform(0, 6.28))
        piece = (part + size * drift).astype(np.float32)
        at_s = first / data.rate_hz + at - centre
        piece[(at_s < begins * pace) | (at_s > ends * pace)] = np.nan
        out.append(window(piece, data.rate_hz, centre - first / data.rate_hz, pace, size * rng.lognormal(0, 0.15)))
    marks = (beat.marks_s - centre) / pace
    return np.stack(out), targets(marks), marks


def _span(rng: np.random.Generator) -> tuple[float, float]:
    """From when to when a window is read: on a third of them a lead's end lies within it."""
    kind = rng.random()
    if kind < 0.15:
        return float(rng.uniform(-0.45, -0.06)), AFTER_S
    return (-BEFORE_S, float(rng.uniform(0.1, 0.65))) if kind < 0.3 else (-BEFORE_S, AFTER_S)


def some_leads(rng: np.random.Generator, count: int) -> np.ndarray:
    """A column's three leads, with the rhythm lead where there are four, or any."""
    if count in (3, 4):
        column = list(COLUMNS[rng.integers(4)])
        return np.array([*column, 1][:count])
    return np.asarray(rng.permutation(len(TWELVE))[:count])


def train(data: Ludb, records: frozenset[int], epochs: int, seed: int = 1) -> Delineator:
    """A network that has seen the beats of these recordings."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    beats = [beat for beat in data.beats if beat.record in records]
    network = Delineator()
    steps = epochs * len(beats) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps + 1)
    average = Delineator()
    average.load_state_dict(network.state_dict())
    cells_s = torch.arange(CELLS) * CELL_S - BEFORE_S
    for step in range(steps):
        count = int(rng.choice([1, 2, 3, 3, 3, 4, 4, 6, 12]))
        drawn = [draw(data, beats[rng.integers(len(beats))], some_leads(rng, count), rng) for _ in range(BATCH)]
        leads, wanted = (torch.from_numpy(np.stack([each[k] for each in drawn])) for k in (0, 1))
        marks = torch.from_numpy(np.stack([each[2] for each in drawn])).float()
        said = network(leads)
        # cut-off parts of a lead do not tell whether there is a wave in them
        shown = _shown(leads, marks)
        loss = -((wanted * said).sum(2) * shown).sum() / shown.sum()
        there = (wanted[:, :, :-1].sum(2) > 0) & (shown > 0)
        placed = functional.softmax(said[:, :, :-1], 2) @ cells_s
        off = (placed - marks.nan_to_num()).abs()[there].clamp(max=0.1).mean()
        optimizer.zero_grad()
        (loss + 20.0 * off).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        rate.step()
        follow(average, network)
        if step % 300 == 0:
            print(f"step {step} of {steps}: {loss.item():.3f}, off {1000 * off.item():.1f} ms", flush=True)
    return average.eval()


def follow(average: nn.Module, network: nn.Module) -> None:
    """Moves a running average of weights towards those of the network."""
    with torch.no_grad():
        for held, new in zip(average.parameters(), network.parameters(), strict=True):
            held.lerp_(new, AVERAGED)


def _shown(leads: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """(beats, 6): 1 where some lead is read at the boundary; a wave that is not there counts where all is read."""
    read = leads[:, :, 2].amax(1)
    cell = ((marks.nan_to_num() + BEFORE_S) / CELL_S * STRIDE).long().clamp(0, SAMPLES - 1)
    at = read.gather(1, cell)
    whole = read.mean(1, keepdim=True).expand_as(at) > WHOLE
    return torch.where(marks.isnan(), whole.float(), at)


def export(network: Delineator, file: Path) -> None:
    """Writes the weights as the run path reads them: float32, by torch's names."""
    save_file({name: each.detach().numpy() for name, each in network.state_dict().items()}, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=Path, required=True, help=f"folder of {SIGNALS} and {MARKS}")
    parser.add_argument("--out", type=Path, required=True, help="folder for fold-K.safetensors and all.safetensors")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=24)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = Ludb.read(given.signals)
    given.out.mkdir(parents=True, exist_ok=True)
    everyone = frozenset(range(len(data.patients)))
    for number, held_out in enumerate(data.folds(given.folds)):
        export(train(data, everyone - held_out, given.epochs), given.out / f"fold-{number}.safetensors")
    export(train(data, everyone, given.epochs), given.out / "all.safetensors")


if __name__ == "__main__":
    main()
