"""A page in, a recording out."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from printed_strips import RATE_HZ, heart

from pipeline import quality
from pipeline.digitize import Digitizer, _bears_out, digitize
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.geometry import Keypoint, Landmarks, PaperMap
from pipeline.landmarks import Reading, map_upright
from pipeline.quality.confidence import Features
from pipeline.recording import TWELVE, Finding, Known, Lead, Page, Recording, Seen, Severity
from pipeline.score import kaggle_db
from pipeline.synth.page import faxed_page
from pipeline.synth.truth import Rendered

NOTHING = np.zeros((0, 3))
NO_MARKS = Landmarks(*(NOTHING,) * 5, np.zeros((1, 1), np.float32), 0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def digitizer() -> Digitizer:
    return Digitizer(page_seconds_max=600.0)  # the tests ask what is read, also on a busy machine


@pytest.fixture(scope="module")
def recording(digitizer: Digitizer, clean: Rendered) -> Recording:
    return digitizer.digitize(clean.page)


def decibels(page: Rendered, found: Recording) -> float:
    return kaggle_db(page.truth.recording.twelve().millivolts, found.twelve().millivolts, RATE_HZ)


def test_a_clean_page_comes_back_as_it_was_printed(clean: Rendered, recording: Recording) -> None:
    assert recording.layout == "3x4+1"
    assert (recording.speed_mm_s.value, recording.gain_mm_mv.value) == (25.0, 10.0)
    assert recording.speed_mm_s.known is Known.PULSE
    assert [s.lead for s in recording.strips] == [s.lead for s in clean.truth.recording.strips]
    assert decibels(clean, recording) >= 14.0
    assert recording.confidence > 0.8


def test_a_page_that_takes_too_long_is_given_up(
    digitizer: Digitizer, clean: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digitizer, "page_seconds_max", 0.2)
    with pytest.raises(Unreadable) as caught:
        digitizer.digitize(clean.page)
    assert (caught.value.code, caught.value.why) == ("took_too_long", "the page was given up after 0.2 seconds")


def test_traces_that_are_not_sure_enough_are_read_twice(
    digitizer: Digitizer, clean: Rendered, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digitizer, "sure_from", math.inf)
    twice = digitizer.digitize(clean.page)
    assert [s.lead for s in twice.strips] == [s.lead for s in recording.strips]
    apart = np.concatenate([a.millivolts - b.millivolts for a, b in zip(twice.strips, recording.strips, strict=True)])
    assert 0.0 < np.nanmax(np.abs(apart)) < 0.5
    assert np.nanmedian(np.abs(apart)) < 0.01
    assert decibels(clean, twice) > decibels(clean, recording) - 0.2


def test_an_error_is_a_doubt_at_any_confidence(digitizer: Digitizer) -> None:
    sure = quality.Assessment((), (), 0.95, Features(*[1.0] * len(fields(Features))))
    error = Finding(FindingCode.GAIN_ASSUMED, Severity.ERROR)
    assert not digitizer._is_doubtful(sure, [replace(error, severity=Severity.WARNING)])
    assert digitizer._is_doubtful(sure, [error])
    assert digitizer._is_doubtful(replace(sure, findings=(error,)), [])


def test_page_time_runs_on_from_column_to_column(recording: Recording) -> None:
    starts = {s.lead: s.start_s for s in recording.strips[:12]}
    assert starts[Lead.I] == 0.0
    assert starts[Lead.AVR] == pytest.approx(2.5, abs=0.02)
    assert starts[Lead.V6] == pytest.approx(7.5, abs=0.02)
    assert recording.duration_s == pytest.approx(10.0, abs=0.05)


def test_what_is_not_read_is_nan_and_marked(recording: Recording) -> None:
    for strip in recording.strips:
        nothing = strip.seen == Seen.NOTHING
        assert np.isnan(strip.millivolts[nothing]).all()
        assert np.isnan(strip.sigma_mv[nothing]).all()
        assert np.isfinite(strip.millivolts[~nothing]).all()
        assert (strip.sigma_mv[~nothing] > 0).all()


def test_says_what_made_it_and_how_long_each_stage_took(digitizer: Digitizer, recording: Recording) -> None:
    assert recording.made_by == digitizer.made_by
    assert all(len(sha256) == 64 for _, sha256 in recording.made_by.weights)
    stages = [name for name, _ in recording.seconds]
    assert stages == ["source", "enhance", "register", "grid", "layout", "calibration", "waveform", "quality"]


def test_the_same_page_gives_the_same_recording(clean: Rendered, recording: Recording) -> None:
    again = digitize(clean.page)
    assert again.findings == recording.findings
    for a, b in zip(again.strips, recording.strips, strict=True):
        assert np.array_equal(a.millivolts, b.millivolts, equal_nan=True)


def test_reads_a_fax(digitizer: Digitizer) -> None:
    page = faxed_page(heart(), RATE_HZ, 11)
    assert decibels(page, digitizer.digitize(page.page)) >= 14.0


def test_a_page_upside_down_is_set_upright_and_says_so(digitizer: Digitizer, clean: Rendered) -> None:
    turned = Page(np.ascontiguousarray(clean.page.image[::-1, ::-1]), clean.page.dpi)
    found = digitizer.digitize(turned)
    assert FindingCode.ORIENTATION_CORRECTED in {f.code for f in found.findings}
    assert decibels(clean, found) >= 14.0


@pytest.mark.parametrize("orientation", [1, 3, 4])
def test_a_page_on_its_side_or_mirrored_is_set_upright(digitizer: Digitizer, clean: Rendered, orientation: int) -> None:
    image = clean.page.image[:, ::-1] if orientation >= 4 else clean.page.image
    turned = Page(np.ascontiguousarray(np.rot90(image, orientation % 4)), clean.page.dpi)
    found = digitizer.digitize(turned)
    assert found.placed is not None
    assert found.placed.orientation == orientation
    assert decibels(clean, found) >= 14.0


@pytest.mark.parametrize("orientation", range(8))
def test_a_glance_at_the_names_tells_how_a_page_lies(digitizer: Digitizer, clean: Rendered, orientation: int) -> None:
    """Patches around the names read about as much as the whole page: much in one orientation, little in the others."""
    assert digitizer.page_reader is not None
    image = clean.page.image[:, ::-1] if orientation >= 4 else clean.page.image
    turned = np.ascontiguousarray(np.rot90(image, orientation % 4))
    paper = laid(clean.truth.paper, clean.page.image.shape[:2], orientation)
    places_mm = digitizer.page_reader.read(turned, paper).places_mm
    told = digitizer.page_reader.glance(turned, paper, places_mm)
    assert int(np.argmax(told)) == orientation
    assert told[orientation] > np.sort(told)[-2] + 2
    assert digitizer.page_reader.glance(turned, paper, places_mm[:0]).tolist() == [0.0] * 8


def laid(paper: PaperMap, shape: tuple[int, int], orientation: int) -> PaperMap:
    """The paper of a page that was mirrored and turned: what map_upright undoes."""
    mirrored = map_upright(paper, shape, 4) if orientation >= 4 else paper
    return map_upright(mirrored, shape, -orientation % 4)


def test_reads_six_rows_of_two_columns(digitizer: Digitizer, six_by_two: Rendered) -> None:
    found = digitizer.digitize(six_by_two.page)
    assert found.layout == "6x2+1"
    assert decibels(six_by_two, found) >= 12.0


def ruled_paper() -> np.ndarray:
    image = np.full((1200, 1600, 3), 255, np.uint8)
    image[::8] = image[:, ::8] = (255, 205, 205)
    image[::40] = image[:, ::40] = (240, 130, 130)
    return image


def test_refuses_a_blank_page(digitizer: Digitizer) -> None:
    with pytest.raises(Unreadable) as refusal:
        digitizer.digitize(Page(np.full((1200, 1600, 3), 255, np.uint8)))
    assert refusal.value.code in {UnreadableCode.NOT_AN_ECG, UnreadableCode.NO_TRACES}


def test_refuses_empty_ecg_paper(digitizer: Digitizer) -> None:
    with pytest.raises(Unreadable) as refusal:
        digitizer.digitize(Page(ruled_paper()))
    assert refusal.value.code in {UnreadableCode.NOT_AN_ECG, UnreadableCode.NO_TRACES}


def test_refuses_lines_that_are_no_heart(digitizer: Digitizer) -> None:
    """A random walk on ECG paper has rows, a grid and a length of ten seconds, but no beats."""
    image = ruled_paper()
    rng = np.random.default_rng(5)
    x = np.arange(100, 1500)
    for row in range(4):
        y = 200 + 260 * row + np.cumsum(rng.normal(0, 1.6, len(x)))
        y -= np.linspace(0, y[-1] - y[0], len(x))
        for dy in (0, 1):
            image[np.clip(np.round(y).astype(int) + dy, 0, 1199), x] = 20
    with pytest.raises(Unreadable) as refusal:
        digitizer.digitize(Page(image))
    assert refusal.value.code in set(UnreadableCode)


def test_refuses_noise(digitizer: Digitizer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3)).astype(np.uint8)
    with pytest.raises(Unreadable):
        digitizer.digitize(Page(noise))


def test_refuses_an_image_too_small_for_a_trace(digitizer: Digitizer, clean: Rendered) -> None:
    with pytest.raises(Unreadable) as refusal:
        digitizer.digitize(Page(np.ascontiguousarray(clean.page.image[:200, :300])))
    assert refusal.value.code == UnreadableCode.IMAGE_TOO_SMALL


def reading(names: float, along: float) -> Reading:
    """What the network read of a page: so many V leads, and how sure it is that the rows run along."""
    leads = [lead for lead in TWELVE if lead.startswith("V")]
    keypoints = tuple(Keypoint(lead, 0.0, 0.0, names / len(leads)) for lead in leads)
    turns = np.array([along, 1 - along, 0, 0, 0, 0, 0, 0], np.float32)
    return Reading(keypoints, NO_MARKS, turns, np.zeros((0, 2)))


@pytest.mark.parametrize(
    ("way", "lying", "turned", "believed"),
    [
        (1, reading(0.0, 0.3), reading(0.0, 0.3), True),  # nothing read either way, and it may lie on its side
        (2, reading(0.0, 0.9), reading(5.0, 0.9), True),  # upside down: the vote cannot tell
        (1, reading(0.0, 0.9), reading(0.0, 0.1), False),  # the rows are seen to run along
        (2, reading(5.0, 0.9), reading(0.0, 0.9), False),  # more is read of the page as it lies
    ],
)
def test_a_page_is_turned_for_matched_letters_only_where_the_network_bears_them_out(
    way: int, lying: Reading, turned: Reading, believed: bool
) -> None:
    assert _bears_out(way, lying, turned) is believed


def test_what_was_found_while_a_page_was_decoded_is_told_with_it(
    digitizer: Digitizer, clean: Rendered, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = Finding(FindingCode.PAGE_DAMAGED, Severity.ERROR)
    monkeypatch.setattr(Digitizer, "_digitized", lambda *_arguments: recording)
    told = digitizer.digitize(replace(clean.page, findings=(damaged,))).findings
    assert told == (damaged, *recording.findings)


@pytest.mark.parametrize("code", [FindingCode.PAGE_DAMAGED, FindingCode.OVERLAY_NOT_DRAWN])
def test_a_page_that_did_not_come_whole_is_no_cover_sheet(digitizer: Digitizer, code: FindingCode) -> None:
    rest = Page(np.full((600, 800, 3), 250, np.uint8), None, (Finding(code, Severity.ERROR, detail="rows 9 to 600"),))
    with pytest.raises(Unreadable, match=r"page_not_whole: rows 9 to 600; of the rest "):
        digitizer.digitize(rest)
