"""A reader of EDF+ files in sixty lines, written after the specification, so that edfio is not checked with edfio."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PRINTABLE = set(range(32, 127))


@dataclass(frozen=True)
class Annotation:
    """onset_s: from the start of the file; seconds is None where the annotation has no duration."""

    onset_s: float
    seconds: float | None
    text: str


@dataclass(frozen=True, eq=False)
class EdfFile:
    """physical, digital: (signals, samples), the annotations' own signal left out."""

    patient: str
    recording: str
    date: str
    time: str
    kind: str
    rate_hz: list[float]
    labels: list[str]
    units: list[str]
    digital: np.ndarray
    physical: np.ndarray
    annotations: list[Annotation]
    records_begin_s: list[float]


def read(data: bytes) -> EdfFile:
    """A whole file. AssertionError where it breaks the specification."""
    at = 0

    def field(width: int) -> str:
        nonlocal at
        raw, at = data[at : at + width], at + width
        assert set(raw) <= PRINTABLE, f"{raw!r} is not printable ASCII"
        return raw.decode("ascii").rstrip()

    version, patient, recording, date, time = (field(n) for n in (8, 80, 80, 8, 8))
    header_bytes, kind, records, seconds, count = (field(n) for n in (8, 44, 8, 8, 4))
    signals = int(count)
    assert version == "0"
    assert int(header_bytes) == 256 * (signals + 1)
    columns = [[field(width) for _ in range(signals)] for width in (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)]
    labels, _, units, low, high, digital_low, digital_high, _, samples, _ = columns
    per_record = [int(n) for n in samples]
    assert len(data) == int(header_bytes) + 2 * int(records) * sum(per_record)
    raw = np.frombuffer(data, "<i2", offset=int(header_bytes)).reshape(int(records), sum(per_record))
    edges = np.cumsum([0, *per_record])
    blocks = [raw[:, a:b] for a, b in pairwise(edges)]
    own = [n for n, label in enumerate(labels) if label != "EDF Annotations"]
    (notes,) = (blocks[n] for n, label in enumerate(labels) if label == "EDF Annotations")
    digital = np.stack([blocks[n].reshape(-1) for n in own])
    physical = []
    for n, row in zip(own, digital, strict=True):
        assert int(digital_low[n]) <= row.min() <= row.max() <= int(digital_high[n])
        step = (float(high[n]) - float(low[n])) / (int(digital_high[n]) - int(digital_low[n]))
        physical.append(float(low[n]) + (row.astype(float) - int(digital_low[n])) * step)
    begins, annotations = [], []
    for record in notes:
        first, *rest = _lists(record.astype("<i2").tobytes())
        begins.append(first.onset_s)
        assert first.text == "", "the first annotation of a record keeps its time"
        annotations += rest
    return EdfFile(
        patient,
        recording,
        date,
        time,
        kind,
        [per_record[n] / float(seconds) for n in own],
        [labels[n] for n in own],
        [units[n] for n in own],
        digital,
        np.stack(physical),
        annotations,
        begins,
    )


def _lists(record: bytes) -> list[Annotation]:
    """Time-stamped annotations lists: onset, perhaps 0x15 and a duration, 0x14, texts with 0x14 behind each, 0x00."""
    found = []
    for entry in record.rstrip(b"\0").split(b"\0"):
        assert entry.endswith(b"\x14")
        when, *texts = entry[:-1].split(b"\x14")
        onset, _, seconds = when.partition(b"\x15")
        assert onset[:1] in (b"+", b"-")
        found += [Annotation(float(onset), float(seconds) if seconds else None, text.decode("utf-8")) for text in texts]
    return found
