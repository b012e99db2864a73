"""A multiplex group: its channels side by side over one span of page time (PS3.3 C.10.9)."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from gateway.emit.channels import Channel
from gateway.emit.dicom_object import coded
from gateway.emit.words import how_read
from gateway.mapping import Unit, mappings
from pipeline.recording import Recording

PAD = -32768  # of the whole range the one value no sample has


def span(group: tuple[Channel, ...], padded: bool) -> tuple[int, int]:
    """First and last + 1 sample of page time: from the page's left end where padded, else of these strips alone."""
    return (0 if padded else min(c.start for c in group)), max(c.end for c in group)


def item(group: tuple[Channel, ...], recording: Recording, originality: str, padded: bool) -> Dataset:
    """An item of Waveform Sequence with 16-bit samples of one microvolt."""
    start, end = span(group, padded)
    samples = np.stack([c.placed(start, end, PAD) for c in group], axis=1)  # int16 (samples, channels): interleaved
    out = Dataset()
    if not padded:
        out.MultiplexGroupLabel = f"{start / recording.rate_hz:.2f}-{end / recording.rate_hz:.2f} s"[:16]
    out.WaveformOriginality = originality
    out.NumberOfWaveformChannels = len(group)
    out.NumberOfWaveformSamples = end - start
    out.SamplingFrequency = str(recording.rate_hz)
    out.ChannelDefinitionSequence = [_channel(number, c) for number, c in enumerate(group, start=1)]
    out.WaveformBitsAllocated = 16
    out.WaveformSampleInterpretation = "SS"
    if (samples == PAD).any():
        out.add_new("WaveformPaddingValue", "OW", np.array([PAD], "<i2").tobytes())
    out.add_new("WaveformData", "OW", samples.astype("<i2").tobytes())
    return out


def _channel(number: int, channel: Channel) -> Dataset:
    codes = mappings().leads[channel.lead]
    unit = mappings().units[Unit.MICROVOLT]
    out = Dataset()
    out.WaveformChannelNumber = str(number)
    out.ChannelLabel = channel.label
    out.ChannelStatus = [status.value for status in channel.status]
    out.ChannelSourceSequence = [coded(codes.mdc, "MDC", codes.meaning)]
    out.ChannelDerivationDescription = how_read(channel)
    out.ChannelSensitivity = "1"
    out.ChannelSensitivityUnitsSequence = [coded(unit.ucum, "UCUM", unit.meaning)]
    out.ChannelSensitivityCorrectionFactor = "1"
    out.ChannelBaseline = "0"
    out.ChannelSampleSkew = "0"
    out.WaveformBitsStored = 16
    return out
