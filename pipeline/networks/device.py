"""Where networks are computed, and in which number format that is fastest there."""

from __future__ import annotations

import torch

from pipeline.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(wanted: str = "auto") -> str:
    """The device meant by one of DEVICES; auto is a GPU where there is one.

    Raises DeviceError where a GPU is asked for by name and none can be used: a gateway that was sized for one must not
    fall back to a tenth of its speed without a word.
    """
    if wanted not in DEVICES:
        raise DeviceError(f"{wanted!r} is no device; choose one of {', '.join(DEVICES)}")
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise DeviceError("no GPU can be used here: see the driver, or choose cpu or auto")
    return "cuda" if there and wanted != "cpu" else "cpu"


def prefers_bfloat16(device: torch.device | str) -> bool:
    """On a GPU, and on a CPU that multiplies bfloat16 itself.

    Emulated it is slower than float32: a training step of stage 2 took ten times as long on a CPU with AVX2 alone.
    """
    return torch.device(device).type != "cpu" or bool(torch.cpu._is_avx512_bf16_supported())
