"""A Recording as a DICOM ECG waveform object (PS3.3 A.34.3, A.34.4). Pure: the same input gives the same bytes.

Three encodings, by destination:

- ``padded``: one multiplex group; every lead and rhythm strip is a channel over the whole page time, -32768 (the
  Waveform Padding Value) where the page shows nothing. Most viewers draw only one group, so this is the default.
- ``groups``: one multiplex group per set of leads printed side by side and the rhythm strip in its own, the standard's
  own figure for paper. Multiplex Group Time Offset is left out: paper does not tell whether the columns were recorded
  one after the other or cut from the same seconds. The group label and an annotation hold the page time.
- ``general``: padded, as General ECG.

What the asked-for encoding cannot hold (more than 13 channels, 5 groups, 16384 samples) goes out padded, as General ECG
where 12-Lead ECG is too small.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.uid import GeneralECGWaveformStorage, TwelveLeadECGWaveformStorage

from gateway.emit import dicom_object, moment
from gateway.emit.channels import Channel, channels, together
from gateway.emit.dicom_waveform import groups, header, notes
from gateway.emit.emitted import Emitted
from gateway.errors import Refused
from gateway.order import Order
from pipeline.recording import Recording

Encoding = Literal["padded", "groups", "general"]
Originality = Literal["DERIVED", "ORIGINAL"]

# PS3.3 A.34.3.4.4 and A.34.3.4.6, A.34.4.4.4
TWELVE_LEAD_GROUPS = 5
TWELVE_LEAD_CHANNELS = 13
TWELVE_LEAD_SAMPLES = 16384
GENERAL_GROUP_CHANNELS = 24
RATE_HZ = (200, 1000)


def emit(
    recording: Recording,
    order: Order,
    *,
    encoding: Encoding = "padded",
    originality: Originality = "DERIVED",
    source_sha256: str,
    page: int,
    received_at: datetime,
) -> Emitted:
    """Write one page's recording as a DICOM file with an empty preamble.

    source_sha256, page: of the document received, counted from 1. received_at: when, from the job; its own wall clock
    becomes Content Date and Time.

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
    if not any(c.known.any() for c in all_channels):
        raise Refused("nothing_printed", "the recording holds no sample of any lead")
    sop_class, arranged = arrange(all_channels, encoding)

    ds = Dataset()
    header.fill(ds, recording, order, sop_class, acquired, source_sha256, page, received_at)
    padded = len(arranged) == 1
    ds.WaveformSequence = [groups.item(group, recording, originality, padded) for group in arranged]
    ds.WaveformAnnotationSequence = notes.items(recording, order, arranged, source_sha256, page)

    return dicom_object.finished(ds, "instance")


def arrange(all_channels: tuple[Channel, ...], encoding: Encoding) -> tuple[str, tuple[tuple[Channel, ...], ...]]:
    """The SOP class and the multiplex groups that hold these channels. Raises Refused(too_many_strips)."""
    samples = max(c.end for c in all_channels)
    if len(all_channels) > GENERAL_GROUP_CHANNELS:
        raise Refused("too_many_strips", f"{len(all_channels)} strips; one group of an ECG object holds 24")
    if encoding == "general" or len(all_channels) > TWELVE_LEAD_CHANNELS or samples > TWELVE_LEAD_SAMPLES:
        return GeneralECGWaveformStorage, (all_channels,)
    columns = together(all_channels)
    if encoding == "groups" and len(columns) <= TWELVE_LEAD_GROUPS:
        return TwelveLeadECGWaveformStorage, columns
    return TwelveLeadECGWaveformStorage, (all_channels,)
