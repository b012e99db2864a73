"""Fits what tells the size of a page's millimetre, on rendered pages of patients that no network learned from.

Rulings of any colour and darkness, at the resolutions that renderers and scanners write. Each page is read once, as it
comes. What its witnesses would have said of a map of another size follows from that: they are the same ink. Ruling and
pulses are found in the picture; rows and words are those of its truth, with the errors of a reading.

Run as: python -m pipeline.training.fit.scale_check --signals DIR --cache DIR --rows FILE [--pages 150] [--first 0]
[--fit]
"""

from __future__ import annotations

import argparse
import colorsys
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from pipeline import paper as paper_stage
from pipeline.calibration.pulse import find_pulses
from pipeline.geometry import Float64, PaperMap
from pipeline.recording import Known, Source
from pipeline.scale_check import (
    FACTORS,
    FITTED,
    GAINS_MM_MV,
    LINES_PER_MM,
    PULSES_S,
    ROWS_S,
    Table,
    Witness,
    Witnesses,
    pulse_of,
    score_each,
    weigh,
)
from pipeline.synth.page import render
from pipeline.synth.random_page import random_spec
from pipeline.synth.signals import RATE_HZ, SignalBank
from pipeline.synth.spec import Colour, PageSpec
from pipeline.synth.truth import Rendered

SEED = 70_000_000  # far from the suite's seeds and from those of training
DPI = (100, 120, 150, 200, 200, 240)
KINDS = (Source.DIGITAL_RENDER,) * 3 + (Source.COLOUR_SCAN,) * 2 + (Source.BW_SCAN, Source.FADED)
# image files that were resized without their resolution, and resolutions that software wrote without knowing any
LIES, LIES_BY = 0.08, (0.5, 0.64, 0.75, 1.2, 1.25, 1.5, 2.0)
OTHERS = (0.7, 0.9, 1.1, 1.4)  # sizes that are none of FACTORS
DENSITIES = tuple(sorted({round(d / f, 6) for d in LINES_PER_MM for f in (*FACTORS, *OTHERS)}))
READ = 0.7  # share of the pages with words on which they are read
LENGTH_MM = 0.3  # standard error of the length of a row
NEAR = 0.05  # of a factor, within which a map is of it
FITTED_SHARE = 0.5  # of the pages; the rest is held out
BOUNDS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)  # of the probability, of which the strictest that holds few is taken
HELD_MOST = 0.01  # of right pages
HELD_AGAIN = 0.05  # of pages rightly read again, which are one in twenty themselves
RIDGE = 0.005
# Share of pages whose ruling is followed at a wrong size: 5 of 17 dark ones of one strength at 200 dots an inch were,
# and ruled_spec draws such a one for about one page in six; others are hardly ever misread. It is no count of the pages
# fitted to: the more of them are read right, the more would the size as read be believed unasked. NAMED: of the misread
# ones, those of FACTORS.
MISREAD, NAMED = 0.05, 2 / 3
# how often pages are of each speed and gain: as pipeline.calibration.found and the renderer's odds have it
SPEEDS, GAINS = (0.05, 0.8, 0.15), (0.03, 0.08, 0.83, 0.06)
SAID = 0.97  # of words that are read, that they are right
START = np.array([0.8, 0.8, 0.8, 0.8, 0.8, -0.5, 0.3, -0.3])
ROUNDS = 12
SIGMA_MIN, ASTRAY_FROM = 0.01, 4.0  # no witness is better than a per cent; so many sigmas off it is astray
LEVEL = 0.45  # log power of no lines, as in pipeline.paper.ruling


