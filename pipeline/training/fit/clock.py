"""Fits how far a page's clock is believed: what its layout says of it, and what the ends of its rows' ink say.

Run as: python -m pipeline.training.fit.clock --signals DIR --cache DIR --rows FILE.jsonl [--pages 120] [--fit]

The pages are of the suite's mix, of validation patients. A row is written as soon as its page is read, and pages that
have one are not read again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.digitize import Digitizer
from pipeline.errors import Unreadable, WeightsError
from pipeline.findings import FindingCode
from pipeline.geometry import Float64, PaperMap
from pipeline.recording import Known, Placed, Recording
from pipeline.synth.signals import SignalBank
from pipeline.synth.truth import PageTruth
from pipeline.training.data.suite import Case, cases, draw
from pipeline.training.judge.processes import bank, one_thread
from pipeline.waveform.clock import FITTED, TEN_S, Believed, RowInk, Spread, are_gapless
from pipeline.waveform.read import Row, RowReader, ink_of
from pipeline.waveform.strip_reading import Reading

NEAR_MM = 3.0  # farther off a page was laid out wrongly: no error of a clock
TEN_ERROR_S = 0.01  # of ten seconds as they are printed and their ink is read
ROUNDS = 50


@dataclass(frozen=True)
class TrueRow:
    """A row's ink, and where on the same paper it truly begins and ends; seconds: what it shows, gaps and all."""

    ink: RowInk
    start_mm: float
    end_mm: float
    seconds: float


@dataclass(frozen=True)
class ClockRow:
    """What one page came to; no rows where it was refused, turned or laid out otherwise than it is printed."""

    number: int
    ruled: bool = False
    gapless: bool = False
    speed_mm_s: float = 25.0
    rows: tuple[TrueRow, ...] = ()


@dataclass(eq=False)
class Watched:
    """A reader of rows, and what it read first."""

    reader: RowReader
    read_first: list[tuple[Row, Reading]] = field(default_factory=list)

    def read(self, rows: Sequence[Row]) -> list[Reading]:
        """As the reader reads them."""
        readings = self.reader.read(rows)
        if not self.read_first:
            self.read_first.extend(zip(rows, readings, strict=True))
        return readings


def row_of(number: int, recording: Recording, read: Sequence[tuple[Row, Reading]], truth: PageTruth) -> ClockRow:
    """The row of a page that was read. read: its rows as they were laid out and read."""
    placed = recording.placed
    speed = recording.speed_mm_s.value
    if placed is None or placed.orientation or speed != truth.recording.speed_mm_s.value:
        return ClockRow(number)
    codes = {finding.code for finding in recording.findings}
    gapless = are_gapless(row.spans_mm for row, _ in read)
    paper = _paper(placed)
    rows = tuple(_true_row(ink_of(row, reading), paper, truth) for row, reading in read)
    return ClockRow(number, FindingCode.GRID_NOT_FOUND not in codes, gapless, speed, rows)


def _paper(placed: Placed) -> PaperMap:
    return PaperMap(placed.x_mm, placed.y_mm, placed.nodes_px, Known.GRID)


def _true_row(ink: RowInk, paper: PaperMap, truth: PageTruth) -> TrueRow:
    """Where the printed row nearest to it begins and ends, on the paper as it was found."""
    middle_px = paper.to_px(np.array([(ink.start_mm + ink.end_mm) / 2, ink.baseline_mm]))
    y_mm = float(truth.paper.to_mm(middle_px)[1])
    row = min((s for s in truth.segments), key=lambda s: abs(s.baseline_mm - y_mm)).row
    own = [s for s in truth.segments if s.row == row]
    start, end = min(s.start_mm for s in own), max(s.end_mm for s in own)
    at = paper.to_mm(truth.paper.to_px(np.array([[start, own[0].baseline_mm], [end, own[0].baseline_mm]])))
    return TrueRow(ink, float(at[0, 0]), float(at[1, 0]), (end - start) / truth.recording.speed_mm_s.value)


def fit(pages: Sequence[ClockRow]) -> dict[str, Believed]:
    """What is believed of pages with a ruling and of those without."""
    seconds = np.array([max(row.seconds for row in page.rows) for page in pages if page.rows])
    is_ten = np.abs(seconds - TEN_S) < TEN_ERROR_S
    common_mm = _sd(np.array([_common(page) for page in pages if page.rows]))
    ten, other_s = float(is_ten.mean()), float(np.ptp(seconds))
    ends = {name: _spread(np.array([x for p in pages for x in _off(p, name)])) for name in ("first", "last")}
    return {
        # a ruling measures the time across better than what is usual
        "ruled": _believed([p for p in pages if p.ruled and p.rows], ends, common_mm, 0.0, other_s),
        "unruled": _believed([p for p in pages if not p.ruled and p.rows], ends, common_mm, ten, other_s),
    }


def _off(page: ClockRow, name: str) -> list[float]:
    """By how much each row's ink ends beyond what is true."""
    true = "start_mm" if name == "first" else "end_mm"
    off = [getattr(row.ink, f"{name}_mm") - getattr(row, true) for row in page.rows]
    return [x for x in off if abs(x) < NEAR_MM]


