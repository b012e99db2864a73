"""In which number format a device computes networks fastest."""

from __future__ import annotations

import torch


def prefers_bfloat16(device: torch.device | str) -> bool:
    """On a GPU, and on a CPU that multiplies bfloat16 itself.

    Emulated it is slower than float32: a training step of stage 2 took ten times as long on a CPU with AVX2 alone.
    """
    return torch.device(device).type != "cpu" or bool(torch.cpu._is_avx512_bf16_supported())
