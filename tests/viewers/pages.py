"""Six printed pages whose millivolts are known, and the documents that the gateway's defaults make of them."""

from __future__ import annotations

import base64
from functools import cache
from io import BytesIO
from typing import NamedTuple

import hl7
import numpy as np

from gateway.config import DicomDestination, FolderDestination, MllpDestination
from gateway.emit import catalogue
from gateway.emit.catalogue import Material
from gateway.emit.npz import to_npz
from gateway.emit.plan import wishes_of
from gateway.job import DocumentKind
from pipeline.recording import Float32, Lead, Recording
from pipeline.synth.page import PageSpec, render
from pipeline.synth.signals import synthetic_ecg
from pipeline.synth.spec import Print
from tests import recordings as make

RATE_HZ = 500
SECONDS = 10.0

# How each page is printed, and the seed of its heart: each of usual voltages, its largest lead 1 to 2 mV from peak to
# peak. A viewport of 900 px that stacks twelve leads of 5 mV has no 10 px for each of them.
PAGES = {
    "3x4+1": (Print(), 58),
    "6x2": (Print(layout="6x2", rhythms=(), top_mm=40.0, row_mm=25.0), 57),
    "12x1": (Print(layout="12x1", rhythms=(), top_mm=30.0, row_mm=15.0), 44),
    "3x4+3": (Print(layout="3x4+3", rhythms=(Lead.V1, Lead.II, Lead.V5), top_mm=40.0, row_mm=27.0), 47),
    "Cabrera": (Print(layout="3x4+1-cabrera"), 53),
    "50 mm/s": (Print(speed_mm_s=50.0), 52),
}


class Truth(NamedTuple):
    """What the npz of a page holds. millivolts: float32 (12, n), I II III aVR aVL aVF V1..V6, NaN where not printed."""

    millivolts: Float32
    rate_hz: int

    @property
    def drawn(self) -> Float32:
        """float32 (12, n) mV with 0 where nothing is printed, as a document without gaps must show it."""
        return np.nan_to_num(self.millivolts)


@cache
def recording(page: str) -> Recording:
    """What is printed on a page, as the renderer knows it: 500 Hz, every strip read in whole."""
    printed, heart = PAGES[page]
    signals = synthetic_ecg(np.random.default_rng(heart), SECONDS, RATE_HZ)
    coarse = PageSpec(print=printed, px_per_mm=2.0)  # the picture is not looked at
    return render(signals, RATE_HZ, coarse, seed=heart).truth.recording


def truth(of: Recording) -> Truth:
    """The npz that the gateway writes of a recording, read back by numpy alone."""
    with np.load(BytesIO(to_npz(of)), allow_pickle=False) as held:
        return Truth(held["millivolts"], int(held["rate_hz"]))


def dicom(of: Recording, **settings: object) -> bytes:
    """The DICOM waveform object for a PACS, by the configuration's defaults but for these settings."""
    to = DicomDestination(kind="dicom", name="pacs", host="h", port=104, called_ae_title="P", **settings)  # type: ignore[arg-type]
    return catalogue.document(DocumentKind.DICOM_WAVEFORM, _material(of), wishes_of(to)).data


def aecg(of: Recording, **settings: object) -> bytes:
    """The aECG for a folder, by the configuration's defaults but for these settings."""
    to = FolderDestination(kind="folder", name="archive", folder="archive", documents=("aecg",), **settings)  # type: ignore[arg-type]
    return catalogue.document(DocumentKind.AECG, _material(of), wishes_of(to)).data


def aecg_in_message(of: Recording) -> bytes:
    """The aECG inside the ORU^R01 for an EHR, by the configuration's defaults."""
    to = MllpDestination(kind="mllp", name="ehr", host="h", port=2575)
    message = hl7.parse(catalogue.document(DocumentKind.HL7V2, _material(of), wishes_of(to)).data.decode())
    values = (str(segment[5]) for segment in message.segments("OBX") if str(segment[2]) == "ED")
    return next(base64.b64decode(value.split("^")[4]) for value in values if "^XML^" in value)


def _material(of: Recording) -> Material:
    return Material(of, make.order(), "job-1", make.SHA256, 1, make.RECEIVED_AT)
