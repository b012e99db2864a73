"""The trainer of the source classifier."""

import math

import numpy as np
import torch

from pipeline.recording import Degradation, Source
from pipeline.training.train import source
from pipeline.training.train.loop import Run
from pipeline.training.train.source import (
    KEPT,
    KINDS,
    NO_ECG,
    NO_ECG_SEED,
    REFRESHED,
    Others,
    task,
)


def logits(kind, severities):
    rows = torch.full((1, len(KINDS)), -9.0)
    rows[0, kind] = 9.0
    return torch.cat([rows, torch.logit(torch.tensor([severities]).clamp(1e-4, 1 - 1e-4))], dim=1)


def test_a_sample_carries_the_truth_of_its_page(pages, monkeypatch):
    monkeypatch.setattr(source, "NO_ECG_SHARE", 0.0)
    pixels, kind, severities = task().sample(pages["fax"], np.random.default_rng(0), plain=True)
    assert pixels.shape == (3, 456, 456)
    assert pixels.dtype == np.uint8
    assert KINDS[int(kind)] is Source.FAX_STANDARD
    assert severities.tolist() == [np.float32(s) for s in pages["fax"].rendered.truth.degradations]


def test_some_samples_are_no_ecg_and_their_severities_unknown(pages, monkeypatch):
    monkeypatch.setattr(source, "KEPT", 2)
    rng, classifier = np.random.default_rng(1), task()
    drawn = [classifier.sample(pages["plain"], rng, plain=False) for _ in range(60)]
    others = [severities for _, kind, severities in drawn if kind == NO_ECG]
    assert 2 <= len(others) <= 18
    assert all(np.isnan(severities).all() for severities in others)


def test_pages_that_are_no_ecg_are_remembered_and_renewed(monkeypatch):
    drawn = []

    def count(seed):
        drawn.append(seed)
        return type("Drawn", (), {"image": np.zeros((4, 4, 3), np.uint8)})()

    monkeypatch.setattr(source, "render_not_an_ecg", count)
    others, rng = Others(), np.random.default_rng(2)
    for _ in range(400):
        others.draw(rng, plain=False)
    assert len(others.pages) == KEPT
    renewed = (400 - KEPT) * REFRESHED
    assert 0.4 * renewed < len(drawn) - KEPT < 1.8 * renewed
    training = set(drawn)
    drawn.clear()
    others.draw(rng, plain=True)
    assert not training & set(drawn)
    assert NO_ECG_SEED <= min(training) <= max(training) < NO_ECG_SEED + 1_000_000 <= drawn[0]


def test_the_loss_is_least_for_the_right_kind_and_severities():
    severities = [0.0, 0.3, 0.0, 0.8, 0.0, 0.0, 0.5, 0.0, 0.0]
    targets = [torch.tensor([4]), torch.tensor([severities])]
    right = float(task().loss(logits(4, severities), targets))
    assert right < float(task().loss(logits(5, severities), targets)) - 5
    assert right < float(task().loss(logits(4, [0.2] * 9), targets)) - 0.1


def test_unknown_severities_cost_nothing():
    targets = [torch.tensor([NO_ECG]), torch.full((1, 9), math.nan)]
    assert float(task().loss(logits(NO_ECG, [0.9] * 9), targets)) < 1e-4


def test_figures_count_kinds_and_measure_severities():
    severities = [0.2] * 9
    targets = [torch.tensor([4, NO_ECG]), torch.tensor([severities, [math.nan] * 9])]
    output = torch.cat([logits(5, [0.3] * 9), logits(NO_ECG, [0.9] * 9)])
    figures = task().judge(output, targets)
    assert figures["accuracy"] == 0.5
    assert figures["ecg_or_not"] == 1.0
    assert abs(figures["severity_error"] - 0.1) < 1e-3


def test_the_network_has_a_logit_for_every_kind_and_degradation():
    network = task("efficientnet_b0").build().eval()
    assert network(torch.zeros(1, 3, 96, 96)).shape == (1, len(Source) + len(Degradation))


def test_a_fresh_network_expects_pages_to_be_well():
    output = task("efficientnet_b0").build().eval()(torch.zeros(1, 3, 96, 96))
    assert float(output[:, len(KINDS) :].detach().sigmoid().mean()) < 0.25


def test_learns_its_pages_by_heart(pages, tmp_path):
    classifier = task("efficientnet_b0")
    rng = np.random.default_rng(3)
    samples = [classifier.sample(pages[name], rng, plain=True) for name in ("plain", "fax", "curled", "bare")]
    pixels, *targets = (torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True))
    batch = [pixels[..., ::3, ::3], *targets]  # small: what counts here is that it learns
    run = Run(classifier, 1, tmp_path, torch.device("cpu"))
    losses = [float(run.step(batch, 1e-3)) for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]
