"""The twelve leads as the window draws them, asked of a real Chromium: scale, gaps, bridges, Cabrera, calipers."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from pipeline.recording import TWELVE
from pipeline.synth.heart import synthetic_ecg
from pipeline.synth.layouts import LAYOUTS, Layout

pytestmark = [pytest.mark.peer, pytest.mark.browser]

RATE_HZ = 500
FINDING = {"code": "gap_not_read", "text": "A gap.", "severity": "warning", "detail": ""}
OPTIONS = {"layout": "3x4+1", "speed_mm_s": 25, "gain_mm_mv": 10}

MODULES = """
  const paper = await import('/static/js/ecg/paper.js');
  const paths = await import('/static/js/ecg/paths.js');
  const sheets = await import('/static/js/ecg/sheet.js');
  const recordings = await import('/static/js/ecg/recording.js');
  const peaks = await import('/static/js/ecg/rpeaks.js');
  const { Comparison } = await import('/static/js/ecg/compare.js');
  const { EcgViewer } = await import('/static/js/ecg/viewer.js');
"""


def ask(page: Page, script: str, given: Any = None) -> Any:
    """Runs a script in the page, with our modules at hand and `given` as what it is given."""
    return page.evaluate(f"async (given) => {{ {MODULES} {script} }}", given)


def strip(lead: str, start_s: float, millivolts: list[float | None], **more: Any) -> dict[str, Any]:
    known = [value is not None for value in millivolts]
    values: dict[str, Any] = {
        "lead": lead,
        "start_s": start_s,
        "rhythm": False,
        "invalid": False,
        "millivolts": millivolts,
        "sigma_mv": [0.02 if k else None for k in known],
        "seen": [int(k) for k in known],
    }
    return values | more


def waveform(strips: list[dict[str, Any]], findings: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "rate_hz": RATE_HZ,
        "duration_s": 10.0,
        "layout": "3x4+1",
        "strips": strips,
        "findings": list(findings),
    }


def three_by_four(seed: int = 5, findings: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    signals = synthetic_ecg(np.random.default_rng(seed), 10.0, RATE_HZ)
    field = round(2.5 * RATE_HZ)
    strips = [
        strip(str(lead), 2.5 * (k // 3), signals[k, (k // 3) * field : (k // 3 + 1) * field].astype(float).tolist())
        for k, lead in enumerate(TWELVE)
    ]
    return waveform([*strips, strip("II", 0.0, signals[1].astype(float).tolist(), rhythm=True)], findings)


def points(data: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", data)]


def paths_of(page: Page, given: dict[str, Any]) -> dict[str, str]:
    script = """
      const { strips: [strip] } = recordings.recordingFrom(given);
      return paths.pathsOf(strip, 0, strip.millivolts.length, { x_mm: 0, y_mm: 0, mm_per_sample: 0.05, mm_per_mv: 10 });
    """
    return ask(page, script, given)  # type: ignore[no-any-return]


def test_lifts_the_pen_where_the_page_shows_nothing(blank: Page) -> None:
    drawn = paths_of(blank, waveform([strip("I", 0.0, [0.0, 0.1, None, None, 0.4, 0.5])]))
    assert drawn["read"].count("M") == 2
    assert [x for x, _ in points(drawn["read"])] == pytest.approx([0.0, 0.05, 0.2, 0.25])
    assert drawn["ribbon"].count("M") == 2
    assert drawn["bridged"] == ""


def test_draws_one_sample_between_gaps_as_a_dot(blank: Page) -> None:
    drawn = paths_of(blank, waveform([strip("I", 0.0, [None, 0.3, None])]))
    assert drawn["read"] == "M0.05 -3.000h0"


def test_draws_bridged_samples_in_a_path_of_their_own(blank: Page) -> None:
    drawn = paths_of(blank, waveform([strip("I", 0.0, [0.0, 0.1, 0.2, 0.3, 0.4], seen=[1, 1, 2, 2, 1])]))
    assert [x for x, _ in points(drawn["bridged"])] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert drawn["read"].count("M") == 2
    assert points(drawn["read"])[-1] == pytest.approx((0.2, -4.0))


def test_draws_a_second_as_25_mm_and_a_millivolt_as_10_mm(blank: Page) -> None:
    ramp = [k / (2 * RATE_HZ) for k in range(2 * RATE_HZ)]
    script = """
      const recording = recordings.recordingFrom(given[0]);
      const sheet = sheets.sheetOf(recording, given[1]);
      const svg = paper.drawSheet(sheet, recording);
      const cell = sheet.cells.find((each) => each.lead === 'I');
      return { data: svg.querySelector('[data-lead="I"] .trace').getAttribute('d'), x: cell.x_mm, y: cell.y_mm,
               view: svg.getAttribute('viewBox'), pulse: svg.querySelector('.pulse').getAttribute('d') };
    """
    drawn = ask(blank, script, [waveform([strip("I", 0.0, ramp)]), OPTIONS | {"layout": "12x1"}])
    first, last = points(drawn["data"])[0], points(drawn["data"])[-1]
    assert first == pytest.approx((drawn["x"], drawn["y"]))
    assert last[0] - first[0] == pytest.approx(50.0, abs=0.1)
    assert first[1] - last[1] == pytest.approx(10.0, abs=0.02)
    assert float(drawn["view"].split()[2]) >= 250
    assert f"V{drawn['y'] - 10}H" in drawn["pulse"]


@pytest.mark.parametrize(
    ("code", "told"), [("gap_not_read", ""), ("approved_by_person", ", traces checked by a person")]
)
def test_the_paper_says_preliminary_also_when_a_person_has_checked_the_traces(
    blank: Page, code: str, told: str
) -> None:
    script = """
      const recording = recordings.recordingFrom(given[0]);
      const svg = paper.drawSheet(sheets.sheetOf(recording, given[1]), recording);
      return svg.querySelector('.scale').textContent;
    """
    finding = FINDING | {"code": code, "lead": None, "start_s": None, "end_s": None}
    words = ask(blank, script, [waveform([strip("I", 0.0, [0.0] * 500)], (finding,)), OPTIONS])
    assert words == f"25 mm/s · 10 mm/mV · preliminary, digitized from paper{told}"


def printed_as(layout: Layout) -> dict[str, Any]:
    """Flat leads in the fields of a layout, a long strip of II, then V1, then V5 for each that it has below."""
    seconds = 10.0 / layout.columns
    strips = [
        strip(str(lead), column * seconds, [0.0] * round(seconds * RATE_HZ))
        for row in layout.rows
        for column, lead in enumerate(row)
    ]
    long = [strip(lead, 0.0, [0.0] * 10 * RATE_HZ, rhythm=True) for lead in ("II", "V1", "V5")[: layout.rhythms]]
    return {**waveform([*strips, *long]), "layout": layout.name}


@pytest.mark.parametrize("printed", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_opens_every_page_as_it_was_printed_with_its_long_strips(blank: Page, printed: Layout) -> None:
    script = """
      const viewer = new EcgViewer(document.querySelector('#host'), given);
      const { cells, rows } = viewer.sheet;
      return { rows: Array.from({ length: rows }, (_, row) => cells.filter((each) => each.row === row).map((each) => ({
                 lead: each.lead, rhythm: each.rhythm, moved: each.moved,
                 whole: !each.strip || sheets.samplesOf(each, 500)[1] - sheets.samplesOf(each, 500)[0]
                   === each.strip.millivolts.length }))),
               words: document.querySelector('.ecg-tools select').selectedOptions[0].textContent };
    """
    drawn = ask(blank, script, printed_as(printed))
    rows = [tuple(cell["lead"] for cell in row) for row in drawn["rows"]]
    if len(printed.rows) * printed.columns == len(TWELVE):  # six leads stand among twelve rows
        assert rows[: len(printed.rows)] == [tuple(map(str, row)) for row in printed.rows]
        assert rows[len(printed.rows) :] == [(lead,) for lead in ("II", "V1", "V5")[: printed.rhythms]]
        assert [row[0]["rhythm"] for row in drawn["rows"]] == [False] * len(printed.rows) + [True] * printed.rhythms
    assert all(cell["whole"] and not cell["moved"] for row in drawn["rows"] for cell in row)
    assert drawn["words"].startswith("Cabrera") == printed.name.endswith("cabrera")
    assert drawn["words"].endswith("+ rhythm") == bool(printed.rhythms)


def test_shows_a_long_strip_whose_own_field_was_not_read(blank: Page) -> None:
    given = printed_as(LAYOUTS["3x4+3"])
    given["strips"] = [each for each in given["strips"] if each["lead"] != "V1" or each["rhythm"]]
    for each in given["strips"]:
        each["rhythm"] = each["rhythm"] and each["lead"] != "V1"  # printed once, as far as anyone can tell
    script = """
      const sheet = sheets.sheetOf(recordings.recordingFrom(given[0]), given[1]);
      return sheet.cells.filter((each) => each.rhythm).map((each) => each.lead);
    """
    assert ask(blank, script, [given, OPTIONS]) == ["II", "V1", "V5"]


def test_shows_minus_avr_in_cabrera_upside_down_and_says_that_it_is_computed(blank: Page) -> None:
    script = """
      const recording = recordings.recordingFrom(given[0]);
      const sheet = sheets.sheetOf(recording, given[1]);
      const svg = paper.drawSheet(sheet, recording);
      return { data: svg.querySelector('[data-lead="aVR"] .trace').getAttribute('d'),
               y: sheet.cells.find((each) => each.lead === 'aVR').y_mm,
               words: [...svg.querySelectorAll('.lead')].map((each) => each.textContent) };
    """
    level = waveform([strip("aVR", 0.0, [-0.5] * 500)])
    drawn = ask(blank, script, [level, OPTIONS | {"layout": "12x1-cabrera"}])
    assert {drawn["y"] - y for _, y in points(drawn["data"])} == {5.0}
    assert drawn["words"][:6] == ["aVL", "I", "−aVR (computed)", "II", "aVF", "III"]


def test_says_when_a_lead_was_printed_elsewhere_on_the_page_and_when_nowhere(blank: Page) -> None:
    given = three_by_four()
    given["strips"] = [each for each in given["strips"] if each["lead"] != "V6"]
    script = """
      const recording = recordings.recordingFrom(given[0]);
      const sheet = sheets.sheetOf(recording, given[1]);
      return Object.fromEntries(sheet.cells.filter((each) => !each.rhythm)
        .map(({ lead, moved, from_s, strip }) => [lead, { moved, from_s, printed: strip !== null }]));
    """
    cells = ask(blank, script, [given, OPTIONS | {"layout": "3x4+1-cabrera"}])
    assert cells["aVL"] == {"moved": True, "from_s": 2.5, "printed": True}
    assert cells["V1"] == {"moved": False, "from_s": 5.0, "printed": True}
    assert cells["V6"]["printed"] is False


def test_keeps_rows_apart_however_high_their_traces_are(blank: Page) -> None:
    tall = waveform([strip(str(lead), 0.0, [3.0, -3.0] * 250) for lead in TWELVE])
    script = """
      const sheet = sheets.sheetOf(recordings.recordingFrom(given[0]), given[1]);
      return [...new Set(sheet.cells.map((each) => each.y_mm))].concat(sheet.height_mm);
    """
    *rows, height = ask(blank, script, [tall, OPTIONS | {"layout": "12x1", "gain_mm_mv": 20}])
    assert len(rows) == 12
    assert min(np.diff(rows)) >= 120
    assert rows[0] >= 60
    assert height - rows[-1] >= 60
    assert all(y % 5 == 0 for y in rows)


def tall_beats(millivolts: float) -> dict[str, Any]:
    """Twelve leads of one beat a second, each of them up and then down by as much."""
    t = np.arange(10 * RATE_HZ) / RATE_HZ % 1.0
    wave = millivolts * (np.exp(-(((t - 0.5) / 0.012) ** 2)) - np.exp(-(((t - 0.56) / 0.012) ** 2)))
    return waveform([strip(str(lead), 0.0, wave.tolist()) for lead in TWELVE])


OUTSIDE = """
  const view = svg.viewBox.baseVal;
  const cut = [...svg.querySelectorAll('.trace, .earlier-trace')].filter((path) => {
    const box = path.getBBox();
    return box.height > 0 && (box.y < 0 || box.y + box.height > view.height);
  });
  return { cut: cut.length, drawn: svg.querySelectorAll('.trace').length, words: svg.textContent };
