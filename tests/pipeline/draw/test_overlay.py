"""A page laid flat: its pixels where the lattice says they are, its traces where they were read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.draw.overlay import (
    BRIDGED,
    INVALID,
    PX_PER_MM,
    READ,
    draw_traces,
    extent_px,
    lay_flat,
)
from pipeline.recording import Known, Lead, MadeBy, Page, Placed, Recording, Scale, Seen, Source, Strip

PX = 4  # image pixels to the millimetre


def page(orientation: int = 0) -> Page:
    """Grey paper with a black square at 100..110 mm by 50..60 mm, turned as it says."""
    image = np.full((210 * PX, 300 * PX, 3), 200, np.uint8)
    image[50 * PX : 60 * PX, 100 * PX : 110 * PX] = 0
    if orientation >= 4:
        image = image[:, ::-1]
    return Page(np.ascontiguousarray(np.rot90(image, orientation % 4)))


def read(bridged: slice = slice(0)) -> Recording:
    """One lead that stays at 1 mV for ten seconds."""
    seen = np.ones(5000, np.uint8)
    seen[bridged] = Seen.BRIDGED
    strip = Strip(Lead.II, 0.0, np.ones(5000, np.float32), np.full(5000, 0.01, np.float32), seen)
    scales = Scale(25.0, Known.GRID), Scale(10.0, Known.GRID)
    return Recording((strip,), 500, "12x1", *scales, Source.COLOUR_SCAN, 0.9, MadeBy("0"))


def where(of: Recording, orientation: int = 0) -> Placed:
    """Paper that lies flat; its one strip from 10 mm to 260 mm, 0 mV at 30 mm."""
    x_mm, y_mm = np.arange(0.0, 301.0, 5.0), np.arange(0.0, 211.0, 5.0)
    nodes = np.stack(np.meshgrid(x_mm, y_mm), axis=-1) * PX
    return Placed(orientation, x_mm, y_mm, nodes, np.array([[10.0, 260.0, 30.0]]))


@pytest.mark.parametrize("orientation", range(8))
def test_every_orientation_is_laid_upright(orientation: int) -> None:
    of = read()
    flat = lay_flat(page(orientation), of, where(of, orientation))
    black = flat.picture[..., 0] < 100
    rows, columns = np.nonzero(black)
    left, right = flat.column(100.0), flat.column(110.0)
    top, bottom = flat.line(50.0), flat.line(60.0)
    assert abs(columns.min() - left) <= 3
    assert abs(columns.max() - right) <= 3
    assert abs(rows.min() - top) <= 3
    assert abs(rows.max() - bottom) <= 3


def test_a_trace_is_drawn_at_its_height_from_its_start_to_its_end() -> None:
    of = replace(read(), placed=where(read()))
    drawn = draw_traces(page(), of).astype(int)
    x0, y0, width, height = extent_px(of, where(of))
    assert drawn.shape == (height, width, 3)
    row = round((30.0 - 10.0 - y0) * PX_PER_MM)  # 1 mV above 30 mm, at 10 mm/mV
    blue = (drawn[..., 2] - drawn[..., 0]) > 40
    rows, columns = np.nonzero(blue)
    assert abs(np.median(rows) - row) <= 1
    assert abs(columns.min() - (10.0 - x0) * PX_PER_MM) <= 3
    assert abs(columns.max() - (260.0 - x0) * PX_PER_MM) <= 3


def test_what_was_bridged_and_what_is_not_to_be_believed_have_their_own_colours() -> None:
    of = read(slice(2000, 2500))
    of = replace(of, placed=where(of))

    def nearest(picture: np.ndarray, x_mm: float) -> tuple[int, int, int]:
        x0, y0, _, _ = extent_px(of, where(of))
        pixel = picture[round((20.0 - y0) * PX_PER_MM), round((x_mm - x0) * PX_PER_MM)].astype(int)
        return min((READ, BRIDGED, INVALID), key=lambda colour: int(np.abs(pixel - colour).sum()))

    drawn = draw_traces(page(), of)
    assert nearest(drawn, 50.0) == READ
    assert nearest(drawn, 10.0 + 4.5 * 25.0) == BRIDGED
    assert nearest(draw_traces(page(), of, {Lead.II}), 50.0) == INVALID


def test_nothing_is_drawn_where_nothing_was_read() -> None:
    of = read()
    holed = replace(of.strips[0], millivolts=np.full(5000, np.nan, np.float32), seen=np.zeros(5000, np.uint8))
    of = replace(of, strips=(holed,), placed=where(of))
    np.testing.assert_array_equal(draw_traces(page(), of), lay_flat(page(), of, where(of)).picture)


def test_a_recording_from_elsewhere_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="does not know"):
        draw_traces(page(), read())
