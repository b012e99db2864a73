"""gateway/emit/report: the sheet is measured in millimetres as a reader's ruler would, and read as a reader reads."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from itertools import pairwise
from unittest import mock

import numpy as np
import pypdfium2
import pytest
from PIL import Image
from pypdfium2 import raw

from gateway.emit import report
from gateway.emit.emitted import Emitted
from gateway.emit.measured import Measurement
from gateway.emit.report import lettering, traces
from gateway.emit.report.lead_rows import arranged
from gateway.emit.thumbnail import SIDE_MAX_PX, thumbnail_png
from gateway.errors import Held, Refused
from gateway.identity.order import Order, Patient
from gateway.mapping import Measured
from gateway.review import Approval
from pipeline.findings import FindingCode
from pipeline.recording import TWELVE, Finding, Known, Lead, Page, Recording, Scale, Seen, Severity, Strip
from tests import recordings as make

PX_MM = 12.0


def emitted(recording: Recording, order: Order | None = None, **settings: object) -> Emitted:
    values: dict[str, object] = {"source_sha256": make.SHA256, "page": 1, "received_at": make.RECEIVED_AT}
    return report.emit(recording, order or make.order(), **(values | settings))  # type: ignore[arg-type]


def text_of(data: bytes) -> str:
    """What a reader can select, its line ends as spaces."""
    document = pypdfium2.PdfDocument(data)
    assert len(document) == 1
    return " ".join(document[0].get_textpage().get_text_bounded().split())


def said(recording: Recording, order: Order | None = None, **settings: object) -> str:
    return text_of(emitted(recording, order, **settings).data)


def raster(data: bytes) -> np.ndarray:
    """float32 (H, W, 3) 0..1 of the whole sheet at PX_MM."""
    page = pypdfium2.PdfDocument(data)[0]
    return page.render(scale=PX_MM * 25.4 / 72).to_numpy()[..., ::-1] / np.float32(255.0)


def ink(picture: np.ndarray) -> np.ndarray:
    """bool (H, W): where a trace is, darker than paper, grid and letters' patches."""
    return picture.max(axis=2) < 0.45


def sine(hz: float, millivolt: float) -> Recording:
    """3x4 where lead I is a sine around 0 mV and every other lead is flat."""
    t = np.arange(1250) / 500
    wave = (millivolt * np.sin(2 * np.pi * hz * t)).astype(np.float32)
    flat = np.zeros(1250, np.float32)
    seen = np.full(1250, Seen.READ, np.uint8)
    strips = [
        Strip(lead, 2.5 * k, wave if lead == Lead.I else flat, np.full(1250, 0.001, np.float32), seen)
        for k, column in enumerate(make.COLUMNS_4)
        for lead in column
    ]
    return make.recording(strips, "3x4")


def test_the_sheet_is_a4_in_landscape() -> None:
    width, height = pypdfium2.PdfDocument(emitted(make.three_by_four()).data)[0].get_size()
    assert (width * 25.4 / 72, height * 25.4 / 72) == pytest.approx((297.0, 210.0), abs=0.01)


def test_the_grid_is_one_and_five_millimetres() -> None:
    picture = raster(emitted(sine(1.0, 0.0)).data)
    top, left = round((traces.TOP + 0.5) * PX_MM), round(traces.LEFT * PX_MM)
    for profile in (
        picture[top, left : left + round(traces.WIDTH * PX_MM) + 1, 1],  # half a square below the upper edge
        picture[
            round(traces.TOP * PX_MM) : round((traces.TOP + traces.HEIGHT) * PX_MM) + 1,
            round((traces.LEFT + traces.WIDTH - 0.5) * PX_MM),
            1,
        ],
    ):
        at = (
            np.flatnonzero((profile[1:-1] < profile[:-2]) & (profile[1:-1] <= profile[2:]) & (profile[1:-1] < 0.97)) + 1
        )
        assert np.diff(at) / PX_MM == pytest.approx(1.0, abs=1.5 / PX_MM)
        assert (at[-1] - at[0]) / PX_MM == pytest.approx(len(at) - 1, abs=1.5 / PX_MM)
        dark = at[profile[at] < np.median(profile[at]) - 0.05]
        assert np.diff(dark) / PX_MM == pytest.approx(5.0, abs=1.5 / PX_MM)


