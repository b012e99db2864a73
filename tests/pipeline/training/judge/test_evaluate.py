"""The table of the model card."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.training.judge.evaluate import Row, contest_db, table


def row(number: int, db: float | None, confidence: float = 0.5) -> Row:
    if db is None:
        return Row(f"{number:04d}", "fax_fine", True, "no_grid")
    return Row(f"{number:04d}", "fax_fine", True, "", confidence, db, db)


def test_the_contest_averages_ratios_and_counts_a_refused_page_as_none() -> None:
    assert contest_db([row(0, 20.0), row(1, 20.0)]) == pytest.approx(20.0)
    assert contest_db([row(0, 20.0), row(1, 0.0)]) == pytest.approx(17.03, abs=0.01)
    assert contest_db([row(0, 20.0), row(1, None)]) == pytest.approx(16.99, abs=0.01)
    assert contest_db([row(0, None)]) == float("-inf")


def test_the_table_tells_pages_that_are_wrong_without_saying_so() -> None:
    rows = [row(0, 18.0, 0.95), row(1, 2.0, 0.95), row(2, 3.0, 0.4), row(3, None)]
    text = table(rows, [])
    assert "Wrong without saying so (confidence at least 0.9, below 6 dB): 1 of 4 pages." in text
    line = next(line for line in text.splitlines() if line.startswith("| fax_fine"))
    head = next(line for line in text.splitlines() if line.startswith("| kind"))
    named = dict(zip(head.split(" | "), line.split(" | "), strict=True))
    assert named["refused"] == "1"
    assert named["dB mean"] == "7.7"
    assert named["contest dB"] == "12.2"


def test_the_table_tells_what_every_stage_takes() -> None:
    rows = [
        replace(row(0, 18.0), stages="grid=1.00;waveform=2.00"),
        replace(row(1, 18.0), kind="faded", stages="grid=3.00;waveform=0.00"),
        row(2, None),
    ]
    lines = table(rows, []).splitlines()
    at = lines.index("| kind | grid | waveform |")
    assert lines[at + 2 : at + 5] == ["| faded | 3.0 | 0.0 |", "| fax_fine | 1.0 | 2.0 |", "| **all** | 2.0 | 1.0 |"]
    assert "waveform" not in table([row(0, 18.0)], [])
