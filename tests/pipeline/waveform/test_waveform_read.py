"""Reading rows of a drawn page with the classical reader."""

from dataclasses import replace

import numpy as np
import pytest
from waveform_drawing import GAIN_MM_MV, PAPER, RATE_HZ, SEGMENTS, SPEED_MM_S, beats, page

from pipeline.recording import Lead, Seen, Strip
from pipeline.waveform import COLUMNS_PER_MM, RowStrip, believed, read_traces
from pipeline.waveform.read import Row, ink_of, mean_strip
from pipeline.waveform.strip_reading import Reading


def read(image):
    return read_traces(image, PAPER, SEGMENTS, SPEED_MM_S, lambda _: GAIN_MM_MV, RATE_HZ, None).strips


def test_reads_each_lead_of_a_row_at_its_own_time():
    strips = read(page(beats()))
    assert [s.lead for s in strips] == [Lead.I, Lead.II]
    assert [s.start_s for s in strips] == [0.0, 2.5]
    for strip, truth in zip(strips, (beats()[:1250], beats()[1250:]), strict=True):
        assert strip.samples == 1250
        assert np.corrcoef(strip.millivolts, truth)[0, 1] > 0.9


def test_puts_an_r_peak_where_it_was_printed():
    strip = read(page(beats()))[0]
    peaks = [np.nanargmax(strip.millivolts[a : a + 500]) + a for a in (0, 500)]
    assert peaks == pytest.approx([200, 700], abs=4)  # samples of 2 ms


def test_bridges_a_short_gap_and_says_so():
    strip = read(page(beats(), blank_mm=((50.0, 51.0),)))[0]  # 40 ms
    assert not np.isnan(strip.millivolts).any()
    assert (strip.seen[805:815] == Seen.BRIDGED).all()
    assert (strip.sigma_mv[805:815] > np.median(strip.sigma_mv)).all()


def test_leaves_a_long_gap_empty():
    strip = read(page(beats(), blank_mm=((45.0, 55.0),)))[0]
    gap = slice(720, 880)
    assert np.isnan(strip.millivolts[gap]).all()
    assert np.isnan(strip.sigma_mv[gap]).all()
    assert (strip.seen[gap] == Seen.NOTHING).all()


class Scripted:
    """Says of ordinary strips that the trace may leave them, and of tall ones how high it goes."""

    def __init__(self, peak_mm):
        self.peak_mm = peak_mm

    def read(self, rows):
        out = []
        for row in rows:
            rows_, columns = row.strip.pixels.shape[:2]
            rise = np.full(columns, 1.0, np.float32)
            if rows_ > 320:
                rise = np.full(columns, 2.0, np.float32)
                rise[400:410] = self.peak_mm
            out.append(Reading(rise, rise * 0 + 0.1, rise * 0 + 1, 0.0))
        return out


def test_reads_nothing_beyond_the_edge_of_the_picture():
    """A reader that goes on where the picture ends is not believed there: to the right of it."""
    image = page(beats())
    edge_px = round(PAPER.to_px(np.array([SEGMENTS[0].start_mm + 30.0, 0.0]))[0])

    def lost(shown):
        (strip, *_) = read_traces(
            shown, PAPER, SEGMENTS, SPEED_MM_S, lambda _: GAIN_MM_MV, RATE_HZ, Scripted(20.0)
        ).strips
        return np.isnan(strip.millivolts), strip.seen == Seen.NOTHING

    assert not lost(image)[0].any()
    for at in lost(np.ascontiguousarray(image[:, :edge_px])):
        assert np.flatnonzero(at)[0] == pytest.approx(30.0 / SPEED_MM_S * RATE_HZ, abs=3)
        assert at[np.flatnonzero(at)[0] :].all()


@pytest.mark.parametrize(("peak_mm", "expected_mv"), [(42.0, 4.2), (20.0, 0.1)])
def test_takes_the_tall_strip_only_where_the_trace_left_the_ordinary_one(peak_mm, expected_mv):
    strips = read_traces(
        page(beats()), PAPER, SEGMENTS, SPEED_MM_S, lambda _: GAIN_MM_MV, RATE_HZ, Scripted(peak_mm)
    ).strips
    assert np.nanmax(strips[0].millivolts) == pytest.approx(expected_mv, abs=0.01)


def test_halves_the_millivolts_of_a_lead_printed_at_twice_the_gain():
    image = page(beats())
    whole = read(image)[0].millivolts
    half = read_traces(image, PAPER, SEGMENTS, SPEED_MM_S, lambda s: GAIN_MM_MV * 2, RATE_HZ, None).strips[0].millivolts
    np.testing.assert_allclose(half, whole / 2, atol=1e-6)


def reading(first_mm, columns=600):
    """A Reading whose ink begins first_mm into its strip: the columns nearer than half a column to it, and on."""
    x = np.arange(columns) / COLUMNS_PER_MM
    flat = np.zeros(columns, np.float32)
    return Reading(flat, flat + 0.1, (x > first_mm - 0.5 / COLUMNS_PER_MM).astype(np.float32), 30.0)


