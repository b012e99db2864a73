"""What the driver says of the GPUs of this machine; nothing where there is none."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from dataclasses import dataclass

ASK_S = 5.0  # how long the driver may think
KEPT_S = 15.0  # a figure is good for so long: the tool takes a second on a busy machine
FIELDS = "name,memory.used,memory.total,utilization.gpu"


@dataclass(frozen=True)
class GpuReport:
    """One GPU. None where the driver does not say. busy: 0..1."""

    name: str
    used_mb: float | None
    total_mb: float | None
    busy: float | None


class Gpus:
    """Asks nvidia-smi, not more often than every quarter of a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = -KEPT_S
        self._reports: tuple[GpuReport, ...] = ()

    def now(self) -> tuple[GpuReport, ...]:
        """Every GPU, as lately seen."""
        with self._lock:
            if time.monotonic() - self._at >= KEPT_S:
                self._reports, self._at = ask(), time.monotonic()
            return self._reports


gpus = Gpus()


def ask() -> tuple[GpuReport, ...]:
    """Every GPU, asked now; none where there is no driver or it does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(report for line in done.stdout.splitlines() if (report := parse(line)) is not None)


def parse(line: str) -> GpuReport | None:
    """One line of the tool's table: ``NVIDIA T4, 1024, 15360, 37``; None for anything else."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != len(FIELDS.split(",")):
        return None
    used, total, busy = (_number(cell) for cell in cells[1:])
    return GpuReport(cells[0], used, total, None if busy is None else busy / 100)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return None
