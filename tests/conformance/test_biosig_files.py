"""EDF+ and WFDB before BioSig."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from gateway.emit import edf_plus, wfdb_record
from pipeline.recording import TWELVE, Lead, Recording
from tests import recordings as make
from tests.conformance.gdf_reader import header, millivolts


@pytest.mark.peer
@pytest.mark.parametrize("recording", [make.three_by_four(), make.with_gaps()], ids=["3x4+1", "gaps"])
def test_biosig_reads_every_lead_of_the_edf_file(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "ecg.edf"
    path.write_bytes(edf_plus.emit(recording, make.order(), source_sha256=make.SHA256, page=1).data)
    told = header(path)
    assert (told["TYPE"], told["Samplingrate"], told["NumberOfSamples"]) == ("EDF", 500.0, 5000)
    assert told["Patient"]["Id"] == "4711"  # type: ignore[index]
    labels = [channel["Label"] for channel in told["CHANNEL"]]  # type: ignore[attr-defined]
    assert labels[:12] == [f"ECG {lead}" for lead in TWELVE]
    got, truth = millivolts(path)[:12], recording.twelve().millivolts
    assert np.array_equal(np.isnan(got), np.isnan(truth))
    assert np.nanmax(np.abs(got - truth)) <= 0.0005 + 1e-5


def unpacked(recording: Recording, folder: Path) -> Path:
    out = wfdb_record.emit(recording, make.order(), source_sha256=make.SHA256, page=1)
    with zipfile.ZipFile(BytesIO(out.data)) as archive:
        archive.extractall(folder)
    return folder / f"{out.name}.hea"


@pytest.mark.peer
def test_biosig_reads_the_header_of_thirteen_wfdb_signals(tmp_path: Path) -> None:
    told = header(unpacked(make.three_by_four(), tmp_path))
    assert (told["TYPE"], told["Samplingrate"], told["NumberOfSamples"]) == ("MIT", 500.0, 5000)
    channels = told["CHANNEL"]
    assert [channel["Label"] for channel in channels] == [*map(str, TWELVE), "II rhythm"]  # type: ignore[attr-defined]
    assert {(channel["scaling"], channel["PhysicalUnit"]) for channel in channels} == {(0.001, "mV")}  # type: ignore[attr-defined]


@pytest.mark.peer
def test_biosig_reads_the_samples_of_a_wfdb_signal(tmp_path: Path) -> None:
    """One: BioSig 3.0.1 mixes up the samples of any WFDB record of two, and ends by a fault on one of six."""
    recording = make.recording([make.strip(Lead.V2, 0.0, 10.0, ((4.0, 4.5),))], "1x1")
    got, truth = millivolts(unpacked(recording, tmp_path))[0], recording.strips[0].millivolts
    assert np.array_equal(np.isnan(got), np.isnan(truth))
    assert np.nanmax(np.abs(got - truth)) <= 0.0005 + 1e-6
