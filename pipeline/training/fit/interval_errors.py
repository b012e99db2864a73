"""Fits how far measured intervals are from the truth, and says how far they are on patients not learned from.

Run as: python -m pipeline.training.fit.interval_errors --signals DIR --networks DIR --pages DIR [--write]

--networks: what pipeline.training.train.delineator wrote, a network a fold and one of all. --pages: what
pipeline.training.data.read_pages wrote.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import minimize

from pipeline.intervals import SPANS, Quantity, measure_strips, unsure_s
from pipeline.intervals.beats import delineate
from pipeline.intervals.build import CELL_S
from pipeline.intervals.errors import TABLE, Errors, Growth
from pipeline.intervals.network import BOUNDARIES
from pipeline.intervals.pacing import PacingFit, narrow_stroke
from pipeline.intervals.rhythm import RhythmFit, features, steadiness
from pipeline.intervals.values import AXES, TIMES
from pipeline.measure import beats_s, heart_rate
from pipeline.recording import TWELVE, Float32, Float64, Lead, Seen, Strip
from pipeline.training.data import read_pages
from pipeline.training.train.delineator import Ludb

VIEWS = ("12x1", "3x4+1")
COLUMN_S = 2.5
GIVEN_SHARE = 0.99  # of the recordings that cardiologists marked: errors beyond theirs are withheld
FIBRILLATING = ("'AFIB'", "'AFLT'")
SINUS = ("'SR'", "'SBRAD'", "'STACH'", "'SARRH'")
P_KEPT = 0.975  # of the rhythms with P waves that are to be known as such: a PR interval that is missing is looked at
AXIS_ERROR_MAX_DEG = 22.5  # two of them are half a quadrant: an axis known less well names none
LIMITS = RhythmFit(
    0.0, (0.0, 0.0, 0.0), odds_max=6.0, uneven_min=0.003, scatter_min_s=CELL_S, share_min=0.0, varies_max_s=0.0
)
TWO_SIGMA = 0.954
# spikes of some milliseconds are read as two columns at most, 10 ms; they stand before the QRS complex
SPIKES = PacingFit(0.0, narrow_s=0.018, from_s=0.14, to_s=0.03, leads_quantile=0.75, beats_share=0.2)
UNPACED_KEPT = 0.995  # of the hearts without a pacemaker that are to be known as such
DEGREES_OF_FREEDOM = 3.0  # of Student's t: few errors are large, and they must not widen all


@dataclass(frozen=True)
class Off:
    """value - truth of one quantity of one recording, and how unsure the value says it is. All of one unit."""

    quantity: Quantity
    off: float
    unsure: float
    value: float


def view(signals: Float32, rate_hz: int, name: str) -> tuple[Strip, ...]:
    """Twelve leads, float32 (12, n) mV, as a page prints them."""
    n = signals.shape[1]
    if name == "12x1":
        return tuple(_strip(lead, 0.0, row) for lead, row in zip(TWELVE, signals, strict=True))
    column = round(COLUMN_S * rate_hz)
    out = [
        _strip(lead, k // 3 * COLUMN_S, signals[k, k // 3 * column : (k // 3 + 1) * column])
        for k, lead in enumerate(TWELVE)
        if k // 3 * column < n
    ]
    return *out, _strip(Lead.II, 0.0, signals[1])


def _strip(lead: Lead, start_s: float, millivolts: Float32) -> Strip:
    n = len(millivolts)
    return Strip(lead, start_s, millivolts, np.zeros(n, np.float32), np.full(n, Seen.READ, np.uint8))


def against_marks(data: Ludb, folder: Path, folds: int, name: str) -> list[Off]:
    """Every held-out recording of LUDB against the medians of what cardiologists marked on it."""
    out = []
    for number, held_out in enumerate(data.folds(folds)):
        weights = load_file(folder / f"fold-{number}.safetensors")
        for record in sorted(held_out):
            strips = view(data.signals[record], int(data.rate_hz), name)
            beats = delineate(strips, int(data.rate_hz), beats_s(strips, int(data.rate_hz)), weights)
            marks = np.array([beat.marks_s for beat in data.beats if beat.record == record]).reshape(-1, 6)
            for quantity, (begins, ends) in SPANS.items():
                truth = marks[:, BOUNDARIES.index(ends)] - marks[:, BOUNDARIES.index(begins)]
                lasts, spread = beats.duration_s(begins, ends)
                known = np.isfinite(lasts)
                if np.isfinite(truth).sum() >= 3 and known.sum() >= 3:
                    value = 1000 * float(np.median(lasts[known]))
                    unsure = 1000 * unsure_s(lasts[known], spread[known])
                    out.append(Off(quantity, value - 1000 * float(np.nanmedian(truth)), unsure, value))
    return out


def growth(offs: Sequence[Off]) -> Growth:
    """The scale of Student's t that makes these errors likeliest, widened until TWO_SIGMA of them are within two."""
    off, unsure = (np.array([getattr(each, name) for each in offs]) for name in ("off", "unsure"))

    def cost(logs: Float64) -> float:
        sigma = np.hypot(np.exp(logs[0]), np.exp(logs[1]) * unsure)
        tail = np.log1p((off / sigma) ** 2 / DEGREES_OF_FREEDOM)
        return float((np.log(sigma) + 0.5 * (DEGREES_OF_FREEDOM + 1) * tail).sum())

    starts = [np.log([np.std(off) * a + 1e-3, b]) for a in (0.3, 1.0) for b in (0.1, 1.0)]
    best = min((minimize(cost, start, method="Nelder-Mead") for start in starts), key=lambda each: each.fun)
    least, times = np.exp(best.x)
    wider = max(float(np.quantile(np.abs(off) / np.hypot(least, times * unsure), TWO_SIGMA)) / 2, 1.0)
    return Growth(round(float(wider * least), 3), round(float(wider * times), 3))


