"""The trainer of stage 2: its loss, its schedule, and that a stopped run goes on where it was."""

import math

import numpy as np
import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks import RowOptions, load
from pipeline.synth.page import PageSpec, render
from pipeline.synth.signals import synthetic_ecg
from pipeline.training.data.pages import store_page
from pipeline.training.data.targets import Batch, _ratio_loss, loss_of, sigmoid_loss_of
from pipeline.training.judge.waveform import load_run
from pipeline.training.train import waveform
from pipeline.training.train.waveform import Options, Trainer, rate_now, validate, work

BINS, COLUMNS = 40, 16


def batch(target, counted=True):
    target = torch.full((1, COLUMNS), float(target)) if np.isscalar(target) else target
    mask = torch.full((1, COLUMNS), counted)
    return Batch(torch.zeros(1, 3, 80, COLUMNS), torch.zeros(1, 4, 20, 4), target, mask)


def logits_at(bin_, sharp=1.0):
    away = torch.arange(BINS + 1, dtype=torch.float32) - bin_
    logits = -0.5 * (away / sharp) ** 2
    logits[-1] = -20.0
    return logits[None, :, None].expand(1, BINS + 1, COLUMNS)


def test_the_loss_is_least_at_the_truth():
    at = [float(loss_of(logits_at(b), batch(20.3))) for b in (18.0, 20.0, 20.3, 21.0, 30.0)]
    assert min(at) == at[2]
    assert at[2] == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.02)  # a Gaussian's own entropy


def test_columns_without_ink_ask_for_the_last_class():
    empty = batch(math.nan)
    silent = torch.full((1, BINS + 1, COLUMNS), -10.0)
    silent[:, -1] = 10.0
    assert float(loss_of(silent, empty)) < 0.01 < float(loss_of(logits_at(20.0), empty))


def test_columns_that_do_not_count_cost_nothing():
    assert float(loss_of(logits_at(5.0), batch(30.0, counted=False))) == 0.0


def test_steep_columns_weigh_more():
    target = torch.full((1, COLUMNS), 20.0)
    target[0, 8:] = 26.0
    wrong_on_flat, wrong_on_steep = logits_at(20.0).clone(), logits_at(20.0).clone()
    for logits, column in ((wrong_on_flat, 2), (wrong_on_steep, 8)):
        logits[:, :, 8:] = logits_at(26.0)[:, :, 8:]
        logits[:, :, column] = logits_at(10.0)[:, :, column]
    assert float(loss_of(wrong_on_steep, batch(target))) > float(loss_of(wrong_on_flat, batch(target)))


def test_the_ablation_by_sigmoids_is_least_at_the_truth_too():
    def logits(bin_):
        p = torch.exp(-0.5 * (torch.arange(BINS + 1, dtype=torch.float32) - bin_) ** 2).clamp(1e-4, 1 - 1e-4)
        p[-1] = 1e-4
        return torch.logit(p)[None, :, None].expand(1, BINS + 1, COLUMNS)

    at = [float(sigmoid_loss_of(logits(b), batch(20.3))) for b in (18.0, 20.0, 20.3, 21.0, 30.0)]
    assert min(at) == at[2]
    assert float(sigmoid_loss_of(logits(20.3), batch(20.3, counted=False))) == 0.0


def test_the_rate_warms_up_stays_and_falls():
    options = Options(None, None, None, 60.0, rate=1.0, warmup=10)
    assert rate_now(options, 0, 0.0) == pytest.approx(0.1)
    assert rate_now(options, 50, 0.5) == 1.0
    assert rate_now(options, 50, 1.0) == pytest.approx(0.03)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    signals = synthetic_ecg(np.random.default_rng(0), 10.0, 500)
    store_page(render(signals, 500, PageSpec(), 0), folder, 0)
    return folder


