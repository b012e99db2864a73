"""Where networks are computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.digitize import Digitizer
from pipeline.errors import DeviceError
from pipeline.networks import choose_device, prefers_bfloat16
from pipeline.synth.truth import Rendered


def with_gpu(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


@pytest.mark.parametrize(("wanted", "chosen"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_a_gpu_is_used_where_there_is_one_and_nobody_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, wanted: str, chosen: str
) -> None:
    with_gpu(monkeypatch, True)
    assert choose_device(wanted) == chosen


def test_without_a_gpu_networks_run_on_the_processor_unless_one_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, False)
    assert choose_device() == choose_device("cpu") == "cpu"
    with pytest.raises(DeviceError, match="no GPU can be used here"):
        choose_device("cuda")
    with pytest.raises(DeviceError, match="no GPU can be used here"):
        Digitizer("cuda")


def test_a_device_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(DeviceError, match="'gpu' is no device; choose one of auto, cpu, cuda"):
        choose_device("gpu")


def test_bfloat16_is_for_devices_that_multiply_it_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda there=there: there)
        assert prefers_bfloat16("cpu") is there
        assert prefers_bfloat16(torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_reads_what_the_processor_reads(clean: Rendered) -> None:
    one, other = (Digitizer(device).digitize(clean.page) for device in ("cpu", "cuda"))
    assert one.layout == other.layout
    assert one.speed_mm_s == other.speed_mm_s
    for a, b in zip(one.strips, other.strips, strict=True):
        both = np.isfinite(a.millivolts) & np.isfinite(b.millivolts)
        assert np.median(np.abs(a.millivolts - b.millivolts)[both]) < 0.01
