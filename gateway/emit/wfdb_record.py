"""A Recording as a WFDB record: a header and a signal file of format 16, in one zip. Pure: same input, same bytes.

Every strip is a signal over the whole page time, the twelve leads first; one unit is one microvolt. Where the page
shows nothing the sample is -32768, which WFDB software reads as "invalid" and never as a voltage.

A WFDB header has no place for a patient, and none is put into its comments. They hold provenance and findings.
"""

from __future__ import annotations

import zipfile
from io import BytesIO

import numpy as np

from gateway.emit import disclaimers, moment
from gateway.emit.channels import MICROVOLTS_PER_MV, Channel, Int16, channels
from gateway.emit.emitted import Emitted, derived_uuid
from gateway.emit.identity import CONTROL
from gateway.errors import Refused
from gateway.identity.order import Order
from pipeline.recording import Recording

INVALID = -32768  # of format 16: "the sample is not known"
BITS = 16
_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first day a zip can tell: a clock would change the bytes


def emit(recording: Recording, order: Order, *, source_sha256: str, page: int) -> Emitted:
    """Write one page's recording as ``<record>.hea`` and ``<record>.dat`` in a zip.

    source_sha256, page: of the document received, counted from 1. The record's name follows from its content. Time and
    day are in the header where the acquisition is known to the second.

    Raises:
        Held: bad_acquisition_date.
        Refused: nothing_printed.
    """
    all_channels = channels(recording)
    if not any(channel.finite.any() for channel in all_channels):
        raise Refused("nothing_printed", "the recording holds no sample of any lead")
    length = max(channel.end for channel in all_channels)
    signals = [channel.placed(0, length, INVALID) for channel in all_channels]
    data = np.stack(signals, axis=1).astype("<i2").tobytes()  # int16 (samples, signals): interleaved
    comments = _comments(recording, order, all_channels, source_sha256, page)

    def header(record: str) -> bytes:
        first = f"{record} {len(signals)} {recording.rate_hz} {length}{_begin(order)}"
        pairs = zip(all_channels, signals, strict=True)
        lines = [first, *(_signal(record, channel, samples) for channel, samples in pairs), *comments]
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8")

    # a header names its record, and the name follows from the content: it is made of the header without a name
    name = derived_uuid("wfdb", header(""), data).hex
    return Emitted(name, _zipped(((f"{name}.hea", header(name)), (f"{name}.dat", data))))


def _signal(record: str, channel: Channel, samples: Int16) -> str:
    """A signal's line, header(5): file, format, gain(baseline)/unit, bits, zero, first value, checksum, block, name."""
    checksum = int(samples.astype(np.int64).sum()) & 0xFFFF
    checksum -= 0x10000 if checksum > 0x7FFF else 0  # written as a signed number of 16 bits
    scale = f"{MICROVOLTS_PER_MV:g}(0)/mV"
    return f"{record}.dat 16 {scale} {BITS} 0 {samples[0]} {checksum} 0 {channel.label}"


def _comments(
    recording: Recording, order: Order, all_channels: tuple[Channel, ...], source_sha256: str, page: int
) -> tuple[str, ...]:
    lines = (
        *disclaimers.provenance(recording, order),
        f"Page {page} of the document with SHA-256 {source_sha256}.",
        disclaimers.printed(all_channels, recording.rate_hz),
        f"Samples of {INVALID} are invalid: the page shows nothing there.",
        *(
            f"{channel.label}: {', '.join(channel.status)}. {disclaimers.how_read(channel)}."
            for channel in all_channels
        ),
        *(disclaimers.clipped(channel) for channel in all_channels if channel.clipped),
        *map(disclaimers.finding, recording.findings),
    )
    return tuple(f"# {CONTROL.sub(' ', line)}" for line in lines)


def _begin(order: Order) -> str:
    """`` HH:MM:SS.mmm DD/MM/YYYY``, where it is known so well."""
    acquired = moment.acquired(order)
    if acquired is None or not acquired.to_the_second:
        return ""
    d = acquired.digits
    fraction = f".{acquired.fraction[:3].ljust(3, '0')}" if acquired.fraction else ""
    return f" {d[8:10]}:{d[10:12]}:{d[12:14]}{fraction} {d[6:8]}/{d[4:6]}/{d[:4]}"


def _zipped(files: tuple[tuple[str, bytes], ...]) -> bytes:
    buffer = BytesIO()
    # stored, not compressed: another version of the compressor would give other bytes
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name, _NO_DATE)
            entry.create_system = 3  # Unix, wherever it is made
            archive.writestr(entry, data)
    return buffer.getvalue()
