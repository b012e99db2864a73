"""At which resolutions a fax is read: as its file says, or at each that a fax may have."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.deadline import Deadline
from pipeline.digitize import Digitizer, _at_other_resolution
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode
from pipeline.recording import Correction, Finding, Known, Page, Recording, Scale, Severity
from pipeline.source import resolutions
from tests.recordings import three_by_four

STANDARD, FINE, SUPERFINE = (204.0, 98.0), (204.0, 196.0), (204.0, 391.0)


def one_bit(lines: int, columns: int) -> np.ndarray:
    image = np.full((lines, columns, 3), 255, np.uint8)
    image[::40] = 0
    return image


@pytest.mark.parametrize(
    ("lines", "columns", "stated", "tried"),
    [
        (1146, 1728, None, (STANDARD,)),  # A4
        (2292, 1728, None, (FINE,)),
        (4584, 1728, None, (SUPERFINE,)),
        (838, 2262, None, (STANDARD,)),  # Letter on its side
        (838, 2262, FINE, (FINE, STANDARD)),  # 109 mm of a sheet 282 mm wide: no sheet
        (1146, 1728, FINE, (FINE, STANDARD)),
        (1146, 1728, STANDARD, (STANDARD,)),  # A4
        (838, 2262, STANDARD, (STANDARD,)),  # Letter on its side
        (2292, 1728, FINE, (FINE,)),
        (1146, 1200, None, (None,)),  # no fax is so narrow
        (2292, 1728, (300.0, 300.0), ((300.0, 300.0),)),  # a scan, which knows its resolution
    ],
)
def test_a_fax_is_tried_at_what_it_may_have(
    lines: int, columns: int, stated: tuple[float, float] | None, tried: tuple[object, ...]
) -> None:
    assert resolutions(one_bit(lines, columns), stated) == tried


def drawn(lines: int, columns: int, down_dpi: float) -> np.ndarray:
    """A page of traces, ticks and rings, as a scanner of 204 dots an inch across and so many down sees it."""
    square = np.full((round(lines * 204 / down_dpi), columns, 3), 255, np.uint8)
    x = np.arange(40, columns - 40)
    for level in range(100, len(square) - 60, 120):
        beats = np.maximum(np.sin(x / 12) ** 21, 0) * 60
        cv2.polylines(square, [np.column_stack([x, level - beats]).astype(np.int32)], False, (0, 0, 0), 4)
        cv2.circle(square, (60 + level % 900, level - 40), 12, (0, 0, 0), 4)
    return cv2.resize(square, (columns, lines), interpolation=cv2.INTER_NEAREST)


@pytest.mark.parametrize(("down_dpi", "right"), [(98.0, STANDARD), (196.0, None), (391.0, SUPERFINE)])
def test_a_cut_fax_whose_file_is_silent_is_read_at_two_resolutions_by_its_strokes(
    down_dpi: float, right: tuple[float, float] | None
) -> None:
    tried = resolutions(drawn(round(7.1 * down_dpi), 2262, down_dpi), None)
    assert len(tried) == 2
    assert right in tried


def test_a_fax_whose_file_is_silent_is_read_once_at_that_of_its_sheet() -> None:
    recording = Told({STANDARD: 0.94}).digitize(Page(one_bit(838, 2262)))
    (finding,) = recording.findings
    assert (finding.code, finding.detail) == ("resolution_by_reading", "204 x 98 an inch; the file states none")


def test_a_page_of_more_than_one_bit_is_read_as_its_file_says() -> None:
    grey = one_bit(1146, 1728)
    grey[::3] = 128
    assert resolutions(grey, None) == (None,)


class Told(Digitizer):
    """A digitizer without networks that reads each resolution with the confidence it is told; None for not at all."""

    def __init__(self, told: dict[tuple[float, float] | None, float | Unreadable]) -> None:
        super().__init__(networks={})
        self.told = told

    def _read(self, page: Page, given: Correction, deadline: Deadline) -> Recording:
        told = self.told[page.dpi]
        if isinstance(told, Unreadable):
            raise told
        return replace(three_by_four(), confidence=told)


def test_the_resolution_that_is_read_with_most_confidence_is_taken_and_told() -> None:
    page = Page(one_bit(838, 2262), FINE)
    recording = Told({FINE: 0.81, STANDARD: 0.94}).digitize(page)
    (finding,) = recording.findings
    assert recording.confidence == 0.94
    assert (finding.code, finding.detail) == ("resolution_by_reading", "204 x 98 an inch; the file states 204 x 196")
    right = Told({FINE: 0.95, STANDARD: 0.5}).digitize(page)
    assert right.findings == ()
    unreadable = Unreadable("no_traces", "none")
    assert Told({FINE: unreadable, STANDARD: 0.94}).digitize(page).confidence == 0.94


@pytest.mark.parametrize(
    ("ruled", "speed", "gain", "severity"),
    [
        (False, Known.ASSUMED, Known.ASSUMED, Severity.ERROR),
        (False, Known.TEXT, Known.TEXT, Severity.ERROR),  # words say nothing of the size of a pixel
        (False, Known.TEXT, Known.PULSE, Severity.ERROR),
        (False, Known.PULSE, Known.PULSE, Severity.WARNING),
        (True, Known.ASSUMED, Known.ASSUMED, Severity.WARNING),
    ],
)
def test_a_page_is_held_where_its_size_rests_on_the_guessed_resolution_alone(
    ruled: bool, speed: Known, gain: Known, severity: Severity
) -> None:
    unruled = () if ruled else (Finding(FindingCode.GRID_NOT_FOUND, Severity.WARNING),)
    read = replace(
        three_by_four(), findings=unruled, speed_mm_s=Scale(25.0, speed), gain_mm_mv=Scale(10.0, gain), confidence=0.97
    )
    assert _at_other_resolution(read, None, STANDARD).findings[0].severity is severity


def test_a_scan_that_is_as_wide_as_a_fax_is_read_without_a_resolution_if_that_is_read_best() -> None:
    told: dict[tuple[float, float] | None, float | Unreadable] = {None: 0.95, STANDARD: 0.3, SUPERFINE: 0.1}
    recording = Told(told).digitize(Page(drawn(3508, 2480, 204.0)))
    assert (recording.confidence, recording.findings) == (0.95, ())


def test_a_fax_is_no_ecg_only_where_each_resolution_says_so() -> None:
    none, sure = Unreadable("not_an_ecg", "a letter"), Unreadable("not_an_ecg", "a letter", sure=True)
    page = Page(one_bit(838, 2262), FINE)
    for told, code, is_sure in (
        ((none, Unreadable("no_layout", "rows")), "no_layout", False),
        ((sure, none), "not_an_ecg", False),
        ((sure, sure), "not_an_ecg", True),
    ):
        with pytest.raises(Unreadable) as refusal:
            Told(dict(zip((FINE, STANDARD), told, strict=True))).digitize(page)
        assert (refusal.value.code, refusal.value.sure) == (code, is_sure)


@pytest.mark.parametrize("late", [FINE, STANDARD])
def test_a_fax_whose_time_is_up_at_one_resolution_is_not_read_at_another(late: tuple[float, float]) -> None:
    told: dict[tuple[float, float] | None, float | Unreadable] = {FINE: 0.9, STANDARD: 0.9}
    told[late] = Unreadable("took_too_long", "given up")
    with pytest.raises(Unreadable) as refusal:
        Told(told).digitize(Page(one_bit(838, 2262), FINE))
    assert refusal.value.code == "took_too_long"
