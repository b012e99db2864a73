"""Judges stage 1: how far the lattice of a page lies from the true one, by lines, by the network, and by both.

Run as: python -m pipeline.training.judge.grid --pages 66 [--run DIR] [--signals DIR --cache DIR] [--out FILE.csv]
Without --run the weights that ship; with it the running average in a trainer's checkpoint. Prints Markdown.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import torch
from torch import nn

from pipeline import enhance, source
from pipeline.geometry import Float64, PaperMap
from pipeline.networks import Network, Running, load
from pipeline.paper import fallback, find_grid, lines, phases
from pipeline.paper.fields import look
from pipeline.recording import Known, Source, UInt8
from pipeline.synth.signals import SignalBank
from pipeline.synth.truth import PageTruth, Rendered
from pipeline.training.data.suite import Case, draw
from pipeline.training.train import grid

KINDS = (
    Source.PHOTO_OF_PAPER,
    Source.CREASED,
    Source.STAINED,
    Source.MOULDY_COLOUR_SCAN,
    Source.MOULDY_BW_SCAN,
    Source.BW_SCAN,
    Source.FADED,
    Source.FAX_FINE,
    Source.FAX_STANDARD,
    Source.PHOTO_OF_SCREEN,
    Source.COLOUR_SCAN,
)
FIRST = 100_000  # number of the first case: none of the suite that judges the whole pipeline is among these
RIGHT_MM = 0.5  # at 95 of 100 nodes: half of a millimetre square


@dataclass(frozen=True)
class Row:
    """One page. p50, p95: of the nodes' distances from the truth, mm of paper; px the latter in pixels of the image.

    lines: without the network; alone: the network's phases, not followed along the lines; both: as digitize() does.
    NaN where the network sees no ruling. known, strength: of both.
    """

    number: int
    kind: str
    ruled: bool
    lines_p50: float
    lines_p95: float
    lines_known: str
    lines_strength: float
    alone_p50: float
    alone_p95: float
    both_p50: float
    both_p95: float
    both_px: float
    known: str
    strength: float
    lines_s: float
    both_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=66)
    parser.add_argument("--first", type=int, default=FIRST, help="number of the first page")
    parser.add_argument("--run", type=Path, help="folder of a trainer's checkpoint")
    parser.add_argument("--signals", type=Path, help="folder of *.npz recordings; the synthetic heart without it")
    parser.add_argument("--cache", type=Path, help="where they are unpacked")
    parser.add_argument("--out", type=Path, help="a CSV with a row a page")
    given = parser.parse_args()
    if (given.signals is None) != (given.cache is None):
        parser.error("--signals and --cache go together")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    bank = None if given.signals is None else SignalBank(given.signals, given.cache)
    network = Running(shipped() if given.run is None else trained(given.run))
    rows = list(judged(given.pages, given.first, bank, network))
    if given.out:
        _write(given.out, rows)
    print(table(rows))


def shipped() -> nn.Module:
    """The network whose weights the manifest names. Raises FileNotFoundError where it names none."""
    loaded = load("grid")
    if loaded is None:
        raise FileNotFoundError("the manifest names no weights of the grid network: give --run")
    return loaded.network


def trained(run: Path) -> nn.Module:
    """The running average of a trainer's checkpoint."""
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    network = grid.task(depth=int(state["arguments"]["depth"])).build()
    network.load_state_dict(state["average"])
    return network.eval()


