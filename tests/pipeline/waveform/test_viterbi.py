"""The cheapest path against exhaustive search and at jumps."""

import itertools

import numpy as np

from pipeline.waveform.viterbi import cheapest_path


def test_equals_exhaustive_search_on_small_strips():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cost = rng.random((4, 5)).astype(np.float32)
        stiffness, jump = float(rng.uniform(0, 0.5)), rng.uniform(0, 1, 5).astype(np.float32)

        def price(path, cost=cost, stiffness=stiffness, jump=jump):
            steps = sum(min(stiffness * abs(path[i] - path[i - 1]), jump[i]) for i in range(1, 5))
            return sum(cost[row, i] for i, row in enumerate(path)) + steps

        best = min(itertools.product(range(4), repeat=5), key=price)
        found = tuple(cheapest_path(cost, stiffness, jump))
        assert abs(price(found) - price(best)) < 1e-5


def test_costs_are_left_as_they_are_whatever_their_order_in_memory():
    cost = np.asfortranarray(np.random.default_rng(2).random((6, 5), np.float32))
    before = cost.copy()
    cheapest_path(cost, 0.1, np.full(5, 1.0, np.float32))
    assert np.array_equal(cost, before)


def test_jumps_where_a_jump_costs_nothing():
    cost = np.ones((50, 20), np.float32)
    cost[5, :10] = cost[45, 10:] = 0
    jump = np.full(20, 1000.0, np.float32)
    jump[10] = 0
    assert cheapest_path(cost, 5.0, jump).tolist() == [5] * 10 + [45] * 10


def test_comes_from_above_where_both_ways_cost_the_same():
    cost = np.full((7, 2), 9, np.float32)
    cost[[1, 5], 0] = cost[3, 1] = 0
    assert cheapest_path(cost, 0.25, np.full(2, 9.0, np.float32)).tolist() == [1, 3]


def test_comes_from_near_where_a_jump_costs_as_much():
    cost = np.full((7, 2), 9, np.float32)
    cost[[0, 5], 0] = cost[3, 1] = 0
    assert cheapest_path(cost, 0.25, np.full(2, 0.5, np.float32)).tolist() == [5, 3]
    assert cheapest_path(cost, 0.25, np.full(2, 0.4, np.float32)).tolist() == [0, 3]


def test_a_lone_dark_spot_does_not_pull_the_path_away():
    cost = np.ones((50, 20), np.float32)
    cost[25] = 0
    cost[25, 9], cost[2, 9] = 1, 0
    assert cheapest_path(cost, 0.1, np.full(20, 5.0, np.float32)).tolist() == [25] * 20
