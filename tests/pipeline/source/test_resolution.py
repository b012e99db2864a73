"""At which resolutions a fax is read: as its file says, or at each that a fax may have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.deadline import Deadline
from pipeline.digitize import Digitizer, _at_other_resolution
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode
from pipeline.recording import Finding, Given, Known, Page, Recording, Scale, Severity
from pipeline.source import resolutions
from tests.recordings import three_by_four

STANDARD, FINE, SUPERFINE = (204.0, 98.0), (204.0, 196.0), (204.0, 391.0)
ALL = (STANDARD, FINE, SUPERFINE)


def one_bit(lines: int, columns: int) -> np.ndarray:
    image = np.full((lines, columns, 3), 255, np.uint8)
    image[::40] = 0
    return image


@pytest.mark.parametrize(
    ("lines", "columns", "stated", "tried"),
    [
        (1146, 1728, None, (None, *ALL)),
        (838, 2262, None, (None, *ALL)),
        (838, 2262, FINE, (FINE, STANDARD, SUPERFINE)),  # 109 mm of a sheet 282 mm wide: no sheet
        (1146, 1728, FINE, (FINE, STANDARD, SUPERFINE)),
        (1146, 1728, STANDARD, (STANDARD,)),  # A4
        (838, 2262, STANDARD, (STANDARD,)),  # Letter on its side
        (2292, 1728, FINE, (FINE,)),
        (3508, 2480, None, (None, *ALL)),  # a scan at 300 dots an inch, or a long fax
        (1146, 1200, None, (None,)),  # no fax is so narrow
        (2292, 1728, (300.0, 300.0), ((300.0, 300.0),)),  # a scan, which knows its resolution
    ],
)
def test_a_fax_is_tried_at_what_it_may_have(
    lines: int, columns: int, stated: tuple[float, float] | None, tried: tuple[object, ...]
) -> None:
    assert resolutions(one_bit(lines, columns), stated) == tried


def test_a_page_of_more_than_one_bit_is_read_as_its_file_says() -> None:
    grey = one_bit(1146, 1728)
    grey[::3] = 128
    assert resolutions(grey, None) == (None,)


class Told(Digitizer):
    """A digitizer without networks that reads each resolution with the confidence it is told; None for not at all."""

    def __init__(self, told: dict[tuple[float, float] | None, float | Unreadable]) -> None:
        super().__init__(networks={})
        self.told = told

    def _read(self, page: Page, given: Given, deadline: Deadline) -> Recording:
        told = self.told[page.dpi]
        if isinstance(told, Unreadable):
            raise told
        return replace(three_by_four(), confidence=told)


def test_the_resolution_that_is_read_with_most_confidence_is_taken_and_told() -> None:
    page = Page(one_bit(838, 2262), FINE)
    recording = Told({FINE: 0.81, STANDARD: 0.94, SUPERFINE: Unreadable("no_traces", "none")}).digitize(page)
    (finding,) = recording.findings
    assert recording.confidence == 0.94
    assert (finding.code, finding.detail) == ("resolution_by_reading", "204 x 98 an inch; the file states 204 x 196")
    right = Told({FINE: 0.95, STANDARD: 0.5, SUPERFINE: 0.1}).digitize(page)
    assert right.findings == ()


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
    told: dict[tuple[float, float] | None, float | Unreadable] = {None: 0.95, STANDARD: 0.3, FINE: 0.94, SUPERFINE: 0.1}
    recording = Told(told).digitize(Page(one_bit(3508, 2480)))
    assert (recording.confidence, recording.findings) == (0.95, ())


def test_a_fax_is_no_ecg_only_where_each_resolution_says_so() -> None:
    none, sure = Unreadable("not_an_ecg", "a letter"), Unreadable("not_an_ecg", "a letter", sure=True)
    page = Page(one_bit(838, 2262))
    for told, code, is_sure in (
        ((none, none, Unreadable("no_layout", "rows"), sure), "no_layout", False),
        ((sure, sure, none, sure), "not_an_ecg", False),
        ((sure, sure, sure, sure), "not_an_ecg", True),
    ):
        with pytest.raises(Unreadable) as refusal:
            Told(dict(zip((None, *ALL), told, strict=True))).digitize(page)
        assert (refusal.value.code, refusal.value.sure) == (code, is_sure)


@pytest.mark.parametrize("late", [None, *ALL])
def test_a_fax_whose_time_is_up_at_one_resolution_is_not_read_at_another(late: tuple[float, float] | None) -> None:
    told: dict[tuple[float, float] | None, float | Unreadable] = dict.fromkeys((None, *ALL), 0.9)
    told[late] = Unreadable("took_too_long", "given up")
    with pytest.raises(Unreadable) as refusal:
        Told(told).digitize(Page(one_bit(838, 2262)))
    assert refusal.value.code == "took_too_long"
