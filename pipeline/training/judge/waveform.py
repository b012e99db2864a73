"""Judges stage 2 alone on held-out pages, with the true geometry, fits the scale of its sigma, and ships it.

Run as: python -m pipeline.training.judge.waveform --run DIR --valid DIR --pages 48 [--ship]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline
from torch import nn

from pipeline.errors import WeightsError
from pipeline.geometry import PaperMap
from pipeline.networks import RowNetwork, RowOptions, Running, Weights, load
from pipeline.networks.build import Arguments
from pipeline.recording import Float32, Seen, Source, Strip, UInt8
from pipeline.score import Score, score
from pipeline.training.data.pages import Pool, PooledPage
from pipeline.training.judge.error_power import ErrorPower, error_power, shares
from pipeline.training.ship import commit_here, ship
from pipeline.waveform import RowReader, read_traces
from pipeline.waveform.network import NetworkReader

DATA = "PTB-XL, CPSC 2018 and extra, Chapman/Ningbo, CODE-15 (CC BY 4.0), LUDB (ODC-BY 1.0), synthetic hearts; rendered"


@dataclass(frozen=True, eq=False)
class Judged:
    """A page read with its true geometry. error_mv, sigma_mv: float32 (k,) of all samples that were read."""

    source: Source
    score: Score
    error_mv: Float32
    sigma_mv: Float32
    bridged: float
    missed: float
    power: ErrorPower


def judge(
    page: PooledPage, reader: RowReader | None, twice_px_per_mm: float | None = None, twice: bool = False
) -> Judged:
    """One page as read. twice: read it twice, a column and a half apart.

    twice_px_per_mm: lay the whole page flat first at this resolution: the ablation of the single resampling.
    """
    truth = page.rendered.truth
    recording = truth.recording
    image, paper = page.rendered.page.image, truth.paper
    if twice_px_per_mm is not None:
        image, paper = _laid_flat(image, paper, twice_px_per_mm)
    traced = read_traces(
        image,
        paper,
        truth.segments,
        recording.speed_mm_s.value,
        page.gain_mm_mv,
        recording.rate_hz,
        reader,
        page.names_mm,
    )
    found = (traced.twice() if twice else traced).strips
    label, guess = _rows(recording.strips), _rows(found, max(s.samples for s in recording.strips))
    sigma = np.concatenate([s.sigma_mv[: t.samples] for s, t in zip(found, recording.strips, strict=True)])
    error = np.concatenate(
        [(s.millivolts - t.millivolts[: s.samples])[: t.samples] for s, t in zip(found, recording.strips, strict=True)]
    )
    seen = np.concatenate([s.seen[: t.samples] for s, t in zip(found, recording.strips, strict=True)])
    read = seen == Seen.READ
    return Judged(
        truth.source,
        score(label, guess, recording.rate_hz),
        np.abs(error[read]),
        sigma[read],
        float((seen == Seen.BRIDGED).mean()),
        float((seen == Seen.NOTHING).mean()),
        error_power(label, guess[:, : label.shape[1]], recording.rate_hz),
    )


def _laid_flat(image: UInt8, paper: PaperMap, px_per_mm: float) -> tuple[UInt8, PaperMap]:
    """The page within its lattice, straight, and the map that is left: a scale."""
    x0, x1, y0, y1 = (float(v) for v in (paper.x_mm[0], paper.x_mm[-1], paper.y_mm[0], paper.y_mm[-1]))
    coarse_x = np.linspace(x0, x1, max(2, round((x1 - x0) / 2.5)))
    coarse_y = np.linspace(y0, y1, max(2, round((y1 - y0) / 2.5)))
    nodes = paper.to_px(np.stack(np.meshgrid(coarse_x, coarse_y), axis=-1))
    at_x = x0 + (np.arange(round((x1 - x0) * px_per_mm)) + 0.5) / px_per_mm
    at_y = y0 + (np.arange(round((y1 - y0) * px_per_mm)) + 0.5) / px_per_mm
    kx, ky = min(3, len(coarse_x) - 1), min(3, len(coarse_y) - 1)
    splines = [RectBivariateSpline(coarse_y, coarse_x, nodes[..., axis], kx=ky, ky=kx) for axis in (0, 1)]
    px, py = (spline(at_y, at_x).astype(np.float32) for spline in splines)
    flat = cv2.remap(np.ascontiguousarray(image), px, py, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    matrix = np.array([[px_per_mm, 0.0, -x0 * px_per_mm - 0.5], [0.0, px_per_mm, -y0 * px_per_mm - 0.5]])
    return np.asarray(flat, np.uint8), PaperMap.affine(matrix, (x0, y0, x1, y1), paper.known)


def _rows(strips: Sequence[Strip], samples: int | None = None) -> Float32:
    """float32 (strips, samples) mV, padded with NaN."""
    samples = samples or max(s.samples for s in strips)
    out = np.full((len(strips), samples), np.nan, np.float32)
    for row, strip in enumerate(strips):
        out[row, : strip.samples] = strip.millivolts[:samples]
    return out


def sigma_scale(judged: Sequence[Judged]) -> float:
    """What the decoded sigmas must be multiplied by so that one of them covers 68.3 % of the errors."""
    ratios = np.concatenate([j.error_mv / j.sigma_mv for j in judged])
    return float(np.quantile(ratios, 0.6827))


def table(judged: Sequence[Judged], scale: float) -> str:
    """Markdown: a line per kind of image and one for all. contest dB: of the mean ratio, as the contest averages."""
    kinds: dict[str, list[Judged]] = defaultdict(list)
    for page in judged:
        kinds[page.source].append(page)
    head = "| kind | pages | dB | median dB | contest dB | lead dB | r | RMSE mV | not read % | 1 σ % | 2 σ % |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|---|"]
    for kind, pages in [*sorted(kinds.items()), ("all", list(judged))]:
        ratio = np.concatenate([j.error_mv / (j.sigma_mv * scale) for j in pages])
        db = [j.score.kaggle_db for j in pages]
        cells = [
            f"{np.mean(db):.1f}",
            f"{np.median(db):.1f}",
            f"{10 * np.log10(np.mean([j.score.ratio for j in pages])):.1f}",
            f"{np.mean([j.score.lead_db for j in pages]):.1f}",
            f"{np.mean([j.score.r for j in pages]):.3f}",
            f"{np.mean([j.score.rmse_mv for j in pages]):.3f}",
            f"{100 * np.mean([j.missed for j in pages]):.2f}",
            f"{100 * (ratio < 1).mean():.0f}",
            f"{100 * (ratio < 2).mean():.0f}",
        ]
        lines.append(f"| {kind} | {len(pages)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def load_run(checkpoint: Path) -> tuple[RowNetwork, RowOptions, int]:
    """The running average of a checkpoint, what it is built of, and the patches it has seen."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    built = state["options"]
    options = RowOptions(**(built | {"widths": tuple(built["widths"])}))
    network = RowNetwork(options)
    network.load_state_dict(state["average"])
    return network.eval(), options, state["patches"]


