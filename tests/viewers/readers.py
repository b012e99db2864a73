"""What programs that are not ours read from a document: names, millivolts and rate, each in its own way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread

from pipeline.recording import TWELVE
from tests.conformance import gdf_reader
from tests.viewers.pages import Truth

MICROVOLT = 0.001  # mV: what a document of whole microvolts may be off, and a reader of reals beside


@dataclass(frozen=True, eq=False)
class Shown:
    """The leads that a reader shows. millivolts: float64 (leads, n), NaN where it shows a gap."""

    names: list[str]
    millivolts: npt.NDArray[np.float64]
    rate_hz: float


def by_pydicom(path: Path) -> Shown:
    """The first multiplex group, by Channel Source and Channel Sensitivity."""
    ds = dcmread(path)
    group = ds.WaveformSequence[0]
    channels = group.ChannelDefinitionSequence
    units = {channel.ChannelSensitivityUnitsSequence[0].CodeValue for channel in channels}
    assert units == {"uV"}
    names = [channel.ChannelSourceSequence[0].CodeMeaning.removeprefix("Lead ") for channel in channels]
    return Shown(names, ds.waveform_array(0).T / 1000.0, float(group.SamplingFrequency))


def by_ecgdatakit(path: Path) -> Shown:
    """DICOM and aECG, of the latter the first sequence set."""
    ecgdatakit = pytest.importorskip("ecgdatakit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of sequence sets and groups that it does not read
        leads = ecgdatakit.FileParser().parse(path).convert_units("mV").leads
    (rate_hz,) = {lead.sampling_rate for lead in leads}
    return Shown([lead.label for lead in leads], np.stack([lead.samples for lead in leads]), float(rate_hz))


def by_biosig(path: Path) -> Shown:
    """DICOM and aECG, of the latter the first sequence set, by save2gdf."""
    told = gdf_reader.header(path)
    names = [channel["Label"].removeprefix("MDC_ECG_LEAD_") for channel in told["CHANNEL"]]
    return Shown(names, gdf_reader.millivolts(path), float(told["Samplingrate"]))


DICOM_READERS: dict[str, Callable[[Path], Shown]] = {
    "pydicom": by_pydicom,
    "ecgdatakit": by_ecgdatakit,
    "BioSig": by_biosig,
}
AECG_READERS: dict[str, Callable[[Path], Shown]] = {"ecgdatakit": by_ecgdatakit, "BioSig": by_biosig}


def differs_by(shown: Shown, truth: Truth) -> float:
    """The largest difference, mV, of any lead at any sample; infinite where number, names, rate or length differ."""
    alike = (shown.names, shown.rate_hz) == ([*TWELVE], truth.rate_hz)
    if not alike or shown.millivolts.shape != truth.drawn.shape or np.isnan(shown.millivolts).any():
        return float("inf")
    return float(np.abs(shown.millivolts - truth.drawn).max())