def summary(offs: Sequence[Off]) -> str:
    """A line a quantity: median, standard deviation and percentiles of the errors."""
    lines = []
    for quantity in dict.fromkeys(each.quantity for each in offs):
        off = np.array([each.off for each in offs if each.quantity is quantity])
        size = np.abs(off)
        lines.append(
            f"{quantity:16s} n {len(off):4d}  bias {np.median(off):+6.1f}  sd {off.std():5.1f}  "
            f"robust sd {1.4826 * np.median(np.abs(off - np.median(off))):5.1f}  "
            f"|off| median {np.median(size):5.1f}  90th {np.quantile(size, 0.9):5.1f}"
        )
    return "\n".join(lines)


def coverage(offs: Sequence[Off], sigma: Mapping[Quantity, Growth]) -> str:
    """How many errors are within one and two standard errors."""
    ratio = np.array([abs(each.off) / sigma[each.quantity].at(each.unsure) for each in offs])
    return f"within 1 and 2 standard errors: {(ratio < 1).mean():.0%}, {(ratio < 2).mean():.0%}"


@dataclass(frozen=True)
class RhythmRow:
    """What is seen of the rhythm of one recording of PTB-XL. steady: as steadiness says. p_waves: as labelled."""

    seen: tuple[float, float, float]
    steady: tuple[float, float]
    p_waves: bool
    fit: bool


def rhythms(folder: Path, weights: Mapping[str, Float32], most: int) -> Iterator[RhythmRow]:
    """Recordings labelled as sinus rhythm or as fibrillation or flutter, by patients to fit with and others."""
    with np.load(folder / "ptbxl.npz", allow_pickle=False) as held:
        labels, patients = held["label"], held["patient_id"]
        of = {k: any(name in str(label) for name in FIBRILLATING) for k, label in enumerate(labels)}
        sinus = [k for k, label in enumerate(labels) if any(name in str(label) for name in SINUS) and not of[k]]
        paced = {k for k, label in enumerate(labels) if "'PACE'" in str(label)}
        chosen = [k for k in of if of[k] and k not in paced] + _spread([k for k in sinus if k not in paced], most)
        signals = held["x"][chosen]
    for k, raw in zip(chosen, signals, strict=True):
        strips = view(raw.astype(np.float32) / 1000, 500, "3x4+1")
        centres = beats_s(strips, 500)
        if heart_rate(strips, 500) is None:
            continue
        beats = delineate(strips, 500, centres, weights)
        seen = features(beats, centres, LIMITS)
        if seen is not None:
            yield RhythmRow(seen, steadiness(beats), not of[k], hash_even(str(patients[k])))