def load_judged(run: Path | None) -> tuple[nn.Module, Arguments, str]:
    """A network to judge, what it is built of, and how long it learned: of a run, or the one that ships.

    Raises WeightsError where run is None and none ship.
    """
    if run is not None:
        network, options, patches = load_run(run / "checkpoint.pt")
        return network, asdict(options) | {"widths": list(options.widths)}, f"{patches} patches"
    shipped = load("waveform")
    if shipped is None:
        raise WeightsError("no weights of stage 2 ship: name a run")
    return shipped.network, shipped.weights.arguments, shipped.weights.score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="folder of checkpoint.pt; without it the weights that ship are judged")
    parser.add_argument("--valid", type=Path, required=True, help="pool of held-out pages")
    parser.add_argument("--pages", type=int, default=48)
    parser.add_argument("--classical", action="store_true", help="judge the tracer without weights instead")
    parser.add_argument("--twice", type=float, metavar="PX_PER_MM", help="lay pages flat first: the ablation")
    parser.add_argument("--read-twice", action="store_true", help="read every row twice, a column and a half apart")
    parser.add_argument("--ship", action="store_true", help="write the weights and their row of the manifest")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if given.ship and given.run is None:
        parser.error("--ship: name the --run whose weights are to ship")
    network, arguments, patches = load_judged(given.run)
    reader = None if given.classical else NetworkReader(Running(network))
    judged = [judge(page, reader, given.twice, given.read_twice) for page in Pool(given.valid).first(given.pages)]
    scale = sigma_scale(judged)
    print(f"{patches}, sigma scale {scale:.3f}\n{table(judged, scale)}\n{shares([j.power for j in judged])}")
    if given.ship:
        db = np.mean([j.score.kaggle_db for j in judged])
        row = Weights(
            "waveform",
            "waveform.safetensors",
            "",
            commit_here(),
            1,
            DATA,
            f"{db:.1f} dB (Kaggle rule, mean of {len(judged)} held-out renders, true geometry), {patches}",
            round(scale, 3),
            arguments,
        )
        print(ship(network.state_dict(), row))


if __name__ == "__main__":
    main()
