"""Signals: a bank split by patient, variations that keep Einthoven, and a heart made of nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.recording import Float32
from pipeline.synth.signals import RATE_HZ, SignalBank, augment, synthetic_ecg, twelve_from_eight


def _residuals(x: Float32) -> tuple[float, float]:
    return float(np.abs(x[0] + x[2] - x[1]).max()), float(np.abs(x[3] + x[4] + x[5]).max())


def _write(folder: Path, name: str, rate: int, patients: list[str]) -> np.ndarray:
    rng = np.random.default_rng(3)
    x = np.stack([synthetic_ecg(rng, 10.0, rate) * 1000 for _ in patients]).round().astype(np.int16)
    records = np.array([f"{name}-{i}" for i in range(len(patients))])
    np.savez(folder / f"{name}.npz", x=x, fs=np.array([rate]), record_id=records, patient_id=np.array(patients))
    return x


@pytest.fixture
def bank(tmp_path: Path) -> SignalBank:
    _write(tmp_path, "one", RATE_HZ, [f"p{i // 3}" for i in range(90)])
    return SignalBank(tmp_path, tmp_path / "cache")


def test_no_patient_is_in_two_splits(bank: SignalBank) -> None:
    patients = [{r.patient_id for r in bank.of(split)} for split in ("train", "valid", "test")]
    assert sum(len(p) for p in patients) == len(set.union(*patients)) == 30
    assert len(patients[0]) > len(patients[1]) + len(patients[2])


def test_records_come_back_as_they_were_stored(tmp_path: Path) -> None:
    x = _write(tmp_path, "two", RATE_HZ, ["", ""])
    for _ in range(2):  # fresh, then from the cache
        bank = SignalBank(tmp_path, tmp_path / "cache")
        assert np.allclose(bank.read(bank.records[1]), x[1] / 1000.0, atol=1e-6)


def test_other_rates_are_brought_to_500_hz(tmp_path: Path) -> None:
    x = _write(tmp_path, "slow", 400, [""])
    bank = SignalBank(tmp_path, tmp_path / "cache")
    read = bank.read(bank.records[0])
    assert read.shape == (12, 5000)
    expected = np.interp(np.arange(4900) / 500, np.arange(4000) / 400, x[0, 1] / 1000.0)
    assert np.abs(read[1, 50:4900] - expected[50:]).max() < 0.1


def test_sources_without_amplitude_get_a_plausible_one(tmp_path: Path) -> None:
    x = _write(tmp_path, "ludb_shape_only", RATE_HZ, [""])
    np.savez(tmp_path / "ludb_shape_only.npz", x=(x // 30), fs=[500], record_id=["a"], patient_id=[""])
    bank = SignalBank(tmp_path, tmp_path / "cache")
    read = bank.read(bank.records[0])
    assert 0.3 < np.ptp(read[1]) < 6
    assert max(_residuals(read)) < 1e-4


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no signal files"):
        SignalBank(tmp_path, tmp_path / "cache")


def test_the_same_generator_draws_the_same_signal(bank: SignalBank) -> None:
    one, two = (bank.draw(np.random.default_rng(8), "valid") for _ in range(2))
    assert one.shape == (12, 5000)
    assert one.dtype == np.float32
    assert np.array_equal(one, two)


@pytest.mark.parametrize("seed", range(20))
def test_variations_keep_einthoven_and_goldberger(seed: int) -> None:
    rng = np.random.default_rng(seed)
    varied = augment(synthetic_ecg(rng, 10.0, RATE_HZ), rng)
    assert varied.shape == (12, 5000)
    assert np.isfinite(varied).all()
    assert max(_residuals(varied)) < 1e-5


@pytest.mark.parametrize("seed", range(20))
def test_a_synthetic_heart_obeys_einthoven_and_has_plausible_amplitudes(seed: int) -> None:
    x = synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ)
    assert x.shape == (12, 5000)
    assert x.dtype == np.float32
    assert max(_residuals(x)) < 1e-5
    assert 0.3 < np.ptp(x[1]) < 15


def test_synthetic_hearts_differ_in_rate_and_shape() -> None:
    spans = [np.ptp(synthetic_ecg(np.random.default_rng(s), 10.0, RATE_HZ)[6]) for s in range(12)]
    assert np.std(spans) > 0.1


def test_augmented_leads_follow_from_i_and_ii() -> None:
    eight = np.zeros((8, 4), np.float32)
    eight[0], eight[1] = 1.0, 3.0
    twelve = twelve_from_eight(eight)
    assert twelve[:6, 0] == pytest.approx([1.0, 3.0, 2.0, -2.0, -0.5, 2.5])
