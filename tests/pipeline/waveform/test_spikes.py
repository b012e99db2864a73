"""Spikes that a reader passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.recording import Lead
from pipeline.waveform.spikes import ReadRow, missed_spikes
from pipeline.waveform.strip import COLUMNS_PER_MM, ROWS_PER_MM, RowStrip
from pipeline.waveform.strip_reading import Reading

ROWS, COLUMNS = 320, 200 * COLUMNS_PER_MM
SPIKES_MM = (40.0, 61.0, 82.0, 103.0)


def heart() -> np.ndarray:
    """float64 (COLUMNS,) mm: an R wave of 12 mm every 21 mm."""
    x = np.arange(COLUMNS) / COLUMNS_PER_MM
    return 12 * np.exp(-((((x - 12) % 21 - 10.5) / 0.5) ** 2)) + 2 * np.exp(-((((x - 12) % 21 - 17) / 1.5) ** 2))


def row(
    strokes_mm: Sequence[float], height_mm: float = 8.0, read: np.ndarray | None = None, wide_mm: float = 0.25
) -> ReadRow:
    """A strip with the heart's trace and upright strokes on it, read as the heart without them."""
    rise = heart()
    pixels = np.full((ROWS, COLUMNS, 3), 255, np.uint8)
    pixels[::25], pixels[:, ::40] = (255, 190, 190), (255, 190, 190)  # a ruling of 5 mm
    at = np.column_stack([np.arange(COLUMNS), (ROWS - 1) / 2 - rise * ROWS_PER_MM])
    cv2.polylines(pixels, [np.rint(at * 16).astype(np.int32)], False, (20, 20, 20), 2, cv2.LINE_AA, 4)
    for x_mm in strokes_mm:
        column = round(x_mm * COLUMNS_PER_MM)
        foot = (ROWS - 1) / 2 - rise[column] * ROWS_PER_MM
        left, right = column, column + round(wide_mm * COLUMNS_PER_MM)
        cv2.rectangle(pixels, (left, round(foot - height_mm * ROWS_PER_MM)), (right, round(foot)), (20, 20, 20), -1)
    reading = Reading(
        (rise if read is None else read).astype(np.float32),
        np.full(COLUMNS, 0.1, np.float32),
        np.ones(COLUMNS, np.float32),
        9.0,
    )
    strip = RowStrip(pixels.astype(np.float32) / 255, np.ones((ROWS, COLUMNS), np.bool_), 0.0, 100.0)
    return ReadRow(strip, reading, [(5.0, 100.0), (100.0, 195.0)])


def test_strokes_in_two_rows_at_several_moments_are_told() -> None:
    found = missed_spikes([row(SPIKES_MM), row(SPIKES_MM, 5.0), row(())])
    at = sorted({(s.row, round(s.x_mm)) for s in found})
    assert at == [(k, round(x)) for k in (0, 1) for x in SPIKES_MM]
    assert {round(s.height_mm) for s in found if s.row == 0} == {8}


def test_spikes_below_the_trace_are_told_too() -> None:
    found = missed_spikes([row(SPIKES_MM, -9.0), row(SPIKES_MM, -9.0)])
    assert found
    assert max(s.height_mm for s in found) < 0


def test_a_page_without_spikes_tells_none() -> None:
    assert missed_spikes([row(()), row(()), row(())]) == ()


def test_strokes_that_no_other_row_shares_are_ticks() -> None:
    assert missed_spikes([row(SPIKES_MM), row([x + 3 for x in SPIKES_MM])]) == ()


def test_a_few_moments_are_separators_and_letters() -> None:
    assert missed_spikes([row(SPIKES_MM[:2]), row(SPIKES_MM[:2])]) == ()


def test_spikes_that_were_read_are_not_missing() -> None:
    read = heart()
    for x_mm in SPIKES_MM:
        column = round(x_mm * COLUMNS_PER_MM)
        read[column : column + 3] += 8.0
    assert missed_spikes([row(SPIKES_MM, read=read), row(SPIKES_MM, read=read)]) == ()


def test_peaks_read_a_little_low_and_broad_marks_are_no_spikes() -> None:
    assert missed_spikes([row((), read=0.85 * heart())] * 2) == ()
    assert missed_spikes([row(SPIKES_MM, wide_mm=2.0)] * 2) == ()