def row(start_mm, columns=600):
    blank = np.zeros((320, columns, 3), np.float32)
    return Row(RowStrip(blank, np.ones((320, columns), bool), 0.0, 50.0), ((start_mm, 40.0), (40.0, 70.0)))


def test_says_where_a_rows_ink_begins_and_ends():
    ink = ink_of(row(8.0), reading(8.75))
    assert (ink.start_mm, ink.end_mm, ink.baseline_mm, ink.leads) == (8.0, 70.0, 50.0, 2)
    assert ink.first_mm == pytest.approx(8.75, abs=1 / COLUMNS_PER_MM)
    assert ink.last_mm == pytest.approx(599.5 / COLUMNS_PER_MM)


def test_a_speck_before_the_row_is_not_its_start():
    speck = reading(8.5)
    speck.present[:3] = 1.0
    assert ink_of(row(8.0), speck).first_mm == pytest.approx(8.5, abs=1 / COLUMNS_PER_MM)


def test_a_row_without_ink_begins_and_ends_nowhere():
    ink = ink_of(row(8.0), reading(1000.0))
    assert (ink.first_mm, ink.last_mm) == (-np.inf, np.inf)


def test_says_where_it_found_the_segments_so_that_a_picture_can_follow():
    early = [replace(s, start_mm=s.start_mm - 0.8, end_mm=s.end_mm - 0.8, row=row) for row in (0, 1) for s in SEGMENTS]
    found = read_traces(
        page(beats()), PAPER, early, SPEED_MM_S, lambda _: GAIN_MM_MV, RATE_HZ, None, believed=believed()[False]
    )
    for strip, segment in ((found.strips[k], found.segments[k]) for k in (0, 2)):
        assert segment.start_mm == pytest.approx(SEGMENTS[0].start_mm, abs=0.3)
        peak_s = int(np.nanargmax(strip.millivolts[:500])) / RATE_HZ
        assert segment.start_mm + peak_s * SPEED_MM_S == pytest.approx(20.0, abs=0.15)


def test_reads_segments_where_they_are_said_to_be_where_nothing_is_believed_of_them():
    early = [replace(s, start_mm=s.start_mm - 0.8, end_mm=s.end_mm - 0.8) for s in SEGMENTS]
    found = read_traces(page(beats()), PAPER, early, SPEED_MM_S, lambda _: GAIN_MM_MV, RATE_HZ, None)
    assert found.segments == tuple(early)


def test_the_last_lead_of_a_row_is_read_to_its_last_sample():
    strips = read(page(beats()))
    for strip in strips:
        assert strip.seen[-1] != Seen.NOTHING
        assert np.isfinite(strip.millivolts).all()


class Undecided:
    """Reads the trace 1 mm higher the second time, and nothing of its last leads' second half then."""

    def __init__(self):
        self.starts_mm = []

    def read(self, rows):
        self.starts_mm.append(rows[0].strip.x0_mm)
        rise_mm = float(len(self.starts_mm))
        out = []
        for row in rows:
            flat = np.full(row.strip.pixels.shape[1], rise_mm, np.float32)
            there = (row.strip.x_mm < SEGMENTS[-1].start_mm + 30.0) | (rise_mm == 1.0)
            out.append(Reading(flat, flat * 0 + 0.3, there.astype(np.float32), 30.0))
        return out


def test_takes_the_mean_of_two_readings_a_column_and_a_half_apart():
    reader = Undecided()
    traced = read_traces(page(beats()), PAPER, SEGMENTS, SPEED_MM_S, lambda _: GAIN_MM_MV, RATE_HZ, reader)
    assert len(reader.starts_mm) == 1  # until it is asked for
    first, second = traced.twice().strips
    assert np.diff(reader.starts_mm) == pytest.approx([1.5 / COLUMNS_PER_MM])
    np.testing.assert_allclose(first.millivolts, 1.5 / GAIN_MM_MV, rtol=1e-5)
    np.testing.assert_allclose(first.sigma_mv, np.hypot(0.3, 0.5) / GAIN_MM_MV, rtol=1e-5)
    late = slice(round(31.0 / SPEED_MM_S * RATE_HZ), None)  # which the second reading did not see
    np.testing.assert_allclose(second.millivolts[late], 1.0 / GAIN_MM_MV, rtol=1e-5)
    assert (second.seen == Seen.READ).all()


def test_of_two_readings_the_surer_one_counts_for_more():
    millivolts = np.array([1.0, 1.0, np.nan], np.float32)
    seen = np.array([Seen.READ, Seen.READ, Seen.NOTHING], np.uint8)
    sure = Strip(Lead.I, 0.0, millivolts, np.array([0.1, 0.1, np.nan], np.float32), seen)
    unsure = replace(sure, millivolts=millivolts + np.float32(0.5), sigma_mv=sure.sigma_mv * 2)
    mean = mean_strip(sure, unsure)
    np.testing.assert_allclose(mean.millivolts, [1.1, 1.1, np.nan], rtol=1e-5)
    variance = 0.8 * (0.01 + 0.01) + 0.2 * (0.04 + 0.16)
    np.testing.assert_allclose(mean.sigma_mv, [variance**0.5, variance**0.5, np.nan], rtol=1e-5)
