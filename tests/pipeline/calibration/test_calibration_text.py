"""Speed and gain that are printed in words are read, and weighed against the calibration pulses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibration import Calibration, PrintedScales, calibrate, read_scales, text
from pipeline.calibration.text import Phrase, Printed, scales_of
from pipeline.findings import FindingCode
from pipeline.recording import Float32, Known, Scale, Severity, UInt8
from pipeline.sheet import Sheet
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.lettering import word
from pipeline.synth.page import PageSpec, render
from pipeline.synth.spec import Place, Print
from pipeline.synth.truth import Rendered

FOREIGN = "STIXGeneral"


def put(ink: Float32, text: str, x: int, foot: int, font: str = FOREIGN, capital_px: float = 20.0) -> None:
    letters, stands = word(text, font, capital_px)
    top = foot - stands
    ink[top : top + letters.shape[0], x : x + letters.shape[1]] = letters.astype(np.float32) / 255.0


def sheet_of(*lines: str, font: str = FOREIGN, capital_px: float = 20.0) -> Sheet:
    ink = np.zeros((500, 1100), np.float32)
    for i, line in enumerate(lines):
        put(ink, line, 60, 100 + 90 * i, font, capital_px)
    return Sheet(ink, (ink > 0.5).astype(np.uint8), np.ones(ink.shape, np.bool_), 0.0, 0.0)


def values(found: PrintedScales) -> tuple[float | None, float | None, float | None]:
    scales = (found.speed_mm_s, found.gain_mm_mv, found.chest_gain_mm_mv)
    return tuple(None if s is None else s.value for s in scales)  # type: ignore[return-value]  # three of them


@pytest.mark.parametrize(
    ("line", "speed", "gain"),
    [
        ("25 mm/s   10 mm/mV   0.05-150 Hz", 25.0, 10.0),
        ("50mm/s 5mm/mV 40Hz", 50.0, 5.0),
        ("12.5 mm/s   20 mm/mV", 12.5, 20.0),
        ("25 mm/sec   10,0 mm/mV", 25.0, 10.0),
        ("25 mm/s   2.5 mm/mV", 25.0, 2.5),
        ("25 mm/s   1 cm/mV", 25.0, 10.0),
        ("Speed: 25 mm/sec  Limb: 10 mm/mV", 25.0, 10.0),
    ],
)
def test_reads_a_printed_line(line: str, speed: float, gain: float) -> None:
    assert values(read_scales(sheet_of(line))) == (speed, gain, None)


def test_a_unit_that_may_be_any_is_the_one_whose_number_machines_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five is no speed and no gain in cm/mV; ten, printed clearly as a speed, stays unbelieved."""
    as_seen = text._unit_fits

    def blurred(laid: Float32) -> dict[str, list[text._Fit]]:
        fits = as_seen(laid)
        best = max(f[0].found for f in fits.values())
        return {unit: [replace(f, found=best + 0.06 * (unit == "cm/mV")) for f in fit] for unit, fit in fits.items()}

    monkeypatch.setattr(text, "_unit_fits", blurred)
    assert values(read_scales(sheet_of("5 mm/mV"))) == (None, 5.0, None)
    monkeypatch.undo()
    assert values(read_scales(sheet_of("10 mm/s"))) == (None, None, None)


@pytest.mark.parametrize("font", ["DejaVuSans", "cmss10", "hershey-0", "DejaVuSansMono-Bold"])
@pytest.mark.parametrize("capital_px", [14.0, 26.0])
def test_reads_in_fonts_and_sizes_of_other_machines(font: str, capital_px: float) -> None:
    assert values(read_scales(sheet_of("25 mm/s   10 mm/mV", font=font, capital_px=capital_px)))[0] == 25.0


def test_reads_the_gain_of_the_chest_leads() -> None:
    assert values(read_scales(sheet_of("Limb: 10 mm/mV  Chest: 5 mm/mV"))) == (None, 10.0, 5.0)


def test_tells_a_gain_that_is_said_of_the_limb_leads_alone() -> None:
    found = read_scales(sheet_of("Limb: 10 mm/mV"))
    assert values(found) == (None, 10.0, None)
    assert found.limb_only
    assert not read_scales(sheet_of("25 mm/s  10 mm/mV")).limb_only
    assert not read_scales(sheet_of("Limb: 10 mm/mV  Chest: 5 mm/mV")).limb_only


@pytest.mark.parametrize(
    "line", ["30 mm/s", "100 mm/s", "15 mm/mV", "QT/QTc  380/420 ms", "mm/s   mm/mV", "25 cm/s", "Vent. rate 61 BPM"]
)
def test_believes_only_whole_phrases_with_usual_numbers(line: str) -> None:
    assert values(read_scales(sheet_of(line))) == (None, None, None)


def test_does_not_guess_a_number_whose_beginning_is_hidden() -> None:
    sheet = sheet_of("25 mm/s")
    first = int(np.flatnonzero(sheet.ink.any(axis=0))[0])
    sheet.ink[:, first : first + 14] = 0.0  # the 2
    assert read_scales(sheet).speed_mm_s is None


def test_reads_nothing_on_a_page_of_noise() -> None:
    noise = np.random.default_rng(3).random((500, 1100)).astype(np.float32)
    assert values(read_scales(Sheet(noise, (noise > 0.5).astype(np.uint8), noise > -1, 0.0, 0.0))) == (None, None, None)


def test_says_nothing_where_two_texts_contradict() -> None:
    phrases = [Phrase("mm/s", v, 0.9, 0.0, 100.0 * v, False) for v in (25.0, 50.0)]
    assert scales_of(phrases).speed_mm_s is None


