"""Labelled pages made by others: renders/*.png with a 500 Hz CSV, scans/*.png with the 100 Hz WFDB record they show.

Every page is 3x4 with a 10 s lead II below; column j shows seconds 2.5 j to 2.5 (j + 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.recording import TWELVE, Float32, Lead, Page

RATE_HZ = 500
COLUMN_S = 2.5


@dataclass(frozen=True, eq=False)
class DevPage:
    """A page and float32 (12, n) mV at rate_hz as printed, NaN where the page does not show a lead."""

    name: str
    kind: str
    page: Page
    label: Float32
    rate_hz: int = RATE_HZ


def dev_pages(folder: Path) -> Iterator[DevPage]:
    """Every labelled page below the folder, renders first."""
    for path in sorted((folder / "renders").glob("*.png")):
        values = np.loadtxt(path.with_suffix(".csv"), delimiter=",", skiprows=1, dtype=np.float32).T
        yield DevPage(path.stem, "render", _page(path), as_printed(values))
    for path in sorted((folder / "scans").glob("*.png")):
        number = path.stem.removeprefix("ptbxl_")
        yield DevPage(path.stem, "scan", _page(path), as_printed(_wfdb(folder / "scans" / f"{number}_lr")))


def as_printed(signals: Float32) -> Float32:
    """Masks (12, n) full leads to what 3x4+1 shows: lead II whole, each other lead in its column's 2.5 s."""
    printed = np.full_like(signals, np.nan)
    width = round(COLUMN_S * RATE_HZ)
    for row, lead in enumerate(TWELVE):
        column = row // 3
        span = slice(None) if lead is Lead.II else slice(column * width, (column + 1) * width)
        printed[row, span] = signals[row, span]
    return printed


def _page(path: Path) -> Page:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is no image")
    return Page(np.ascontiguousarray(image[..., ::-1], dtype=np.uint8))


def _wfdb(record: Path) -> Float32:
    """float32 (12, n) mV at 500 Hz: the straight lines through a 12-lead, 16-bit, 1000/mV WFDB record's samples."""
    head = record.with_suffix(".hea").read_text(encoding="ascii").splitlines()
    leads, rate_hz = int(head[0].split()[1]), float(head[0].split()[2])
    raw = np.fromfile(record.with_suffix(".dat"), "<i2").reshape(-1, leads).T / 1000.0
    at = np.arange(round(raw.shape[1] / rate_hz * RATE_HZ)) / RATE_HZ
    known = np.arange(raw.shape[1]) / rate_hz
    return np.stack([np.interp(at, known, values) for values in raw]).astype(np.float32)
