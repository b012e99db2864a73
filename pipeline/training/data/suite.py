"""The seeded suite that judges digitize(): every kind of image, with layouts, speeds and gains mixed in.

Signals come from held-out patients of a SignalBank, or from the synthetic heart where no recordings are at hand. Pages
of the same mix, of validation patients and other seeds, are those that what judges a page is fitted on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.recording import Float32, Lead, Source
from pipeline.synth.page import in_picture, random_spec, render
from pipeline.synth.signals import RATE_HZ, SignalBank, Split, synthetic_ecg
from pipeline.synth.truth import Rendered

# far from every training seed
SEEDS: dict[Split, int] = {"test": 90_000_000, "valid": 95_000_000}
SECONDS = 10.0
KINDS: tuple[Source, ...] = tuple(s for s in Source if s is not Source.NOT_AN_ECG)
SHOWN = 0.1  # of a rhythm row: with less in the picture nobody can tell that there was one
SAME_GAIN = 0.1  # gains are a factor 2 apart
PLAIN_SHARE = 0.5  # of each kind: the commonest page (3x4+1, 25 mm/s, 10 mm/mV), so that its figure stands by itself


@dataclass(frozen=True)
class Case:
    """One page of the suite. plain: 3x4+1, 25 mm/s, 10 mm/mV; otherwise layout, speed and gain by chance.

    split: whose recordings are drawn; "test" patients are for judging alone.
    """

    number: int
    source: Source
    plain: bool
    split: Split = "test"

    @property
    def seed(self) -> int:
        return SEEDS[self.split] + self.number


def cases(pages: int, first: int = 0, split: Split = "test") -> Iterator[Case]:
    """`pages` cases from number `first` on, the kinds in turn, half of each kind plain."""
    for number in range(first, first + pages):
        round_number, kind = divmod(number, len(KINDS))
        yield Case(number, KINDS[kind], round_number % 2 < 2 * PLAIN_SHARE, split)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A page of the suite. label: float32 (12, n) mV at RATE_HZ as printed inside the picture, NaN elsewhere.

    layout: as the picture shows it; a rhythm row that was cut off with the foot of the page is not in its name.
    """

    rendered: Rendered
    label: Float32
    layout: str


def draw(case: Case, bank: SignalBank | None) -> Drawn:
    """The page of a case; the same case and bank, the same page."""
    rng = np.random.default_rng(case.seed)
    signals = bank.draw(rng, case.split, vary=False) if bank is not None else synthetic_ecg(rng, SECONDS, RATE_HZ)
    usual = {"layout": "3x4+1", "speed_mm_s": 25.0, "gain_mm_mv": 10.0} if case.plain else {}
    spec = random_spec(rng, source=case.source, **usual)  # type: ignore[arg-type]  # three of its keywords
    rendered = render(signals, RATE_HZ, spec, case.seed)
    if spec.print.chest_gain_mm_mv is not None and not tells_chest_gain(rendered):
        spec = replace(spec, print=replace(spec.print, chest_gain_mm_mv=None))
        rendered = render(signals, RATE_HZ, spec, case.seed)
    return Drawn(rendered, _label(rendered, spec.print.negative_avr), shown_layout(rendered))


def patient(case: Case, bank: SignalBank) -> str:
    """Whose recording `draw` takes; the record's own number where no patient is known."""
    records = bank.of(case.split)
    record = records[np.random.default_rng(case.seed).integers(len(records))]  # the first that draw asks of its seed
    return f"{record.source}/{record.patient_id or record.record_id}"


def tells_chest_gain(rendered: Rendered) -> bool:
    """Whether the picture holds what tells the chest leads' own gain: the words at the foot, or a pulse of theirs."""
    truth, (height, width) = rendered.truth, rendered.page.image.shape[:2]
    chest = truth.recording.chest_gain_mm_mv
    told = [truth.scales_mm] if truth.scales_mm else []
    for x0, x1, foot, tall in truth.pulses_mm:
        if chest is not None and abs(tall / chest.value - 1) < SAME_GAIN:
            told.append(((x0, foot), (x1, foot - tall)))
    for ends in told:
        px = truth.paper.to_px(np.array(ends))
        if ((px > 0) & (px < [width, height])).all():
            return True
    return False


def shown_layout(rendered: Rendered) -> str:
    """The name of the printed layout less the rhythm rows of which the picture shows next to nothing."""
    printed = rendered.truth.recording.layout
    shares = [
        float(inside.mean())
        for inside, segment in zip(in_picture(rendered), rendered.truth.segments, strict=True)
        if segment.rhythm
    ]
    shown = sum(share >= SHOWN for share in shares)
    return printed.replace(f"+{len(shares)}", f"+{shown}" if shown else "")


def _label(rendered: Rendered, negative_avr: bool) -> Float32:
    """What can be read off the page: not what a crop cut away, and aVR upright where -aVR is printed."""
    recording = rendered.truth.recording
    strips = []
    for strip, inside in zip(recording.strips, in_picture(rendered), strict=True):
        sign = -1.0 if negative_avr and strip.lead is Lead.AVR else 1.0
        strips.append(replace(strip, millivolts=np.where(inside, sign * strip.millivolts, np.nan).astype(np.float32)))
    return replace(recording, strips=tuple(strips)).twelve().millivolts
