"""What the object says about itself in words (PS3.3 C.10.10): one line of origin, findings, what was printed where.

Viewers show these beside the trace, some as the machine's interpretation: how it was made stands in Contributing
Equipment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset

from gateway.emit import disclaimers
from gateway.emit.dicom_object import coded
from gateway.emit.dicom_waveform.arrangement import ZERO, Arrangement
from gateway.emit.measured import Measurement, MeasurementResult, reasons_text, values
from gateway.mapping import mappings
from pipeline.recording import Finding, Recording

_ST = 1024  # characters, PS3.5 6.2

ORIGIN, FINDINGS, MEASUREMENTS = 0, 1, 2  # Annotation Group Number

Channels = list[tuple[int, int]]  # (group, channel) from 1, 0 for all channels


def items(recording: Recording, arranged: Arrangement, measurements: Sequence[MeasurementResult] = ()) -> list[Dataset]:
    """The items of Waveform Annotation Sequence."""
    everything = [(number, 0) for number in range(1, len(arranged.groups) + 1)]
    out = [_text(disclaimers.origin(recording), everything, ORIGIN)]
    out.extend(_finding(finding, recording, arranged, everything) for finding in recording.findings)
    for group_number, group in enumerate(arranged.groups, start=1):
        for number, channel in enumerate(group, start=1):
            if channel.clipped:
                out.append(_text(disclaimers.clipped(channel), [(group_number, number)], FINDINGS))
    out.extend(_printed(recording, arranged, everything))
    out.extend(_measured(measurements, everything))
    return out


def _measured(measurements: Sequence[MeasurementResult], everything: Channels) -> Iterator[Dataset]:
    """A number each, as coded numeric annotations; what they are off by, and what is not given, in words.

    An annotation has room for one number (PS3.3 C.10.10), and viewers list numbers by their concept: a standard error
    under the concept of its value would be read as another value.
    """
    numbers = values(measurements)
    yield from (_number(each, everything) for each in numbers)
    if numbers:
        text = "; ".join(each.as_text() for each in numbers)
        yield _text(f"Measured on the digitized page, with standard errors: {text}.", everything, MEASUREMENTS)
    for line in reasons_text(measurements):
        yield _text(f"{line}.", everything, MEASUREMENTS)


def _number(measurement: Measurement, channels: Channels) -> Dataset:
    code = mappings().measured[measurement.what]
    unit = mappings().units[code.unit]
    item = Dataset()
    item.ConceptNameCodeSequence = [coded(code.dicom.code, code.dicom.system, code.dicom.meaning)]
    item.NumericValue = measurement.number
    item.MeasurementUnitsCodeSequence = [coded(unit.ucum, "UCUM", unit.meaning)]
    item.ReferencedWaveformChannels = [value for pair in channels for value in pair]
    item.AnnotationGroupNumber = MEASUREMENTS
    return item


def _printed(recording: Recording, arranged: Arrangement, everything: Channels) -> Iterator[Dataset]:
    """From when to when the page shows each lead: a line for each where no padding value tells it."""
    if arranged.fill != ZERO:
        flat = [c for group in arranged.groups for c in group]
        yield _text(disclaimers.printed(flat, recording.rate_hz), everything, ORIGIN)
        return
    for number, channel in enumerate(arranged.groups[0], start=1):
        zeros = arranged.zeros(channel, arranged.groups[0])
        yield _text(disclaimers.printed_lead(channel, recording.rate_hz, zeros), [(1, number)], ORIGIN)
    if arranged.left_out:
        yield _text(disclaimers.left_out(arranged.left_out, recording.rate_hz), everything, ORIGIN)


def _text(text: str, channels: Channels, number: int) -> Dataset:
    item = Dataset()
    item.UnformattedTextValue = text[:_ST]
    item.ReferencedWaveformChannels = [value for pair in channels for value in pair]
    item.AnnotationGroupNumber = number
    return item


def _finding(finding: Finding, recording: Recording, arranged: Arrangement, everything: Channels) -> Dataset:
    about = [
        (g, c)
        for g, group in enumerate(arranged.groups, start=1)
        for c, channel in enumerate(group, start=1)
        if finding.lead == channel.lead
    ]
    item = _text(disclaimers.finding(finding), about or everything, FINDINGS)
    if finding.start_s is None or finding.end_s is None or len(about or everything) != 1:
        return item  # sample positions count within one group only (PS3.3 C.10.10.1.1)
    start, end = arranged.span(arranged.groups[(about or everything)[0][0] - 1])
    first = max(round(finding.start_s * recording.rate_hz), start)
    last = min(round(finding.end_s * recording.rate_hz), end)
    if last > first:
        item.TemporalRangeType = "SEGMENT"
        item.ReferencedSamplePositions = [first - start + 1, last - start]  # counted from 1
    return item
