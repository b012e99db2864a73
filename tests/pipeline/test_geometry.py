"""The map from paper to pixels, inside its lattice and beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.geometry import Landmarks, PaperMap
from pipeline.recording import Known


def curled() -> PaperMap:
    x_mm, y_mm = 5.0 * np.arange(9), 5.0 * np.arange(7)
    x, y = np.meshgrid(x_mm, y_mm)
    return PaperMap(x_mm, y_mm, np.stack([8 * x + 0.02 * y * y, 7 * y + 0.03 * x * x], axis=-1), Known.GRID)


def test_points_beyond_the_lattice_change_nothing_for_those_within() -> None:
    points = np.random.default_rng(0).uniform(-10, 50, (4, 25, 2))
    together = curled().to_px(points)
    alone = [[curled().to_px(point) for point in row] for row in points]
    assert np.array_equal(together, np.array(alone))


def test_goes_on_along_the_slope_of_its_last_millimetre() -> None:
    paper = curled()
    last, before, beyond = paper.to_px(np.array([[40.0, 12.0], [39.0, 12.0], [47.0, 12.0]]))
    assert np.allclose(beyond, last + 7 * (last - before))


def points(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 3)


def pulses_of_rows(levels_mm: list[float], height_mm: float, roof_scores: list[float]) -> Landmarks:
    """The points of pulses 5 mm wide of rows below one another."""
    rises = points(*((10.0, y, 0.9) for y in levels_mm))
    falls = points(*((15.0, y, 0.9) for y in levels_mm))
    tops = points(*((12.5, y - height_mm, s) for y, s in zip(levels_mm, roof_scores, strict=True)))
    none = points()
    return Landmarks(none, none, rises, falls, tops, np.zeros((1, 1), np.float32), 0.0, 0.0, 1.0)


def test_no_pulse_spans_two_rows_though_the_roof_of_the_upper_is_seen_better() -> None:
    marks = pulses_of_rows([40.0, 55.0], 5.0, [0.9, 0.4])
    assert sorted((p[2], round(p[2] - p[3], 6)) for p in marks.pulses().tolist()) == [(40.0, 5.0), (55.0, 5.0)]


def test_a_roof_is_not_that_of_a_second_foot_whose_own_was_not_seen() -> None:
    marks = pulses_of_rows([40.0, 55.0], 5.0, [0.9, 0.0])
    marks = replace(marks, tops=marks.tops[:1])
    assert [(p[2], p[2] - p[3]) for p in marks.pulses().tolist()] == [(40.0, 5.0)]


def test_tall_pulses_of_close_rows_keep_their_own_roofs() -> None:
    marks = pulses_of_rows([40.0, 47.0, 54.0], 10.0, [0.5, 0.5, 0.5])
    assert [p[2] - p[3] for p in marks.pulses().tolist()] == [10.0, 10.0, 10.0]
