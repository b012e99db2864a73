"""Which kind of image a page is, how it was damaged, and whether it is an ECG at all.

The network says it; plain rules say it where there are no weights, and give the second opinion: a fax's resolution
stands in its file, and a page with ruling or traces is never turned away, whatever the network thinks of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.recording import Degradation, Source, UInt8
from pipeline.source import rules
from pipeline.source.network import Reader, SourceReader, SourceReading

__all__ = ["Reader", "SourceGuess", "SourceReader", "SourceReading", "classify"]

ECGS = frozenset(Source) - {Source.NOT_AN_ECG}
CLEAR = 0.8  # probability from which the network says clearly that a page is no ECG
SEEN = 0.1  # summed widths of wave-like strokes, in page lengths, that speak for an ECG against a clear network
BARE = 0.03  # the same where there is no network: nothing at all may look like a trace


@dataclass(frozen=True)
class SourceGuess:
    """source: the likeliest kind; score: 0..1, how sure. not_an_ecg: 0..1. degradations: 0..1 each, as Degradation.

    source is NOT_AN_ECG only where nothing on the page speaks for an ECG; not_an_ecg alone refuses no page.
    """

    source: Source
    score: float
    not_an_ecg: float
    degradations: tuple[float, ...]

    def severity(self, of: Degradation) -> float:
        return self.degradations[tuple(Degradation).index(of)]


def classify(image: UInt8, dpi: tuple[float, float] | None = None, network: Reader | None = None) -> SourceGuess:
    """The kind of a page. image: uint8 (H, W, 3) RGB; dpi: (x, y) as the file says, None where it is silent."""
    return _by_rules(image, dpi) if network is None else _by_network(image, dpi, network)


def _by_network(image: UInt8, dpi: tuple[float, float] | None, network: Reader) -> SourceGuess:
    reading = network.read(image)
    not_an_ecg = reading.probability(Source.NOT_AN_ECG)
    if not_an_ecg >= CLEAR and rules.signs(image, dpi).fewer_than(SEEN):
        return SourceGuess(Source.NOT_AN_ECG, not_an_ecg, not_an_ecg, reading.severities)
    # one bit a pixel at a fax's resolution is a fax, and the file says which: no picture of it knows better
    fax = rules.fax_of(image, dpi)
    score, source = max((p, kind) for p, kind in zip(reading.probabilities, Source, strict=True) if kind in ECGS)
    if fax is not None:
        score, source = 1.0 - not_an_ecg, fax
    return SourceGuess(source, score, not_an_ecg, reading.severities)


def _by_rules(image: UInt8, dpi: tuple[float, float] | None) -> SourceGuess:
    look, signs = rules.measure(image), rules.signs(image, dpi)
    severities = rules.severities_of(look)
    # a fax breaks thin traces into dashes, which rules take for nothing: without a network it is given the doubt
    if look.blank or (not look.one_bit and signs.fewer_than(BARE)):
        return SourceGuess(Source.NOT_AN_ECG, signs.not_an_ecg, signs.not_an_ecg, severities)
    source, score = rules.kind_of(look, dpi)
    return SourceGuess(source, score, signs.not_an_ecg, severities)
