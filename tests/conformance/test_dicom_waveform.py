"""The DICOM object before outside judges: dciodvfy, dcmtk, a reader of our own, and what dciodvfy forgets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.emit import dicom_waveform
from gateway.emit.dicom_waveform import ChannelCodes, Encoding
from gateway.identity.order import Patient, SourceImage
from pipeline.recording import TWELVE, Finding, Lead, Recording, Severity
from tests import recordings as make
from tests.conformance import explicit_little_endian
from tests.conformance.dciodvfy import judged, tool
from tests.conformance.ecg_object import violations

FINDINGS = (
    Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2),
    Finding("layout_assumed", Severity.WARNING),
    Finding("rhythm_disagreement", Severity.WARNING, Lead.II, 1.0, 2.0, "0.3 mV"),
    Finding("boundary_assumed", Severity.INFO, None, 2.4, 2.6),
)
PAGES: dict[str, Callable[[], Recording]] = {
    "3x4": lambda: make.three_by_four(()),
    "3x4+1": make.three_by_four,
    "3x4+2": lambda: make.three_by_four((Lead.II, Lead.V1)),
    "3x4+3": lambda: make.three_by_four((Lead.V1, Lead.II, Lead.V5)),
    "6x2": make.six_by_two,
    "6x2+1": lambda: make.six_by_two((Lead.II,)),
    "12x1": make.twelve_by_one,
    "with gaps and findings": lambda: make.with_gaps(FINDINGS),
}
ENCODINGS: tuple[Encoding, ...] = ("viewers", "padded", "groups", "general")
CASES = [(page, encoding) for page in PAGES for encoding in ENCODINGS]


def emit(recording: Recording, encoding: Encoding = "viewers", codes: ChannelCodes = "MDC", **order: object) -> bytes:
    return dicom_waveform.emit(
        recording,
        make.order(**order),
        encoding=encoding,
        channel_codes=codes,
        source_sha256=make.SHA256,
        page=1,
        made_at=make.MADE_AT,
        measurements=make.TOLD,
    ).data


def judged_by_dciodvfy(data: bytes, folder: Path) -> list[str]:
    return judged(data, folder, "TwelveLeadECG", "GeneralECG")


@pytest.mark.peer
@pytest.mark.parametrize(("page", "encoding"), CASES)
def test_dciodvfy_prints_nothing(page: str, encoding: Encoding, tmp_path: Path) -> None:
    assert judged_by_dciodvfy(emit(PAGES[page](), encoding), tmp_path) == []


@pytest.mark.peer
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dciodvfy_prints_nothing_of_older_lead_codes(encoding: Encoding, tmp_path: Path) -> None:
    data = emit(make.three_by_four(), encoding, "SCPECG")
    assert judged_by_dciodvfy(data, tmp_path) == []
    assert violations(dcmread(BytesIO(data))) == []


@pytest.mark.peer
@pytest.mark.parametrize(
    "order",
    [
        {"patient": Patient("4711", "", "Müller^Jürgen=山田^太郎=やまだ^たろう", "", "")},
        {"acquired_at": "2024"},
        {"acquired_at": "20240131143000.25+0100"},
        {"source": SourceImage()},
        {"source": SourceImage("1.2.840.10008.5.1.4.1.1.7.2", "1.2.3.4")},
        {"study_uid": "", "study_date": "", "study_time": "", "study_id": ""},
    ],
    ids=["three alphabets", "year only", "offset", "from a file", "from a multi-frame", "study of our own"],
)
def test_dciodvfy_prints_nothing_of_odd_orders(order: dict[str, object], tmp_path: Path) -> None:
    assert judged_by_dciodvfy(emit(make.three_by_four(), **order), tmp_path) == []


@pytest.mark.peer
def test_dciodvfy_would_have_said_something(tmp_path: Path) -> None:
    ds = dcmread(BytesIO(emit(make.three_by_four())))
    del ds.AcquisitionDateTime
    ds.WaveformSequence[0].ChannelDefinitionSequence[0].ChannelTimeSkew = "0"
    buffer = BytesIO()
    ds.save_as(buffer)
    said = judged_by_dciodvfy(buffer.getvalue(), tmp_path)
    assert any("AcquisitionDateTime" in line for line in said)


@pytest.mark.parametrize(("page", "encoding"), CASES)
def test_no_constraint_of_the_iod_is_broken(page: str, encoding: Encoding) -> None:
    assert violations(dcmread(BytesIO(emit(PAGES[page](), encoding)))) == []


def _double_groups(ds: Dataset) -> None:
    ds.WaveformSequence = [*ds.WaveformSequence, *ds.WaveformSequence]


def _first_channel(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda ds: setattr(ds.WaveformSequence[0].ChannelDefinitionSequence[0], keyword, value)


def _first_group(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda ds: setattr(ds.WaveformSequence[0], keyword, value)


def _lead(code: str) -> Callable[[Dataset], None]:
    return lambda ds: setattr(
        ds.WaveformSequence[0].ChannelDefinitionSequence[0].ChannelSourceSequence[0], "CodeValue", code
    )


def _unit(code: str) -> Callable[[Dataset], None]:
    return lambda ds: setattr(
        ds.WaveformSequence[0].ChannelDefinitionSequence[0].ChannelSensitivityUnitsSequence[0], "CodeValue", code
    )


SEEDED: dict[str, Callable[[Dataset], None]] = {
    "too slow": _first_group("SamplingFrequency", "100"),
    "too fast": _first_group("SamplingFrequency", "2000"),
    "samples missing": _first_group("NumberOfWaveformSamples", 4999),
    "too many samples": _first_group("NumberOfWaveformSamples", 20000),
    "ten groups": _double_groups,
    "wrong modality": lambda ds: setattr(ds, "Modality", "OT"),
    "32 bits stored": _first_channel("WaveformBitsStored", 32),
    "8 bits allocated": _first_group("WaveformBitsAllocated", 8),
    "unsigned": _first_group("WaveformSampleInterpretation", "US"),
    "no such lead": _lead("2:999"),
    "millimetres": _unit("mm"),
    "both skews": _first_channel("ChannelTimeSkew", "0"),
    "no skew": lambda ds: delattr(ds.WaveformSequence[0].ChannelDefinitionSequence[0], "ChannelSampleSkew"),
    "no baseline": lambda ds: delattr(ds.WaveformSequence[0].ChannelDefinitionSequence[0], "ChannelBaseline"),
    "originality": _first_group("WaveformOriginality", "COPIED"),
    "padding undeclared": lambda ds: delattr(ds.WaveformSequence[0], "WaveformPaddingValue"),
    "other padding": _first_group("WaveformPaddingValue", b"\0\0"),
    "status": _first_channel("ChannelStatus", "FINE"),
    "one definition less": lambda ds: ds.WaveformSequence[0].ChannelDefinitionSequence.pop(),
    "no lead system": lambda ds: setattr(ds, "AcquisitionContextSequence", []),
    "not an ECG": lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
    "annotation of nothing": lambda ds: setattr(
        ds.WaveformAnnotationSequence[0], "ReferencedWaveformChannels", [1, 14]
    ),
}


@pytest.mark.parametrize("seed", SEEDED)
def test_a_broken_constraint_is_seen(seed: str) -> None:
    ds = dcmread(BytesIO(emit(make.with_gaps(FINDINGS), "padded")))
    ds.WaveformSequence[0].WaveformData  # noqa: B018  decoded before it is changed
    SEEDED[seed](ds)
    assert violations(ds) != []


def millivolts_as_written(data: bytes) -> list[tuple[str, float, np.ndarray]]:
    """(lead code, first second of page time, mV with NaN for padding) per channel, without pydicom."""
    out = []
    for group in explicit_little_endian.read(data)[0x54000100][1]:
        definitions = group[0x003A0200][1]
        raw = np.frombuffer(group[0x54001010][1], "<i2").reshape(-1, len(definitions))
        pad = np.frombuffer(group[0x5400100A][1], "<i2")[0] if 0x5400100A in group else None
        label = group.get(0x003A0020, ("SH", b"0"))[1].decode().split("-")[0]
        for number, channel in enumerate(definitions):
            source = channel[0x003A0208][1][0]
            unit = channel[0x003A0211][1][0][0x00080100][1].decode().strip()
            assert unit == "uV"
            scale = float(channel[0x003A0210][1]) * float(channel[0x003A0212][1])
            counts = raw[:, number].astype(float)
            mv = (counts * scale + float(channel[0x003A0213][1])) / 1000.0
            out.append(
                (source[0x00080100][1].decode().strip(), float(label), np.where(raw[:, number] == pad, np.nan, mv))
            )
    return out


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("encoding", [encoding for encoding in ENCODINGS if encoding != "viewers"])
def test_every_printed_sample_comes_back_within_half_a_microvolt(page: str, encoding: Encoding) -> None:
    recording = PAGES[page]()
    codes = {"2:1": "I", "2:2": "II", "2:61": "III", "2:62": "aVR", "2:63": "aVL", "2:64": "aVF"}
    codes |= {f"2:{n}": f"V{n - 2}" for n in range(3, 9)}
    channels = millivolts_as_written(emit(recording, encoding))
    assert len(channels) == len(recording.strips)
    for strip in recording.strips:
        first = round(strip.start_s * recording.rate_hz)
        matches = 0
        for code, start_s, mv in channels:
            begin = first - round(start_s * recording.rate_hz)
            if codes[code] != strip.lead or begin < 0 or begin + strip.samples > len(mv):
                continue
            got = mv[begin : begin + strip.samples]
            outside = np.isfinite(mv).sum() - np.isfinite(got).sum()
            same_holes = np.array_equal(np.isnan(got), np.isnan(strip.millivolts))
            if outside == 0 and same_holes and np.nanmax(np.abs(got - strip.millivolts)) <= 0.0005 + 1e-6:
                matches += 1
        assert matches == 1, f"{strip.lead} from {strip.start_s} s"


@pytest.mark.parametrize("page", PAGES)
def test_viewers_get_the_longest_strip_of_every_lead_within_half_a_microvolt(page: str) -> None:
    recording = PAGES[page]()
    codes = ("2:1", "2:2", "2:61", "2:62", "2:63", "2:64", *(f"2:{n}" for n in range(3, 9)))
    channels = millivolts_as_written(emit(recording))
    assert [(code, start_s) for code, start_s, _ in channels] == [(code, 0.0) for code in codes]
    for (_, _, mv), printed in zip(channels, recording.twelve().millivolts, strict=True):
        assert np.abs(mv - np.nan_to_num(printed)).max() <= 0.0005 + 1e-6


def test_every_channel_carries_one_lead_of_the_twelve() -> None:
    channels = millivolts_as_written(emit(make.three_by_four()))
    assert len({code for code, _, _ in channels}) == len(TWELVE)


@pytest.mark.peer
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dcmdump_reads_it_without_a_word(encoding: Encoding, tmp_path: Path) -> None:
    (tmp_path / "ecg.dcm").write_bytes(emit(make.with_gaps(FINDINGS), encoding))
    run = subprocess.run(
        [tool("dcmdump"), "--search", "003a,0004", "--search", "0008,0016", str(tmp_path / "ecg.dcm")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stderr == ""
    assert run.stdout.count("[DERIVED]") == (5 if encoding == "groups" else 1)
    assert ("GeneralECGWaveformStorage" if encoding == "general" else "TwelveLeadECGWaveformStorage") in run.stdout
