"""Outside programs that judge a DICOM object, dciodvfy first."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """Where an outside program is; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def judged(data: bytes, folder: Path, *iods: str) -> list[str]:
    """What dciodvfy says of an object, by both editions of its rules, beside the name of the IOD, which must be one of
    these. Its exit status may be 0 where it finds errors."""
    path = folder / "judged.dcm"
    path.write_bytes(data)
    said = []
    for edition in ([], ["-new"]):
        command = [tool("dciodvfy"), *edition, str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        lines = (run.stdout + run.stderr).splitlines()
        assert set(iods) & set(lines), f"dciodvfy did not recognise the IOD: {lines}"
        said += [line for line in lines if line not in iods]
    return said
