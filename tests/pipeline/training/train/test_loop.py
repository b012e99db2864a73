"""The loop of the page networks: it learns, goes on where it stopped, and never loses its checkpoint."""

import csv
import multiprocessing
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from pipeline.errors import WeightsError
from pipeline.networks import Loaded
from pipeline.training.train import loop
from pipeline.training.train.loop import Run, Samples, Task, held_out, rate_now, train
from pipeline.training.train.options import Options, options_of, parser_of

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Brightness(Task):
    """Tells how bright a noisy square is."""

    broken: bool = False

    def build(self):
        layers = (
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 1),
        )
        return nn.Sequential(*layers)

    def sample(self, page, rng, *, plain):
        level = rng.uniform(40, 215)
        noise = 0 if plain else rng.normal(0, 5, (3, 16, 16))
        return (level + noise + np.zeros((3, 16, 16))).astype(np.uint8), np.float32(level / 255)

    def loss(self, output, targets):
        loss = ((output[:, 0].float() - targets[0]) ** 2).mean()
        return loss * torch.nan if self.broken else loss

    def judge(self, output, targets):
        return {"off": float((output[:, 0].float() - targets[0]).abs().mean())}


TASK = Brightness("brightness")


def batches(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        samples = [TASK.sample(None, rng, plain=False) for _ in range(8)]
        yield [torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True)]


def same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


def test_learns(tmp_path):
    run = Run(TASK, 1, tmp_path, CPU)
    losses = [float(run.step(batch, 0.02)) for batch in batches(120)]
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) / 4


def test_weights_stay_in_float32_and_the_network_computes_in_bfloat16_where_that_is_fast(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "prefers_bfloat16", lambda device: True)
    run, seen = Run(TASK, 1, tmp_path, CPU), []
    run.network.register_forward_hook(lambda module, given, output: seen.append(output.dtype))
    run.step(next(batches(1)), 0.01)
    assert seen == [torch.bfloat16]
    assert all(w.dtype == torch.float32 for w in run.network.parameters())


def test_a_run_that_stopped_ends_where_one_that_did_not_stop_ends(tmp_path):
    given = list(batches(6))
    whole = Run(TASK, 1, tmp_path, CPU)
    for batch in given:
        whole.step(batch, 0.01)
    first = Run(TASK, 1, tmp_path, CPU)
    for batch in given[:3]:
        first.step(batch, 0.01)
    first.minutes = 2.5
    first.save()
    second = Run(TASK, 99, tmp_path, CPU)
    second.load()
    assert (second.steps, second.samples, second.minutes) == (3, 24, 2.5)
    for batch in given[3:]:
        second.step(batch, 0.01)
    same(whole.network.state_dict(), second.network.state_dict())
    same(whole.average.state_dict(), second.average.state_dict())


def test_the_average_follows_weights_and_batch_norm_statistics(tmp_path):
    run = Run(TASK, 1, tmp_path, CPU)
    before = {key: value.clone() for key, value in run.average.state_dict().items()}
    run.step(next(batches(1)), 0.01)
    keep = 1 / (1 + loop.EMA_START)
    now, average = run.network.state_dict(), run.average.state_dict()
    for key in ("0.weight", "1.running_mean", "1.running_var"):
        assert not torch.equal(before[key], average[key])
        torch.testing.assert_close(average[key], before[key] * keep + now[key] * (1 - keep))
    assert int(average["1.num_batches_tracked"]) == 1


def test_the_average_is_slow_after_a_while(tmp_path):
    run = Run(TASK, 1, tmp_path, CPU)
    run.steps = 1_000_000
    before = {key: value.clone() for key, value in run.average.state_dict().items()}
    run.step(next(batches(1)), 0.01)
    weight, now = run.average.state_dict()["0.weight"], run.network.state_dict()["0.weight"]
    torch.testing.assert_close(weight, before["0.weight"] * loop.EMA + now * (1 - loop.EMA))


def test_judging_changes_nothing(tmp_path):
    run = Run(TASK, 1, tmp_path, CPU)
    run.step(next(batches(1)), 0.01)
    before = {key: value.clone() for key, value in run.average.state_dict().items()}
    figures = run.judge(list(batches(2)))
    assert figures == run.judge(list(batches(2)))
    assert set(figures) == {"valid_loss", "off"}
    same(before, run.average.state_dict())


