"""The trainer of stage 0: names lie on their letters, the loss asks for them, the figures count them."""

import math

import numpy as np
import pytest
import torch

from pipeline.networks.peaks import CELL, CHANNELS, NAMES_AND_PLACE, Point, find_peaks
from pipeline.recording import TWELVE
from pipeline.training.train.loop import Run
from pipeline.training.train.register import (
    NAMES,
    POINTS,
    PRIOR,
    THRESHOLD,
    focal_loss,
    heat_of,
    match,
    name_loss,
    point_loss,
    structure,
    task,
)

SIDE = 640


def names_of(*rows):
    names = torch.full((1, NAMES, 4), math.nan)
    for i, row in enumerate(rows):
        names[0, i] = torch.tensor(row, dtype=torch.float32)
    return names


def perfect(names, side=64):
    """Logits (N, 13, side, side) as sure as the target itself."""
    heat, _, _ = heat_of(names, side, side)
    known = torch.zeros(len(names), len(TWELVE), side, side)
    for sample, row in enumerate(names):
        for lead, x, y, _ in row[torch.isfinite(row[:, 0])].round().long():
            known[sample, lead, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 9.0
    return torch.cat([torch.logit(heat.clamp(1e-4, 1 - 1e-4))[:, None], known], dim=1)


def counts(names, logits, per_mm=2.0):
    found = match(find_peaks(logits, THRESHOLD), names, torch.full((len(names),), per_mm))
    return found.asked, found.placed, found.right, found.said


@pytest.mark.parametrize("page", ["plain", "turned", "mirrored", "curled", "fax"])
@pytest.mark.parametrize("plain", [True, False])
def test_names_lie_on_their_letters(pages, page, plain):
    rng = np.random.default_rng(1)
    blank, counted = 0, 0
    for _ in range(6):
        pixels, names, _, per_mm, _ = task(SIDE).sample(pages[page], rng, plain=plain)
        dark = 255 - pixels.max(axis=0).astype(int)
        reach = math.ceil(2.5 * per_mm * CELL)
        for lead, x, y, whole in names[np.isfinite(names[:, 0])]:
            assert 0 <= lead < len(TWELVE)
            if not whole:
                continue
            px, py = round(x * CELL + 0.5), round(y * CELL + 0.5)
            around = dark[max(py - reach, 0) : py + reach + 1, max(px - reach, 0) : px + reach + 1]
            counted += 1
            blank += int(around.max() < 100)
    assert counted > 10
    assert blank == 0


def test_orientations_are_drawn_as_pages_come(pages):
    rng = np.random.default_rng(2)
    drawn = [int(task(64).sample(pages["turned"], rng, plain=True)[2]) for _ in range(300)]
    assert set(drawn) == set(range(8))
    assert 0.65 < drawn.count(0) / len(drawn) < 0.84


def test_a_turned_sample_is_the_upright_one_turned(pages):
    """The orientation said is the one that set_upright undoes: header text then runs along rows again."""
    rng, found = np.random.default_rng(3), {}
    for _ in range(60):
        pixels, names, orientation, _, _ = task(SIDE).sample(pages["plain"], rng, plain=True)
        found.setdefault(int(orientation), (pixels, names[np.isfinite(names[:, 0])]))
    for orientation, (_, names) in found.items():
        left = names[np.isin(names[:, 0], [0, 1, 2])]  # I, II, III stand below one another at the page's left
        if len(left) < 2:
            continue
        order = left[np.argsort(left[:, 0], kind="stable")]
        along = order[-1, 1:3] - order[0, 1:3]
        down = orientation % 2 == 0
        assert (abs(along[1]) > abs(along[0])) == down


def test_the_loss_of_places_is_least_at_the_names():
    names = names_of((3, 20.3, 30.6, 1), (7, 50, 12, 1))
    right, shifted = perfect(names)[:, 0], perfect(names_of((3, 26, 30, 1), (7, 50, 12, 1)))[:, 0]
    losses = [float(focal_loss(logits, names)) for logits in (right, shifted, torch.full_like(right, PRIOR))]
    assert losses[0] < 0.4
    assert min(losses[1:]) > 2 * losses[0]


def test_the_loss_of_names_asks_for_the_right_lead_where_a_name_stands():
    names, other = names_of((3, 20, 30, 1), (7, 50, 12, 0)), names_of((4, 20, 30, 1), (7, 50, 12, 0))
    logits = perfect(names)[:, 1:]
    assert float(name_loss(logits, names)) < 0.01
    assert float(name_loss(logits, other)) > 5
    assert float(name_loss(logits, names_of((7, 50, 12, 0)))) == 0


def test_a_name_cut_by_the_edge_is_neither_asked_for_nor_held_against():
    cut_off = names_of((3, 0.5, 30, 0))
    silent = torch.full((1, 64, 64), -9.0)
    seen, far = silent.clone(), silent.clone()
    seen[0, 30, 1], far[0, 30, 40] = 3.0, 3.0
    assert float(focal_loss(silent, cut_off)) < 0.01
    assert float(focal_loss(seen, cut_off)) < 0.01
    assert float(focal_loss(far, cut_off)) > 1


def test_no_names_is_a_loss_too():
    assert float(focal_loss(torch.full((1, 8, 8), -9.0), names_of())) < 1e-3
    assert float(focal_loss(torch.zeros(1, 8, 8), names_of())) > 1


def test_perfect_heat_finds_every_name_below_a_cell():
    names = names_of((0, 20.3, 30.6, 1), (1, 20.1, 45.2, 1), (11, 50.4, 12.5, 1))
    found = match(find_peaks(perfect(names), THRESHOLD), names, torch.tensor([2.3]))
    assert (found.asked, found.placed, found.right, found.said) == (3, 3, 3, 3)
    assert found.off_mm < 0.05


def test_a_name_misread_is_placed_but_not_right_and_one_too_far_away_is_neither():
    names = names_of((0, 20, 30, 1))
    assert counts(names, perfect(names_of((1, 20, 30, 1)))) == (1, 1, 0, 1)
    assert counts(names, perfect(names_of((0, 25, 30, 1)))) == (1, 0, 0, 1)
    assert counts(names, perfect(names_of((0, 23, 30, 1)))) == (1, 1, 1, 1)
    assert counts(names, perfect(names_of())) == (1, 0, 0, 0)
    assert counts(names_of(), perfect(names)) == (0, 0, 0, 1)


def test_one_peak_answers_one_name_and_a_cut_one_counts_nowhere():
    seen = perfect(names_of((0, 20, 30, 1)))
    assert counts(names_of((0, 20, 30, 1), (0, 20, 32, 1)), seen) == (2, 1, 1, 1)
    assert counts(names_of((0, 20, 30, 0)), seen) == (0, 0, 0, 0)


def test_figures_are_shares_of_the_batch():
    names = torch.cat([names_of((0, 20, 30, 1), (1, 50, 30, 1)), names_of((2, 20, 30, 1))])
    said = torch.cat([perfect(names_of((0, 20, 30, 1), (5, 50, 30, 1))), perfect(names_of())])
    turn = torch.tensor([[9.0] + [0.0] * 7, [9.0] + [0.0] * 7])
    said = torch.cat([said, torch.full((2, len(Point), 64, 64), -9.0)], dim=1)
    said[0, NAMES_AND_PLACE + Point.START, 30, 20] = 3.0
    points = torch.full((2, POINTS, 4), math.nan)
    points[0, 0] = torch.tensor([Point.START, 21.0, 30.0, 1.0])
    points[0, 1] = torch.tensor([Point.FALL, 40.0, 30.0, 1.0])
    figures = task().judge((said, turn), [names, torch.tensor([0, 3]), torch.full((2,), 2.0), points])
    assert figures["recall"] == pytest.approx(1 / 3)
    assert figures["place_recall"] == pytest.approx(2 / 3)
    assert figures["precision"] == 0.5
    assert figures["orientation"] == 0.5
    assert figures["start_recall"] == figures["start_precision"] == 1
    assert figures["start_off_mm"] == pytest.approx(0.5, abs=0.05)
    assert figures["point_recall"] == 0


def test_a_fresh_network_expects_few_names():
    heat, turn = task().build().eval()(torch.zeros(1, 3, 64, 64))
    assert heat.shape == (1, CHANNELS, 32, 32)
    assert turn.shape == (1, 8)
    assert float(heat[:, 0].detach().sigmoid().mean()) < 0.05
    assert float(heat[:, NAMES_AND_PLACE:].detach().sigmoid().mean()) < 0.05


def test_learns_a_page_by_heart(pages, tmp_path):
    torch.manual_seed(0)
    small = task(96)
    rng = np.random.default_rng(5)
    samples = [small.sample(pages["plain"], rng, plain=True) for _ in range(4)]
    batch = [torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True)]
    run = Run(small, 1, tmp_path, torch.device("cpu"))
    losses = [float(run.step(batch, 2e-3)) for _ in range(12)]
    assert np.mean(losses[-3:]) < 0.6 * losses[0]


