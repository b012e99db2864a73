"""A Recording as a DICOM ECG waveform object (PS3.3 A.34.3, A.34.4). Pure: the same input gives the same bytes.

Four encodings, by destination:

- ``viewers``: one multiplex group of exactly twelve channels, the longest printed strip of each lead at its printed
  time, **0 where nothing was printed or read**, no padding value. Viewers draw one group, scale by every sample in it
  and know no padding, so this is the default. It says in the series description, in an annotation for each lead, in
  Channel Status and in Channel Derivation Description which zeros nobody printed.
- ``padded``: one multiplex group; every lead and rhythm strip is a channel over the whole page time, -32768 (the
  Waveform Padding Value) where the page shows nothing. For receivers that honour the padding value: others scale on it
  and draw a flat line or walls.
- ``groups``: one multiplex group per set of leads printed side by side and the rhythm strip in its own, the standard's
  own figure for paper. Multiplex Group Time Offset is left out: paper does not tell whether the columns were recorded
  one after the other or cut from the same seconds. The group label and an annotation hold the page time.
- ``general``: padded, as General ECG.

What the asked-for encoding cannot hold (more than 13 channels, 5 groups, 16384 samples) goes out padded, as General ECG
where 12-Lead ECG is too small; ``viewers`` keeps its form as General ECG.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydicom.dataset import Dataset

from gateway.emit import dicom_object, moment
from gateway.emit.channels import channels
from gateway.emit.dicom_object import Result
from gateway.emit.dicom_waveform import groups, header, notes
from gateway.emit.dicom_waveform.arrangement import (
    TWELVE_LEAD_CHANNELS,
    TWELVE_LEAD_GROUPS,
    TWELVE_LEAD_SAMPLES,
    Encoding,
    arrange,
)
from gateway.emit.dicom_waveform.groups import ChannelCodes
from gateway.emit.emitted import Emitted
from gateway.emit.measured import MeasurementResult
from gateway.errors import Refused
from gateway.identity.order import Order
from pipeline.recording import Recording

__all__ = [
    "TWELVE_LEAD_CHANNELS",
    "TWELVE_LEAD_GROUPS",
    "TWELVE_LEAD_SAMPLES",
    "ChannelCodes",
    "Encoding",
    "Originality",
    "emit",
]

Originality = Literal["DERIVED", "ORIGINAL"]

RATE_HZ = (200, 1000)


def emit(
    recording: Recording,
    order: Order,
    *,
    encoding: Encoding = "viewers",
    originality: Originality = "DERIVED",
    channel_codes: ChannelCodes = "MDC",
    source_sha256: str,
    page: int,
    made_at: datetime,
    reading: int = 1,
    measurements: Sequence[MeasurementResult] = (),
) -> Emitted:
    """Write one page's recording as a DICOM file with an empty preamble.

    channel_codes: the scheme of the leads' codes; some readers know those of SCP-ECG only.
    source_sha256, page, made_at, reading: as of dicom_object.Result. measurements: what is told of the whole page.

    Raises:
        Held: no_acquisition_date, bad_acquisition_date, or bad_identity where a text of the order is not lawful DICOM.
        Refused: nothing_printed, too_many_strips.
    """
    acquired = moment.must_be_acquired(order)
    if not RATE_HZ[0] <= recording.rate_hz <= RATE_HZ[1]:
        raise ValueError(
            f"{recording.rate_hz} Hz is outside what an ECG object may hold, {RATE_HZ[0]} to {RATE_HZ[1]} Hz"
        )
    all_channels = channels(recording)
    if not any(c.finite.any() for c in all_channels):
        raise Refused("nothing_printed", "the recording holds no sample of any lead")
    arranged = arrange(recording, all_channels, encoding)

    ds = Dataset()
    result = Result(source_sha256, page, made_at, reading)
    described = header.WITH_ZEROS if encoding == "viewers" else header.SERIES_DESCRIPTION
    header.fill(ds, recording, order, arranged.sop_class, described, acquired, result)
    ds.WaveformSequence = [
        groups.item(arranged, group, recording, originality, channel_codes) for group in arranged.groups
    ]
    ds.WaveformAnnotationSequence = notes.items(recording, arranged, measurements)

    return dicom_object.finished(ds, "instance")
