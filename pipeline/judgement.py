"""How likely a page, or what is doubted about it, is wrong.

The chances are fitted to read pages by `pipeline.training.fit.confidence`. A doubt is a finding with the figures behind
it. The chance that it harms, a lead read wrongly or a wrong scale, decides whether its finding holds the page; the
page's own chance of being right, its confidence, is made of the same figures.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.recording import Severity

FITTED = Path(__file__).with_name("judgement.toml")


@dataclass(frozen=True)
class Odds:
    """Log-odds: a bias, and what one unit of each figure adds to it."""

    bias: float
    weights: Mapping[str, float]

    def chance(self, figures: Mapping[str, float]) -> float:
        """0..1. Raises KeyError where a weighed figure is missing."""
        logit = self.bias + sum(weight * figures[name] for name, weight in self.weights.items())
        return 1.0 / (1.0 + math.exp(-min(max(logit, -700.0), 700.0)))


@dataclass(frozen=True)
class Judgement:
    """The fitted table.

    networks: SHA-256 of the weights that the pages were read with, by network. holds_from: wrong leads, as many as are
    to be expected of all that are told, from which findings hold their page. told_from: the chance from which a lead is
    told. hopeless: confidence below which nothing is passed on. harm: of a doubt, by the code of its finding. right: of
    the page, by its signs.
    """

    networks: Mapping[str, str]
    holds_from: float
    told_from: float
    hopeless: float
    harm: Mapping[str, Odds]
    right: Odds

    def severity(self, chance: float, leads: int = 1) -> Severity:
        """Of a finding with such a chance that so many leads are wrong."""
        return Severity.ERROR if chance * leads >= self.holds_from else Severity.WARNING


@cache
def fitted() -> Judgement:
    """The table beside this module."""
    return judgement_of(FITTED.read_text(encoding="utf-8"))


def judgement_of(text: str) -> Judgement:
    """The table that a file holds. Raises KeyError where a part is missing."""
    entries = tomllib.loads(text)
    return Judgement(
        entries["networks"],
        entries["holds_from"],
        entries["told_from"],
        entries["hopeless"],
        {code: _odds(part) for code, part in entries["harm"].items()},
        _odds(entries["right"]),
    )


def _odds(entries: Mapping[str, float]) -> Odds:
    return Odds(entries["bias"], {name: weight for name, weight in entries.items() if name != "bias"})
