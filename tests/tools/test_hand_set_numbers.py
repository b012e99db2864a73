"""The count of hand-set numbers sees what decides something, and nothing that only counts or indexes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.hand_set_numbers import ROOT, Count, count, count_source, judge


@pytest.mark.parametrize(
    ("source", "named", "bare"),
    [
        ("NEAR_MM = 3.0", 1, 0),
        ("NEAR_MM: float = 3.0", 1, 0),
        ("LOW, HIGH = 0.15, 0.5", 2, 0),
        ("COSTS = np.array([0.0, 1.5]) / 3", 3, 0),
        ("class A:\n    NEAR_MM = 3.0", 1, 0),
        ("def f(x, near=3.0):\n    return x > 4", 0, 2),
        ("def f(x):\n    return x[3:7] + x[:, 5]", 0, 0),
        ("def f(x):\n    return 2 * x + 1 - 0.5 * x - -1", 0, 0),
        ("def f(x):\n    NEAR_MM = 3.0\n    return x > NEAR_MM", 0, 1),
        ('NAME = "3.0"\nON = True', 0, 0),
    ],
)
def test_counts_what_somebody_chose(source: str, named: int, bare: int) -> None:
    assert count_source(source) == Count(named, bare)


def test_training_and_drawing_do_not_count(tmp_path: Path) -> None:
    for folder in (".", "training", "synth", "grid/training"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "a.py").write_text("NEAR_MM = 3.0", encoding="utf-8")
    assert count(tmp_path) == Count(2, 0)


def test_one_number_more_fails_and_another_sum_asks_for_a_new_record() -> None:
    recorded = Count(10, 20)
    assert judge(recorded, recorded) is None
    assert "fit the new one" in (judge(Count(11, 20), recorded) or "")
    assert "fit the new one" in (judge(Count(9, 22), recorded) or "")
    assert "up to date" in (judge(Count(9, 20), recorded) or "")
    assert "up to date" in (judge(Count(11, 19), recorded) or "")


def test_a_number_added_to_a_stage_is_seen(tmp_path: Path) -> None:
    stage = (ROOT / "pipeline/paper/lattice.py").read_text(encoding="utf-8")
    before, after = count_source(stage), count_source(f"{stage}\n\nNEW_MM = 7.5\n")
    assert after == Count(before.named + 1, before.bare)