"""


@pytest.mark.parametrize("gain_mm_mv", [10, 40])
def test_a_tall_trace_is_drawn_whole_at_every_gain(blank: Page, gain_mm_mv: int) -> None:
    script = f"""
      const viewer = new EcgViewer(document.querySelector('#host'), given[0]);
      viewer.set({{ layout: '12x1', gain_mm_mv: given[1] }});
      const svg = viewer.svg; {OUTSIDE}
    """
    drawn = ask(blank, script, [tall_beats(5.0), gain_mm_mv])
    assert (drawn["drawn"], drawn["cut"]) == (12, 0)
    assert "beyond the paper" not in drawn["words"]


@pytest.mark.parametrize("gain_mm_mv", [5, 10, 20])
def test_a_tall_trace_is_compared_whole_at_every_gain(blank: Page, gain_mm_mv: int) -> None:
    script = f"""
      const [now, earlier] = given[0].map(recordings.recordingFrom);
      const host = document.querySelector('#host');
      const comparison = new Comparison(host, now, earlier, {{ nowWords: 'a', earlierWords: 'b' }});
      comparison.gain_mm_mv = given[1];
      comparison.draw();
      const svg = host.querySelector('svg.paper');
      const boxes = [0, 1].map((row) => [...svg.querySelectorAll('g[data-lead]')].filter((_, at) => at % 3 === row)
        .flatMap((group) => [...group.querySelectorAll('.trace, .earlier-trace')].map((path) => path.getBBox())));
      if (Math.max(...boxes[0].map((box) => box.y + box.height)) > Math.min(...boxes[1].map((box) => box.y)))
        throw new Error('two rows overlap');
      {OUTSIDE}
    """
    drawn = ask(blank, script, [[tall_beats(5.0), tall_beats(3.0)], gain_mm_mv])
    assert (drawn["drawn"], drawn["cut"]) == (12, 0)


def test_a_trace_that_no_paper_is_tall_enough_for_is_named(blank: Page) -> None:
    given = three_by_four()
    given["strips"][0]["millivolts"][100] = 90.0
    script = """
      const viewer = new EcgViewer(document.querySelector('#host'), given);
      return [...viewer.svg.querySelectorAll('.beyond')].map((each) => each.textContent);
    """
    assert ask(blank, script, given) == ["I goes beyond the paper: choose less gain"]


def test_marks_findings_where_they_are(blank: Page) -> None:
    findings = (
        FINDING | {"lead": "V2", "start_s": 6.0, "end_s": 6.5},
        FINDING | {"lead": "aVL", "start_s": None, "end_s": None},
        FINDING | {"lead": None, "start_s": None, "end_s": None},
    )
    script = """
      const viewer = new EcgViewer(document.querySelector('#host'), given);
      const of = (lead) => viewer.sheet.cells.find((each) => each.lead === lead);
      const box = (number) => [...viewer.svg.querySelectorAll(`[data-finding="${number}"] rect`)]
        .map((each) => ['x', 'width'].map((name) => Number(each.getAttribute(name))));
      viewer.light(1);
      return { gap: box(1), whole: box(2), page: box(3), v2: of('V2').x_mm, avl: of('aVL').x_mm,
               lit: viewer.svg.querySelectorAll('.lit').length };
    """
    drawn = ask(blank, script, three_by_four(findings=findings))
    assert drawn["gap"] == [[pytest.approx(drawn["v2"] + 25.0), pytest.approx(12.5)]]
    assert drawn["whole"] == [[pytest.approx(drawn["avl"]), pytest.approx(62.5)]]
    assert drawn["page"] == []
    assert drawn["lit"] == 1


def test_measures_with_calipers_by_keyboard(blank: Page) -> None:
    ask(blank, "window.viewer = new EcgViewer(document.querySelector('#host'), given);", three_by_four())
    blank.locator(".ecg-paper").focus()
    blank.keyboard.press("c")
    before = blank.evaluate("window.viewer.calipers.read")
    assert before["ms"] == pytest.approx(800.0)
    assert before["bpm"] == pytest.approx(75.0)
    assert before["mv"] == pytest.approx(1.0)
    blank.get_by_role("slider", name="Second time").focus()
    blank.keyboard.press("ArrowRight")
    blank.keyboard.press("Shift+ArrowRight")
    blank.get_by_role("slider", name="Second level").focus()
    blank.keyboard.press("Shift+ArrowDown")
    after = blank.evaluate("window.viewer.calipers.read")
    assert after["ms"] == pytest.approx(822.0)
    assert after["mv"] == pytest.approx(0.9)
    level = blank.get_by_role("slider", name="First level")
    low = float(level.get_attribute("aria-valuenow") or "nan")
    level.focus()
    blank.keyboard.press("ArrowUp")
    assert float(level.get_attribute("aria-valuenow") or "nan") == pytest.approx(low + 0.1)  # up is more
    blank.keyboard.press("ArrowDown")
    assert blank.locator(".caliper-read").inner_text() == "822 ms · 73 bpm · 0.90 mV"
    valuetext = blank.get_by_role("slider", name="First time").get_attribute("aria-valuetext")
    assert valuetext == "822 ms · 73 bpm · 0.90 mV"


def test_measures_with_calipers_by_mouse_on_whatever_scale(blank: Page) -> None:
    ask(blank, "window.viewer = new EcgViewer(document.querySelector('#host'), given);", three_by_four())
    blank.evaluate("window.viewer.set({ speed_mm_s: 50, gain_mm_mv: 20 })")
    blank.get_by_role("button", name="Calipers").click()
    box = blank.locator("svg.paper").bounding_box()
    assert box is not None
    width_mm = blank.evaluate("window.viewer.sheet.width_mm")
    px_mm = box["width"] / width_mm
    blank.mouse.move(box["x"] + 30 * px_mm, box["y"] + 40 * px_mm)
    blank.mouse.down()
    blank.mouse.move(box["x"] + 80 * px_mm, box["y"] + 20 * px_mm)
    blank.mouse.up()
    read = blank.evaluate("window.viewer.calipers.read")
    assert read["ms"] == pytest.approx(1000, abs=8)
    assert read["mv"] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        ("20240131143000+0100", "2024-01-31 14:30 UTC+01:00"),
        ("20240131143000.250000-0330", "2024-01-31 14:30 UTC−03:30"),
        ("20240131143000", "2024-01-31 14:30 by the device's clock"),
        ("2024013114", "2024-01-31 14:00 by the device's clock"),
        ("20240131", "2024-01-31"),
        ("2024", "2024"),
        ("", ""),
    ],
)
def test_says_of_which_zone_the_time_of_a_recording_is(blank: Page, recorded: str, words: str) -> None:
    script = "const { recordedWords } = await import('/static/js/words.js'); return recordedWords(given);"
    assert ask(blank, script, recorded) == words


def test_draws_true_size_when_asked(blank: Page) -> None:
    ask(blank, "window.viewer = new EcgViewer(document.querySelector('#host'), given);", three_by_four())
    blank.get_by_label("Size").select_option("true")
    box = blank.locator("svg.paper").bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(blank.evaluate("window.viewer.sheet.width_mm") * 96 / 25.4, abs=1)


def test_finds_the_beats_of_a_synthetic_heart(blank: Page) -> None:
    given = three_by_four(seed=7)
    found = ask(blank, "return peaks.beatsOf(recordings.recordingFrom(given));", given)
    rhythm = np.asarray(given["strips"][-1]["millivolts"])
    slope = np.abs(np.gradient(rhythm))
    for beat in found:
        near = slope[max(0, round((beat - 0.08) * RATE_HZ)) : round((beat + 0.08) * RATE_HZ)]
        assert near.max() > 0.3 * slope.max()
    assert 6 <= len(found) <= 25


def test_lays_the_same_heart_on_its_own_r_peaks(blank: Page) -> None:
    """The second recording is the first one 137 ms later: every lead must be shifted by just that."""
    now = three_by_four(seed=7)
    later = {**now, "strips": [{**each, "start_s": each["start_s"] + 0.137} for each in now["strips"]]}
    script = """
      const [one, two] = given.map(recordings.recordingFrom);
      return ['I', 'V2', 'V5'].map((lead) => {
        const [a, b] = [recordings.longest(one, lead), recordings.longest(two, lead)];
        const peak = peaks.beatToCompare(a, 500, peaks.beatsOf(one), 0.3, 0.6);
        const other = peaks.beatToCompare(b, 500, peaks.beatsOf(two), 0.3, 0.6);
        return peaks.alike(a, 500, peak, b, 500, other) - peak;
      });
    """
    for shift in ask(blank, script, [now, later]):
        assert math.isclose(shift, 0.137, abs_tol=0.005) or abs(shift) > 0.3  # another beat of the same strip


def test_takes_another_heart_beat_whose_largest_wave_points_the_other_way(blank: Page) -> None:
    """R and S of about one height: the larger one differs between the two, the R must still lie on the R."""

    def beat(r: float, s: float) -> dict[str, Any]:
        t = np.arange(2500) / RATE_HZ
        wave = r * np.exp(-(((t - 2.0) / 0.012) ** 2)) - s * np.exp(-(((t - 2.04) / 0.012) ** 2))
        return waveform([strip("V3", 0.0, wave.tolist())])

    script = """
      const [one, two] = given.map((each) => recordings.recordingFrom(each).strips[0]);
      const peak = peaks.beatToCompare(one, 500, [2.0], 0.3, 0.6);
      const other = peaks.beatToCompare(two, 500, [2.0], 0.3, 0.6);
      return { peak, other, aligned: peaks.alike(one, 500, peak, two, 500, other) };
    """
    found = ask(blank, script, [beat(1.0, 0.9), beat(0.9, 1.0)])
    assert found["peak"] == pytest.approx(2.0, abs=0.003)
    assert found["other"] == pytest.approx(2.04, abs=0.003)
    assert found["aligned"] == pytest.approx(2.0, abs=0.003)
