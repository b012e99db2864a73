"""What is exported is what was judged, and what the pipeline will load."""

import numpy as np
import pytest
import torch

from pipeline.networks import load, manifest
from pipeline.networks.phase import CLASSES
from pipeline.training.export import judged_row
from pipeline.training.ship import ship
from pipeline.training.train.grid import GridTask, task
from pipeline.training.train.loop import Run

SMALL = GridTask("grid", {"classes": CLASSES, "encoder": "resnet18", "depth": 3}, side=96)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pages):
    folder = tmp_path_factory.mktemp("run")
    run = Run(SMALL, 1, folder, torch.device("cpu"))
    rng = np.random.default_rng(0)
    samples = [SMALL.sample(pages["plain"], rng, plain=False) for _ in range(4)]
    batch = [torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True)]
    for _ in range(3):
        run.step(batch, 1e-3)
    run.save()
    return run


def test_the_pipeline_loads_what_was_judged(trained, drawn_pages, tmp_path):
    (tmp_path / "manifest.toml").write_text("")
    row, state = judged_row(SMALL, trained.checkpoint.parent, drawn_pages, judged=8)
    ship(state, row, tmp_path)
    loaded = load("grid", tmp_path)
    judged = SMALL.build().eval()
    judged.load_state_dict(state)
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded.network(x), judged(x))
    assert "p90_1mm" in manifest(tmp_path)["grid"].score
    assert "12 samples" in manifest(tmp_path)["grid"].score


def test_the_running_average_is_exported_not_the_last_step(trained, drawn_pages):
    _, state = judged_row(SMALL, trained.checkpoint.parent, drawn_pages, judged=8)
    key = "encoder.conv1.weight"
    torch.testing.assert_close(state[key], trained.average.state_dict()[key], atol=1e-3, rtol=1e-3)
    assert not torch.equal(state[key], trained.network.state_dict()[key])


def test_a_run_of_another_network_is_refused(trained, drawn_pages):
    other = task()
    object.__setattr__(other, "name", "register")
    with pytest.raises(ValueError, match="not of register"):
        judged_row(other, trained.checkpoint.parent, drawn_pages, judged=8)