def _spread(off: Float64) -> Spread:
    """Two normal distributions, of those that are right and of the others, by expectation and maximization."""
    spread = Spread(float(np.median(off)), 0.1, 0.1, 1.0)
    for _ in range(ROUNDS):
        sure = spread.sure(off - spread.bias_mm)
        bias = float((sure * off).sum() / sure.sum())
        sd = float(np.sqrt((sure * (off - bias) ** 2).sum() / sure.sum()))
        stray_sd = float(np.sqrt(((1 - sure) * (off - bias) ** 2).sum() / (1 - sure).sum()))
        spread = Spread(bias, sd, float(1 - sure.mean()), stray_sd)
    return spread


def _believed(
    pages: Sequence[ClockRow], ends: dict[str, Spread], common_mm: float, ten: float, other_s: float
) -> Believed:
    lines = np.array([_true_line(page) for page in pages])
    sizes = np.array([_size(row, page) for page in pages for row in page.rows])
    return Believed(
        late=replace(_spread(lines[np.abs(lines[:, 0]) < NEAR_MM, 0]), bias_mm=0.0),
        common_mm=common_mm,
        lean=_sd(lines[:, 1]),
        stretch=_sd(sizes),
        ten=ten,
        ten_s=TEN_ERROR_S,
        other_s=other_s,
        first=ends["first"],
        last=ends["last"],
    )


def _sd(x: Float64) -> float:
    """By the middle two thirds: pages laid out wrongly are no errors of a clock."""
    return float(np.quantile(np.abs(x), 0.683))


def _common(page: ClockRow) -> float:
    """By how much the ink of most rows begins beyond what is true."""
    return float(np.median([row.ink.first_mm - row.start_mm for row in page.rows]))


def _true_line(page: ClockRow) -> tuple[float, float]:
    """By how much its rows truly begin right of where they were laid out, in the middle and for each mm down."""
    off = np.array([row.start_mm - row.ink.start_mm for row in page.rows])
    level = np.array([row.ink.baseline_mm for row in page.rows])
    if len(off) < 2:
        return float(off.mean()), 0.0
    lean, middle = np.polyfit(level - level.mean(), off, 1)
    return float(middle), float(lean)


def _size(row: TrueRow, page: ClockRow) -> float:
    return (row.end_mm - row.start_mm) / (row.seconds * page.speed_mm_s) - 1


def text_of(found: dict[str, Believed]) -> str:
    """The table that `pipeline.waveform.clock` reads."""
    lines = ["# Fitted by pipeline.training.fit.clock; names as in pipeline.waveform.clock.Believed."]
    for name, believed in found.items():
        entries = asdict(believed)
        ends = {end: entries.pop(end) for end in ("late", "first", "last")}
        lines += ["", f"[{name}]", *(f"{key} = {value:.5f}" for key, value in entries.items())]
        for end, spread in ends.items():
            lines += ["", f"[{name}.{end}]", *(f"{key} = {value:.4f}" for key, value in spread.items())]
    return "\n".join(lines) + "\n"


def rows_in(path: Path) -> list[ClockRow]:
    """The rows of a file; none where it is not there."""
    if not path.exists():
        return []
    return [_from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def to_json(row: ClockRow) -> str:
    """One line of the file."""
    return json.dumps(asdict(row))


def _from_json(entries: dict[str, Any]) -> ClockRow:
    rows = tuple(TrueRow(RowInk(**row.pop("ink")), **row) for row in entries.pop("rows"))
    return ClockRow(**entries, rows=rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=Path, required=True, help="folder of *.npz recordings")
    parser.add_argument("--cache", type=Path, required=True, help="where they are unpacked")
    parser.add_argument("--rows", type=Path, required=True, help="a line a page; pages in it are not read again")
    parser.add_argument("--pages", type=int, default=120)
    parser.add_argument("--fit", action="store_true", help="fit pipeline/waveform/clock.toml to the rows")
    options = parser.parse_args()
    one_thread()
    done = {row.number for row in rows_in(options.rows)}
    todo = [case for case in cases(options.pages, split="valid") if case.number not in done]
    with options.rows.open("a", encoding="utf-8") as file:
        for row in read_pages(todo, bank(options.signals, options.cache)):
            print(to_json(row), file=file, flush=True)
    if options.fit:
        text = text_of(fit(rows_in(options.rows)))
        FITTED.write_text(text, encoding="utf-8")
        print(text)


def read_pages(todo: Iterable[Case], hearts: SignalBank) -> Iterator[ClockRow]:
    """The rows of the cases, one page after the other."""
    digitizer = Digitizer(page_seconds_max=np.inf, sure_from=0.0)
    reader = digitizer.reader
    if reader is None:
        raise WeightsError("no weights of stage 2 ship")
    for case in todo:
        drawn = draw(case, hearts)
        watched = Watched(reader)
        digitizer.reader = watched
        try:
            recording = digitizer.digitize(drawn.rendered.page)
        except Unreadable:
            yield ClockRow(case.number)
        else:
            yield row_of(case.number, recording, watched.read_first, drawn.rendered.truth)


if __name__ == "__main__":
    main()
