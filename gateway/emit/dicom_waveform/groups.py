"""A multiplex group: its channels side by side over one span of page time (PS3.3 C.10.9)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from gateway.emit.channels import Channel, Status
from gateway.emit.dicom_object import coded
from gateway.emit.dicom_waveform.arrangement import PAD, Arrangement
from gateway.emit.disclaimers import how_read
from gateway.mapping import Unit, mappings
from pipeline.recording import Lead, Recording

ChannelCodes = Literal["MDC", "SCPECG"]

SCPECG_LEAD = "5.6.3-9-{number}"  # PS3.16 CID 3001: section 5.6.3, table 9 of SCP-ECG, and the number of the lead there
SCPECG_VERSION = "1.3"


def item(
    arranged: Arrangement, group: tuple[Channel, ...], recording: Recording, originality: str, codes: ChannelCodes
) -> Dataset:
    """An item of Waveform Sequence with 16-bit samples of one microvolt."""
    start, end = arranged.span(group)
    samples = np.stack([c.placed(start, end, arranged.fill) for c in group], axis=1)  # int16 (samples, channels)
    out = Dataset()
    if not arranged.whole_page:
        out.MultiplexGroupLabel = f"{start / recording.rate_hz:.2f}-{end / recording.rate_hz:.2f} s"[:16]
    out.WaveformOriginality = originality
    out.NumberOfWaveformChannels = len(group)
    out.NumberOfWaveformSamples = end - start
    out.SamplingFrequency = str(recording.rate_hz)
    out.ChannelDefinitionSequence = [
        _channel(number, c, recording.rate_hz, codes, arranged.zeros(c, group)) for number, c in enumerate(group, 1)
    ]
    out.WaveformBitsAllocated = 16
    out.WaveformSampleInterpretation = "SS"
    if (samples == PAD).any():
        out.add_new("WaveformPaddingValue", "OW", np.array([PAD], "<i2").tobytes())
    out.add_new("WaveformData", "OW", samples.astype("<i2").tobytes())
    return out


def _channel(number: int, channel: Channel, rate_hz: int, codes: ChannelCodes, zeros: bool) -> Dataset:
    unit = mappings().units[Unit.MICROVOLT]
    out = Dataset()
    out.WaveformChannelNumber = str(number)
    out.ChannelLabel = channel.label
    out.ChannelStatus = [status.value for status in _status(channel, zeros)]
    out.ChannelSourceSequence = [_source(channel.lead, codes)]
    out.ChannelDerivationDescription = how_read(channel, rate_hz if zeros else None)
    out.ChannelSensitivity = "1"
    out.ChannelSensitivityUnitsSequence = [coded(unit.ucum, "UCUM", unit.meaning)]
    out.ChannelSensitivityCorrectionFactor = "1"
    out.ChannelBaseline = "0"
    out.ChannelSampleSkew = "0"
    out.WaveformBitsStored = 16
    return out


def _status(channel: Channel, zeros: bool) -> tuple[Status, ...]:
    """A channel is not OK as a whole where zeros stand in it that nobody printed."""
    if not zeros or not {Status.QUESTIONABLE, Status.INVALID}.isdisjoint(channel.status):
        return channel.status
    return (Status.QUESTIONABLE, *(status for status in channel.status if status is not Status.OK))


def _source(lead: Lead, codes: ChannelCodes) -> Dataset:
    """The code of a lead in PS3.16 CID 3001, by today's scheme or by the one that older readers know alone."""
    row = mappings().leads[lead]
    if codes == "MDC":
        return coded(row.mdc, "MDC", row.meaning)
    item = coded(SCPECG_LEAD.format(number=row.scp), "SCPECG", row.meaning)
    item.CodingSchemeVersion = SCPECG_VERSION
    return item
