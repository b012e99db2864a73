"""Letters looked for in ink."""

from __future__ import annotations

import numpy as np

from pipeline.calibration.phrases import letters
from pipeline.glyphs import SmallInk, correlation


def test_letters_correlate_with_part_of_a_small_ink_as_with_that_part_alone() -> None:
    ink = np.random.default_rng(0).random((38, 200)).astype(np.float32)
    word = letters("mm/s", "DejaVuSans", 14.0)
    ink[5 : 5 + word.shape[0], 60 : 60 + word.shape[1]] = word
    found = SmallInk.of(ink).part(3, 35, 50, 400).correlation(word)
    assert np.array_equal(found, correlation(ink[3:35, 50:400], word))
    assert found.max() == found[2, 10] > 0.95


def test_letters_larger_than_the_ink_are_not_found() -> None:
    word = letters("mm/s", "DejaVuSans", 14.0)
    ink = np.ones((10, 200), np.float32)
    assert SmallInk.of(ink).correlation(word).tolist() == correlation(ink, word).tolist() == [[0.0]]
