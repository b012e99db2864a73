"""What stage 2 is asked for: at every column a distribution over heights around the truth, or "no ink"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.training.data.patches import Patch
from pipeline.waveform.strip import COLUMNS_PER_MM

NULL_WEIGHT = 0.3
EXPECTATION_WEIGHT = 0.15
RATIO_WEIGHT = 0.6  # 0.15 gave 0.8 dB less in the mean of networks trained side by side
BEST_RATIO = 384.0  # the rule's cap, 25.84 dB: what is better than that is not asked for
STEEP_WEIGHT = 0.5  # per bin in an eighth of a millimetre: QRS slopes are few columns and most of the signal's power
STEEPEST = 6.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Stacked patches on the training device; target is NaN where there is no ink."""

    pixels: Tensor
    hints: Tensor
    target: Tensor
    counted: Tensor


def stack(patches: list[Patch], device: torch.device) -> Batch:
    return Batch(
        *(
            torch.from_numpy(np.stack([getattr(p, name) for p in patches])).to(device)
            for name in ("pixels", "hints", "target", "counted")
        )
    )


def loss_of(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy to a Gaussian of one bin around the truth, or to "no ink", and how far off the expectation is.

    That once by its Huber error and once by the patch's ratio of noise to signal, which is what pages are judged by.
    logits: float32 (N, bins + 1, columns).
    """
    bins = logits.shape[1] - 1
    log_p = F.log_softmax(logits, dim=1)
    ink = torch.isfinite(batch.target) & batch.counted
    empty = ~torch.isfinite(batch.target) & batch.counted
    target = torch.nan_to_num(batch.target)
    away = torch.arange(bins, device=logits.device)[None, :, None] - target[:, None, :]
    gaussian = torch.exp(-0.5 * away**2)
    gaussian = gaussian / gaussian.sum(dim=1, keepdim=True).clamp_min(1e-6)
    ce = -(gaussian * log_p[:, :-1]).sum(dim=1)
    weight = _weight(target, ink)
    p = log_p[:, :-1].exp()
    expected = (p * torch.arange(bins, device=logits.device)[None, :, None]).sum(dim=1) / p.sum(dim=1).clamp_min(1e-4)
    huber = F.huber_loss(expected, target, reduction="none", delta=1.0)
    inked = (weight * (ce + EXPECTATION_WEIGHT * huber)).sum() / weight.sum().clamp_min(1)
    share = empty.sum() / batch.counted.sum().clamp_min(1)
    null = -(log_p[:, -1] * empty).sum() / empty.sum().clamp_min(1)
    ratio = _ratio_loss((expected - target) * ink, target, ink)
    return inked + NULL_WEIGHT * null * (share > 0) + RATIO_WEIGHT * ratio


def _ratio_loss(error: Tensor, target: Tensor, ink: Tensor) -> Tensor:
    """Mean over patches of log(1 + 384 noise / signal): about linear near the cap, a logarithm where much is wrong.

    error: float32 (N, columns) bins, zero without ink. A flat line has the power of one bin, so that no patch divides
    by nothing.
    """
    columns = ink.sum(dim=1).clamp_min(1)
    middle = (target * ink).sum(dim=1) / columns
    power = ((target - middle[:, None]) ** 2 * ink).sum(dim=1) + columns
    return torch.log1p(BEST_RATIO * (error**2).sum(dim=1) / power).mean()


def sigmoid_loss_of(logits: Tensor, batch: Batch) -> Tensor:
    """The ablation: every bin by itself near the truth or not, as a segmentation has it, and "no ink" likewise."""
    bins = logits.shape[1] - 1
    ink = torch.isfinite(batch.target) & batch.counted
    target = torch.nan_to_num(batch.target)
    away = torch.arange(bins, device=logits.device)[None, :, None] - target[:, None, :]
    near = torch.exp(-0.5 * away**2) * ink[:, None]
    ce = F.binary_cross_entropy_with_logits(logits[:, :-1], near, reduction="none").sum(dim=1)
    weight = _weight(target, ink) + NULL_WEIGHT * (batch.counted & ~ink)
    null = F.binary_cross_entropy_with_logits(logits[:, -1], (~ink).to(logits.dtype), reduction="none")
    drawn = (weight * ce).sum() / weight.sum().clamp_min(1)
    return drawn + NULL_WEIGHT * (null * batch.counted).sum() / batch.counted.sum().clamp_min(1)


def _weight(target: Tensor, ink: Tensor) -> Tensor:
    """Of the columns: more where the trace is steep."""
    slope = F.pad((target[:, 1:] - target[:, :-1]).abs(), (1, 0)) * (COLUMNS_PER_MM / 8)
    return (1 + STEEP_WEIGHT * slope.clamp_max(STEEPEST)) * ink