def test_a_sine_is_25_mm_per_second_and_10_mm_per_millivolt() -> None:
    picture = ink(raster(emitted(sine(2.0, 1.0)).data))
    left, right = round((traces.BEGIN + 6) * PX_MM), round((traces.BEGIN + 62) * PX_MM)  # beside name and border
    rows = picture[round((traces.TOP + 0.3) * PX_MM) : round((traces.TOP + 30) * PX_MM), left:right]
    height = np.arange(len(rows))[:, None] / PX_MM
    middle = (rows * height).sum(axis=0) / rows.sum(axis=0)  # mm, of the line in every column of pixels
    level = (middle.max() + middle.min()) / 2
    assert middle.max() - middle.min() == pytest.approx(20.0, abs=0.1)
    up = np.flatnonzero((middle[:-1] > level) & (middle[1:] <= level))
    exact = up + (middle[up] - level) / (middle[up] - middle[up + 1])
    assert np.diff(exact) / PX_MM == pytest.approx(12.5, abs=0.05)
    begins = left / PX_MM + exact[0] / PX_MM - traces.BEGIN
    assert begins % 12.5 == pytest.approx(0.0, abs=0.1) or begins % 12.5 == pytest.approx(12.5, abs=0.1)


def test_the_calibration_pulse_is_10_mm_high_and_5_mm_wide() -> None:
    picture = ink(raster(emitted(sine(1.0, 0.0)).data))
    left, right = round((traces.LEFT + 0.5) * PX_MM), round((traces.BEGIN - 0.5) * PX_MM)
    pulse = picture[round((traces.TOP + 0.3) * PX_MM) : round((traces.TOP + 25) * PX_MM), left:right]
    rows = np.flatnonzero(pulse.sum(axis=1) > 1.2 * PX_MM)  # the top, and the two feet
    line = traces.PULSE_LINE_MM
    assert (rows[-1] - rows[0] + 1) / PX_MM - line == pytest.approx(10.0, abs=0.1)
    top = np.flatnonzero(pulse[rows[0] + 2])
    assert (top[-1] - top[0] + 1) / PX_MM - line == pytest.approx(5.0, abs=0.1)


def test_what_is_not_known_is_left_blank_and_what_is_bridged_is_dashed_in_another_colour() -> None:
    recording = sine(1.0, 0.0)
    strip = recording.strips[0]
    values, seen = strip.millivolts.copy(), strip.seen.copy()
    values[250:500] = np.nan  # 12.5 to 25 mm
    seen[250:500] = Seen.NOTHING
    seen[750:1000] = Seen.BRIDGED  # 37.5 to 50 mm
    changed = replace(strip, millivolts=values, seen=seen)
    picture = raster(emitted(replace(recording, strips=(changed, *recording.strips[1:]))).data)
    dark = ink(picture)
    row = round((traces.TOP + 5) * PX_MM) + np.argmax(
        dark[round((traces.TOP + 5) * PX_MM) : round((traces.TOP + 30) * PX_MM), round((traces.BEGIN + 30) * PX_MM)]
    )
    rows = slice(row - 4, row + 5)

    def columns(first: float, last: float) -> slice:
        return slice(round((traces.BEGIN + first) * PX_MM), round((traces.BEGIN + last) * PX_MM))

    assert dark[rows, columns(1, 12)].any(axis=0).all()
    assert not dark[rows, columns(13, 24.5)].any()
    red = (picture[..., 0] > 0.6) & (picture[..., 1] < 0.55)
    bridged = red[rows, columns(38, 49.5)].any(axis=0)
    assert 0.3 < bridged.mean() < 0.9
    assert np.count_nonzero(np.diff(bridged.astype(int)) == 1) >= 8
    assert not red[rows, columns(13, 24.5)].any()


