"""Fits pipeline/judgement.toml to read pages, and says by cross-validation over patients what it is worth.

Every chance is a logistic regression whose weights keep their sign: a better figure never raises a chance of harm, and
a better sign never lowers a page's confidence. First the chances that a doubt harms are fitted, then the confidence,
whose signs are made of them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import beta

from pipeline.findings import FindingCode
from pipeline.geometry import Float64
from pipeline.judgement import Judgement, Odds
from pipeline.networks import manifest
from pipeline.quality.confidence import Features
from pipeline.quality.doubts import unharmed_by
from pipeline.recording import TWELVE, Float32, Severity
from pipeline.synth.random_page import GAIN_ODDS
from pipeline.synth.signals import SignalBank
from pipeline.training.data.suite import PLAIN_SHARE
from pipeline.training.fit.judged_rows import PageRow

Bools = npt.NDArray[np.bool_]

SCATTER = 3.0  # of weights around what is expected: keeps those of figures that hardly vary from running away
# what is expected of the signs: an earlier fit to 137 pages, and of the others one unit
EXPECTED = {
    **{"read": 0.21, "least_read": 1.71, "sharp": 1.99, "limbs": 3.10, "twice": 2.17, "beats": 0.22, "names": 0.0},
    **{"borders": 2.38, "starts": 0.71, "margin": 1.01, "grid": 1.0, "scale": 1.40},
    **{"checked": 1.0, "leads": 2.5, "gain": 1.0, "unmarked": 1.0, "timed": 1.0, "begun": 1.0},
}
SIGN_SCATTER = 1.0  # of the signs' weights: pages are few beside leads
# what is believed before any page, where pages that show it are rare: a lead whose reader doubts a whole beat is wrong;
# a pen's stroke along a trace is read as the trace, and stains beside it are not
BELIEVED = {
    FindingCode.SIGMA_LARGE: (({"excess": 0.0, "beat": -0.8}, True),),
    FindingCode.INK_OVER_LEAD: (
        ({"touch": 0.55, "drawn": 2.0, "unsure": 0.0}, True),
        ({"touch": 1.2, "drawn": 1.0, "unsure": 0.0}, False),
    ),
}
BELIEF = 12  # leads that each of them counts for
FOLDS = 5
HOLDS_FROM = 0.3  # of a lead: what is wrong less than one time in three is told, and counts in the confidence
TOLD_FROM = 0.1
HOPELESS_DB = 6.0
GO_ON = 0.9  # of the card's bound
USUAL_MM_MV = 10.0
WRONG_DB, GOOD_DB = 6.0, 15.0
CERTAIN = 0.95
# figures that may speak either way; all others may only raise the chance of harm
FREE = frozenset({"tall"})
# of a doubt that is not there, the sign is the best
DOUBTS = {"leads": FindingCode.SIGMA_LARGE, "gain": FindingCode.GAIN_ASSUMED, "unmarked": FindingCode.INK_OVER_LEAD}
HARMS: dict[str, int] = {FindingCode.GAIN_ASSUMED: len(TWELVE)}  # leads; every other doubt is of one
SIGNS = tuple(field.name for field in fields(Features))


@dataclass(frozen=True, eq=False)
class Gains:
    """Heights of leads, as of quality.gain_figures, if each gain that is printed were taken for the usual one.

    tall: float64 (n,), logarithms. wrong: whether the gain is another. share: of the pages that print it.
    """

    tall: Float64
    wrong: Bools
    share: Float64


def gains_of(bank: SignalBank) -> Gains:
    """The heights of validation patients' leads in the columns of the plain page, at every gain that is printed."""
    records = bank.of("valid")
    tall = np.array([_height(bank.read(record)) for record in records])
    parts = [(tall + np.log(gain / USUAL_MM_MV), gain != USUAL_MM_MV, share) for gain, share in _gain_shares().items()]
    count = len(records)
    return Gains(
        np.concatenate([heights for heights, _, _ in parts]),
        np.repeat([wrong for _, wrong, _ in parts], count),
        np.repeat([share for _, _, share in parts], count),
    )


def _gain_shares() -> dict[float, float]:
    """Of the suite's pages: half are plain."""
    return {g: (1 - PLAIN_SHARE) * share + PLAIN_SHARE * (g == USUAL_MM_MV) for g, share in GAIN_ODDS.items()}