def test_is_surer_of_what_is_printed_twice() -> None:
    once = Phrase("mm/mV", 10.0, 0.6, 0.0, 0.0, False)
    twice = scales_of([once, replace(once, y=300.0)]).gain_mm_mv
    assert twice is not None
    assert twice.score > once.score


@pytest.fixture(scope="module")
def signals() -> Float32:
    return synthetic_ecg(np.random.default_rng(4), 10.0, 500)


def page_of(signals: Float32, **printed: object) -> Rendered:
    return render(signals, 500, PageSpec(print=Print(**printed)), 1)  # type: ignore[arg-type]


def calibrated(page: Rendered, printed: PrintedScales, image: UInt8 | None = None) -> Calibration:
    segments = page.truth.segments
    baselines = sorted({s.baseline_mm for s in segments})
    extent = min(s.start_mm for s in segments), max(s.end_mm for s in segments)
    shown = page.page.image if image is None else image
    return calibrate(shown, page.truth.paper, baselines, extent, printed=printed)


def told(speed: float | None, gain: float | None, chest: float | None = None) -> PrintedScales:
    return PrintedScales(*(None if v is None else Printed(v, 0.9) for v in (speed, gain, chest)))


def codes(found: Calibration) -> list[str]:
    return [f.code for f in found.findings]


def test_takes_the_text_where_no_pulse_is_printed(signals: Float32) -> None:
    found = calibrated(page_of(signals, pulse=Place.NONE), told(50.0, 5.0))
    assert (found.speed_mm_s.value, found.speed_mm_s.known) == (50.0, Known.TEXT)
    assert (found.gain_mm_mv.value, found.gain_mm_mv.known) == (5.0, Known.TEXT)
    assert FindingCode.SCALE_ASSUMED not in codes(found)
    assert FindingCode.SCALE_DISAGREEMENT not in codes(found)


def test_doubts_the_chest_leads_gain_where_only_the_limb_leads_was_read(signals: Float32) -> None:
    printed = PrintedScales(gain_mm_mv=Printed(10.0, 1.0), limb_only=True)
    found = calibrated(page_of(signals, pulse=Place.NONE), printed)
    assert found.chest_gain_mm_mv == Scale(10.0, Known.ASSUMED)
    assert "chest gain taken for 10 mm/mV" in " ".join(f.detail for f in found.findings)


def test_assumes_aloud_where_neither_pulse_nor_text_is_read(signals: Float32) -> None:
    found = calibrated(page_of(signals, pulse=Place.NONE), told(None, None))
    assert (found.speed_mm_s.known, found.gain_mm_mv.known) == (Known.ASSUMED, Known.ASSUMED)
    assert codes(found).count(FindingCode.SCALE_ASSUMED) == 2


def test_keeps_the_pulse_where_the_text_agrees(signals: Float32) -> None:
    found = calibrated(page_of(signals), told(25.0, 10.0))
    assert (found.speed_mm_s.known, found.gain_mm_mv.known) == (Known.PULSE, Known.PULSE)
    assert FindingCode.SCALE_DISAGREEMENT not in codes(found)


def test_clear_pulses_win_over_the_text_of_the_gain_and_say_so(signals: Float32) -> None:
    found = calibrated(page_of(signals), told(25.0, 5.0))
    assert (found.gain_mm_mv.value, found.gain_mm_mv.known) == (10.0, Known.PULSE)
    (finding,) = (f for f in found.findings if f.code == FindingCode.SCALE_DISAGREEMENT)
    assert finding.severity is Severity.ERROR
    assert "5" in finding.detail


def test_the_text_wins_over_a_narrow_pulse_that_may_last_a_tenth_of_a_second(signals: Float32) -> None:
    found = calibrated(page_of(signals, speed_mm_s=50.0, pulse_s=0.1), told(50.0, 10.0))
    assert (found.speed_mm_s.value, found.speed_mm_s.known) == (50.0, Known.TEXT)


def test_takes_the_chest_gain_from_the_text(signals: Float32) -> None:
    found = calibrated(page_of(signals, pulse=Place.NONE), told(25.0, 10.0, 5.0))
    assert found.chest_gain_mm_mv is not None
    assert (found.chest_gain_mm_mv.value, found.chest_gain_mm_mv.known) == (5.0, Known.TEXT)
    assert FindingCode.HALF_GAIN_CHEST in codes(found)


def test_half_the_gain_to_the_right_of_a_gain_is_the_chest_leads_though_no_word_says_so() -> None:
    limb, chest = Phrase("mm/mV", 10.0, 0.8, 400.0, 900.0, False), Phrase("mm/mV", 5.0, 0.8, 700.0, 902.0, False)
    said = scales_of([chest, limb])
    assert said.gain_mm_mv is not None
    assert said.chest_gain_mm_mv is not None
    assert (said.gain_mm_mv.value, said.chest_gain_mm_mv.value) == (10.0, 5.0)


@pytest.mark.parametrize(
    "other",
    [
        Phrase("mm/mV", 5.0, 0.8, 100.0, 900.0, False),  # half of it, but to the left
        Phrase("mm/mV", 5.0, 0.8, 700.0, 300.0, False),  # elsewhere on the page
        Phrase("mm/mV", 2.5, 0.8, 700.0, 900.0, False),  # a quarter
    ],
)
def test_two_gains_that_are_not_so_printed_contradict_each_other(other: Phrase) -> None:
    said = scales_of([Phrase("mm/mV", 10.0, 0.8, 400.0, 900.0, False), other])
    assert said.gain_mm_mv is None
    assert said.chest_gain_mm_mv is None