def test_the_ribbon_is_two_standard_deviations_either_way() -> None:
    recording = sine(1.0, 0.0)
    wide = replace(recording.strips[0], sigma_mv=np.full(1250, 0.2, np.float32))
    picture = raster(emitted(replace(recording, strips=(wide, *recording.strips[1:]))).data)
    column = picture[round((traces.TOP + 1) * PX_MM) : round((traces.TOP + 30) * PX_MM), :, :]
    column = column[:, round((traces.BEGIN + 40.5) * PX_MM)]
    blue = np.flatnonzero(column[:, 2] - column[:, 0] > 0.02)
    assert (blue[-1] - blue[0]) / PX_MM == pytest.approx(8.0, abs=0.2)


def test_the_same_input_gives_the_same_bytes_whatever_the_clock() -> None:
    first = emitted(make.with_gaps())
    with mock.patch.dict(os.environ, {"SOURCE_DATE_EPOCH": "1"}), mock.patch("time.time", return_value=4e9):
        assert emitted(make.with_gaps()) == first
    assert emitted(make.three_by_four()).name != first.name


def test_how_long_it_took_does_not_change_the_report() -> None:
    assert emitted(replace(make.three_by_four(), seconds=(("waveform", 99.0),))) == emitted(make.three_by_four())


def test_the_files_own_properties_name_no_patient() -> None:
    data = emitted(make.three_by_four()).data
    told = pypdfium2.PdfDocument(data).get_metadata_dict()
    assert told["Title"] == report.TITLE
    assert told["Creator"] == told["Producer"] == "CardioScan Gateway 0.1.0"
    assert told["CreationDate"] == "D:20261122143005Z"
    patient = make.order().patient
    assert not any(word in " ".join(told.values()) for word in ("Doe", "Jane", patient.patient_id, patient.birth_date))


def test_it_says_whose_ecg_when_and_for_whom() -> None:
    text = said(make.three_by_four(), measurements=(Measurement(Measured.HEART_RATE, 71.8),))
    for words in (
        "Doe, Jane Q, Dr, Jr",
        "Patient ID 4711",
        "Born 1954-01-31, sex female, 70 years at recording",
        "Recorded 2024-01-31 14:30:00",
        "Accession A-17, order P-1, visit V-9",
        "Referred by House, Gregory, Dr",
        "General Hospital",
        "Heart rate 72 /min",
    ):
        assert words in text


def test_it_tells_each_value_with_its_error_and_why_others_are_not_given() -> None:
    text = said(make.three_by_four(), measurements=make.TOLD)
    for words in ("PR 162 ± 9 ms, QRS 98 ± 8 ms, QT 391 ± 11 ms", "QRS axis -30 ± 6 deg", "QTc (Bazett) 427 ± 12 ms"):
        assert words in text
    assert "P axis, T axis not given: where the wave" in text
    assert "Confidence 93 %" in text


def test_it_says_where_it_comes_from_and_how_far_to_trust_it() -> None:
    text = said(make.three_by_four())
    for words in (
        report.STAMP,
        "Drawn at 25 mm/s, 10 mm/mV",
        "leads placed as on the page (3x4+1)",
        "Confidence 93 %",
        "CardioScan Gateway 0.1.0",
        "Weights grid SHA-256",
        "ab" * 32,
        make.SHA256,
        "Page 1 of the document",
        "measured on the paper grid",
        "No warnings",
        "Nothing could be measured with certainty",
    ):
        assert words in text


APPROVED = Finding(FindingCode.APPROVED_BY_PERSON, Severity.INFO, detail="confidence 74 %")
CONFIRMED_AT = datetime(2026, 11, 23, 1, 20, 5, tzinfo=timezone(timedelta(hours=2)))


def test_until_somebody_checks_the_traces_it_warns_that_a_person_must() -> None:
    text = said(make.three_by_four())
    assert report.STAMP in text
    assert "Not recorded by a device: a person must confirm it." in text
    assert "Preliminary: no person has checked the traces." in text


