"""Which kind of image a page is, how it was damaged, and whether it is an ECG at all.

The network says it; plain rules say it where there are no weights, and give the second opinion: a fax's resolution
stands in its file, and a page with ruling or traces is never turned away, whatever the network thinks of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.recording import Degradation, Source, UInt8
from pipeline.source import opinion, page_statistics
from pipeline.source.network import Reader, SourceReader, SourceReading
from pipeline.source.opinion import SAID
from pipeline.source.resolution import resolutions

__all__ = ["SAID", "Reader", "SourceGuess", "SourceReader", "SourceReading", "classify", "resolutions"]

CLEAR = 0.5  # probability from which the network says clearly that a page is no ECG: 1 in 300 ECGs reaches it
DOUBT = 0.2  # and from which it does not contradict rules that see nothing: what it doubts less, the later stages judge
SEEN = 0.1  # summed widths of wave-like strokes, in page lengths, that speak for an ECG against a clear network
BARE = 0.03  # the same where there is no network: nothing at all may look like a trace


@dataclass(frozen=True)
class SourceGuess:
    """source: the likeliest kind; score: 0..1, how sure. not_an_ecg: 0..1. degradations: 0..1 each, as Degradation.

    source is NOT_AN_ECG only where nothing on the page speaks for an ECG; not_an_ecg alone refuses no page.
    surely_none: a page that cannot be read as an ECG is none, and not one that is only hard to read.
    """

    source: Source
    score: float
    not_an_ecg: float
    degradations: tuple[float, ...]
    surely_none: bool = False

    def severity(self, of: Degradation) -> float:
        return self.degradations[tuple(Degradation).index(of)]


def classify(image: UInt8, dpi: tuple[float, float] | None = None, network: Reader | None = None) -> SourceGuess:
    """The kind of a page. image: uint8 (H, W, 3) RGB; dpi: (x, y) as the file says, None where it is silent."""
    return _by_rules(image, dpi) if network is None else _by_network(image, dpi, network)


def _by_network(image: UInt8, dpi: tuple[float, float] | None, network: Reader) -> SourceGuess:
    reading = network.read(image)
    not_an_ecg = reading.probability(Source.NOT_AN_ECG)
    look = page_statistics.measure(image)
    signs = page_statistics.signs(image, dpi) if not_an_ecg >= DOUBT else None
    # a letter that the network only doubts: nothing on it speaks for an ECG, and its text against one
    is_letter = signs is not None and signs.full_of_text and signs.fewer_than(SEEN)
    surely_none = look.blank or not_an_ecg >= CLEAR or is_letter
    if signs is not None and _shows_nothing(look, signs, clear=not_an_ecg >= CLEAR):
        return SourceGuess(Source.NOT_AN_ECG, not_an_ecg, not_an_ecg, reading.severities, surely_none)
    # one bit a pixel at a fax's resolution is a fax, and the file says which: no picture of it knows better
    fax = page_statistics.fax_of(image, dpi)
    if fax is not None:
        return SourceGuess(fax, 1.0 - not_an_ecg, not_an_ecg, reading.severities, surely_none)
    likely = opinion.together(reading, page_statistics.kind_of(look, dpi)[0])
    source = max(likely, key=lambda kind: likely[kind])
    return SourceGuess(source, (1.0 - not_an_ecg) * likely[source], not_an_ecg, reading.severities, surely_none)


def _by_rules(image: UInt8, dpi: tuple[float, float] | None) -> SourceGuess:
    look, signs = page_statistics.measure(image), page_statistics.signs(image, dpi)
    severities = page_statistics.severities_of(look)
    if _shows_nothing(look, signs):
        return SourceGuess(Source.NOT_AN_ECG, signs.not_an_ecg, signs.not_an_ecg, severities, look.blank)
    source, score = page_statistics.kind_of(look, dpi)
    return SourceGuess(source, score, signs.not_an_ecg, severities)


def _shows_nothing(look: page_statistics.PageStatistics, signs: page_statistics.Signs, *, clear: bool = False) -> bool:
    """Whether nothing on a page speaks for an ECG; clear: a network says clearly that it is none."""
    if clear and signs.fewer_than(SEEN):
        return True
    # a fax breaks thin traces into dashes, which rules take for nothing: without a clear network it is given the doubt
    return look.blank or (not look.one_bit and signs.fewer_than(BARE))
