"""The seeded suite that judges digitize(): every kind of image, with layouts, speeds and gains mixed in.

Signals come from held-out patients of a SignalBank, or from the synthetic heart where no recordings are at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.recording import Source
from pipeline.synth.page import random_spec, render
from pipeline.synth.signals import RATE_HZ, SignalBank, synthetic_ecg
from pipeline.synth.truth import Rendered

SUITE_SEED = 90_000_000  # far from every training seed
SECONDS = 10.0
KINDS: tuple[Source, ...] = tuple(s for s in Source if s is not Source.NOT_AN_ECG)
PLAIN_SHARE = 0.5  # of each kind: the commonest page (3x4+1, 25 mm/s, 10 mm/mV), so that its figure stands by itself


@dataclass(frozen=True)
class Case:
    """One page of the suite. plain: 3x4+1, 25 mm/s, 10 mm/mV; otherwise layout, speed and gain by chance."""

    number: int
    source: Source
    plain: bool

    @property
    def seed(self) -> int:
        return SUITE_SEED + self.number


def cases(pages: int) -> Iterator[Case]:
    """`pages` cases, the kinds in turn, half of each kind plain."""
    for number in range(pages):
        round_number, kind = divmod(number, len(KINDS))
        yield Case(number, KINDS[kind], round_number % 2 < 2 * PLAIN_SHARE)


def draw(case: Case, bank: SignalBank | None) -> Rendered:
    """The page of a case; the same case and bank, the same page."""
    rng = np.random.default_rng(case.seed)
    signals = bank.draw(rng, "test", vary=False) if bank is not None else synthetic_ecg(rng, SECONDS, RATE_HZ)
    usual = {"layout": "3x4+1", "speed_mm_s": 25.0, "gain_mm_mv": 10.0} if case.plain else {}
    spec = random_spec(rng, source=case.source, **usual)  # type: ignore[arg-type]  # three of its keywords
    return render(signals, RATE_HZ, spec, case.seed)
