"""The constraints on ECG objects that dciodvfy does not look at: PS3.3 A.34.3.4, A.34.4.4, C.10.9, PS3.16 CID 3001."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr import _concepts_dict
from pydicom.uid import GeneralECGWaveformStorage, TwelveLeadECGWaveformStorage

CID_3001 = {
    code
    for names in _concepts_dict.concepts["MDC"].values()
    for code, (_, contexts) in names.items()
    if 3001 in contexts
}
# of the scheme that CID 3001 held before MDC, as readers of older objects know them
SCPECG_3001 = {f"5.6.3-9-{number}" for number in (*range(1, 9), 61, 62, 63, 64)}
STATUS = {"OK", "TEST DATA", "DISCONNECTED", "QUESTIONABLE", "INVALID", "UNCALIBRATED", "UNRANGED"}
MICROVOLTS = {"uV", "mV"}  # UCUM
CALIBRATION = (
    "ChannelSensitivity",
    "ChannelSensitivityUnitsSequence",
    "ChannelSensitivityCorrectionFactor",
    "ChannelBaseline",
)


def violations(ds: Dataset) -> list[str]:
    """Every broken constraint in words; empty where there is none."""
    return [*_object(ds), *(f"group {n}: {said}" for n, g in enumerate(ds.WaveformSequence, 1) for said in _group(g))]


def _object(ds: Dataset) -> Iterator[str]:
    groups = ds.WaveformSequence
    total = sum(len(g.ChannelDefinitionSequence) for g in groups)
    if ds.Modality != "ECG":
        yield "Modality is not ECG"
    if ds.SOPClassUID == TwelveLeadECGWaveformStorage:
        if not 1 <= len(groups) <= 5:
            yield f"{len(groups)} multiplex groups, not 1 to 5"
        if total > 13:
            yield f"{total} channels, more than 13"
        if any(g.NumberOfWaveformSamples > 16384 for g in groups):
            yield "more than 16384 samples per channel"
    elif ds.SOPClassUID == GeneralECGWaveformStorage:
        if not 1 <= len(groups) <= 4:
            yield f"{len(groups)} multiplex groups, not 1 to 4"
    else:
        yield "not an ECG waveform SOP class"
    if len(str(ds.AcquisitionDateTime)) < 4:
        yield "no Acquisition DateTime"
    names = [item.ConceptNameCodeSequence[0].CodeValue for item in ds.AcquisitionContextSequence]
    if names.count("10:11345") != 1:
        yield "TID 3401 wants one Lead System"
    for note in ds.get("WaveformAnnotationSequence", []):
        pairs = list(zip(note.ReferencedWaveformChannels[::2], note.ReferencedWaveformChannels[1::2], strict=True))
        for group, channel in pairs:
            if not (1 <= group <= len(groups) and 0 <= channel <= groups[group - 1].NumberOfWaveformChannels):
                yield f"an annotation refers to channel {group},{channel}, which is not there"
        if "ReferencedSamplePositions" in note:
            positions = note.ReferencedSamplePositions
            last = groups[pairs[0][0] - 1].NumberOfWaveformSamples
            if len({group for group, _ in pairs}) != 1 or not 1 <= min(positions) <= max(positions) <= last:
                yield "an annotation's sample positions are not in one group"


def _group(group: Dataset) -> Iterator[str]:
    channels = group.ChannelDefinitionSequence
    if not 200 <= float(group.SamplingFrequency) <= 1000:
        yield f"sampling frequency {group.SamplingFrequency} Hz, not 200 to 1000"
    if group.WaveformOriginality not in ("ORIGINAL", "DERIVED"):
        yield f"originality {group.WaveformOriginality}"
    if (group.WaveformBitsAllocated, group.WaveformSampleInterpretation) != (16, "SS"):
        yield "samples are not 16 bits signed"
    if group.NumberOfWaveformChannels != len(channels):
        yield f"{group.NumberOfWaveformChannels} channels and {len(channels)} definitions"
    if not 1 <= len(channels) <= 24:
        yield f"{len(channels)} channels in a group"
    if len(group.WaveformData) != 2 * group.NumberOfWaveformSamples * len(channels):
        yield "the waveform data is not as long as channels times samples"
    pad = (-32768).to_bytes(2, "little", signed=True)
    if (-32768 in np.frombuffer(group.WaveformData, "<i2")) != ("WaveformPaddingValue" in group):
        yield "padding value without padding, or padding without its value"
    if group.get("WaveformPaddingValue", pad) != pad:
        yield "the padding value is not -32768 in two bytes"
    for number, channel in enumerate(channels, 1):
        yield from (f"channel {number}: {said}" for said in _channel(channel))


def _channel(channel: Dataset) -> Iterator[str]:
    source = channel.ChannelSourceSequence[0]
    lawful = {"MDC": CID_3001, "SCPECG": SCPECG_3001}.get(source.CodingSchemeDesignator, set())
    if source.CodeValue not in lawful:
        yield f"lead code {source.CodingSchemeDesignator} {source.CodeValue} is not in CID 3001"
    if channel.WaveformBitsStored != 16:
        yield f"{channel.WaveformBitsStored} bits stored"
    if ("ChannelTimeSkew" in channel) == ("ChannelSampleSkew" in channel):
        yield "not exactly one of time skew and sample skew"
    if len({keyword in channel for keyword in CALIBRATION}) != 1:
        yield "sensitivity, its units, its correction and the baseline go together"
    elif "ChannelSensitivityUnitsSequence" in channel:
        unit = channel.ChannelSensitivityUnitsSequence[0]
        if unit.CodingSchemeDesignator != "UCUM" or unit.CodeValue not in MICROVOLTS:
            yield f"sensitivity in {unit.CodeValue}"
    status = channel.get("ChannelStatus", "OK")
    if not ({status} if isinstance(status, str) else set(status)) <= STATUS:
        yield f"channel status {status}"
