"""Scores digitize() end to end and writes the table to the model card.

Run as: python -m pipeline.training.judge.evaluate [--pages 240] [--signals DIR --cache DIR] [--dev DIR] [--card]
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cache as kept
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.digitize import Digitizer
from pipeline.errors import Unreadable
from pipeline.measure import beats_s, heart_rate
from pipeline.recording import CHEST, TWELVE, Float32, Page, Severity, Strip
from pipeline.score import Score, score
from pipeline.training.data.dev import dev_pages
from pipeline.training.data.suite import Case, cases, draw
from pipeline.training.judge.processes import bank, in_processes

CARD = Path(__file__).parents[2] / "weights" / "MODEL_CARD.md"
SCALE_TOLERANCE = 0.02  # speed and gain are right within this share: a class apart is a factor of 2
SILENT_DB = 6.0  # below this a page is wrong
CONFIDENT = 0.9  # the bound whose silent errors are counted


@dataclass(frozen=True)
class Row:
    """What one page came to; NaN where there is nothing to measure."""

    name: str
    kind: str
    plain: bool
    refused: str
    confidence: float = np.nan
    kaggle_db: float = np.nan
    lead_db: float = np.nan
    r: float = np.nan
    rmse_mv: float = np.nan
    lag_ms: float = np.nan
    rate_error_bpm: float = np.nan
    peak_error_ms: float = np.nan
    layout_right: float = np.nan
    speed_right: float = np.nan
    gain_right: float = np.nan
    kind_right: float = np.nan
    within_1_sigma: float = np.nan
    within_2_sigma: float = np.nan
    seconds: float = np.nan
    stages: str = ""
    signs: str = ""
    held: str = ""  # codes of the findings of severity error: the page does not go on, whatever its confidence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=240)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first page; others for fitting than for judging"
    )
    parser.add_argument("--signals", type=Path, help="folder of *.npz recordings; the synthetic heart without it")
    parser.add_argument("--cache", type=Path, help="where they are unpacked")
    parser.add_argument("--dev", type=Path, help="labelled pages of other renderers and scanners (renders/, scans/)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a CSV with a row a page")
    parser.add_argument("--card", action="store_true", help="write the table into the model card")
    options = parser.parse_args()
    if (options.signals is None) != (options.cache is None):
        parser.error("--signals and --cache go together")
    work = partial(_judge_case, signals=options.signals, cache=options.cache)
    rows: list[Row] = []
    with _table_file(options.out) as write:  # a row as soon as it is known: the whole takes half an hour
        for row in in_processes(work, list(cases(options.pages, options.first)), options.workers):
            rows.append(row)
            write(row)
        dev_rows = judge_dev(options.dev) if options.dev else []
        for row in dev_rows:
            write(row)
    text = table(rows, dev_rows)
    print(text)
    if options.card:
        write_card(text)


@kept
def _digitizer() -> Digitizer:
    """One per process: loading costs seconds. A figure is none of how busy the machine is."""
    return Digitizer(page_seconds_max=np.inf, sure_from=CONFIDENT)


def _judge_case(case: Case, signals: Path | None, cache: Path | None) -> Row:
    drawn = draw(case, None if signals is None or cache is None else bank(signals, cache))
    truth = drawn.rendered.truth.recording
    row = judge(f"{case.number:04d}", str(case.source), case.plain, drawn.rendered.page, drawn.label, truth.rate_hz)
    if row.refused:
        return row
    kind, layout, speed, *gains, stages = row.stages.split("|", 5)
    chest = any(strip.lead in CHEST for strip in truth.strips)
    printed = [scale.value for scale in (truth.gain_mm_mv, truth.chest_gain_mm_mv or truth.gain_mm_mv)]
    return replace(
        row,
        layout_right=float(layout == drawn.layout),
        speed_right=float(abs(float(speed) / truth.speed_mm_s.value - 1) < SCALE_TOLERANCE),
        gain_right=float(
            all(abs(float(g) / t - 1) < SCALE_TOLERANCE for g, t in zip(gains[: 1 + chest], printed, strict=False))
        ),
        kind_right=float(kind == case.source),
        stages=stages,
    )


def judge(name: str, kind: str, plain: bool, page: Page, label: Float32, rate_hz: int) -> Row:
    """Digitizes one page and compares it with float32 (12, n) mV at rate_hz, NaN where nothing was printed."""
    try:
        recording = _digitizer().digitize(page)
    except Unreadable as error:
        return Row(name, kind, plain, error.code)
    twelve = recording.twelve()
    result: Score = score(label, twelve.millivolts, rate_hz)
    inside1, inside2 = coverage(label, twelve.millivolts, twelve.sigma_mv, round(result.lag_ms * rate_hz / 1000))
    rate, peaks = rhythm_errors(label, twelve.millivolts, rate_hz, result.lag_ms / 1000)
    seconds = sum(s for _, s in recording.seconds)
    stages = ";".join(f"{stage}={s:.2f}" for stage, s in recording.seconds)
    chest = recording.chest_gain_mm_mv or recording.gain_mm_mv
    said = (recording.source, recording.layout, recording.speed_mm_s.value, recording.gain_mm_mv.value, chest.value)
    head = "|".join(str(value) for value in (*said, stages))
    return Row(
        name,
        kind,
        plain,
        "",
        recording.confidence,
        result.kaggle_db,
        result.lead_db,
        result.r,
        result.rmse_mv,
        result.lag_ms,
        rate,
        peaks,
        within_1_sigma=inside1,
        within_2_sigma=inside2,
        seconds=seconds,
        stages=head,
        signs=";".join(f"{name}={value:.4f}" for name, value in recording.signs),
        held=";".join(dict.fromkeys(f.code for f in recording.findings if f.severity is Severity.ERROR)),
    )


def coverage(label: Float32, found: Float32, sigma_mv: Float32, lag: int) -> tuple[float, float]:
    """Share of the read samples within 1 and 2 sigma of the label, each lead's constant offset removed first."""
    n = min(label.shape[1], found.shape[1])
    shifted = np.roll(label[:, :n], lag, axis=1)
    error = found[:, :n] - shifted
    with np.errstate(invalid="ignore"):
        ready = np.isfinite(error) & np.isfinite(sigma_mv[:, :n])
    inside, counted = np.zeros(2), 0
    for row in range(len(error)):
        use = ready[row]
        if not use.any():
            continue
        off = np.abs(error[row, use] - np.median(error[row, use])) / sigma_mv[row, :n][use]
        inside += [(off <= 1).sum(), (off <= 2).sum()]
        counted += int(use.sum())
    return (float(inside[0] / counted), float(inside[1] / counted)) if counted else (np.nan, np.nan)


