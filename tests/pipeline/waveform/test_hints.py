"""What the network is told beside the pixels of a strip."""

from __future__ import annotations

import numpy as np

from pipeline.waveform.network import NAME_RADIUS_MM, hints, normalise
from pipeline.waveform.strip import COLUMNS_PER_MM, RowStrip


def blank(columns: int) -> RowStrip:
    return RowStrip(np.ones((320, columns, 3), np.float32), np.ones((320, columns), np.bool_), 20.0, 90.0)


def test_names_shine_as_far_as_single_precision_tells() -> None:
    names = [(50.0, 80.0), (54.0, 81.0), (300.0, 90.0), (150.0, 20.0)]
    told = hints(blank(1600), (), names)[3]
    x, y = 20 + (np.arange(400) * 4 + 1.5) / COLUMNS_PER_MM, 90 + (np.arange(80) * 4 + 1.5 - 159.5) / 5
    away2 = np.array([(x - name_x) ** 2 + (y[:, None] - name_y) ** 2 for name_x, name_y in names])
    assert np.array_equal(told, np.exp(-away2 / NAME_RADIUS_MM**2).max(axis=0).astype(np.float32))


def test_paper_becomes_0_and_the_darkest_ink_about_minus_1_and_what_is_beyond_the_page_paper() -> None:
    strip = blank(320)
    strip.pixels[:] = [0.9, 0.8, 0.7]
    strip.pixels[100:110] = [0.3, 0.2, 0.1]
    strip.pixels[:, :40], strip.on_page[:, :40] = 0.5, False
    scaled = normalise(strip.pixels, strip.on_page)
    assert scaled.shape == (3, 320, 320)
    assert np.allclose(scaled[:, 100:110, 40:], -1, atol=1e-6)
    assert not scaled[:, :, :40].any()
    assert not scaled[:, 110:].any()