@pytest.mark.parametrize("by", ["rita", "margarete.von-und-zu-hohenstein@" + "cardiology." * 14 + "example"])
def test_checked_traces_stay_preliminary_and_say_who_checked_them_and_when(by: str) -> None:
    out = emitted(make.three_by_four(findings=(APPROVED,)), approval=Approval(by, CONFIRMED_AT))
    text = text_of(out.data)
    assert report.STAMP in text
    told = f"traces checked by {by} on 2026-11-22 23:20:05 UTC."
    assert text.replace(" ", "").count(told.replace(" ", "")) == 2  # in the head, and below where it comes from
    assert "Not recorded by a device" in text
    assert "Preliminary: a person has checked the traces." in text
    for word in ("must confirm", "no person", "reading confirmed"):
        assert word not in text
    assert pypdfium2.PdfDocument(out.data).get_metadata_dict()["Title"] == report.TITLE_CHECKED
    assert emitted(make.three_by_four(findings=(APPROVED,)), approval=Approval(by, CONFIRMED_AT)) == out


@pytest.mark.parametrize("name", ["Müller^Jürgen", "Παπαδόπουλος^Ιωάννης", "Достоевский^Фёдор", "Nguyễn^Thị Hương"])
def test_names_in_latin_greek_and_cyrillic_are_written_and_embedded(name: str) -> None:
    data = emitted(make.three_by_four(), make.order(patient=Patient("1", "", name))).data
    assert name.replace("^", ", ") in text_of(data)
    assert b"/FontFile2" in data
    assert b"Helvetica" not in data  # no font that the reader's machine would have to bring


@pytest.mark.parametrize("name", ["山田^太郎", "כהן^דוד", "محمد^علي", "शर्मा^राज"])
def test_a_name_that_the_font_cannot_write_is_shown_as_its_code_points(name: str) -> None:
    text = said(make.three_by_four(), make.order(patient=Patient("1", "", name)))
    assert "".join(f"<U+{ord(c):04X}>" for c in name.split("^")[0]) in text.replace(" ", "")


def test_an_alphabet_that_can_be_written_stands_for_one_that_cannot() -> None:
    text = said(make.three_by_four(), make.order(patient=Patient("1", "", "Yamada^Tarou=山田^太郎")))
    assert "Yamada, Tarou (another alphabet is in the order)" in text
    assert "<U+" not in text


def test_what_is_unknown_is_said_to_be_unknown() -> None:
    text = said(make.three_by_four(), Order())
    for words in ("Name not known", "Patient ID NOT KNOWN", "Recording time NOT KNOWN", "sex not known"):
        assert words in text


@pytest.mark.parametrize(
    ("acquired_at", "words"),
    [
        ("2024", "Recorded 2024"),
        ("202401", "Recorded 2024-01"),
        ("2024013114", "Recorded 2024-01-31 14 h"),
        ("20240131143000.25+0100", "Recorded 2024-01-31 14:30:00 +0100"),
    ],
)
def test_the_time_is_as_precise_as_it_is_known(acquired_at: str, words: str) -> None:
    assert f"{words} Accession" in said(make.three_by_four(), make.order(acquired_at=acquired_at))


def test_a_date_that_is_none_holds() -> None:
    with pytest.raises(Held, match="bad_acquisition_date"):
        emitted(make.three_by_four(), make.order(acquired_at="20241331"))


def test_a_page_without_a_sample_is_refused() -> None:
    nan = np.full(100, np.nan, np.float32)
    empty = make.recording([Strip(Lead.I, 0.0, nan, nan, np.zeros(100, np.uint8))], "3x4")
    with pytest.raises(Refused, match="nothing_printed"):
        emitted(empty)


def test_a_number_of_256_characters_is_written_whole() -> None:
    number = "".join(f"{k:04d}" for k in range(64))
    text = said(make.three_by_four(), make.order(patient=Patient(number, "", "Doe^Jane")))
    assert number in text.replace(" ", "")