def rhythm_errors(label: Float32, found: Float32, rate_hz: int, lag_s: float) -> tuple[float, float]:
    """Heart-rate error in bpm and median beat timing error in ms, both from all leads; NaN where either has none."""
    true_strips, read_strips = _strips(label), _strips(found)
    true_rate, read_rate = heart_rate(true_strips, rate_hz), heart_rate(read_strips, rate_hz)
    rate_error = abs(true_rate - read_rate) if true_rate is not None and read_rate is not None else np.nan
    true_beats, read_beats = beats_s(true_strips, rate_hz), beats_s(read_strips, rate_hz)
    if len(true_beats) == 0 or len(read_beats) == 0:
        return rate_error, np.nan
    gaps = np.abs(true_beats[:, None] + lag_s - read_beats[None, :]).min(axis=1)
    return rate_error, float(np.median(gaps) * 1000)


def _strips(twelve: Float32) -> tuple[Strip, ...]:
    """Whole leads on page time as strips, as the measuring functions take them."""
    read = np.isfinite(twelve)
    return tuple(
        Strip(lead, 0.0, values, np.zeros_like(values), known.astype(np.uint8))
        for lead, values, known in zip(TWELVE, twelve, read, strict=True)
    )


def judge_dev(folder: Path) -> list[Row]:
    """The labelled pages of other renderers and of a real scanner."""
    return [judge(p.name, p.kind, True, p.page, p.label, p.rate_hz) for p in dev_pages(folder)]


def table(rows: Sequence[Row], dev_rows: Sequence[Row]) -> str:
    """Markdown: a line a kind, the labelled pages of others, and what confidence is worth."""
    lines = [
        f"{len(rows)} rendered pages no network saw; half of each kind plain (3x4+1, 25 mm/s, 10 mm/mV), the rest",
        "of mixed layouts, speeds and gains. dB by the Kaggle rule; medians are of the pages that were not refused.",
        "The contest itself averages the pages' ratios of power, a refused page being 0, and takes its decibel:",
        "its figure stands in its own column, to be compared with figures of others.",
        "",
        "| kind | pages | refused | dB mean | dB median | contest dB | plain pages, dB mean | lead dB |"
        " r | RMSE mV | lag ms | rate bpm | R peak ms | layout | speed | gain | kind | in 1σ | in 2σ | s/page |",
        "|" + "---|" * 20,
    ]
    kinds = sorted({row.kind for row in rows})
    for kind in kinds:
        lines.append(_line(kind, [row for row in rows if row.kind == kind]))
    lines.append(_line("**all**", rows))
    if dev_rows:
        lines += ["", "Labelled pages made by others (renders by another renderer, scans by a flatbed scanner):", ""]
        lines += ["| page | refused | dB | lead dB | r | RMSE mV | lag ms | confidence |", "|" + "---|" * 8]
        for row in dev_rows:
            lines.append(
                f"| {row.kind} {row.name} | {row.refused or '-'} | {row.kaggle_db:.1f} | {row.lead_db:.1f} |"
                f" {row.r:.3f} | {row.rmse_mv:.3f} | {row.lag_ms:.0f} | {row.confidence:.2f} |"
            )
    lines += ["", *_risk(rows)]
    if any(row.stages for row in rows):
        lines += ["", "Seconds of wall time per stage, means of the pages that were not refused:", "", *_stages(rows)]
    return "\n".join(lines)