def judged(pages: int, first: int, bank: SignalBank | None, network: Network) -> Iterator[Row]:
    """A row a page, the kinds in turn, every other page of a kind plain (see suite)."""
    for number in range(pages):
        kind = KINDS[number % len(KINDS)]
        case = Case(first + number, kind, (number // len(KINDS)) % 2 == 0)
        yield judge(number, draw(case, bank).rendered, network)


def judge(number: int, rendered: Rendered, network: Network) -> Row:
    """Both lattices of a page, as digitize() would find them."""
    page, truth = rendered.page, rendered.truth
    image = enhance.enhance(page.image, source.classify(page.image, page.dpi))
    began = process_time()
    lined = find_grid(image, page.dpi)
    between = process_time()
    both = find_grid(image, page.dpi, network)
    ended = process_time()
    alone = _alone(image, page.dpi, network)
    lines_mm, _ = errors(lined.paper, truth, page.image.shape[:2])
    both_mm, both_px = errors(both.paper, truth, page.image.shape[:2])
    alone_mm = np.array([np.nan]) if alone is None else errors(alone, truth, page.image.shape[:2])[0]
    return Row(
        number,
        str(truth.source),
        truth.ruled,
        float(np.median(lines_mm)),
        float(np.quantile(lines_mm, 0.95)),
        str(lined.known),
        lined.strength,
        float(np.median(alone_mm)),
        float(np.quantile(alone_mm, 0.95)),
        float(np.median(both_mm)),
        float(np.quantile(both_mm, 0.95)),
        float(np.quantile(both_px, 0.95)),
        str(both.known),
        both.strength,
        between - began,
        ended - between,
    )


def _alone(image: UInt8, dpi: tuple[float, float] | None, network: Network) -> PaperMap | None:
    """The map that the network's phases alone draw."""
    guess = fallback.trusted(dpi, image.shape[:2]) or (max(image.shape[:2]) / lines.TYPICAL_PAGE_MM,) * 2
    drawn = phases.lattice_of(look(network, image, [guess]))
    return None if drawn is None else PaperMap(drawn.x_mm, drawn.y_mm, drawn.nodes_px, Known.GRID)


def errors(found: PaperMap, truth: PageTruth, shape: tuple[int, int]) -> tuple[Float64, Float64]:
    """Of every true node in the picture and in the ruled part, the distance of the lattice's in mm and in pixels.

    But for one shift: where the lattice begins to count has no meaning.
    """
    paper = truth.paper
    mm = np.stack(np.meshgrid(paper.x_mm, paper.y_mm), axis=-1)
    inside = np.all((paper.nodes_px > 0) & (paper.nodes_px < [shape[1] - 1, shape[0] - 1]), axis=-1)
    if truth.ruled and truth.ruled_mm is not None:
        x0, y0, x1, y1 = truth.ruled_mm
        inside &= np.all((mm >= [x0, y0]) & (mm <= [x1, y1]), axis=-1)
    off = found.to_mm(paper.nodes_px[inside]) - mm[inside]
    shift = np.median(off, axis=0)
    px = found.to_px(mm[inside] + shift) - paper.nodes_px[inside]
    return np.hypot(*(off - shift).T), np.hypot(*px.T)


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line a kind, and all."""
    out = [
        "| kind | pages | no grid printed | right by lines | by network | by both | p95 mm by lines | by network "
        "| by both | p50 mm | p95 px | s lines | s both |",
        "|" + "---|" * 13,
    ]
    for kind in [*dict.fromkeys(row.kind for row in rows), "all"]:
        mine = [row for row in rows if kind in (row.kind, "all")]
        ways = ("lines_p95", "alone_p95", "both_p95")
        right = [f"{np.mean(_column(mine, way) < RIGHT_MM):.0%}" for way in ways]
        middle = [f"{np.nanmedian(_column(mine, name)):.3f}" for name in (*ways, "both_p50", "both_px")]
        seconds = [f"{np.mean(_column(mine, name)):.2f}" for name in ("lines_s", "both_s")]
        bare = sum(not row.ruled for row in mine)
        out.append("| " + " | ".join([kind, str(len(mine)), str(bare), *right, *middle, *seconds]) + " |")
    wrong = [row for row in rows if row.both_p95 >= RIGHT_MM]
    told = sum(row.known != Known.GRID for row in wrong)
    out.append("")
    out.append(
        f"Right: 95 of 100 nodes within {RIGHT_MM} mm. Millimetres and pixels are medians over pages, seconds means "
        f"of CPU time. Of the {len(wrong)} wrong with the network {told} said that no grid was found."
    )
    return "\n".join(out)


def _column(rows: Sequence[Row], name: str) -> Float64:
    return np.array([getattr(row, name) for row in rows], np.float64)


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


if __name__ == "__main__":
    main()
