"""The default layout before BioSig, a reader that takes only the first sequenceSet."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.emit import aecg
from pipeline.recording import Recording
from tests import recordings as make

GDF_TYPES = {3: "<i2", 5: "<i4", 16: "<f4", 17: "<f8"}
PAGES: dict[str, Callable[[], Recording]] = {
    "3x4+1": make.three_by_four,
    "12x1": make.twelve_by_one,
    "gaps": make.with_gaps,
}


def millivolts_read_by_biosig(data: bytes, folder: Path) -> np.ndarray:
    """float (channels, samples) mV out of the GDF file that save2gdf makes."""
    converter = shutil.which("save2gdf")
    if converter is None:
        pytest.skip("save2gdf is not installed (biosig-tools)")
    (folder / "ecg.xml").write_bytes(data)
    subprocess.run(
        [converter, "-f=GDF", str(folder / "ecg.xml"), str(folder / "ecg.gdf")],
        capture_output=True,
        check=True,
        timeout=60,
    )
    gdf = (folder / "ecg.gdf").read_bytes()
    channels = int.from_bytes(gdf[252:254], "little")
    begin = 256 * int.from_bytes(gdf[184:186], "little")
    kind = GDF_TYPES[int.from_bytes(gdf[256 + 220 * channels :][:4], "little")]
    return np.frombuffer(gdf, kind, offset=begin, count=channels * 5000).reshape(5000, channels).T / 1000.0


@pytest.mark.parametrize("page", PAGES)
def test_biosig_reads_every_lead_within_half_a_microvolt(page: str, tmp_path: Path) -> None:
    recording = PAGES[page]()
    out = aecg.emit(recording, make.order(), source_sha256=make.SHA256, page=1)
    got, truth = millivolts_read_by_biosig(out.data, tmp_path), recording.twelve().millivolts
    assert got.shape == truth.shape
    assert np.nanmax(np.abs(got - truth)) <= 0.0005 + 1e-6
    assert (got[np.isnan(truth)] == 0).all()