@dataclass(frozen=True, eq=False)
class Example:
    """What was seen of one page; truth: the index of the right one of FACTORS, or their number for none of them.

    forced: the size was set wrong on purpose, so that it says nothing of how often that happens.
    """

    number: int
    forced: bool
    truth: int
    speed_mm_s: float
    witnesses: Witnesses


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of one page. true_mm: true millimetres of one that was read. lines: of DENSITIES, by their text.

    speed_mm_s: the speed at which it is printed.
    """

    number: int
    true_mm: float
    speed_mm_s: float
    lines: dict[str, float]
    witnesses: Witnesses


def ruled_spec(rng: np.random.Generator) -> PageSpec:
    """A page whose ruling is of any colour and darkness, fine lines as dark as bold ones on one in three."""
    dpi = float(rng.choice(DPI))
    spec = random_spec(rng, source=KINDS[rng.integers(len(KINDS))], px_per_mm=dpi / 25.4, severity=0.5)
    hue, dark = float(rng.random()), float(rng.uniform(0.1, 1.0))
    minor, major = _ruling(hue, dark), _ruling(hue, dark if rng.random() < 1 / 3 else min(1.0, 1.5 * dark))
    return replace(spec, paper=replace(spec.paper, minor=minor, major=major), tells_dpi=bool(rng.random() < 0.7))


def _ruling(hue: float, dark: float) -> Colour:
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue, dark, 1.0 - 0.4 * dark))
    return red, green, blue


def drawn(bank: SignalBank, number: int) -> Rendered:
    """Page number `number`: the same every time."""
    rng = np.random.default_rng(SEED + number)
    rendered = render(bank.draw(rng, "valid", vary=False), RATE_HZ, ruled_spec(rng), SEED + number)
    if rendered.page.dpi is None or rng.random() >= LIES:
        return rendered
    by = float(rng.choice(LIES_BY))
    x, y = rendered.page.dpi
    return replace(rendered, page=replace(rendered.page, dpi=(x * by, y * by)))


def pages_seen(bank: SignalBank, numbers: Sequence[int]) -> Iterator[Seen]:
    """What is seen of each page, as its lines are followed; pages whose lines nobody can follow are left out."""
    for number in numbers:
        seen = page_seen(drawn(bank, number), number)
        if seen is not None:
            yield seen


def page_seen(rendered: Rendered, number: int) -> Seen | None:
    """The witnesses of one page: its ruling and its pulses from the picture, rows and words from its truth.

    None where no ruling is followed. Rows are as long as drawn, words are read on READ of the pages that have any.
    """
    page, truth = rendered.page, rendered.truth
    rng = np.random.default_rng(number)
    fit = paper_stage.find_grid(page.image, page.dpi)
    if fit.known is not Known.GRID:
        return None
    px_mm = paper_stage.credible_px_mm(page.dpi, page.image)
    pitch = float(np.sqrt(np.prod(fit.pitch_px)))
    true_mm = pitch / _px_per_mm(truth.paper)
    dense = paper_stage.lines_seen(page.image, fit.paper, DENSITIES)
    lines = {f"{d:.6f}": round(float(p), 3) for d, p in zip(DENSITIES, dense, strict=True) if np.isfinite(p)}
    recording = truth.recording
    speed, words = recording.speed_mm_s.value, bool(truth.scales_mm) and rng.random() < READ
    rows: dict[int, float] = {}
    for s in truth.segments:
        rows[s.row] = rows.get(s.row, 0.0) + s.end_mm - s.start_mm
    witnesses = Witnesses(
        None if px_mm is None else pitch / float(np.sqrt(np.prod(px_mm))),
        None,
        _pulse_of(rendered, fit.paper),
        speed if words else None,
        recording.gain_mm_mv.value if words else None,
        (max(rows.values()) + float(rng.normal(0, LENGTH_MM))) / true_mm,
    )
    return Seen(number, true_mm, speed, lines, witnesses)


def _pulse_of(rendered: Rendered, paper: PaperMap) -> tuple[float, float] | None:
    """As calibration sees it on the map that was followed, at the rows and ends that were drawn."""
    truth = rendered.truth
    at = paper.to_mm(truth.paper.to_px(np.array([(s.start_mm, s.baseline_mm) for s in truth.segments])))
    ends = paper.to_mm(truth.paper.to_px(np.array([(s.end_mm, s.baseline_mm) for s in truth.segments])))
    first = {s.row: k for k, s in reversed(list(enumerate(truth.segments)))}
    levels = sorted(float(at[k, 1]) for k in first.values())
    return pulse_of(find_pulses(rendered.page.image, paper, levels, (float(at[:, 0].min()), float(ends[:, 0].max()))))


def examples(pages: Sequence[Seen]) -> list[Example]:
    """Each page as it was followed, and as if a millimetre that was read were other true ones."""
    found = []
    for page in pages:
        found.append(Example(page.number, False, _truth(page.true_mm), page.speed_mm_s, _as_if(page, 1.0)))
        if _truth(page.true_mm) == 0:
            found += [
                Example(page.number, True, _truth(f), page.speed_mm_s, _as_if(page, f)) for f in (*FACTORS[1:], *OTHERS)
            ]
    return found


def _as_if(page: Seen, factor: float) -> Witnesses:
    """The witnesses of the same ink on a map whose every millimetre is so many of the one that was read."""
    w = page.witnesses
    lines = np.array([page.lines.get(f"{_nearest(d / factor, DENSITIES):.6f}", np.nan) for d in LINES_PER_MM])
    return replace(
        w,
        resolution=None if w.resolution is None else w.resolution * factor,
        lines=lines,
        pulse_mm=None if w.pulse_mm is None else (w.pulse_mm[0] / factor, w.pulse_mm[1] / factor),
        length_mm=None if w.length_mm is None else w.length_mm / factor,
    )


def _nearest(value: float, values: Sequence[float]) -> float:
    return min(values, key=lambda v: abs(np.log(v / value)))


def _px_per_mm(paper: PaperMap) -> float:
    """In the middle of the page."""
    x, y = float(np.median(paper.x_mm)), float(np.median(paper.y_mm))
    at = paper.to_px(np.array([[x, y], [x + 10.0, y], [x, y + 10.0]]))
    return float(np.sqrt(np.linalg.norm(at[1] - at[0]) * np.linalg.norm(at[2] - at[0]))) / 10.0


def _truth(true_mm: float) -> int:
    near = [k for k, factor in enumerate(FACTORS) if abs(true_mm / factor - 1) < NEAR]
    return near[0] if near else len(FACTORS)


def table_at(weights: Float64, measured: Measured, wrong: float, none: float, sure: float) -> Table:
    """The table of float64 (8,) weights: of the measured witnesses, and of the four kinds of lines."""
    told = [replace(t, weight=float(w)) for t, w in zip(measured.told, weights, strict=False)]
    minor, minor_half, box, box_half = (float(w) for w in weights[4:])
    return Table(
        *(told[0], told[1], told[2], told[3]),
        minor=minor,
        minor_half=minor_half,
        box=box,
        box_half=box_half,
        level=LEVEL,
        speeds=SPEEDS,
        gains=GAINS,
        pulses=measured.pulses,
        rows=measured.rows,
        said=SAID,
        wrong=wrong,
        none=none,
        sure=sure,
        sure_again=sure,
    )


@dataclass(frozen=True)
class Measured:
    """Resolution, pulse width, pulse height and length as they err on right pages; shares as of Table."""

    told: tuple[Witness, ...]
    pulses: tuple[float, ...]
    rows: tuple[float, ...]


def measured(found: Sequence[Example]) -> Measured:
    """How far each witness of the pages read right lies from what it should be."""
    right = [(e.witnesses, e.speed_mm_s) for e in found if e.truth == 0 and not e.forced]
    wide = [(w.pulse_mm[0] / speed, PULSES_S) for w, speed in right if w.pulse_mm is not None]
    tall = [(w.pulse_mm[1], GAINS_MM_MV) for w, _ in right if w.pulse_mm is not None]
    long = [(w.length_mm / speed, ROWS_S) for w, speed in right if w.length_mm is not None]
    dpi = [(w.resolution, (1.0,)) for w, _ in right if w.resolution is not None]
    told = tuple(_told([_off(v, n) for v, n in values]) for values in (dpi, wide, tall, long))
    return Measured(told, _first_share(wide), _first_share(long))


def _off(value: float, nominal: Sequence[float]) -> float:
    return float(np.log(value / _nearest(value, nominal)))


def _told(off: Sequence[float]) -> Witness:
    away = np.abs(np.array(off))
    sigma = max(float(np.median(away)) * 1.4826, SIGMA_MIN)
    return Witness(sigma, float((away > ASTRAY_FROM * sigma).sum() + 1) / (len(away) + 2), 1.0)


def _first_share(values: Sequence[tuple[float, Sequence[float]]]) -> tuple[float, float]:
    """How many are of the first of two nominal sizes, and of the second."""
    first = (sum(_nearest(v, n) == n[0] for v, n in values) + 1) / (len(values) + 2)
    return first, 1 - first


def fit(found: Sequence[Example]) -> Float64:
    """The weights under which the true sizes are likeliest, every size as likely as among these examples."""
    counts = np.bincount([e.truth for e in found], minlength=len(FACTORS) + 1) + 1.0
    flat = 1 / (len(FACTORS) + 1)
    prior = np.log(counts / counts.sum()) - np.log(flat)
    told = measured(found)

    def loss(weights: Float64) -> float:
        table = table_at(weights, told, flat, flat, 0.5)
        total = 0.0
        for e in found:
            scores = score_each(e.witnesses, table) + prior
            total += float(np.logaddexp.reduce(scores) - scores[e.truth])
        return total / len(found) + RIDGE * float(np.sum((weights - START) ** 2))

    bounds = [(0.0, 1.0)] * 4 + [(-3.0, 3.0)] * 4
    return np.asarray(minimize(loss, START, method="L-BFGS-B", bounds=bounds, options={"maxiter": ROUNDS}).x)


def judged(found: Sequence[Example], table: Table) -> dict[str, float]:
    """How many right pages it would hold, how many wrong ones let go, and how often it names the right size."""
    p = [_probabilities(e, table) for e in found]
    right = [q[0] for q, e in zip(p, found, strict=True) if e.truth == 0]
    wrong = [q[0] for q, e in zip(p, found, strict=True) if e.truth != 0]
    told = [int(np.argmax(q)) == e.truth for q, e in zip(p, found, strict=True) if 0 < e.truth < len(FACTORS)]
    again = read_again(found, table)
    return {
        "right": len(right),
        "right_held": sum(q < table.sure for q in right),
        "wrong": len(wrong),
        "wrong_let_go": sum(q >= table.sure for q in wrong),
        "wrong_of_a_factor": len(told),
        "of_them_named": sum(told),
        "named_wrongly": sum(_named(e, table) not in (None, e.truth) for e in found),
        "read_again": len(again),
        "again_held": sum(q < table.sure_again for q in again),
    }


def read_again(found: Sequence[Example], table: Table) -> list[float]:
    """Of each page that would rightly be read again: how likely its size is then, by the witnesses as they are then."""
    right = {e.number: e.witnesses for e in found if e.truth == 0 and not e.forced}
    named = [e for e in found if e.number in right and e.truth != 0 and _named(e, table) == e.truth]
    return [weigh(right[e.number], table, taken=FACTORS[e.truth]).factors[0] for e in named]


def _named(example: Example, table: Table) -> int | None:
    """The index of the size at which the page would be read again."""
    choice = weigh(example.witnesses, table).choice
    return None if choice is None else FACTORS.index(choice)


def _probabilities(example: Example, table: Table) -> Float64:
    scores = score_each(example.witnesses, table)
    p = np.exp(scores - scores.max())
    return np.asarray(p / p.sum())


def fitted_table(found: Sequence[Example]) -> tuple[Table, dict[str, float], dict[str, float]]:
    """The table, and what it makes of the pages it was fitted to and of those held out."""
    numbers = sorted({e.number for e in found})
    last = numbers[round(FITTED_SHARE * len(numbers)) - 1]
    own, others = [e for e in found if e.number <= last], [e for e in found if e.number > last]
    wrong, none = MISREAD * NAMED / (len(FACTORS) - 1), MISREAD * (1 - NAMED)
    weights, told = fit(own), measured(own)
    table = table_at(weights, told, wrong, none, BOUNDS[0])
    for bound in BOUNDS:
        stricter = replace(table, sure=bound)
        seen = judged(own, stricter)
        if seen["right_held"] <= HELD_MOST * seen["right"]:
            table = stricter
    again = read_again(own, table)
    for bound in BOUNDS:
        if sum(q < bound for q in again) <= HELD_AGAIN * len(again):
            table = replace(table, sure_again=bound)
    return table, judged(own, table), judged(others, table)


def text_of(table: Table, own: dict[str, float], others: dict[str, float]) -> str:
    """The file that pipeline.scale_check reads."""
    lines = ["# Fitted by pipeline.training.fit.scale_check; names as in pipeline.scale_check.Table."]
    lines.append(
        f"# wrong and none are stated: {MISREAD:g} of all rulings are misread, {NAMED:.2f} of them by a factor;"
    )
    lines.append("# 5 of 17 dark rulings of one strength at 200 dots an inch were, which about one page in six has.")
    for what, told in (("fitted", own), ("held out", others)):
        lines.append(f"# {what}: " + ", ".join(f"{name.replace('_', ' ')} {n:g}" for name, n in told.items()))
    for field in fields(Table):
        value = getattr(table, field.name)
        if isinstance(value, tuple):
            lines.append(f"{field.name} = [{', '.join(f'{v:.5g}' for v in value)}]")
        elif isinstance(value, float):
            lines.append(f"{field.name} = {value:.5g}")
    for field in fields(Table):
        value = getattr(table, field.name)
        if isinstance(value, Witness):
            lines += ["", f"[{field.name}]", *(f"{k} = {v:.5g}" for k, v in asdict(value).items())]
    return "\n".join(lines) + "\n"


def to_json(page: Seen) -> str:
    """One line."""
    return json.dumps(asdict(page))


def from_json(line: str) -> Seen:
    """The other way."""
    row = json.loads(line)
    w = row.pop("witnesses")
    w["pulse_mm"] = None if w["pulse_mm"] is None else tuple(w["pulse_mm"])
    return Seen(**row, witnesses=Witnesses(**w))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where they are unpacked")
    parser.add_argument(
        "--rows", type=Path, required=True, help="what was seen, a line each; pages in it are not redone"
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pages", type=int, default=150)
    parser.add_argument("--fit", action="store_true", help="fit to the rows and write the table")
    options = parser.parse_args()
    before = options.rows.read_text().splitlines() if options.rows.exists() else []
    done = {from_json(line).number for line in before}
    numbers = [n for n in range(options.first, options.first + options.pages) if n not in done]
    if numbers:
        bank = SignalBank(options.signals, options.cache)
        with options.rows.open("a") as file:
            for page in pages_seen(bank, numbers):
                print(to_json(page), file=file, flush=True)
    if options.fit:
        pages = [from_json(line) for line in options.rows.read_text().splitlines()]
        text = text_of(*fitted_table(examples(pages)))
        FITTED.write_text(text)
        print(text)


if __name__ == "__main__":
    main()
