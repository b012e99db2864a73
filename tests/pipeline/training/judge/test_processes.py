"""Work shared among processes."""

from __future__ import annotations

import torch

from pipeline.training.judge.processes import in_processes


def threads_and(number: int) -> tuple[int, int]:
    return number, torch.get_num_threads()


def test_gives_what_was_made_of_each_in_the_order_given(capsys):
    assert [number for number, _ in in_processes(threads_and, [3, 1, 2], 1)] == [3, 1, 2]
    done = list(in_processes(threads_and, [5, 4, 3, 2, 1], 2))
    assert done == [(number, 1) for number in (5, 4, 3, 2, 1)]
    assert "5/5" in capsys.readouterr().out