@pytest.mark.parametrize("names", [[(x, 96.0) for x in SPIKES_MM]])
def test_letters_of_a_name_that_stands_on_the_trace_are_none(names: list[tuple[float, float]]) -> None:
    rows = [row(SPIKES_MM), row(SPIKES_MM)]
    named = [ReadRow(r.strip, r.reading, r.spans_mm, names) for r in rows]
    assert missed_spikes(rows)
    assert missed_spikes(named) == ()


def test_a_lead_is_told_by_where_the_spike_stands() -> None:
    from pipeline.geometry import Segment
    from pipeline.waveform.read import Row, _spikes

    strips = [row(SPIKES_MM), row(SPIKES_MM)]
    segments = [
        [Segment(Lead.I, k, 5.0, 100.0, 100.0, 0.0), Segment(Lead.V1, k, 100.0, 195.0, 100.0, 3.8)] for k in (0, 1)
    ]
    cut = [Row(r.strip, ((5.0, 100.0), (100.0, 195.0))) for r in strips]
    found = _spikes(segments, cut, [r.reading for r in strips], 25.0)
    assert {s.lead for s in found if s.at_s < 3.7} == {Lead.I}
    assert {s.lead for s in found if s.at_s > 3.8} == {Lead.V1}


def dense(spikes_mm: Sequence[float] = (), rows: int = 12, apart_mm: float = 12.0) -> list[ReadRow]:
    """Rows so near that the complexes of one stand in the strips of others, each read as it is drawn."""
    rises = [heart() * (1.8 if k % 2 else -1.6) for k in range(rows)]
    levels = [100.0 + apart_mm * k for k in range(rows)]
    cut = []
    for level, rise in zip(levels, rises, strict=True):
        pixels = np.full((ROWS, COLUMNS, 3), 255, np.uint8)
        for other_level, other in zip(levels, rises, strict=True):
            y = (ROWS - 1) / 2 + (other_level - level - other) * ROWS_PER_MM
            at = np.rint(np.column_stack([np.arange(COLUMNS), y]) * 16).astype(np.int32)
            cv2.polylines(pixels, [at], False, (20, 20, 20), 2, cv2.LINE_AA, 4)
            for x_mm in spikes_mm:
                column = round(x_mm * COLUMNS_PER_MM)
                top, foot = round(y[column] - 5 * ROWS_PER_MM), round(y[column])
                cv2.rectangle(pixels, (column, top), (column + 1, foot), (20, 20, 20), -1)
        strip = RowStrip(pixels.astype(np.float32) / 255, np.ones((ROWS, COLUMNS), np.bool_), 0.0, level)
        sure = np.full(COLUMNS, 0.1, np.float32), np.ones(COLUMNS, np.float32)
        cut.append(ReadRow(strip, Reading(rise.astype(np.float32), *sure, 9.0), [(5.0, 100.0), (100.0, 195.0)]))
    return cut


def test_the_complexes_of_neighbouring_rows_are_no_spikes() -> None:
    assert missed_spikes(dense()) == ()


def test_spikes_are_told_between_the_complexes_of_near_rows() -> None:
    found = missed_spikes(dense([x - 4 for x in SPIKES_MM[:3]]))
    assert {round(s.x_mm) for s in found} == {round(x - 4) for x in SPIKES_MM[:3]}


def broken_up(rows: Sequence[ReadRow]) -> list[ReadRow]:
    """The same rows with dark heavy lines of which a fax machine left pieces."""
    rng = np.random.default_rng(5)
    dashes = cv2.resize((rng.random((ROWS // 20, 40)) < 0.4).astype(np.uint8), (40, ROWS), None, 0, 0, 0) > 0
    out = []
    for r in rows:
        pixels = r.strip.pixels.copy()
        lines = pixels[:, :: 5 * COLUMNS_PER_MM]
        lines[dashes[:, : lines.shape[1]]] = 0.1
        out.append(replace(r, strip=replace(r.strip, pixels=pixels)))
    return out


def test_pieces_of_a_dark_ruling_are_no_spikes() -> None:
    assert missed_spikes(broken_up([row(()), row(()), row(())])) == ()


def test_spikes_are_told_beside_pieces_of_a_dark_ruling() -> None:
    at = (41.0, 62.0, 83.0, 104.0)
    found = missed_spikes(broken_up([row(at), row(at), row(())]))
    assert sorted({(s.row, round(s.x_mm)) for s in found}) == [(k, x) for k in (0, 1) for x in at]
