"""How the delineator that ships is built, as delineator.toml says it."""

from __future__ import annotations

import tomllib
from pathlib import Path

_TABLE = tomllib.loads(Path(__file__).with_name("delineator.toml").read_text(encoding="utf-8"))

SHA256: str = _TABLE["sha256"]
RATE_HZ: int = _TABLE["rate_hz"]
BEFORE_S: float = _TABLE["before_s"]
AFTER_S: float = _TABLE["after_s"]
SWING_QUANTILES: tuple[float, float] = tuple(_TABLE["swing_quantiles"])
SMALL_WAVES: float = _TABLE["small_waves"]
STRIDE: int = _TABLE["stride"]
DILATIONS: tuple[int, ...] = tuple(_TABLE["dilations"])
HEAD_DILATIONS: tuple[int, ...] = tuple(_TABLE["head_dilations"])
REACH_CELLS: int = _TABLE["reach_cells"]
WHOLE: float = _TABLE["whole"]

SAMPLES = round((BEFORE_S + AFTER_S) * RATE_HZ)
CELLS = SAMPLES // STRIDE
CELL_S = STRIDE / RATE_HZ
