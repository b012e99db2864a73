"""gateway/emit/npz.py: the fixed form by which others measure us, and its way back."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace
from io import BytesIO, StringIO

import numpy as np
import pytest

from gateway.emit import npz
from pipeline.recording import TWELVE, Finding, Known, Lead, Recording, Scale, Seen, Severity
from tests import recordings as make

FINDINGS = (
    Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2, "smudge"),
    Finding("low_confidence", Severity.ERROR),
)


def arrays(recording: Recording) -> dict[str, np.ndarray]:
    with np.load(BytesIO(npz.to_npz(recording)), allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def test_the_keys_are_exactly_these() -> None:
    assert list(arrays(make.three_by_four())) == [
        "millivolts",
        "sigma_mv",
        "seen",
        "rate_hz",
        "strip_millivolts",
        "strip_lead",
        "strip_start_s",
        "strip_rate_hz",
        "strip_sigma_mv",
        "strip_seen",
    ]


def test_types_and_shapes() -> None:
    held = arrays(make.three_by_four())
    assert (held["millivolts"].dtype, held["millivolts"].shape) == (np.float32, (12, 5000))
    assert (held["sigma_mv"].dtype, held["sigma_mv"].shape) == (np.float32, (12, 5000))
    assert (held["seen"].dtype, held["seen"].shape) == (np.uint8, (12, 5000))
    assert (held["strip_millivolts"].dtype, held["strip_millivolts"].shape) == (np.float32, (13, 5000))
    assert held["strip_lead"].tolist() == [lead.value for lead in TWELVE] + ["II"]
    assert held["strip_start_s"].tolist() == [0.0] * 3 + [2.5] * 3 + [5.0] * 3 + [7.5] * 3 + [0.0]
    assert int(held["rate_hz"]) == int(held["strip_rate_hz"]) == 500


def test_nothing_printed_is_nan_and_a_strip_is_padded_with_nan() -> None:
    held = arrays(make.with_gaps())
    v2 = TWELVE.index(Lead.V2)
    assert np.isnan(held["millivolts"][v2, 3000:3100]).all()
    assert np.isnan(held["millivolts"][v2, :2500]).all()
    assert np.isfinite(held["millivolts"][v2, 2500:3000]).all()
    assert (held["seen"][v2, 3000:3100] == Seen.NOTHING).all()
    assert np.isnan(held["strip_millivolts"][0, 1250:]).all()


def test_a_lead_printed_twice_gives_its_longest_strip() -> None:
    held = arrays(make.three_by_four())
    np.testing.assert_array_equal(held["millivolts"][1], make.millivolts(Lead.II, 0.0, 10.0))


def test_the_same_recording_gives_the_same_bytes_whenever() -> None:
    first = npz.to_npz(make.three_by_four())
    time.sleep(2.1)  # a zip entry's clock ticks in steps of two seconds
    assert npz.to_npz(make.three_by_four()) == first


def test_an_empty_recording_is_twelve_empty_leads() -> None:
    held = arrays(make.recording([], "3x4"))
    assert held["millivolts"].shape == (12, 0)
    assert held["strip_millivolts"].shape == (0, 0)


def test_summary_says_everything_but_the_samples() -> None:
    recording = replace(make.with_gaps(FINDINGS), chest_gain_mm_mv=Scale(5.0, Known.TEXT))
    told = json.loads(npz.summary_json(recording))
    assert told["layout"] == "3x4+1"
    assert told["confidence"] == 0.93
    assert told["speed_mm_s"] == {"value": 25.0, "known": "grid"}
    assert told["gain_mm_mv"] == {"value": 10.0, "known": "pulse"}
    assert told["chest_gain_mm_mv"] == {"value": 5.0, "known": "text"}
    assert told["source"] == "colour_scan"
    assert told["findings"][0] == {
        "code": "gap_not_read",
        "severity": "warning",
        "lead": "V2",
        "start_s": 6.0,
        "end_s": 6.2,
        "detail": "smudge",
    }
    assert told["made_by"] == {"version": "0.1.0", "weights": {"grid": "ab" * 32, "waveform": "cd" * 32}}
    assert told["seconds"] == {"source": 0.1, "waveform": 1.5}


@pytest.mark.parametrize(
    "recording",
    [
        make.three_by_four(),
        make.six_by_two(),
        make.twelve_by_one(),
        make.with_gaps(FINDINGS),
        make.recording([], "3x4"),
    ],
    ids=["3x4+1", "6x2", "12x1", "gaps", "empty"],
)
def test_a_recording_comes_back_from_its_two_files(recording: Recording) -> None:
    back = npz.from_npz(npz.to_npz(recording), npz.summary_json(recording))
    for name in (
        "rate_hz",
        "layout",
        "speed_mm_s",
        "gain_mm_mv",
        "source",
        "confidence",
        "made_by",
        "findings",
        "seconds",
    ):
        assert getattr(back, name) == getattr(recording, name)
    assert len(back.strips) == len(recording.strips)
    for got, strip in zip(back.strips, recording.strips, strict=True):
        assert (got.lead, got.start_s) == (strip.lead, strip.start_s)
        np.testing.assert_array_equal(got.millivolts, strip.millivolts)
        np.testing.assert_array_equal(got.seen, strip.seen)
    for got_row, row in zip(back.twelve(), recording.twelve(), strict=True):
        np.testing.assert_array_equal(got_row, row)


def test_sigma_and_seen_of_every_strip_come_back() -> None:
    recording = make.with_gaps()
    back = npz.from_npz(npz.to_npz(recording), npz.summary_json(recording))
    for got, strip in zip(back.strips, recording.strips, strict=True):
        np.testing.assert_array_equal(got.sigma_mv, strip.sigma_mv)
        np.testing.assert_array_equal(got.seen, strip.seen)


def test_a_file_of_before_says_nothing_of_the_sigma_of_a_shorter_strip() -> None:
    held = arrays(make.three_by_four())
    old = {name: array for name, array in held.items() if name not in ("strip_sigma_mv", "strip_seen")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **old)
    back = npz.from_npz(buffer.getvalue(), npz.summary_json(make.three_by_four()))
    column, rhythm = (s for s in back.strips if s.lead == Lead.II)
    assert np.isnan(column.sigma_mv).all()
    assert np.isfinite(rhythm.sigma_mv).all()
    assert back.placed is None


def test_where_the_strips_were_read_comes_back() -> None:
    placed = make.placed(make.three_by_four())
    recording = replace(make.three_by_four(), placed=placed)
    back = npz.from_npz(npz.to_npz(recording), npz.summary_json(recording)).placed
    assert back is not None
    assert back.orientation == placed.orientation
    for name in ("x_mm", "y_mm", "nodes_px", "runs_mm"):
        np.testing.assert_array_equal(getattr(back, name), getattr(placed, name))
    assert npz.summary_json(recording) == npz.summary_json(make.three_by_four())


def test_a_gap_at_the_end_of_a_strip_stays_part_of_it() -> None:
    recording = make.recording([make.strip(Lead.I, 0.0, 2.5, ((2.0, 2.5),)), make.strip(Lead.II, 0.0, 10.0)], "3x4")
    back = npz.from_npz(npz.to_npz(recording), npz.summary_json(recording))
    assert back.strips[0].samples == 1250


def test_csv_has_a_row_per_sample_and_empty_cells_for_nothing() -> None:
    rows = list(csv.reader(StringIO(npz.to_csv(make.with_gaps()).decode("ascii"))))
    assert rows[0] == ["time_s", *(lead.value for lead in TWELVE)]
    assert len(rows) == 5001
    assert rows[1][0] == "0.0000"
    assert rows[3051][8] == ""  # V2 in its hole, 6.1 s
    assert float(rows[2601][8]) == pytest.approx(make.millivolts(Lead.V2, 5.2, 0.01)[0], abs=0.0001)


def test_made_by_is_one_line() -> None:
    assert json.loads(npz.made_by_json(make.MADE_BY))["version"] == "0.1.0"
    assert "\n" not in npz.made_by_json(make.MADE_BY)