def test_findings_are_told_the_gravest_first_and_the_lead_is_marked() -> None:
    findings = (
        Finding("boundary_assumed", Severity.INFO, None, 2.4, 2.6),
        Finding("gap_not_read", Severity.WARNING, Lead.V2, 6.0, 6.2),
        Finding("amplitude_implausible", Severity.ERROR, Lead.V3),
    )
    text = said(make.with_gaps(findings))
    assert text.index("ERROR: The lead's amplitude") < text.index("WARNING: A stretch") < text.index("INFO: The border")
    assert "V3 not valid" in text
    assert "V2 ?" in text
    assert "2 warnings about the reading" in text


def test_a_warning_about_the_whole_page_makes_no_lead_doubtful_of_its_own() -> None:
    text = said(
        make.with_gaps(
            (Finding("pulse_not_found", Severity.WARNING), Finding("sigma_large", Severity.WARNING, Lead.II))
        )
    )
    assert "II ?" in text
    assert not any(f" {lead} ?" in f" {text}" for lead in ("I", "III", "aVR", "aVL", "aVF", "V1", "V4", "V5", "V6"))
    assert "2 warnings about the reading" in text


def test_findings_that_do_not_fit_are_counted() -> None:
    findings = tuple(Finding("gap_not_read", Severity.WARNING, Lead.V2, k / 10, k / 10 + 0.1) for k in range(90))
    text = said(make.with_gaps(findings))
    told, left_out = text.count("A stretch of the lead"), int(text.split("… and ")[1].split()[0])
    assert told + left_out == 90
    assert told > 20


def test_nothing_leaves_the_sheet_and_no_letters_lie_upon_others() -> None:
    findings = tuple(Finding("gap_not_read", Severity.WARNING, lead, 1.0, 2.0, "x" * 60) for lead in TWELVE)
    patient = Patient("4" * 64, "1.2.276." + "9" * 50, "W" * 60 + "^" + "M" * 60, "19540131", "F")
    data = emitted(make.three_by_four((Lead.II,), findings), make.order(patient=patient, institution="W" * 64)).data
    page = pypdfium2.PdfDocument(data)[0]
    letters = page.get_textpage()
    boxes = [letters.get_rect(k) for k in range(letters.count_rects())]
    assert len(boxes) > 40
    for left, bottom, right, top in boxes:
        assert 0 < left < right < 297 * 72 / 25.4
        assert 0 < bottom < top < 210 * 72 / 25.4
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            across = min(one[2], other[2]) - max(one[0], other[0])
            along = min(one[3], other[3]) - max(one[1], other[1])
            assert across < 1.0 or along < 1.5, (
                f"{letters.get_text_bounded(*one)!r} {letters.get_text_bounded(*other)!r}"
            )


@pytest.mark.parametrize(
    ("recording", "rows", "form", "as_printed"),
    [
        (make.three_by_four(()), 3, "3x4", True),
        (make.three_by_four(), 4, "3x4+1", True),
        (make.three_by_four((Lead.V1, Lead.II, Lead.V5)), 6, "3x4+3", True),
        (make.six_by_two((Lead.II,)), 7, "6x2+1", True),
        (make.twelve_by_one(), 4, "3x4+1", False),
    ],
    ids=lambda value: value.layout if isinstance(value, Recording) else None,
)
def test_strips_stand_as_printed_where_the_sheet_has_room(
    recording: Recording, rows: int, form: str, as_printed: bool
) -> None:
    found = arranged(recording)
    assert (len(found.rows), found.form, found.as_printed) == (rows, form, as_printed)
    assert {piece.lead for row in found.rows for piece in row} == set(TWELVE)
    for row in found.rows:
        assert all(one.end_s <= other.start_s + 0.1 for one, other in pairwise(row))


def test_twelve_rows_become_three_by_four_of_the_same_seconds_and_say_so() -> None:
    recording = make.twelve_by_one()
    found = arranged(recording)
    for piece in found.rows[1]:
        strip = recording.longest(piece.lead)
        assert strip is not None
        first = round(piece.start_s * 500)
        assert np.array_equal(piece.millivolts, strip.millivolts[first : first + 1250])
    assert [piece.start_s for piece in found.rows[0]] == [0.0, 2.5, 5.0, 7.5]
    assert "arranged anew as 3x4+1" in said(recording)


