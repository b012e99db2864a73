"""gateway/emit/channels.py and moment.py: what every waveform format is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gateway.emit.channels import Doubt, Status, channels, together
from gateway.emit.moment import Moment, acquired, must_be_acquired
from gateway.errors import Held
from pipeline.recording import TWELVE, Finding, Known, Lead, Scale, Seen, Severity, Strip
from tests import recordings as make


def by_label(recording: object) -> dict[str, object]:
    return {c.label: c for c in channels(recording)}  # type: ignore[arg-type]


def test_the_twelve_leads_come_first_then_the_rhythm_strip() -> None:
    labels = [c.label for c in channels(make.three_by_four())]
    assert labels == [lead.value for lead in TWELVE] + ["II rhythm"]


def test_a_lead_printed_twice_keeps_its_column_and_its_rhythm_strip() -> None:
    found = by_label(make.three_by_four())
    assert (found["II"].start, found["II"].end) == (0, 1250)
    assert (found["II rhythm"].start, found["II rhythm"].end) == (0, 5000)


def test_microvolts_are_within_half_a_microvolt() -> None:
    for channel in channels(make.with_gaps()):
        start_s = channel.start / make.RATE_HZ
        truth = make.millivolts(channel.lead, start_s, len(channel.microvolts) / make.RATE_HZ)
        error = np.abs(channel.microvolts / 1000.0 - truth)[channel.finite]
        assert error.max() <= 0.0005 + 1e-6


def test_holes_are_holes_and_not_zero() -> None:
    v2 = by_label(make.with_gaps())["V2"]
    assert v2.runs() == ((2500, 3000), (3100, 3750))
    placed = v2.placed(0, 5000, -32768)
    assert (placed[3000:3100] == -32768).all()
    assert (placed[:2500] == -32768).all()
    assert (placed[2500:3000] != -32768).all()


def test_a_clipped_sample_makes_its_channel_invalid() -> None:
    recording = make.three_by_four()
    strips = list(recording.strips)
    mv = strips[8].millivolts.copy()
    mv[100:103] = (40.0, -40.0, 32.767)
    strips[8] = replace(strips[8], millivolts=mv)
    channel = channels(replace(recording, strips=tuple(strips)))[8]
    assert channel.clipped == 2
    assert channel.status == (Status.INVALID,)
    assert channel.microvolts[100:103].tolist() == [32767, -32767, 32767]


def test_status_follows_findings() -> None:
    findings = (
        Finding("flat_lead", Severity.WARNING, Lead.V1),
        Finding("lead_missing", Severity.ERROR, Lead.V3),
        Finding("gap_bridged", Severity.INFO, Lead.V4),
        Finding("rhythm_disagreement", Severity.WARNING, Lead.II, 6.0, 7.0),
    )
    found = by_label(make.three_by_four(findings=findings))
    assert found["V1"].status == (Status.QUESTIONABLE,)
    assert found["V3"].status == (Status.INVALID,)
    assert found["V4"].status == (Status.OK,)
    assert found["II"].status == (Status.OK,)  # the finding is about seconds that only the rhythm strip shows
    assert found["II rhythm"].status == (Status.QUESTIONABLE,)


def test_a_lead_that_held_its_page_as_doubtful_and_was_approved_is_questionable_and_not_invalid() -> None:
    found = by_label(make.three_by_four(findings=(Finding("sigma_large", Severity.ERROR, Lead.V3),)))
    assert (found["V3"].status, found["V3"].doubt) == ((Status.QUESTIONABLE,), Doubt.DOUBTFUL)


def test_a_finding_about_the_page_is_about_every_channel() -> None:
    recording = make.three_by_four(findings=(Finding("layout_assumed", Severity.WARNING),))
    assert {c.status for c in channels(recording)} == {(Status.QUESTIONABLE,)}


def test_large_sigma_and_much_unread_are_questionable() -> None:
    recording = make.three_by_four()
    strips = list(recording.strips)
    strips[0] = replace(strips[0], sigma_mv=np.full(1250, 0.2, np.float32))
    seen = strips[1].seen.copy()
    seen[:200] = Seen.BRIDGED
    strips[1] = replace(strips[1], seen=seen)
    found = channels(replace(recording, strips=tuple(strips)))
    assert [c.status for c in found[:3]] == [(Status.QUESTIONABLE,), (Status.QUESTIONABLE,), (Status.OK,)]
    assert found[1].bridged == pytest.approx(200 / 1250)


def test_an_assumed_gain_is_uncalibrated_on_the_leads_it_is_the_gain_of() -> None:
    recording = replace(make.three_by_four(), chest_gain_mm_mv=Scale(5.0, Known.ASSUMED))
    found = by_label(recording)
    assert found["II"].status == (Status.OK,)
    assert found["V1"].status == (Status.UNCALIBRATED,)


def test_a_strip_without_a_sample_is_invalid() -> None:
    recording = make.recording([make.strip(Lead.I, 0.0, 2.5, ((0.0, 2.5),))], "3x4")
    assert channels(recording)[0].status == (Status.INVALID,)


def test_columns_are_grouped_and_the_rhythm_strip_is_last() -> None:
    groups = together(channels(make.three_by_four()))
    assert [[c.label for c in g] for g in groups] == [
        ["I", "II", "III"],
        ["aVR", "aVL", "aVF"],
        ["V1", "V2", "V3"],
        ["V4", "V5", "V6"],
        ["II rhythm"],
    ]


def test_columns_that_differ_by_a_few_samples_are_one_group() -> None:
    recording = make.three_by_four()
    strips = list(recording.strips)
    cut = strips[1]
    strips[1] = replace(cut, start_s=0.01, millivolts=cut.millivolts[5:], sigma_mv=cut.sigma_mv[5:], seen=cut.seen[5:])
    groups = together(channels(replace(recording, strips=tuple(strips))))
    assert [len(g) for g in groups] == [3, 3, 3, 3, 1]


def shortened(strip: Strip, samples: int) -> Strip:
    return replace(
        strip, millivolts=strip.millivolts[:samples], sigma_mv=strip.sigma_mv[:samples], seen=strip.seen[:samples]
    )


def test_a_lead_that_ends_early_stays_in_its_column() -> None:
    recording = make.three_by_four()
    strips = list(recording.strips)
    strips[0] = shortened(strips[0], 600)
    groups = together(channels(replace(recording, strips=tuple(strips))))
    assert [c.label for c in groups[0]] == ["I", "II", "III"]
    assert [len(g) for g in groups] == [3, 3, 3, 3, 1]


def test_a_rhythm_strip_whose_column_is_missing_stands_alone() -> None:
    recording = make.three_by_four()
    strips = [s for s in recording.strips if not (s.lead == Lead.II and s.samples == 1250)]
    groups = together(channels(replace(recording, strips=tuple(strips))))
    assert [c.label for c in groups[0]] == ["I", "III"]
    assert [c.label for c in groups[-1]] == ["II"]


def test_three_rhythm_strips_are_one_group() -> None:
    groups = together(channels(make.three_by_four((Lead.V1, Lead.II, Lead.V5))))
    assert [len(g) for g in groups] == [3, 3, 3, 3, 3]
    assert [c.label for c in groups[-1]] == ["II rhythm", "V1 rhythm", "V5 rhythm"]


def test_a_strip_left_of_the_first_trace_moves_the_origin_and_loses_nothing() -> None:
    strips = [make.strip(Lead.I, 0.0, 2.5), replace(make.strip(Lead.II, 0.0, 2.5), start_s=-0.01)]
    first, second = channels(make.recording(strips, "3x4"))
    assert (first.start, second.start) == (5, 0)


@pytest.mark.parametrize(
    ("text", "ts", "hl7"),
    [
        ("20240131143000", "20240131143000.000", "20240131143000"),
        ("20240131143000.25+0100", "20240131143000.250", "20240131143000.25+0100"),
        ("20240229235959.9996", "20240301000000.000", "20240229235959.9996"),
    ],
)
def test_times_known_to_the_second(text: str, ts: str, hl7: str) -> None:
    moment = must_be_acquired(make.order(acquired_at=text))
    assert moment.ts() == ts
    assert moment.hl7() == hl7


def test_ts_counts_on_in_milliseconds() -> None:
    assert Moment("20231231235958").ts(2.502) == "20240101000000.502"
    assert Moment("20240131143000").ts(2.5) == "20240131143002.500"


@pytest.mark.parametrize("text", ["2024", "202401", "20240131", "2024013114", "202401311430"])
def test_truncated_times_stay_truncated(text: str) -> None:
    moment = must_be_acquired(make.order(acquired_at=text))
    assert moment.hl7() == text
    assert not moment.to_the_second
    with pytest.raises(ValueError, match="do not tell the second"):
        moment.ts()


@pytest.mark.parametrize(
    "text", ["31.01.2024", "20241301", "2024013125", "2024.5", "20230229", "٢٠٢٤", "2024013114300"]
)
def test_a_time_that_is_none_holds_the_page(text: str) -> None:
    with pytest.raises(Held) as caught:
        acquired(make.order(acquired_at=text))
    assert caught.value.code == "bad_acquisition_date"


def test_no_time_holds_the_page_where_it_must_be_known() -> None:
    assert acquired(make.order(acquired_at="")) is None
    with pytest.raises(Held) as caught:
        must_be_acquired(make.order(acquired_at=""))
    assert caught.value.code == "no_acquisition_date"