def _stages(rows: Sequence[Row]) -> list[str]:
    """A line a kind, and one of all: the mean seconds of every stage."""
    spent = [(row.kind, dict(lap.split("=") for lap in row.stages.split(";"))) for row in rows if row.stages]
    names = list(spent[0][1])
    lines = ["| kind | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for kind in (*sorted({kind for kind, _ in spent}), "**all**"):
        laps = [lap for k, lap in spent if kind in (k, "**all**")]
        means = [float(np.mean([float(lap[name]) for lap in laps])) for name in names]
        lines.append(f"| {kind} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |")
    return lines


def contest_db(rows: Sequence[Row]) -> float:
    """The decibel of the mean ratio of signal to noise power over pages; a refused page counts as a ratio of 0."""
    ratios = [0.0 if row.refused else 10 ** (row.kaggle_db / 10) for row in rows]
    mean = float(np.mean(ratios)) if ratios else 0.0
    return 10 * float(np.log10(mean)) if mean > 0 else float("-inf")


def _line(kind: str, rows: Sequence[Row]) -> str:
    read = [row for row in rows if not row.refused]
    plain = [row for row in read if row.plain]

    def middle(key: str, of: Sequence[Row] = read, by: Callable[..., float] = np.nanmedian) -> float:
        values = np.array([getattr(row, key) for row in of], float)
        return float(by(values)) if np.isfinite(values).any() else np.nan

    return (
        f"| {kind} | {len(rows)} | {len(rows) - len(read)} | {middle('kaggle_db', by=np.nanmean):.1f} |"
        f" {middle('kaggle_db'):.1f} | {contest_db(rows):.1f} | {middle('kaggle_db', plain, np.nanmean):.1f} |"
        f" {middle('lead_db'):.1f} |"
        f" {middle('r'):.3f} | {middle('rmse_mv'):.3f} | {middle('lag_ms'):.0f} | {middle('rate_error_bpm'):.1f} |"
        f" {middle('peak_error_ms'):.1f} | {middle('layout_right', by=np.nanmean):.0%} |"
        f" {middle('speed_right', by=np.nanmean):.0%} | {middle('gain_right', by=np.nanmean):.0%} |"
        f" {middle('kind_right', by=np.nanmean):.0%} |"
        f" {middle('within_1_sigma'):.0%} | {middle('within_2_sigma'):.0%} | {middle('seconds'):.1f} |"
    )


def _risk(rows: Sequence[Row]) -> list[str]:
    """What is left, and how bad, when pages below a confidence are held, and those that a finding holds."""
    read = [row for row in rows if not row.refused and not row.held]
    lines = ["| held below confidence | pages that go on | their dB mean | of these below 6 dB |", "|---|---|---|---|"]
    for bound in (0.0, 0.3, 0.5, 0.7, 0.8, 0.9):
        on = [row for row in read if row.confidence >= bound]
        if not on:
            continue
        wrong = sum(row.kaggle_db < SILENT_DB for row in on)
        mean = float(np.mean([row.kaggle_db for row in on]))
        lines.append(f"| {bound:.1f} | {len(on) / max(len(rows), 1):.0%} | {mean:.1f} | {wrong / len(on):.1%} |")
    silent = sum(row.confidence >= CONFIDENT and row.kaggle_db < SILENT_DB for row in read)
    lines += [
        "",
        f"Wrong without saying so (confidence at least {CONFIDENT}, below 6 dB): {silent} of {len(rows)} pages.",
    ]
    return lines


def write_card(text: str, part: str = "evaluation") -> None:
    """Puts the text between the card's two markers of a part. Raises ValueError when the card has none."""
    card = CARD.read_text(encoding="utf-8")
    new, count = re.subn(
        rf"(<!-- {part} -->\n).*?(<!-- /{part} -->)", lambda m: f"{m[1]}{text}\n{m[2]}", card, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{CARD} needs the markers <!-- {part} --> and <!-- /{part} --> once")
    CARD.write_text(new, encoding="utf-8")


@contextmanager
def _table_file(path: Path | None) -> Iterator[Callable[[Row], None]]:
    """What appends a row to the CSV at path; what drops it without a path."""
    if path is None:
        yield lambda row: None
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()

        def write(row: Row) -> None:
            writer.writerow(asdict(row))
            file.flush()

        yield write


if __name__ == "__main__":
    main()
