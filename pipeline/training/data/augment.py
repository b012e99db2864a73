"""What befalls colours and sharpness in training, for a whole batch at once on the device it is trained on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# How often each befalls a sample. The pool's pages were already worn, lit and copied when they were rendered; this
# makes every visit of a page another one.
GREY = 0.25
INVERTED = 0.03
CAST = 0.5
SHADED = 0.3
BLURRED = 0.15
NOISY = 0.5


def disturb_colours(pixels: Tensor) -> Tensor:
    """float32 (N, 3, h, w), 0..1, in and out: contrast, brightness, gamma, cast, shade, blur, noise, grey, negative."""
    n, device = len(pixels), pixels.device

    def chance(share: float) -> Tensor:
        return (torch.rand(n, 1, 1, 1, device=device) < share).float()

    def between(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *(shape or (1, 1, 1)), device=device) * (high - low) + low

    grey = (pixels * pixels.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(dim=1, keepdim=True)
    pixels = torch.lerp(pixels, grey.expand_as(pixels), chance(GREY))
    pixels = torch.lerp(pixels, _softened(pixels), chance(BLURRED) * between(0.3, 1.0))
    pixels = pixels.clamp_min(1e-4) ** torch.exp(between(-0.45, 0.45))
    pixels = (pixels - 0.5) * between(0.6, 1.15) + 0.5 + between(-0.12, 0.12)
    pixels = pixels * (1 - chance(CAST) * between(0.0, 0.2, 3, 1, 1))
    shade = F.interpolate(between(0.55, 1.0, 1, 4, 4), size=pixels.shape[2:], mode="bilinear", align_corners=True)
    pixels = pixels * torch.lerp(torch.ones_like(shade), shade, chance(SHADED))
    pixels = pixels + torch.randn_like(pixels) * (chance(NOISY) * between(0.0, 0.07))
    pixels = torch.lerp(pixels, 1 - pixels, chance(INVERTED))
    return pixels.clamp(0, 1)


def _softened(pixels: Tensor) -> Tensor:
    """Blurred with the binomial kernel of three."""
    line = pixels.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line[None, :]).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
