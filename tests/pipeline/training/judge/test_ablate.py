"""The comparison of stage 2 with and without its parts."""

from dataclasses import replace

import pytest
import torch

from pipeline.networks import RowOptions
from pipeline.training.data.targets import Batch
from pipeline.training.judge.ablate import Variant, compare
from pipeline.training.train.waveform import Options

TINY = RowOptions(widths=(8, 8, 8, 8), head=8)
OPTIONS = Options(None, None, None, 0.0, batch=2, patches=60, rate=5e-3, warmup=1)


def two_rows(at):
    """The same blank strip, whose trace lies at a height that only its coordinates tell."""
    return Batch(
        torch.zeros(2, 3, 64, 32), torch.zeros(2, 4, 16, 8), torch.full((2, 32), at), torch.ones(2, 32, dtype=bool)
    )


def stream_of(batch):
    while True:
        yield batch


def test_shows_what_coordinates_are_worth():
    batch = two_rows(5.0)
    variants = (Variant("with", TINY), Variant("without", replace(TINY, coordinates=False)))
    lines = compare(OPTIONS, stream_of(batch), [batch], variants).splitlines()
    off_mm = [float(line.split("|")[4]) for line in lines[2:]]
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["60", "60"]
    assert off_mm[0] < 0.5 * off_mm[1]  # nothing else on a blank strip tells one height from another


def test_wants_to_know_when_to_end():
    with pytest.raises(ValueError, match="tell how many"):
        compare(replace(OPTIONS, patches=None), stream_of(two_rows(5.0)), [])
