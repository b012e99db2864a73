"""The default layout before BioSig, a reader that takes only the first sequenceSet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.emit import aecg
from pipeline.recording import Recording
from tests import recordings as make
from tests.conformance import gdf_reader

PAGES: dict[str, Callable[[], Recording]] = {
    "3x4+1": make.three_by_four,
    "12x1": make.twelve_by_one,
    "gaps": make.with_gaps,
}


@pytest.mark.peer
@pytest.mark.parametrize("page", PAGES)
def test_biosig_reads_every_lead_within_half_a_microvolt(page: str, tmp_path: Path) -> None:
    recording = PAGES[page]()
    out = aecg.emit(recording, make.order(), source_sha256=make.SHA256, page=1)
    (tmp_path / "ecg.xml").write_bytes(out.data)
    got, truth = gdf_reader.millivolts(tmp_path / "ecg.xml"), recording.twelve().millivolts
    assert got.shape == truth.shape
    assert np.nanmax(np.abs(got - truth)) <= 0.0005 + 1e-6
    assert (got[np.isnan(truth)] == 0).all()
