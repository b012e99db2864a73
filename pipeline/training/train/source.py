"""Trains the source classifier: which kind of image a page is, and how badly it was degraded in which ways.

Run as: python -m pipeline.training.train.source --pool DIR --valid DIR --run DIR --minutes 60 [--resume]
On a large GPU: --batch 64 --rate 2e-3.

Logits: one per Source, then one per Degradation, whose sigmoid is the severity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.build import Arguments
from pipeline.networks.thumbnail import BUSY, SIDE, compose
from pipeline.recording import Degradation, Source, UInt8
from pipeline.synth.other import render_not_an_ecg
from pipeline.training.data.crops import set_upright
from pipeline.training.data.pages import PooledPage
from pipeline.training.train.loop import Arrays, Task, train
from pipeline.training.train.options import options_of, parser_of

ENCODER = "efficientnet_b5"
KINDS = tuple(Source)
NO_ECG = KINDS.index(Source.NOT_AN_ECG)
NO_ECG_SHARE = 0.12
NO_ECG_SEED = 40_000_000  # training pages that are no ECG start here, those for judging a million further
KEPT = 150  # pages that are no ECG a worker remembers
REFRESHED = 0.15  # of their visits bring a new one: drawing one costs about as much as learning from one
CROPPED = 0.12  # of a side at most
SEVERITY_WEIGHT = 2.0
PRIOR = -2.0  # the logit of 0.12, the mean severity: most pages lack most degradations


@dataclass(eq=False)
class Others:
    """Pages that are no ECG, as they were drawn, with a share of new ones; not shared between processes."""

    pages: dict[int, UInt8] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator, *, plain: bool) -> UInt8:
        """uint8 (H, W, 3). Plain pages are never shown in training."""
        if plain:
            return render_not_an_ecg(NO_ECG_SEED + 1_000_000 + int(rng.integers(1_000_000))).image
        if len(self.pages) < KEPT or rng.random() < REFRESHED:
            seed = NO_ECG_SEED + int(rng.integers(1_000_000))
            if len(self.pages) >= KEPT:
                self.pages.pop(next(iter(self.pages)))
            self.pages[seed] = render_not_an_ecg(seed).image
            return self.pages[seed]
        return self.pages[list(self.pages)[rng.integers(len(self.pages))]]


@dataclass(frozen=True)
class SourceTask(Task):
    """A sample: uint8 (3, side, side); int64 class; float32 (9,) severities, NaN where they are not known."""

    others: Others = field(default_factory=Others)

    def build(self) -> nn.Module:
        network = super().build()
        last = network.get_submodule("classifier")
        assert isinstance(last, nn.Linear)  # as timm builds EfficientNets
        with torch.no_grad():
            last.bias[len(KINDS) :] = PRIOR
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups > 1:
                layer.forward = MethodType(_in_float32_on_a_cpu, layer)  # type: ignore[method-assign]
        return network

    def sample(self, page: PooledPage, rng: np.random.Generator, *, plain: bool) -> Arrays:
        truth = page.rendered.truth
        if rng.random() < NO_ECG_SHARE:
            image, kind = self.others.draw(rng, plain=plain), NO_ECG
            severities = np.full(len(Degradation), np.nan, np.float32)
        else:
            image, kind = page.rendered.page.image, KINDS.index(truth.source)
            severities = np.array(truth.degradations, np.float32)
        busy = BUSY
        if not plain:
            image = _cropped(set_upright(image, int(rng.integers(8)) if rng.random() < 0.5 else 0), rng)
            busy = tuple(np.clip(np.array(BUSY) + rng.normal(0, 0.12, 3), 0, 1).tolist())
        # no other disturbance: brightness, blur and grain are what this network is asked about
        picture = compose(image, busy, int(cast(int, self.arguments["side"])))
        return picture.transpose(2, 0, 1), np.int64(kind), severities  # type: ignore[return-value]

    def loss(self, output: Tensor, targets: Sequence[Tensor]) -> Tensor:
        output = output.float()
        kind, severities = targets
        known = torch.isfinite(severities)
        # cross-entropy also for a severity: its least is at the expected severity, and far off it pulls hardest
        degraded = F.binary_cross_entropy_with_logits(
            output[:, len(KINDS) :], torch.nan_to_num(severities), reduction="none"
        )
        severity = (degraded * known).sum() / known.sum().clamp_min(1)
        return F.cross_entropy(output[:, : len(KINDS)], kind) + SEVERITY_WEIGHT * severity

    def judge(self, output: Tensor, targets: Sequence[Tensor]) -> Mapping[str, float]:
        """Share of kinds told right, of ECG told from no ECG, and the mean error of severities."""
        output = output.float()
        kind, severities = targets
        said = output[:, : len(KINDS)].argmax(dim=1)
        off = (output[:, len(KINDS) :].sigmoid() - severities).abs()
        return {
            "accuracy": float((said == kind).float().mean()),
            "ecg_or_not": float(((said == NO_ECG) == (kind == NO_ECG)).float().mean()),
            "severity_error": float(off.nanmean()),
        }


def _in_float32_on_a_cpu(layer: nn.Conv2d, pixels: Tensor) -> Tensor:
    """A depthwise convolution; in bfloat16 a CPU learns its 5x5 kernels at a third of the speed."""
    if pixels.device.type != "cpu":
        return nn.Conv2d.forward(layer, pixels)
    with torch.autocast("cpu", enabled=False):
        return nn.Conv2d.forward(layer, pixels.float())


def _cropped(image: UInt8, rng: np.random.Generator) -> UInt8:
    """A view of less of the page on every side."""
    h, w = image.shape[:2]
    top, bottom = (rng.uniform(0, CROPPED, 2) * h).astype(int)
    left, right = (rng.uniform(0, CROPPED, 2) * w).astype(int)
    return image[top : h - bottom, left : w - right]


def main() -> None:
    parser = parser_of(__doc__, batch=8)
    parser.add_argument("--encoder", default=ENCODER, help="of timm; efficientnet_b0 learns eight times as fast")
    parser.add_argument("--side", type=int, default=SIDE, help="of the picture a page is shown as, pixels")
    given = parser.parse_args()
    train(task(given.encoder, given.side), options_of(given))


def task(encoder: str = ENCODER, side: int = SIDE) -> SourceTask:
    outputs: Arguments = {"classes": len(KINDS), "degradations": len(Degradation)}
    return SourceTask("source", outputs | {"encoder": encoder, "side": side})


if __name__ == "__main__":
    main()
