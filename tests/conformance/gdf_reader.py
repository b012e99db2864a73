"""BioSig's save2gdf before a file of ours: its header as JSON, its samples as the GDF 2 file that it makes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

GDF_TYPES = {3: "<i2", 5: "<i4", 16: "<f4", 17: "<f8"}
MILLIVOLTS = {4256: 1000.0, 4274: 1.0, 4275: 0.001}  # ISO/IEEE 11073-10101 codes of V, mV, uV


def biosig(*arguments: str | Path) -> str:
    """What save2gdf prints. Skips the test where it is not installed."""
    converter = shutil.which("save2gdf")
    if converter is None:
        pytest.skip("save2gdf is not installed (biosig-tools)")
    run = subprocess.run([converter, *arguments], capture_output=True, check=True, text=True, timeout=60)
    return run.stdout


def header(path: Path) -> dict[str, Any]:
    """What BioSig understands of a file's header."""
    told = biosig("-JSON", path)
    found, _ = json.JSONDecoder().raw_decode(told[told.index("{") :])
    assert isinstance(found, dict)
    return found


def millivolts(path: Path) -> npt.NDArray[np.float64]:
    """float64 (channels, samples) mV of the GDF file that save2gdf makes: its least value and what is beyond as NaN."""
    gdf_path = path.with_suffix(".gdf")
    biosig("-f=GDF", path, gdf_path)
    gdf = gdf_path.read_bytes()
    channels = int.from_bytes(gdf[252:254], "little")

    def column(kind: str, skip: int) -> npt.NDArray[Any]:
        return np.frombuffer(gdf, kind, channels, 256 + skip * channels)

    low, high, digital_low, digital_high = (column("<f8", skip) for skip in (104, 112, 120, 128))
    (kind,) = {GDF_TYPES[int(kind)] for kind in column("<u4", 220)}
    begin = 256 * int.from_bytes(gdf[184:186], "little")
    records = int.from_bytes(gdf[236:244], "little")
    per_record = column("<u4", 216)
    raw = np.frombuffer(gdf, kind, offset=begin, count=records * int(per_record.sum())).reshape(records, -1)
    edges = np.cumsum([0, *per_record])
    step = (high - low) / (digital_high - digital_low)
    rows = []
    for number, unit in enumerate(column("<u2", 102)):
        digital = raw[:, edges[number] : edges[number + 1]].reshape(-1).astype(float)
        value = low[number] + (digital - digital_low[number]) * step[number]
        rows.append(np.where(digital <= digital_low[number], np.nan, value) * MILLIVOLTS.get(int(unit), np.nan))
    return np.stack([row for row in rows if len(row) == len(rows[0])])
