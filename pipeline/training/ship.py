"""Puts trained weights where the pipeline loads them from: fp16 safetensors and their row in weights/manifest.toml."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save as pack
from torch import Tensor

from pipeline.networks import WEIGHTS, Weights, manifest

HEADER = """# The weights that ship with the pipeline, one table per network: source, register, grid, waveform.
# Written by pipeline/training; a network without a table here has no weights, and its stage works classically.
"""


def ship(state: dict[str, Tensor], row: Weights, folder: Path = WEIGHTS) -> Weights:
    """Write the tensors to row.file and the row, with its true SHA-256, to the manifest. The weights come first."""
    data = pack({key: _slim(value) for key, value in state.items()})
    row = replace(row, sha256=hashlib.sha256(data).hexdigest())
    _write_whole(folder / row.file, data)
    rows = manifest(folder) | {row.name: row}
    text = HEADER + "".join(_table(rows[name]) for name in sorted(rows))
    _write_whole(folder / "manifest.toml", text.encode())
    return row


def commit_here() -> str:
    """The commit of the working tree, short; "unknown" outside a repository."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _slim(value: Tensor) -> Tensor:
    """Kernels in fp16; biases and running statistics, a hundredth of the bytes, as they are."""
    whole = value.detach().cpu().contiguous()
    return whole.to(torch.float16) if whole.dtype == torch.float32 and whole.ndim > 1 else whole


def _table(row: Weights) -> str:
    lines = [f"\n[{row.name}]"]
    for key in ("file", "sha256", "commit", "seed", "data", "score", "sigma_scale"):
        lines.append(f"{key} = {json.dumps(getattr(row, key), ensure_ascii=False)}")
    pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in row.arguments.items())
    return "\n".join([*lines, f"arguments = {{ {pairs} }}" if pairs else "arguments = {}"]) + "\n"


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
