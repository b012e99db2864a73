"""What is written or spilt over the traces of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.calibration import Pulse
from pipeline.findings import FindingCode
from pipeline.geometry import PaperMap, Segment
from pipeline.judgement import fitted
from pipeline.recording import Finding, Known, Lead, Severity
from pipeline.sheet import lay_flat_coloured
from pipeline.unread import Curve, written_over

PX_MM, SPEED_MM_S, SIGMA_MM = 8.0, 25.0, 0.1
PAPER = PaperMap.affine(np.array([[PX_MM, 0.0, 0.0], [0.0, PX_MM, 0.0]]), (0.0, 0.0, 200.0, 120.0), Known.GRID)
SEGMENTS = [Segment(Lead.I, 0, 20.0, 100.0, 40.0, 0.0), Segment(Lead.V1, 0, 100.0, 180.0, 40.0, 3.2)]
SEGMENTS += [Segment(Lead.II, 1, 20.0, 100.0, 80.0, 0.0), Segment(Lead.V2, 1, 100.0, 180.0, 80.0, 3.2)]
BLACK, BLUE, RED = (20, 20, 25), (25, 40, 130), (170, 30, 40)


def curve(segment: Segment) -> Curve:
    x = np.arange(segment.start_mm, segment.end_mm, 0.05)
    y = segment.baseline_mm - 10 * np.exp(-((((x - 5) % 20 - 10) / 0.6) ** 2)) - np.sin(x / 9)
    return Curve(segment, np.column_stack([x, y]), np.full(len(x), SIGMA_MM))


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


def found(
    image: np.ndarray, curves: Sequence[Curve] = CURVES, pulses: Sequence[Pulse] = (), paper: PaperMap = PAPER
) -> list[Finding]:
    measured = paper.known is Known.GRID
    doubts = written_over(*lay_flat_coloured(image, paper), curves, (), pulses, SPEED_MM_S, measured)
    return [doubt.finding for doubt in doubts]


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


def smaller(by: float) -> tuple[PaperMap, list[Curve]]:
    """The paper and the curves where a millimetre is taken for so many."""
    paper = PaperMap.affine(
        np.array([[PX_MM * by, 0.0, 0.0], [0.0, PX_MM * by, 0.0]]), (0.0, 0.0, 200.0, 120.0), Known.GRID
    )
    moved = [
        replace(s, start_mm=s.start_mm / by, end_mm=s.end_mm / by, baseline_mm=s.baseline_mm / by) for s in SEGMENTS
    ]
    return paper, [replace(c, segment=s, points_mm=c.points_mm / by) for c, s in zip(CURVES, moved, strict=True)]


@pytest.mark.parametrize(("by", "line"), [(1.01, (20, 20, 25)), (1.03, (20, 20, 25)), (1.02, (110, 110, 110))])
def test_a_fine_ruling_whose_millimetre_is_a_little_off_is_no_mark(by: float, line: tuple[int, int, int]) -> None:
    image = page()
    for k in range(4, 1600, 8):
        image[:, k : k + 2] = np.minimum(image[:, k : k + 2], line)
        image[k : k + 2] = np.minimum(image[k : k + 2], line)
    paper, curves = smaller(by)
    assert found(image, curves, paper=paper) == []


def test_straight_lines_that_cross_are_a_frame_or_a_fold() -> None:
    image = page()
    image[478:483], image[:, 480:485] = 0, 0
    assert found(image) == []


def along(first_mm: float, last_mm: float) -> np.ndarray:
    """A stroke that wavers below lead I from one x to another."""
    x = np.arange(first_mm, last_mm, 0.2)
    return np.column_stack([x, 40.0 - np.sin(x / 9) + 1.5 + 0.7 * np.sin(2 * np.pi * x / 11)])


@pytest.mark.parametrize("pen", [BLACK, BLUE, RED])
def test_a_stroke_along_much_of_a_lead_is_an_error_with_its_lead_and_seconds(pen: tuple[int, int, int]) -> None:
    told = found(page(along(30.0, 90.0), pen=pen))
    assert {(f.code, f.lead, f.severity) for f in told} == {(FindingCode.INK_OVER_LEAD, Lead.I, Severity.ERROR)}
    assert (told[0].start_s, told[0].end_s) == pytest.approx((30 / 25 - 0.8, 90 / 25 - 0.8), abs=0.2)


def test_a_stroke_along_little_of_a_lead_is_a_warning() -> None:
    told = found(page(along(40.0, 54.0)))
    assert {(f.lead, f.severity) for f in told} == {(Lead.I, Severity.WARNING)}


def test_a_calibration_pulse_between_columns_is_print() -> None:
    points = np.array([(102.5, 40.0), (104.0, 40.0), (105.5, 30.0), (109.0, 30.3), (110.5, 40.0), (112.0, 40.0)])
    pulse = Pulse(104.7, 109.7, 40.0, 10.0, 1.0)
    assert found(page(points))
    assert found(page(points), pulses=[pulse]) == []


def test_a_stretch_that_was_not_read_shows_its_own_trace() -> None:
    unread = [*CURVES]
    points = CURVES[0].points_mm.copy()
    points[(points[:, 0] > 55) & (points[:, 0] < 70), 1] = np.nan
    unread[0] = replace(CURVES[0], points_mm=points)
    assert found(page(), unread) == []


def specks() -> np.ndarray:
    image, rng = page(), np.random.default_rng(0)
    for x, y, radius in zip(rng.normal(500, 60, 60), rng.normal(320, 40, 60), rng.integers(8, 16, 60), strict=True):
        cv2.circle(image, (int(x), int(y)), int(radius), (90, 100, 80), -1)
    return image


def test_mould_beside_a_trace_is_told_and_does_not_hold() -> None:
    """Of sixty moulded and folded leads of read pages three were wrong: it counts in the confidence instead."""
    told = found(specks())
    assert {(f.code, f.severity) for f in told} == {(FindingCode.INK_OVER_LEAD, Severity.WARNING)}
    assert all(f.lead is not None and f.start_s is not None for f in told)


def test_more_ink_on_the_trace_is_likelier_to_harm_and_a_drawn_ring_most() -> None:
    odds = fitted().harm[FindingCode.INK_OVER_LEAD]
    little, much, ring_drawn = (
        odds.chance({"touch": touch, "drawn": drawn, "unsure": 0.0})
        for touch, drawn in ((0.2, 0.5), (1.5, 0.5), (0.5, 2.0))
    )
    assert little < much < ring_drawn


def test_a_mark_on_paper_without_a_ruling_is_a_warning() -> None:
    told = found(page(ring(60.0, 40.0), pen=BLUE), paper=replace(PAPER, known=Known.DPI))
    assert {f.severity for f in told} == {Severity.WARNING}