def test_says_what_the_page_was_printed_at_where_that_is_something_else() -> None:
    assert "The page itself" not in said(make.three_by_four())
    slow = replace(make.three_by_four(), speed_mm_s=Scale(50.0, Known.GRID), gain_mm_mv=Scale(5.0, Known.PULSE))
    assert "The page itself is printed at 50 mm/s, 5 mm/mV." in said(slow)
    small = replace(make.three_by_four(), chest_gain_mm_mv=Scale(5.0, Known.PULSE))
    assert "The page itself is printed at 25 mm/s, 10 mm/mV (chest leads 5)." in said(small)


@pytest.mark.parametrize("millivolt", [0.62, 0.8])
def test_a_mark_of_doubt_is_seen_whole_where_the_trace_lies_on_its_usual_place(millivolt: float) -> None:
    doubtful = replace(sine(1.0, 0.0), findings=(Finding("sigma_large", Severity.WARNING, Lead.I),))
    free = _unsure(raster(emitted(doubtful).data))
    strip = doubtful.strips[0]
    flat = replace(strip, millivolts=np.full(1250, millivolt, np.float32))
    under = _unsure(raster(emitted(replace(doubtful, strips=(flat, *doubtful.strips[1:]))).data))
    assert free > 100
    assert under == pytest.approx(free, rel=0.03)


def _unsure(picture: np.ndarray) -> int:
    """How many pixels of the first row's beginning have the colour of doubt."""
    rows = slice(round(traces.TOP * PX_MM), round((traces.TOP + 30) * PX_MM))
    part = picture[rows, round(traces.BEGIN * PX_MM) : round((traces.BEGIN + 7) * PX_MM)]
    wanted = np.array([0xB3, 0x54, 0x1E]) / 255
    return int(np.count_nonzero(np.abs(part - wanted).max(axis=2) < 0.1))


def test_what_the_paper_cannot_hold_is_told() -> None:
    long = make.recording([make.strip(Lead.II, 0.0, 14.0)], "1x1")
    assert "The page goes on after 10.8 s" in said(long)
    tall = sine(1.0, 9.0)
    assert "Cut at the edge of the paper here, whole in the waveform: I." in said(tall)
    assert "Cut at" not in said(sine(1.0, 2.0))


def test_the_thumbnail_is_in_it_and_the_leads_are_lines() -> None:
    page = Page(np.random.default_rng(1).integers(0, 255, (1200, 1600, 3), np.uint8))
    small = thumbnail_png(page)
    assert Image.open(BytesIO(small)).size == (SIDE_MAX_PX, round(SIDE_MAX_PX * 0.75))
    assert thumbnail_png(page) == small
    with_picture = emitted(make.three_by_four(), thumbnail_png=small).data
    kinds = [each.type for each in pypdfium2.PdfDocument(with_picture)[0].get_objects(max_depth=1)]
    assert kinds.count(raw.FPDF_PAGEOBJ_IMAGE) == 1
    assert kinds.count(raw.FPDF_PAGEOBJ_PATH) > 20
    assert "The source, page 1" in text_of(with_picture)
    assert "The source" not in said(make.three_by_four())


def test_no_line_ends_between_a_number_and_its_unit() -> None:
    blanks, kept = "PR 162 ± 9 ms, QRS 92 ± 6 ms", "PR\xa0162\xa0±\xa09\xa0ms, QRS\xa092\xa0±\xa06\xa0ms"
    assert len(lettering.wrapped(blanks, 20.0, 9.0)) > 2
    assert lettering.wrapped(kept, 30.0, 9.0) == kept.split(" ")


def test_a_word_longer_than_the_line_is_broken_and_nothing_is_lost() -> None:
    text = "short " + "x" * 200 + " end"
    lines = lettering.wrapped(text, 30.0, 8.0)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(lettering.width_mm(line, 8.0) <= 30.0 for line in lines)
