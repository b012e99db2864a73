"""What a page shows and no strip holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pipeline.findings import FindingCode
from pipeline.geometry import Float64, Segment, Spike
from pipeline.recording import TWELVE, Finding, Lead, Severity
from pipeline.unread import unread

COLUMN_MM, ROW_MM = 60.0, 35.0


@dataclass(frozen=True)
class Name:
    lead: Lead
    x_mm: float
    y_mm: float
    score: float = 0.9


@dataclass(frozen=True)
class Row:
    baseline_mm: float
    start_mm: float = 10.0
    end_mm: float = 250.0


SEGMENTS = tuple(
    Segment(lead, k % 3, 10 + k // 3 * COLUMN_MM, 70 + k // 3 * COLUMN_MM, 40 + k % 3 * ROW_MM, k // 3 * 2.4)
    for k, lead in enumerate(TWELVE)
)
RHYTHM = Segment(Lead.II, 3, 10.0, 250.0, 40 + 3 * ROW_MM, 0.0, rhythm=True)
ROWS = [Row(40 + k * ROW_MM) for k in range(4)]
NAMES = [Name(s.lead, s.start_mm + 2, s.baseline_mm - 6) for s in (*SEGMENTS, RHYTHM)]
STARTS = np.array([(s.start_mm, s.baseline_mm, 0.9) for s in (*SEGMENTS, RHYTHM)])


def found(
    names: list[Name] = NAMES, rows: list[Row] = ROWS, starts: Float64 = STARTS, spikes: tuple[Spike, ...] = ()
) -> tuple[Finding, ...]:
    return unread(names, rows, starts, (*SEGMENTS, RHYTHM), spikes)


def also(*places: tuple[float, float]) -> Float64:
    return np.vstack([STARTS, [(x, y, 0.9) for x, y in places]])


def test_a_page_all_of_whose_leads_are_delivered_has_nothing_to_tell() -> None:
    assert found() == ()


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 150.0), (260.0, 0.0), (-260.0, 150.0)])
def test_a_second_ecg_on_the_page_holds_it(dx: float, dy: float) -> None:
    twice = [*NAMES, *(Name(n.lead, n.x_mm + dx, n.y_mm + dy) for n in NAMES)]
    (told,) = found(twice)
    assert (told.code, told.severity) == (FindingCode.TWO_RECORDINGS, Severity.ERROR)
    assert told.detail == "12 lead names are printed twice"


def test_names_found_twice_in_one_place_and_rhythm_strips_are_no_second_ecg() -> None:
    again = [*NAMES, *(Name(n.lead, n.x_mm + 0.5, n.y_mm) for n in NAMES)]
    rhythms = [Name(lead, 12.0, 150.0 + 20 * k) for k, lead in enumerate((Lead.II, Lead.V1, Lead.V5))]
    assert found([*again, *rhythms]) == ()


def test_misread_names_that_repeat_no_pattern_are_no_second_ecg() -> None:
    rng = np.random.default_rng(3)
    strewn = [Name(lead, *rng.uniform(0, 250, 2).tolist()) for lead in TWELVE]
    assert found([*NAMES, *strewn]) == ()


def test_a_column_behind_the_last_is_told() -> None:
    rows = [Row(row.baseline_mm, 10.0, 310.0) for row in ROWS]
    (told,) = found(rows=rows, starts=also(*((250.0, row.baseline_mm) for row in ROWS[:3])))
    assert (told.code, told.severity) == (FindingCode.LEADS_NOT_DELIVERED, Severity.ERROR)
    assert "column" in told.detail


def test_a_column_behind_the_last_is_told_by_its_names_alone() -> None:
    rows = [Row(row.baseline_mm, 10.0, 310.0) for row in ROWS]
    names = [*NAMES, *(Name(Lead.V6, 252.0, row.baseline_mm - 6) for row in ROWS[:3])]
    (told,) = found(names, rows)
    assert told.code == FindingCode.LEADS_NOT_DELIVERED
    assert found(names) == ()  # a name behind a row whose ink ends with its last lead is none


def test_ink_behind_the_last_column_without_a_start_is_a_pulse_or_a_stain() -> None:
    assert found(rows=[Row(row.baseline_mm, 10.0, 310.0) for row in ROWS]) == ()


def test_a_row_of_leads_that_the_layout_does_not_have_is_told() -> None:
    level = 40 + 4 * ROW_MM
    (told,) = found(rows=[*ROWS, Row(level)], starts=also((10.0, level), (70.0, level), (130.0, level)))
    assert told.code == FindingCode.LEADS_NOT_DELIVERED
    assert "rows" in told.detail
    assert found(rows=[*ROWS, Row(level)]) == ()  # a frame or a line of text: no lead begins there


def test_several_leads_in_the_row_of_a_long_strip_are_told() -> None:
    level = RHYTHM.baseline_mm - 6
    named = [Name(lead, 12 + COLUMN_MM * k, level) for k, lead in ((1, Lead.V3), (2, Lead.V5), (3, Lead.V2))]
    (told,) = found([*NAMES, *named])
    assert (told.code, told.lead) == (FindingCode.LEADS_NOT_DELIVERED, Lead.II)
    assert found([*NAMES, named[0]]) == ()
    assert found([*NAMES, *(Name(n.lead, n.x_mm, n.y_mm + 12) for n in named)]) == ()  # a line of text below it


def test_starts_alone_in_the_row_of_a_long_strip_are_spikes_or_separators() -> None:
    assert found(starts=also(*((x, RHYTHM.baseline_mm) for x in (70.0, 130.0, 190.0)))) == ()


def test_spikes_are_told_for_each_lead_from_the_first_to_the_last() -> None:
    spikes = (Spike(Lead.V1, 5.1, 4.0), Spike(Lead.V1, 6.1, -9.0), Spike(Lead.II, 5.1, 3.0))
    first, second = found(spikes=spikes)
    assert (first.lead, first.start_s, first.end_s, first.severity) == (Lead.V1, 5.1, 6.1, Severity.ERROR)
    assert first.detail == "2, up to 9 mm beyond what was read"
    assert second.lead is Lead.II