def _height(signals: Float32) -> float:
    """Logarithm of the median height of float32 (12, n) leads, each in its column of four, mV."""
    columns = np.array_split(np.arange(signals.shape[1]), 4)
    return float(np.log(np.median([np.ptp(lead[columns[k // 3]]) for k, lead in enumerate(signals)])))


def fit_odds(
    names: Sequence[str],
    figures: Float64,
    answer: Bools,
    share: Float64 | None = None,
    expected: Mapping[str, float] | None = None,
    scatter: float = SCATTER,
) -> Odds:
    """Log-odds of the answer by float64 (rows, names) figures.

    share: how much each row counts, evenly by default. expected: how the weights are believed to stand to one another
    before any row; what departs from a multiple of them is made small, all weights where nothing is expected.
    """
    share = np.full(len(answer), 1.0 / max(len(answer), 1)) if share is None else share / share.sum()
    wanted, shrink = answer.astype(np.float64), 1 / (scatter**2 * max(len(answer), 1))
    believed = np.array([(expected or {}).get(name, 0.0) for name in names])
    along = believed / max(float(np.linalg.norm(believed)), 1e-9)

    def cost(at: Float64) -> tuple[float, Float64]:
        logit, away = figures @ at[:-1] + at[-1], at[:-1] - along * float(along @ at[:-1])
        off = 1 / (1 + np.exp(-logit)) - wanted
        loss = float(np.sum(share * (np.logaddexp(0, logit) - wanted * logit)))
        slope = np.append(figures.T @ (share * off) + shrink * away, float(np.sum(share * off)))
        return loss + 0.5 * shrink * float((away**2).sum()), slope

    bounds = [(None if name in FREE else 0.0, None) for name in names] + [(None, None)]
    found = minimize(cost, np.append(believed, 0.0), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Odds(float(found[-1]), {name: float(w) for name, w in zip(names, found, strict=False)})


def fit(rows: Sequence[PageRow], gains: Gains) -> Judgement:
    """The table of these pages."""
    harm: dict[str, Odds] = {code: _harm(rows, code) for code in (FindingCode.SIGMA_LARGE, FindingCode.INK_OVER_LEAD)}
    tall = np.column_stack([gains.tall, gains.tall**2])
    harm[FindingCode.GAIN_ASSUMED] = fit_odds(("tall", "tall2"), tall, gains.wrong, gains.share)
    read = [row for row in rows if row.signs]
    signs = np.array([signs_of(row, harm) for row in read])
    right = np.array([row.right for row in read])
    odds = fit_odds(SIGNS, signs, right, expected=EXPECTED, scatter=SIGN_SCATTER)
    judged = Judgement(hashes(), HOLDS_FROM, TOLD_FROM, 0.0, harm, odds)
    return replace(judged, hopeless=hopeless(read, judged))


def _harm(rows: Sequence[PageRow], code: FindingCode) -> Odds:
    own = [doubt for row in rows if _placed_right(row) for doubt in row.doubts if doubt.code == code and doubt.figures]
    told = [(doubt.figures, doubt.harmed) for doubt in own]
    told += BELIEF * list(BELIEVED.get(code, ()))
    names = tuple(told[0][0])
    figures = np.array([[each[name] for name in names] for each, _ in told])
    return fit_odds(names, figures, np.array([harmed for _, harmed in told]))


def _placed_right(row: PageRow) -> bool:
    """Whether a page's scale is right, and most of its leads are.

    Otherwise it was read at a wrong place or size, of which no sigma and no mark knows: the page's other signs do.
    """
    leads = [doubt.harmed for doubt in row.doubts if doubt.code == FindingCode.SIGMA_LARGE]
    return row.scaled and 2 * sum(leads) < len(leads)


def signs_of(row: PageRow, harm: Mapping[str, Odds]) -> Float64:
    """A page's signs, those of its doubts made anew from their figures."""
    told = dict(row.signs or {})
    for name, code in DOUBTS.items():
        told[name] = unharmed_by(
            harm[code].chance(doubt.figures) for doubt in row.doubts if doubt.code == code and doubt.figures
        )
    return np.array([told[name] for name in SIGNS])


def confidence_of(row: PageRow, judged: Judgement) -> float:
    return judged.right.chance(dict(zip(SIGNS, signs_of(row, judged.harm), strict=True)))


def hopeless(read: Sequence[PageRow], judged: Judgement) -> float:
    """Half of the least confidence of a page that a person could still use."""
    usable = [confidence_of(row, judged) for row in read if row.db >= HOPELESS_DB]
    return min(usable, default=0.0) / 2


def holding(row: PageRow, judged: Judgement) -> set[str]:
    """Codes of the findings that hold a page, whatever its confidence."""
    weighed = [doubt for doubt in row.doubts if doubt.figures]
    chances = [(doubt.code, judged.harm[doubt.code].chance(doubt.figures)) for doubt in weighed]
    errors = {code for code, chance in chances if judged.severity(chance, HARMS.get(code, 1)) is Severity.ERROR}
    return errors | set(row.held)


def hashes() -> dict[str, str]:
    """SHA-256 of the weights that ship, by network."""
    return {name: weights.sha256 for name, weights in sorted(manifest().items())}


@dataclass(frozen=True)
class Held:
    """One page as a table judges it that was fitted without its patient."""

    row: PageRow
    confidence: float
    holding: frozenset[str]

    def goes_on(self, bound: float) -> bool:
        return not self.row.refused and not self.holding and self.confidence >= bound


def cross_validated(rows: Sequence[PageRow], gains: Gains) -> list[Held]:
    """Each page by the table of the other folds; all pages of a patient are in one fold."""
    fold = {row.patient: int(hashlib.sha256(row.patient.encode()).hexdigest(), 16) % FOLDS for row in rows}
    found = []
    for k in range(FOLDS):
        judged = fit([row for row in rows if fold[row.patient] != k], gains)
        for row in rows:
            if fold[row.patient] == k:
                sure = confidence_of(row, judged) if row.signs else 0.0
                found.append(Held(row, sure, frozenset(holding(row, judged))))
    return sorted(found, key=lambda one: one.row.number)


def upper_bound(wrong: int, of: int, certain: float = CERTAIN) -> float:
    """The share that is not exceeded with this certainty, where so many of so many were wrong (Clopper and Pearson)."""
    return 1.0 if wrong >= of else float(beta.ppf(certain, wrong + 1, of - wrong))


def text_of(judged: Judgement, rows: Sequence[PageRow], held: Sequence[Held]) -> str:
    """The file that pipeline.judgement reads."""
    on = [one for one in held if one.goes_on(GO_ON)]
    lines = [
        "# Fitted by pipeline.training.fit.confidence; names as in pipeline.judgement.Judgement.",
        f"# {len(rows)} pages of {len({row.patient for row in rows})} validation patients; by cross-validation "
        f"{len(on)} go on at {GO_ON}, {sum(one.row.db < WRONG_DB for one in on)} of them below {WRONG_DB:g} dB.",
        f"holds_from = {judged.holds_from:g}",
        f"told_from = {judged.told_from:g}",
        f"hopeless = {judged.hopeless:.4g}",
        "",
        "[networks]",
        *(f'{name} = "{sha256}"' for name, sha256 in judged.networks.items()),
    ]
    for title, odds in (*((f"harm.{code}", odds) for code, odds in judged.harm.items()), ("right", judged.right)):
        lines += ["", f"[{title}]", f"bias = {odds.bias:.4f}", *(f"{n} = {w:.4f}" for n, w in odds.weights.items())]
    return "\n".join(lines) + "\n"


def card(held: Sequence[Held]) -> str:
    """Markdown: reliability, risk and coverage, and what the default bound promises."""
    read = [one for one in held if not one.row.refused]
    lines = [
        f"{len(held)} pages of {len({one.row.patient for one in held})} validation patients, the suite's mix, each "
        f"judged by the fit of {FOLDS - 1} of {FOLDS} parts of the patients without its own.",
        "",
        "| confidence | pages | mean confidence | right |",
        "|---|---|---|---|",
    ]
    edges = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0001)
    for low, high in itertools.pairwise(edges):
        of = [one for one in read if low <= one.confidence < high]
        if of:
            mean, right = np.mean([one.confidence for one in of]), np.mean([one.row.right for one in of])
            lines.append(f"| {low:g} to {min(high, 1):g} | {len(of)} | {mean:.2f} | {right:.0%} |")
    lines += [
        "",
        "| bound | go on | of 15 dB and more | not right | below 6 dB | at most, 95 % certain |",
        "|---|---|---|---|---|---|",
    ]
    for bound in (0.0, 0.5, 0.7, 0.8, 0.9, 0.95):
        lines.append(_risk(held, bound))
    return "\n".join(lines)


def _risk(held: Sequence[Held], bound: float) -> str:
    on = [one for one in held if one.goes_on(bound)]
    good = [one for one in held if one.row.db >= GOOD_DB]
    wrong = sum(one.row.db < WRONG_DB for one in on)
    share = _share(sum(one.goes_on(bound) for one in good), len(good))
    not_right = _share(sum(not one.row.right for one in on), len(on))
    return (
        f"| {bound:g} | {_share(len(on), len(held))} | {share} | {not_right} |"
        f" {wrong} of {len(on)} | {upper_bound(wrong, len(on)):.1%} |"
    )


def _share(part: int, of: int) -> str:
    return f"{part / of:.0%}" if of else "-"
