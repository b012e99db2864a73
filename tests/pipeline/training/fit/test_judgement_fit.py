"""What a page's chance of being right is fitted to, and how that is judged."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.findings import FindingCode
from pipeline.quality.confidence import Features
from pipeline.recording import Lead, Source
from pipeline.score import LeadScore
from pipeline.synth.signals import Record
from pipeline.training.data import suite
from pipeline.training.data.suite import Case, cases, patient
from pipeline.training.fit import judgement
from pipeline.training.fit.judged_rows import DoubtRow, PageRow, from_json, is_harmed, to_json
from pipeline.training.fit.judgement import Gains, Held, card, cross_validated, fit_odds, upper_bound

GAINS = Gains(np.log([1.0, 1.2, 0.5, 2.4]), np.array([False, False, True, True]), np.array([0.4, 0.4, 0.1, 0.1]))


def row(number: int, sign: float, *, right: bool = True, noise: float = -3.0, ink: float = 0.1) -> PageRow:
    signs = dict.fromkeys(judgement.SIGNS, 0.5) | {"limbs": sign}
    doubts = [DoubtRow(FindingCode.SIGMA_LARGE, Lead.V1, {"excess": noise}, noise > -1)]
    doubts.append(DoubtRow(FindingCode.INK_OVER_LEAD, Lead.V1, {"touch": ink, "drawn": 0.0, "unsure": 0.0}, ink > 1))
    return PageRow(number, "faded", f"p{number // 2}", "", 20.0 if right else 4.0, True, right, signs, tuple(doubts))


def rows(count: int = 80) -> list[PageRow]:
    rng = np.random.default_rng(1)
    made = []
    for k in range(count):
        sign = float(rng.random())
        made.append(row(k, sign, right=sign + rng.normal(0, 0.15) > 0.3, noise=rng.normal(-2, 1), ink=rng.random() * 2))
    return made


def test_a_lead_is_harmed_where_its_error_is_large_beside_it_and_large_on_paper() -> None:
    assert is_harmed(LeadScore(power=100.0, error=30.0, samples=1250, r=0.9, lag_ms=0.0))
    assert not is_harmed(LeadScore(power=100.0, error=5.0, samples=1250, r=0.9, lag_ms=0.0))
    assert not is_harmed(LeadScore(power=1.0, error=0.5, samples=1250, r=0.7, lag_ms=0.0))  # 0.02 mV off a flat lead


def test_a_row_is_the_same_after_the_file() -> None:
    assert from_json(to_json(row(3, 0.4))) == row(3, 0.4)
    refused = PageRow(4, "faded", "p", "no_traces")
    assert from_json(to_json(refused)) == refused


def test_a_fit_finds_the_odds_that_made_the_answers() -> None:
    rng = np.random.default_rng(0)
    figures = rng.normal(0, 1, (4000, 2))
    answer = rng.random(4000) < 1 / (1 + np.exp(-(figures @ [2.0, 0.0] - 1.0)))
    odds = fit_odds(("one", "other"), figures, answer)
    assert odds.weights["one"] == pytest.approx(2.0, abs=0.2)
    assert odds.weights["other"] == pytest.approx(0.0, abs=0.1)
    assert odds.bias == pytest.approx(-1.0, abs=0.15)


def test_a_figure_that_seems_to_lower_a_chance_of_harm_is_left_out() -> None:
    figures = np.linspace(-1, 1, 200)[:, None]
    assert fit_odds(("noise",), figures, figures[:, 0] < 0).weights["noise"] == 0.0


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    assert upper_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert upper_bound(1, 100) == pytest.approx(0.0466, abs=1e-4)
    assert upper_bound(0, 0) == 1.0


def test_no_page_is_judged_by_a_fit_that_saw_its_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    fit = judgement.fit

    def noted(own: list[PageRow], gains: Gains) -> object:
        seen.append({one.patient for one in own})
        return fit(own, gains)

    monkeypatch.setattr(judgement, "fit", noted)
    pages = rows()
    held = cross_validated(pages, GAINS)
    assert [one.row for one in held] == pages
    everybody = {one.patient for one in pages}
    assert len(seen) == judgement.FOLDS
    assert sum(len(everybody - own) for own in seen) == len(everybody)  # each is left out once


def test_confidence_rises_with_what_tells_right_pages_from_wrong_ones() -> None:
    pages = rows()
    judged = judgement.fit(pages, GAINS)
    right = np.mean([judgement.confidence_of(one, judged) for one in pages if one.right])
    wrong = np.mean([judgement.confidence_of(one, judged) for one in pages if not one.right])
    assert right > wrong + 0.1
    assert judged.right.weights["limbs"] > 1


def test_a_doubt_that_is_likely_wrong_holds_its_page_and_another_does_not() -> None:
    judged = judgement.fit(rows(), GAINS)
    assert judgement.holding(row(0, 1.0, noise=1.0), judged) == {FindingCode.SIGMA_LARGE}
    assert judgement.holding(row(0, 1.0), judged) == set()
    assert judgement.holding(replace(row(0, 1.0), held=("lead_missing",)), judged) == {"lead_missing"}


def test_the_card_counts_what_goes_on_and_what_of_it_is_wrong() -> None:
    held = [Held(row(k, 1.0, right=k > 0), 0.95, frozenset()) for k in range(50)]
    held += [
        Held(row(50, 1.0), 0.95, frozenset({"sigma_large"})),
        Held(PageRow(51, "faded", "p", "no_traces"), 0, frozenset()),
    ]
    line = next(line for line in card(held).splitlines() if line.startswith("| 0.9 |"))
    assert line == f"| 0.9 | 96% | 98% | 2% | 1 of 50 | {upper_bound(1, 50):.1%} |"


def test_cases_of_other_patients_have_other_seeds() -> None:
    judged, fitted = {case.seed for case in cases(2000)}, {case.seed for case in cases(2000, split="valid")}
    assert not judged & fitted


def test_the_patient_of_a_case_is_whose_recording_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [Record("s", k, f"r{k}", "" if k % 2 else f"p{k}", "valid") for k in range(40)]
    drawn: list[int] = []

    def signals(rng: np.random.Generator, split: str, *, vary: bool) -> np.ndarray:
        drawn.append(int(rng.integers(len(records))))
        raise LookupError

    bank = SimpleNamespace(of=lambda split: records, draw=signals)
    case = Case(7, Source.FADED, True, "valid")
    with pytest.raises(LookupError):
        suite.draw(case, bank)  # type: ignore[arg-type]
    record = records[drawn[0]]
    assert patient(case, bank) == f"s/{record.patient_id or record.record_id}"  # type: ignore[arg-type]


def test_every_sign_of_a_doubt_is_a_sign_of_the_confidence() -> None:
    assert set(judgement.DOUBTS) < set(Features.__dataclass_fields__)
