"""weights/manifest.toml: which weights ship, what they are, and how they were made. Nothing unnamed is ever loaded."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from pipeline.errors import WeightsError

WEIGHTS = Path(__file__).parents[1] / "weights"


@dataclass(frozen=True)
class Weights:
    """One row of the manifest.

    arguments: how the network is built, by name. score: what `training` measured. sigma_scale: factor that makes
    the decoded standard deviations cover 68 % of the errors on held-out pages.
    """

    name: str
    file: str
    sha256: str
    commit: str
    seed: int
    data: str
    score: str
    sigma_scale: float = 1.0
    arguments: dict[str, int | float | str | bool | list[int]] = field(default_factory=dict)


def manifest(folder: Path = WEIGHTS) -> dict[str, Weights]:
    """Every network the manifest names. Raises WeightsError when there is no manifest or it cannot be understood."""
    path = folder / "manifest.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise WeightsError(f"{path} is missing: install the package again") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise WeightsError(f"{path} is not TOML: {e}") from e
    try:
        return {name: Weights(name=name, **row) for name, row in table.items()}
    except TypeError as e:
        raise WeightsError(f"{path}: {e}") from e


def load_state(weights: Weights, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """float32 tensors of the file the manifest names. Raises WeightsError unless its SHA-256 is the manifest's."""
    path = folder / weights.file
    try:
        data = path.read_bytes()
    except OSError as e:
        raise WeightsError(f"{path}, the weights of {weights.name}, cannot be read: {e}") from e
    found = hashlib.sha256(data).hexdigest()
    if found != weights.sha256:
        raise WeightsError(
            f"{path} has SHA-256 {found}, the manifest names {weights.sha256}: install the package again"
        )
    try:
        state = load_tensors(data)
    except SafetensorError as e:
        raise WeightsError(f"{path} is no safetensors file: {e}") from e
    return {key: value.float() if value.dtype == torch.float16 else value for key, value in state.items()}
