"""Training patches: the target must lie on the ink, whatever is done to the geometry."""

import numpy as np
import pytest

from pipeline.synth.page import PageSpec, render
from pipeline.synth.signals import synthetic_ecg
from pipeline.training.data.pages import Pool, store_page
from pipeline.training.data.patches import TALL, Bend, _segment, draw_patch


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    signals = synthetic_ecg(np.random.default_rng(0), 10.0, 500)
    store_page(render(signals, 500, PageSpec(), 0), folder, 0)
    return Pool(folder)


def off_ink(patch):
    """Rows between the target and the centroid of ink within 1 mm of it, in flat counted columns."""
    dark = np.clip(-patch.pixels.max(axis=0), 0, None)  # red grid lines are bright in red
    rows = patch.target * 2 + 0.5
    flat = np.abs(np.gradient(rows)) < 0.5
    out = []
    for column in np.flatnonzero(np.isfinite(rows) & flat & patch.counted):
        near = np.arange(round(rows[column]) - 5, round(rows[column]) + 6)
        near = near[(near >= 0) & (near < dark.shape[0])]
        weight = dark[near, column]
        if weight.sum() > 0.5:
            out.append((weight * near).sum() / weight.sum() - rows[column])
    return np.array(out)


def test_the_target_of_a_plain_patch_lies_on_the_ink(pool):
    rng = np.random.default_rng(1)
    off = np.concatenate([off_ink(draw_patch(pool.draw(rng), rng, plain=True)) for _ in range(6)])
    assert len(off) > 500
    assert abs(np.median(off)) < 0.1
    assert np.median(np.abs(off)) < 0.25


def test_the_target_follows_the_ink_through_every_disturbance(pool):
    rng = np.random.default_rng(2)
    off = np.concatenate([off_ink(draw_patch(pool.draw(rng), rng)) for _ in range(12)])
    assert len(off) > 500
    assert abs(np.median(off)) < 0.15
    assert np.median(np.abs(off)) < 0.35


def test_a_bend_moves_the_row_out_of_the_middle(pool):
    rng = np.random.default_rng(3)
    middles = [np.nanmedian(draw_patch(pool.draw(rng), rng).target) for _ in range(12)]
    assert np.nanstd(middles) > 0.5  # bins of 0.4 mm; the rows' own medians hardly differ


def test_columns_beyond_the_row_have_no_target_and_count(pool):
    rng = np.random.default_rng(4)
    patches = [draw_patch(pool.draw(rng), rng, plain=True) for _ in range(20)]
    assert any(np.isnan(p.target).sum() > 20 for p in patches)
    assert all(p.counted[np.isnan(p.target)].all() for p in patches)


def test_shapes_are_those_the_network_takes(pool):
    rng = np.random.default_rng(5)
    patch = draw_patch(pool.draw(rng), rng)
    assert patch.pixels.shape == (3, 320, 512)
    assert patch.hints.shape == (4, 80, 128)
    assert patch.pixels.dtype == patch.hints.dtype == patch.target.dtype == np.float32


def test_a_tall_patch_holds_the_same_truth(pool):
    rng = np.random.default_rng(6)
    patch = draw_patch(pool.draw(rng), rng, TALL, plain=True)
    assert patch.pixels.shape == (3, 640, 256)
    off = off_ink(patch)
    assert len(off) > 30
    assert abs(np.median(off)) < 0.2


def test_ink_beyond_the_strip_is_asked_for_at_its_edge(tmp_path):
    signals = np.zeros((12, 5000), np.float32)
    signals[:, ::1000] = signals[:, 1::1000] = 5.0
    store_page(render(signals, 500, PageSpec(), 0), tmp_path, 0)
    rng = np.random.default_rng(7)
    patches = [draw_patch(Pool(tmp_path).draw(rng), rng, plain=True) for _ in range(30)]
    tops = [np.nanmin(p.target) for p in patches if np.isfinite(p.target).any()]
    assert min(tops) == 0.0


def test_no_bend_moves_nothing():
    x = np.linspace(0, 64, 9)
    assert (Bend().true_x(x, 32.0) == x).all()
    assert (Bend().offset(x, 32.0) == 0).all()


def test_an_empty_pool_says_what_to_start(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pipeline\.training\.data\.pages"):
        Pool(tmp_path).draw(np.random.default_rng(0))


def test_steep_rows_are_drawn_more_often(tmp_path):
    signals = np.zeros((12, 5000), np.float32)
    signals[6] = np.where(np.arange(5000) % 500 < 25, 2.0, 0.0)  # V1, in the first row's third column
    store_page(render(signals, 500, PageSpec(), 0), tmp_path, 0)
    page, rng = Pool(tmp_path).draw(np.random.default_rng(8)), np.random.default_rng(8)
    drawn = [_segment(page, rng, plain=False).lead for _ in range(300)]
    alike = [_segment(page, rng, plain=True).lead for _ in range(300)]
    assert drawn.count("V1") > 300 * 0.45 > 300 * 0.2 > alike.count("V1")
    assert len(set(drawn)) == 12