def test_learns_and_goes_on_from_its_checkpoint(pages, tmp_path):
    small = RowOptions((8, 8, 8, 8), 8)
    options = Options(pages, pages, tmp_path, minutes=0.05, batch=2, warmup=1, network=small)
    work(0, options)
    first = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    work(0, Options(pages, pages, tmp_path, minutes=0.02, batch=2, warmup=1, network=small, resume=True))
    second = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert second["steps"] > first["steps"] > 0
    assert second["patches"] == 2 * second["steps"]
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_a_step_lowers_the_loss_of_its_own_batch():
    torch.manual_seed(0)
    trainer = Trainer.fresh(Options(None, None, None, 1.0, network=RowOptions((8, 8, 8, 8), 8)), torch.device("cpu"))
    data = Batch(
        torch.rand(2, 3, 64, 32), torch.zeros(2, 4, 16, 8), torch.full((2, 32), 12.0), torch.ones(2, 32, dtype=bool)
    )
    losses = [trainer.step(data) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    assert validate(trainer.network, [data])[0] < losses[0]


def test_a_run_ends_by_patches_where_they_are_told(pages, tmp_path):
    small = RowOptions(widths=(8, 8, 8, 8), head=8)
    options = Options(pages, pages, tmp_path, 60.0, batch=2, patches=4, sigmoid=True, network=small)
    work(0, options)
    assert (tmp_path / "log.csv").read_text().splitlines()[-1].split(",")[1] == "6"


def test_the_ratio_of_noise_to_signal_is_asked_for_until_the_rule_no_longer_counts_it():
    target = torch.zeros(1, COLUMNS)
    target[0, ::2] = 9.0  # mean 4.5: a power of 20.25 a column, and one bin
    everywhere = torch.ones(1, COLUMNS, dtype=torch.bool)
    losses = [
        float(_ratio_loss(torch.full((1, COLUMNS), off), target, everywhere)) for off in (0.0, 0.1, 1.0, 10.0, 100.0)
    ]
    assert losses == pytest.approx([math.log1p(384 * off**2 / 21.25) for off in (0.0, 0.1, 1.0, 10.0, 100.0)], rel=1e-5)


def test_a_patch_without_ink_has_no_ratio():
    nowhere = torch.zeros(2, COLUMNS, dtype=torch.bool)
    assert float(_ratio_loss(torch.zeros(2, COLUMNS), torch.zeros(2, COLUMNS), nowhere)) == 0.0


def test_a_run_may_begin_with_the_weights_that_ship(pages, tmp_path):
    work(0, Options(pages, pages, tmp_path, 60.0, batch=1, patches=1, from_shipped=True, already=700, rate=0.0))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["patches"] == 702
    shipped = load("waveform").network.state_dict()
    kernel = "heights.weight"
    assert torch.equal(state["average"][kernel], shipped[kernel])  # at a rate of nothing it stays as it came


def test_says_so_where_no_weights_ship(monkeypatch):
    monkeypatch.setattr(waveform, "load", lambda name: None)
    trainer = Trainer.fresh(Options(None, None, None, 1.0, network=RowOptions((8, 8, 8, 8), 8)), torch.device("cpu"))
    with pytest.raises(WeightsError, match="no weights of stage 2 ship"):
        trainer.begin_with_shipped(0)


def test_a_run_may_begin_with_another(pages, tmp_path):
    narrow = RowOptions((8, 8, 8, 8), 8, columns=2)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    work(0, Options(pages, pages, tmp_path / "first", 60.0, batch=1, patches=1, network=narrow))
    before = tmp_path / "first" / "checkpoint.pt"
    options = Options(
        pages, pages, tmp_path / "second", 60.0, batch=1, patches=3, network=narrow, from_checkpoint=before
    )
    work(0, options)
    network, built, patches = load_run(tmp_path / "second" / "checkpoint.pt")
    assert built == narrow
    assert patches == torch.load(before, weights_only=True)["patches"] + 4
    assert network.heights.out_channels == 4


def test_a_run_of_other_parts_is_no_beginning(pages, tmp_path):
    narrow = RowOptions((8, 8, 8, 8), 8, columns=2)
    work(0, Options(pages, pages, tmp_path, 60.0, batch=1, patches=1, network=narrow))
    plain = Trainer.fresh(Options(None, None, None, 1.0, network=RowOptions((8, 8, 8, 8), 8)), torch.device("cpu"))
    with pytest.raises(WeightsError, match=r"(?s)another build.*stem"):
        plain.begin_with_checkpoint(tmp_path / "checkpoint.pt")
