"""A reader of WFDB records in a zip, written after the manual pages header(5) and signal(5); format 16 only."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from io import BytesIO

import numpy as np

RECORD = re.compile(r"([A-Za-z0-9_-]+) (\d+) (\d+(?:\.\d+)?) (\d+)(?: (\d\d:\d\d:\d\d(?:\.\d+)? \d\d/\d\d/\d{4}))?")
SIGNAL = re.compile(r"(\S+) 16 (\d+(?:\.\d+)?)\((-?\d+)\)/(\S+) (\d+) (-?\d+) (-?\d+) (-?\d+) 0 (.+)")
INVALID = -32768


@dataclass(frozen=True, eq=False)
class Record:
    """millivolts: float (signals, samples), NaN where invalid."""

    rate_hz: float
    begins: str
    names: list[str]
    millivolts: np.ndarray
    comments: list[str]


def read(data: bytes) -> Record:
    """The one record of a zip. AssertionError where the files contradict each other."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (header_name,) = (name for name in files if name.endswith(".hea"))
    lines = files[header_name].decode("utf-8").split("\r\n")
    assert lines.pop() == "", "the last line has its end"
    comments = [line[2:] for line in lines if line.startswith("# ")]
    first, *described = (line for line in lines if not line.startswith("#"))
    record = RECORD.fullmatch(first)
    assert record is not None, first
    assert header_name == f"{record[1]}.hea"
    signals = [SIGNAL.fullmatch(line) for line in described]
    assert len(signals) == int(record[2])
    rows, names = [], []
    samples = np.frombuffer(files[f"{record[1]}.dat"], "<i2").reshape(int(record[4]), len(signals))
    for number, signal in enumerate(signals):
        assert signal is not None, described[number]
        file, gain, baseline, unit, bits, zero, initial, checksum, name = signal.groups()
        own = samples[:, number]
        assert (file, unit, bits, zero) == (f"{record[1]}.dat", "mV", "16", "0")
        assert int(initial) == own[0], f"{name}: first value"
        assert int(checksum) & 0xFFFF == int(own.astype(np.int64).sum()) & 0xFFFF, f"{name}: checksum"
        assert -32768 <= int(checksum) <= 32767
        rows.append(np.where(own == INVALID, np.nan, (own.astype(float) - int(baseline)) / float(gain)))
        names.append(name)
    return Record(float(record[3]), record[5] or "", names, np.stack(rows), comments)
