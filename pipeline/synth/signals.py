"""Where the signals on a rendered page come from: real recordings split by patient, varied, or a synthetic heart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.signal import resample_poly

from pipeline.recording import Float32
from pipeline.synth.heart import synthetic_ecg, twelve_from_eight

__all__ = ["Record", "SignalBank", "Split", "augment", "synthetic_ecg", "twelve_from_eight"]

Split = Literal["train", "valid", "test"]
RATE_HZ = 500
SAMPLES = 5000
# Out of 100 patients: the rest, 80, train.
_VALID_PERCENT, _TEST_PERCENT = 10, 10
# Peak-to-peak mV that adults show in I, II, V1..V6: for sources whose amplitudes mean nothing.
_USUAL_SPAN_MV = np.array([0.9, 1.2, 1.3, 2.0, 2.0, 2.0, 1.7, 1.3])


@dataclass(frozen=True)
class Record:
    """One recording of the bank: where it lies and whose it is."""

    source: str
    row: int
    record_id: str
    patient_id: str
    split: Split


class SignalBank:
    """Ten-second twelve-lead recordings at 500 Hz, read once from LZMA-packed npz files, then memory-mapped."""

    def __init__(self, folder: Path, cache: Path, only: tuple[str, ...] = ()) -> None:
        """folder: holds *.npz with x int16 (n, 12, samples) in µV and fs. cache: a folder of our own, made if missing.

        only: file stems to use; empty uses all. Raises FileNotFoundError when the folder holds no npz.
        """
        files = sorted(p for p in folder.glob("*.npz") if not only or p.stem in only)
        if not files:
            raise FileNotFoundError(f"no signal files (*.npz) in {folder}")
        cache.mkdir(parents=True, exist_ok=True)
        self._signals: dict[str, np.ndarray] = {}
        self.records: list[Record] = []
        for file in files:
            if not (cache / f"{file.stem}.json").exists():
                _unpack(file, cache)
            self._signals[file.stem] = np.load(cache / f"{file.stem}.npy", mmap_mode="r")
            for row, (record, patient) in enumerate(json.loads((cache / f"{file.stem}.json").read_text())):
                self.records.append(Record(file.stem, row, record, patient, _split(file.stem, patient or record)))

    def of(self, split: Split) -> list[Record]:
        """The records of one split, in a fixed order."""
        return [r for r in self.records if r.split == split]

    def read(self, record: Record, rng: np.random.Generator | None = None) -> Float32:
        """float32 (12, 5000) mV. Shape-only sources get plausible amplitudes from rng (a fixed one when None)."""
        millivolts = np.asarray(self._signals[record.source][record.row], np.float32) / 1000.0
        if record.source.startswith("ludb"):
            return _plausible_leads(millivolts, rng or np.random.default_rng(record.row))
        if record.source.startswith("code15"):
            return _plausible_scale(millivolts, rng or np.random.default_rng(record.row))
        return millivolts

    def draw(self, rng: np.random.Generator, split: Split = "train", *, vary: bool = True) -> Float32:
        """A random recording of the split, float32 (12, 5000) mV, augmented unless vary is False."""
        records = self.of(split)
        first = self.read(records[rng.integers(len(records))], rng)
        if not vary:
            return first
        if rng.random() < 0.1:
            other = self.read(records[rng.integers(len(records))], rng)
            first = first + np.float32(rng.uniform(0.2, 0.8)) * other
        return augment(first, rng)


def _unpack(file: Path, cache: Path) -> None:
    with np.load(file) as data:
        x, rate = data["x"], int(data["fs"][0])
        names = [[str(r), str(p)] for r, p in zip(data["record_id"], data["patient_id"], strict=True)]
    if rate != RATE_HZ:
        common = int(np.gcd(rate, RATE_HZ))
        up = resample_poly(x.astype(np.float32), RATE_HZ // common, rate // common, axis=-1)
        x = np.clip(np.rint(up), -32768, 32767).astype(np.int16)
    short = SAMPLES - x.shape[-1]
    x = np.pad(x, ((0, 0), (0, 0), (0, short)), "edge") if short > 0 else x[..., :SAMPLES]
    np.save(cache / f"{file.stem}.npy", x)
    # the json last and whole: its presence says that the npy is complete
    part = cache / f"{file.stem}.json.part"
    part.write_text(json.dumps(names))
    part.replace(cache / f"{file.stem}.json")


def _split(source: str, person: str) -> Split:
    """By a hash of the person, so that no file order or later addition moves anybody."""
    bucket = int.from_bytes(hashlib.sha256(f"{source}/{person}".encode()).digest()[:4], "big") % 100
    if bucket < _TEST_PERCENT:
        return "test"
    return "valid" if bucket < _TEST_PERCENT + _VALID_PERCENT else "train"


def _span(x: Float32) -> Float32:
    low, high = np.percentile(x, [0.5, 99.8], axis=-1)
    return np.asarray(np.maximum(high - low, 1e-3), np.float32)


def _plausible_scale(x: Float32, rng: np.random.Generator) -> Float32:
    target = 1.6 * rng.lognormal(0.0, 0.3)
    return (x * np.float32(target / np.median(_span(x)[6:]))).astype(np.float32)


def _plausible_leads(x: Float32, rng: np.random.Generator) -> Float32:
    """Every lead on its own scale: give I, II, V1..V6 usual sizes, and make the other limb leads from I and II."""
    eight = x[[0, 1, 6, 7, 8, 9, 10, 11]]
    target = _USUAL_SPAN_MV * rng.lognormal(0.0, 0.3, 8) * rng.lognormal(0.0, 0.2)
    return twelve_from_eight((eight * (target / _span(eight))[:, None]).astype(np.float32))


def augment(x: Float32, rng: np.random.Generator) -> Float32:
    """float32 (12, n) mV -> the same shape: scaled, stretched, drifting, noisy, sometimes with swapped electrodes.

    The limb leads are made from I and II again, so Einthoven and Goldberger hold to rounding.
    """
    eight: np.ndarray = x[[0, 1, 6, 7, 8, 9, 10, 11]].astype(np.float32)
    if rng.random() < 0.5:
        eight = _stretch(eight, rng.uniform(0.7, 1.4), rng)
    eight = eight * np.float32(rng.lognormal(0.0, 0.4))
    if rng.random() < 0.3:
        eight = eight * rng.lognormal(0.0, 0.25, (8, 1)).astype(np.float32)
    if rng.random() < 0.15:
        eight = eight[[0, 1, *(2 + rng.permutation(6))]]
    if rng.random() < 0.1:
        eight[0] = -eight[0]  # arm electrodes exchanged; II then shows what III was
        eight[1] = eight[1] + eight[0]
    if rng.random() < 0.05:
        eight = -eight
    n, rate = eight.shape[1], RATE_HZ
    t = np.arange(n, dtype=np.float32) / rate
    if rng.random() < 0.5:
        for _ in range(2):
            size = rng.exponential(0.06, (8, 1)) * rng.choice([-1, 1], (8, 1))
            eight = eight + size * np.sin(2 * np.pi * rng.uniform(0.05, 0.6) * t + rng.uniform(0, 6.28, (8, 1)))
    if rng.random() < 0.35:
        eight = eight + rng.normal(0, rng.exponential(0.02), (8, n)) * (rng.random((8, 1)) < 0.6)
    if rng.random() < 0.12:
        mains = rng.choice([50.0, 60.0])
        eight = eight + rng.exponential(0.03, (8, 1)) * np.sin(2 * np.pi * mains * t + rng.uniform(0, 6.28, (8, 1)))
    if rng.random() < 0.06:
        eight = eight + _spikes(n, rng)
    return twelve_from_eight(np.clip(eight, -12.0, 12.0).astype(np.float32))


def _stretch(x: Float32, factor: float, rng: np.random.Generator) -> Float32:
    """Time runs slower by factor; what is missing at the end comes back mirrored."""
    n = x.shape[1]
    if factor < 1:
        x = np.concatenate([x, x[:, ::-1]], axis=1)
    at = rng.uniform(0, x.shape[1] - n / factor - 1) if x.shape[1] > n / factor + 1 else 0.0
    where = at + np.arange(n) / factor
    return np.stack([np.interp(where, np.arange(x.shape[1]), lead) for lead in x]).astype(np.float32)


def _spikes(n: int, rng: np.random.Generator) -> Float32:
    """Pacing spikes, taller than a row in some leads."""
    period = int(rng.uniform(0.5, 1.2) * RATE_HZ)
    out = np.zeros((8, n), np.float32)
    height = rng.normal(0, 3.0, 8).astype(np.float32)
    for at in range(int(rng.integers(period)), n, period):
        out[:, at : at + int(rng.integers(1, 4))] = height[:, None]
    return out