def test_a_write_that_fails_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    run = Run(TASK, 1, tmp_path, CPU)
    run.step(next(batches(1)), 0.01)
    run.save()

    def fills_the_disk(state, file):
        file.write(b"half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fills_the_disk)
    run.step(next(batches(1)), 0.01)
    with pytest.raises(OSError, match="No space"):
        run.save()
    monkeypatch.undo()
    again = Run(TASK, 2, tmp_path, CPU)
    again.load()
    assert again.steps == 1


def test_a_process_killed_while_it_writes_leaves_a_whole_checkpoint(tmp_path):
    run = Run(TASK, 1, tmp_path, CPU)
    run.save()

    def save_on_and_on():
        while True:
            run.steps += 1
            run.save()

    rng, before = np.random.default_rng(0), 0
    for _ in range(8):
        process = multiprocessing.get_context("fork").Process(target=save_on_and_on)
        process.start()
        time.sleep(rng.uniform(0.05, 0.15))
        process.kill()
        process.join()
        run.load()
        assert run.steps >= before
        before = run.steps
    assert before > 8


def options(pool, run, **more):
    return Options(pool, pool, run, minutes=0.02, batch=4, judged=6, **more)


def test_a_resumed_training_goes_on_counting_and_logging(drawn_pages, tmp_path):
    train(TASK, options(drawn_pages, tmp_path))
    train(TASK, options(drawn_pages, tmp_path, resume=True))
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert len(rows) == 2
    assert int(rows[1]["samples"]) > int(rows[0]["samples"]) > 0
    assert float(rows[1]["minutes"]) > float(rows[0]["minutes"])
    assert float(rows[0]["samples_per_s"]) > 0
    assert (tmp_path / "curve.png").stat().st_size > 1000
    assert not (tmp_path / "checkpoint.part").exists()


def test_a_log_written_before_a_figure_was_added_goes_on(drawn_pages, tmp_path):
    (tmp_path / "log.csv").write_text("minutes,samples,train_loss,valid_loss,forgotten\n1,8,0.5,0.6,0.7\n")
    train(TASK, options(drawn_pages, tmp_path))
    old, new = csv.DictReader((tmp_path / "log.csv").open())
    assert (old["forgotten"], old["off"]) == ("0.7", "nan")
    assert new["forgotten"] == "nan"
    assert float(new["off"]) >= 0


def test_a_training_that_is_not_resumed_begins_anew(drawn_pages, tmp_path):
    train(TASK, options(drawn_pages, tmp_path))
    steps = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["steps"]
    train(TASK, options(drawn_pages, tmp_path))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["steps"] < 2 * steps + 50


def test_workers_cut_samples_as_the_process_itself_does(drawn_pages, tmp_path):
    train(TASK, options(drawn_pages, tmp_path, workers=2))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["samples"] > 0


def test_workers_and_runs_draw_other_samples(drawn_pages):
    def levels(seed, workers):
        loader = DataLoader(Samples(TASK, drawn_pages, seed), batch_size=4, num_workers=workers)
        return [tuple(batch[1].tolist()) for batch, _ in zip(loader, range(2), strict=False)]

    one, two = levels((1, 0), 2)  # a batch of each worker
    assert one != two
    assert levels((1, 0), 0) != levels((1, 800), 0)
    assert levels((1, 0), 0) == levels((1, 0), 0)


def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_checkpoint(drawn_pages, tmp_path):
    train(TASK, options(drawn_pages, tmp_path))
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(FloatingPointError, match="--rate"):
        train(Brightness("brightness", broken=True), options(drawn_pages, tmp_path, resume=True))
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_held_out_samples_are_the_same_in_every_run(drawn_pages):
    one, other = (held_out(TASK, drawn_pages, 6, 4) for _ in range(2))
    assert [len(batch[0]) for batch in one] == [4, 4]
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, other, strict=True))


def test_the_rate_warms_up_stays_and_falls_to_nothing():
    assert rate_now(1.0, 0, 0.0) == pytest.approx(1 / loop.WARM_UP_STEPS)
    assert rate_now(1.0, 500, 0.5) == 1.0
    assert rate_now(1.0, 500, 0.8) == pytest.approx(0.5)
    assert rate_now(1.0, 500, 1.3) == pytest.approx(0.0)


def test_the_command_line_fills_every_option(tmp_path):
    line = ["--pool", "a", "--valid", "b", "--run", "c", "--minutes", "3", "--batch", "5", "--resume"]
    given = options_of(parser_of("what it does", 8).parse_args(line))
    assert (str(given.pool), given.minutes, given.batch, given.resume) == ("a", 3.0, 5, True)
    assert given.rate == Options.rate


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_trains_on_a_gpu(drawn_pages, tmp_path):
    train(TASK, options(drawn_pages, tmp_path, workers=2))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True, map_location="cpu")["samples"] > 0


def test_a_run_may_begin_with_the_weights_that_ship(tmp_path, monkeypatch):
    shipped = Run(TASK, 5, tmp_path, CPU)
    monkeypatch.setattr(loop, "load", lambda name: Loaded(shipped.network, None))
    run = Run(TASK, 1, tmp_path, CPU)
    run.begin_with_shipped()
    same(run.network.state_dict(), shipped.network.state_dict())
    same(run.average.state_dict(), shipped.network.state_dict())
    run.step(next(batches(1)), 0.0)
    now, average = run.network.state_dict(), run.average.state_dict()
    for key in ("0.weight", "1.running_mean"):
        before = shipped.network.state_dict()[key]
        torch.testing.assert_close(average[key], loop.EMA * before + (1 - loop.EMA) * now[key])


def test_says_so_where_no_weights_ship(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "load", lambda name: None)
    with pytest.raises(WeightsError, match="no weights of brightness ship"):
        Run(TASK, 1, tmp_path, CPU).begin_with_shipped()
