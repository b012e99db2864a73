"""What dicom-ecg-plot draws of a DICOM object, read back from the SVG file that the program writes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, lfilter

SVG = "{http://www.w3.org/2000/svg}"
# Text stays text, and every sample of a trace stays a point.
MATPLOTLIBRC = "svg.fonttype: none\npath.simplify: False\n"
PX_PER_MM = 8.27 * 72 / 210.0  # A4 as the program knows it: 8.27 inches of 72 points are 210 mm
MM_PER_MV = 10.0
LOW_PASS_HZ = 40.0  # "0.05-40 Hz" stands on its pages: a Butterworth filter of order 2


@dataclass(frozen=True, eq=False)
class Cell:
    """A lead's piece on the page. millivolts: float64 (n,), from the line of 5 mm that the program draws it from."""

    name: str
    millivolts: npt.NDArray[np.float64]


def draw(dicom: bytes, layout: str, folder: Path) -> list[Cell]:
    """The cells in the order of the layout, row by row. Skips the test where the program is not installed."""
    program = shutil.which("dicom-ecg-plot", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("dicom-ecg-plot is not installed")
    (folder / "matplotlibrc").write_text(MATPLOTLIBRC)
    (folder / "ecg.dcm").write_bytes(dicom)
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    subprocess.run(
        [program, folder / "ecg.dcm", f"--layout={layout}", f"--output={folder / 'ecg.svg'}"],
        env=environment | {"MPLCONFIGDIR": str(folder)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    return _cells(ET.parse(folder / "ecg.svg").getroot())


def _cells(svg: ET.Element) -> list[Cell]:
    height = float(svg.get("viewBox", "").split()[3])
    (axes,) = (group for group in svg.iter(f"{SVG}g") if group.get("id") == "axes_1")
    points = [np.array(re.findall(r"-?[\d.]+", path.get("d", "")), float) for path in axes.iter(f"{SVG}path")]
    traces = [each.reshape(-1, 2) for each in points if each.size > 200]  # rulings and ticks have two points
    names = [str(text.text) for text in axes.iter(f"{SVG}text")]
    return [Cell(name, _millivolts(trace[:, 1], height)) for name, trace in zip(names, traces, strict=True)]


def _millivolts(y: npt.NDArray[np.float64], height: float) -> npt.NDArray[np.float64]:
    mm = (height - y) / PX_PER_MM
    return (mm - 5 * np.round(np.median(mm) / 5)) / MM_PER_MV


def low_passed(millivolts: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float64]:
    """The same leads, (leads, n), behind the filter that the program draws everything through."""
    return np.asarray(lfilter(*butter(2, LOW_PASS_HZ / (rate_hz / 2)), millivolts.astype(np.float64)))
