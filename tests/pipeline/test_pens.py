"""What is written or spilt over the traces of a page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.findings import FindingCode
from pipeline.geometry import PaperMap, Segment
from pipeline.recording import Finding, Known, Lead, Severity
from pipeline.sheet import coloured, lay_flat
from pipeline.unread import Curve, written_over

PX_MM, SPEED_MM_S = 8.0, 25.0
PAPER = PaperMap.affine(np.array([[PX_MM, 0.0, 0.0], [0.0, PX_MM, 0.0]]), (0.0, 0.0, 200.0, 120.0), Known.GRID)
SEGMENTS = [Segment(Lead.I, 0, 20.0, 100.0, 40.0, 0.0), Segment(Lead.V1, 0, 100.0, 180.0, 40.0, 3.2)]
SEGMENTS += [Segment(Lead.II, 1, 20.0, 100.0, 80.0, 0.0), Segment(Lead.V2, 1, 100.0, 180.0, 80.0, 3.2)]
BLACK, BLUE, RED = (20, 20, 25), (25, 40, 130), (170, 30, 40)


def curve(segment: Segment) -> Curve:
    x = np.arange(segment.start_mm, segment.end_mm, 0.05)
    y = segment.baseline_mm - 10 * np.exp(-((((x - 5) % 20 - 10) / 0.6) ** 2)) - np.sin(x / 9)
    return Curve(segment, np.column_stack([x, y]))


CURVES = [curve(segment) for segment in SEGMENTS]


def page(*strokes_mm: np.ndarray, pen: tuple[int, int, int] = BLACK) -> np.ndarray:
    image = np.full((960, 1600, 3), 255, np.uint8)
    image[::8], image[:, ::8] = (255, 225, 225), (255, 225, 225)
    image[::40], image[:, ::40] = (250, 200, 200), (250, 200, 200)
    for each in CURVES:
        cv2.polylines(image, [np.rint(each.points_mm * PX_MM * 16).astype(np.int32)], False, BLACK, 3, cv2.LINE_AA, 4)
    for stroke in strokes_mm:
        cv2.polylines(image, [np.rint(stroke * PX_MM * 16).astype(np.int32)], False, pen, 4, cv2.LINE_AA, 4)
    return image


def ring(x_mm: float, y_mm: float) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 40)
    return np.column_stack([x_mm + 8 * np.cos(turn), y_mm + 6 * np.sin(turn)])


def found(image: np.ndarray) -> list[Finding]:
    return list(written_over(lay_flat(image, PAPER), coloured(image, PAPER), CURVES, (), SPEED_MM_S))


@pytest.mark.parametrize("pen", [BLACK, BLUE, RED])
def test_a_ring_around_a_beat_is_told_with_its_lead_and_seconds(pen: tuple[int, int, int]) -> None:
    told = found(page(ring(60.0, 40.0), pen=pen))
    assert {(f.code, f.lead, f.severity) for f in told} == {(FindingCode.INK_OVER_LEAD, Lead.I, Severity.ERROR)}
    assert (told[0].start_s, told[0].end_s) == pytest.approx((52 / 25 - 0.8, 68 / 25 - 0.8), abs=0.1)


def test_a_clean_page_has_nothing_over_its_leads() -> None:
    assert found(page()) == []


def test_a_note_between_the_rows_is_over_no_lead() -> None:
    assert found(page(ring(60.0, 60.0), pen=BLUE)) == []


def test_a_stroke_that_crosses_rows_is_over_each_lead_that_it_crosses() -> None:
    crossing = np.array([(120.0, 25.0), (124.0, 60.0), (121.0, 95.0)])
    assert {f.lead for f in found(page(crossing, pen=RED))} == {Lead.V1, Lead.V2}


def test_a_trace_drawn_thick_or_read_a_little_beside_its_ink_is_no_mark() -> None:
    image = page()
    for each in CURVES:
        at = np.rint((each.points_mm + [0.0, 0.3]) * PX_MM * 16).astype(np.int32)
        cv2.polylines(image, [at], False, BLACK, 14, cv2.LINE_AA, 4)
    assert found(image) == []