def test_a_page_has_a_start_for_every_lead_an_end_for_every_row_and_three_points_for_every_pulse(pages):
    truth = pages["plain"].rendered.truth
    kinds, places = structure(truth)
    assert len(kinds) == len(places)
    assert kinds.count(Point.START) == len(truth.segments)
    assert kinds.count(Point.END) == len({s.row for s in truth.segments})
    assert [kinds.count(k) for k in (Point.RISE, Point.FALL, Point.TOP)] == [len(truth.pulses_mm)] * 3
    back = truth.paper.to_mm(places[: len(truth.segments)])
    assert back == pytest.approx(np.array([(s.start_mm, s.baseline_mm) for s in truth.segments]), abs=0.01)


@pytest.mark.parametrize("page", ["plain", "curled", "fax"])
def test_points_are_asked_for_where_they_are_drawn_and_only_of_upright_pieces(pages, page):
    rng, upright, counted = np.random.default_rng(4), 0, 0
    for _ in range(12):
        pixels, _, orientation, per_mm, points = task(SIDE).sample(pages[page], rng, plain=True)
        known = points[np.isfinite(points[:, 0])]
        if orientation:
            assert not len(known)
            continue
        upright += 1
        dark = 255 - pixels.max(axis=0).astype(int)
        for kind, x, y, whole in known:
            if not whole or kind not in (Point.RISE, Point.FALL):
                continue
            px, py, reach = round(x * CELL + 0.5), round(y * CELL + 0.5), math.ceil(1.5 * per_mm * CELL)
            counted += 1
            assert dark[max(py - reach, 0) : py + reach + 1, max(px - reach, 0) : px + reach + 1].max() > 100
    assert upright > 4


def test_the_loss_of_points_asks_each_kind_in_its_own_map():
    points = torch.full((1, POINTS, 4), math.nan)
    points[0, 0] = torch.tensor([Point.START, 20.0, 30.0, 1.0])
    right = torch.full((1, len(Point), 64, 64), -9.0)
    right[:, Point.START] = perfect(names_of((0, 20, 30, 1)))[:, 0]
    wrong = right.roll(1, dims=1)
    assert float(point_loss(right, points)) < 0.1 * float(point_loss(wrong, points))
    assert float(point_loss(right[:0], points[:0])) == 0