def _spread(rows: Sequence[int], most: int) -> list[int]:
    """About so many of them, all over: files are sorted by what they show."""
    return list(rows[:: max(len(rows) // most, 1)])


def hash_even(person: str) -> bool:
    """Half of all people, the same half always."""
    return int(float(person)) % 2 == 0


def fit_rhythm(rows: Sequence[RhythmRow]) -> RhythmFit:
    """A logistic fit with a bound at which P_KEPT of the rhythms with P waves are known as such.

    P_KEPT of these have a larger share of beats with P waves than share_min, and as many a PR that varies less.
    """
    x = np.array([(1.0, *row.seen) for row in rows])
    y = np.array([row.p_waves for row in rows])
    each = np.where(y, 0.5 / max(y.sum(), 1), 0.5 / max((~y).sum(), 1))

    def cost(w: Float64) -> float:
        return float((each * np.logaddexp(0, -(2.0 * y - 1) * (x @ w))).sum() + 1e-4 * (w[1:] @ w[1:]))

    w = minimize(cost, np.zeros(x.shape[1])).x
    w[0] -= float(np.quantile((x @ w)[y], 1 - P_KEPT))
    constant, *weights = (round(float(value), 3) for value in w)
    shares, varies = np.array([row.steady for row in rows])[y & (x @ w > 0)].T
    return replace(
        LIMITS,
        constant=constant,
        weights=(weights[0], weights[1], weights[2]),
        share_min=round(float(np.quantile(shares, 1 - P_KEPT)), 3),
        varies_max_s=round(float(np.quantile(varies, P_KEPT)), 4),
    )


def fit_pacing(folder: Path, most: int) -> tuple[PacingFit, str]:
    """The least stroke that is a spike, by half of the people of PTB-XL, and what it tells of the others."""
    with np.load(folder / "ptbxl.npz", allow_pickle=False) as held:
        paced = np.array(["'PACE'" in str(label) for label in held["label"]])
        chosen = [*np.flatnonzero(paced), *_spread(np.flatnonzero(~paced).tolist(), most)]
        fit = np.array([hash_even(str(held["patient_id"][k])) for k in chosen])
        signals = held["x"][chosen]
    strokes = []
    for raw in signals:
        strips = view(raw.astype(np.float32) / 1000, 500, "3x4+1")
        strokes.append(narrow_stroke(strips, 500, beats_s(strips, 500), SPIKES))
    height, real = np.array(strokes), paced[chosen]
    found = replace(SPIKES, spike_min=round(float(np.quantile(height[fit & ~real], UNPACED_KEPT)), 3))
    told = height > found.spike_min
    return found, (
        f"Pacing spikes (PTB-XL): told in {told[real].sum()} of {real.sum()} paced recordings (not all show any) "
        f"and in {told[~real & ~fit].sum()} of {(~real & ~fit).sum()} other people's without a pacemaker"
    )


def on_pages(pages: Sequence[read_pages.ReadPage], weights: Mapping[str, Float32], errors: Errors) -> list[Off]:
    """Readings against their truth: the same delineator on both."""
    out = []
    wide = replace(
        errors,
        time_error_max_ms=dict.fromkeys(TIMES, np.inf),
        axis_error_max_deg=dict.fromkeys(AXES, np.inf),
    )
    for page in pages:
        if page.read is None:
            continue
        a, b = (
            measure_strips(each.strips, each.rate_hz, weights=weights, errors=wide) for each in (page.truth, page.read)
        )
        for true, read in zip(a.measurements, b.measurements, strict=True):
            if true.value is None or read.value is None or read.standard_error is None:
                continue
            off = read.value - true.value
            if true.quantity in AXES:
                off = (off + 180) % 360 - 180
            out.append(Off(true.quantity, off, read.standard_error, read.value))
    return out


def limits(
    offs: Sequence[Off], delineator: Mapping[Quantity, Growth], digitizing: Mapping[Quantity, Growth]
) -> dict[Quantity, float]:
    """The standard error beyond which a time is not given: GIVEN_SHARE of what cardiologists marked is below."""
    out = {}
    for quantity in TIMES:
        own = [each for each in offs if each.quantity is quantity]
        errors = [np.hypot(delineator[quantity].at(o.unsure), digitizing[quantity].at(o.unsure)) for o in own]
        out[quantity] = round(float(np.quantile(errors, GIVEN_SHARE)), 1)
    return out


def toml(errors: Errors, notes: str) -> str:
    """The table as errors.toml holds it, notes before it as comments."""

    def rows(name: str, growths: Mapping[Quantity, Growth]) -> str:
        return f"[{name}]\n" + "".join(f"{q} = [{g.least}, {g.times}]\n" for q, g in growths.items())

    limit = "".join(f"{q} = {value}\n" for q, value in errors.time_error_max_ms.items())
    axis_limit = "".join(f"{q} = {value}\n" for q, value in errors.axis_error_max_deg.items())
    told = asdict(errors.rhythm) | {"weights": list(errors.rhythm.weights)}
    rhythm = "".join(f"{name} = {value}\n" for name, value in told.items())
    spikes = "".join(f"{name} = {value}\n" for name, value in asdict(errors.pacing).items())
    comments = "".join(f"# {line}".rstrip() + "\n" for line in notes.splitlines())
    parts = (
        f"{comments}\nrate_share = {errors.rate_share}\n",
        rows("delineator_ms", errors.delineator),
        rows("digitizing_ms", errors.digitizing),
        rows("axis_deg", errors.axes),
        f"[time_error_max_ms]\n{limit}",
        f"[axis_error_max_deg]\n{axis_limit}",
        f"[rhythm]\n{rhythm}",
        f"[pacing]\n{spikes}",
    )
    return "\n".join(parts)


HEAD = """How far measured values are from the truth; made by pipeline.training.fit.interval_errors.

delineator_ms, digitizing_ms, axis_deg: standard deviation, the root of the first number squared and of the second times
how unsure a value says it is, squared. rate_share: standard deviation of the heart rate, as a share of it.
time_error_max_ms: a time with a larger standard error is not given: 99 % of LUDB's recordings have a smaller one.
axis_error_max_deg: the same of axes: two of these are half a quadrant.
rhythm: beats follow P waves where constant + weights @ features is above 0; PR is given where at least share_min of the
beats have one, and PR itself deviates by varies_max_s at most.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=Path, required=True)
    parser.add_argument("--networks", type=Path, required=True)
    parser.add_argument("--pages", type=Path, action="append", default=[])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--sinus", type=int, default=260, help="recordings with P waves that the rhythm is fitted on")
    parser.add_argument("--write", action="store_true", help="write the table into the package")
    given = parser.parse_args()
    data = Ludb.read(given.signals)
    weights = load_file(given.networks / "all.safetensors")
    notes = [HEAD]
    by_view = {name: against_marks(data, given.networks, given.folds, name) for name in VIEWS}
    marks = [each for offs in by_view.values() for each in offs]
    delineator = {q: growth([each for each in marks if each.quantity is q]) for q in TIMES}
    for name, offs in by_view.items():
        notes += [f"Against cardiologists' marks (LUDB), held out by patient, printed {name}, ms:", summary(offs)]
    notes.append(coverage(marks, delineator))
    rows = list(rhythms(given.signals, weights, given.sinus))
    rhythm = fit_rhythm([row for row in rows if row.fit])
    notes.append(rhythm_notes([row for row in rows if not row.fit], rhythm))
    pacing, told = fit_pacing(given.signals, given.sinus)
    notes.append(told)
    nothing = dict.fromkeys(TIMES, Growth(0.0, 1.0))
    plain = Errors(
        dict.fromkeys(TIMES, Growth(0.0, 0.0)),
        nothing,
        dict.fromkeys(AXES, Growth(0.0, 1.0)),
        {},
        {},
        0.0,
        rhythm,
        pacing,
    )
    pages = [page for folder in given.pages for page in read_pages.load(folder)]
    offs = on_pages(pages, weights, plain)
    digitizing = {q: growth([each for each in offs if each.quantity is q]) for q in TIMES}
    axes = {q: growth([each for each in offs if each.quantity is q]) for q in AXES}
    shares = np.array([each.off / each.value for each in offs if each.quantity is Quantity.HEART_RATE])
    rate_share = round(float(np.quantile(np.abs(shares), 0.6827)), 4)
    notes += [f"Readings of {len(pages)} pages against their truth, ms, deg, /min:", summary(offs)]
    notes.append(coverage([each for each in offs if each.quantity in TIMES], digitizing))
    axis_limits = dict.fromkeys(AXES, AXIS_ERROR_MAX_DEG)
    time_limits = limits(marks, delineator, digitizing)
    errors = Errors(delineator, digitizing, axes, time_limits, axis_limits, rate_share, rhythm, pacing)
    text = toml(errors, "\n".join(notes))
    print(text)
    if given.write:
        TABLE.write_text(text, encoding="utf-8")


def rhythm_notes(rows: Sequence[RhythmRow], rhythm: RhythmFit) -> str:
    """How many rhythms of patients that the fit has not seen are known for what they are."""
    told = np.array([rhythm.constant + float(np.dot(rhythm.weights, row.seen)) > 0 for row in rows])
    real = np.array([row.p_waves for row in rows])
    steady = np.array([row.steady[0] >= rhythm.share_min and row.steady[1] <= rhythm.varies_max_s for row in rows])
    return (
        f"P waves (PTB-XL, other patients): known in {told[real].sum()} of {real.sum()} recordings that have them, "
        f"in {(told & steady)[real].sum()} before enough beats and at a steady distance; "
        f"told absent in {(~told[~real]).sum()} of {(~real).sum()} with atrial fibrillation or flutter"
    )


if __name__ == "__main__":
    main()
