"""What is known of a page's scales, and what its beats add to that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.calibration.pulse import Pulse
from pipeline.findings import FindingCode
from pipeline.geometry import PaperMap
from pipeline.judgement import fitted
from pipeline.recording import TWELVE, Correction, Finding, Known, Scale, Severity

SPEED, GAIN, CHEST_GAIN = "speed", "gain", "chest gain"  # how the details of assumed scales begin
USUAL = {12.5: 0.05, 25.0: 0.8, 50.0: 0.15}  # of pages that tell their speed by nothing that was read
TEN_S, NEAR = 10.0, 0.06  # what nearly every page shows across, and how near to it rows are measured with their gaps
HALF_WIDE = 16.0  # times as usual is 12.5 mm/s where all leads end half-way: paper is wide enough for 25 mm/s
AS_WIDE = 0.1  # of pulses, that they last 0.1 s and not 0.2 s, or look wider because their edges slant
ENOUGH = 0.8  # of the beats' word for another speed than the usual one; what is left of doubt may hold the page
UNLIKE = 0.99  # of their word against a speed


@dataclass(frozen=True, eq=False)
class Calibration:
    """The page's scales and how each is known.

    paper: the map to go on with. It is the one given, except where that one's scale was ASSUMED: then its millimetres
        are those of the pulse (0.2 s wide at 25 mm/s, 1 mV high at 10 mm/mV, or as printed), and baselines found on
        the old map must be multiplied by stretch.
    chest_gain_mm_mv: only where rows with two different pulses (then it is the gain of the lower rows) or the text say
        that chest leads have their own gain. row_gains_mm_mv: for each baseline the gain its own pulse shows, or None.
    pulses: those that agree, in millimetres of paper; stage 2 must not read them as signal.
    other_speeds_mm_s: the speeds that it may as well be, by all that is printed: what the beats may still decide.
    seen: every pulse found, best first, of whatever size, on the millimetres of paper.
    stretch: (x, y) factors from the millimetres of the map given to those of paper.
    """

    speed_mm_s: Scale
    gain_mm_mv: Scale
    chest_gain_mm_mv: Scale | None
    row_gains_mm_mv: tuple[float | None, ...]
    pulses: tuple[Pulse, ...]
    paper: PaperMap
    stretch: tuple[float, float]
    findings: tuple[Finding, ...]
    other_speeds_mm_s: tuple[float, ...] = ()
    seen: tuple[Pulse, ...] = ()

    def as_told(self, given: Correction) -> Calibration:
        """With the scales a person gave in place of those found, and without the assumptions these end."""
        told = self
        if given.speed_mm_s is not None:
            told = replace(told, speed_mm_s=Scale(given.speed_mm_s, Known.PERSON), other_speeds_mm_s=())
            told = told._without_assumed(SPEED)
        if given.gain_mm_mv is not None:  # one gain said is said of the whole page
            told = replace(told, gain_mm_mv=Scale(given.gain_mm_mv, Known.PERSON), chest_gain_mm_mv=None)
            told = told._without_assumed(GAIN)._without_assumed(CHEST_GAIN)
        if given.chest_gain_mm_mv is not None:
            told = replace(told, chest_gain_mm_mv=Scale(given.chest_gain_mm_mv, Known.PERSON))
            told = told._without_assumed(CHEST_GAIN)
        return told

    def _without_assumed(self, what: str) -> Calibration:
        kept = [f for f in self.findings if not (f.code == FindingCode.SCALE_ASSUMED and f.detail.startswith(what))]
        return replace(self, findings=tuple(kept))

    def of_beats(self, likelihood: Mapping[float, float], across_mm: float | None = None) -> Calibration | None:
        """At another possible speed where the beats clearly look like it, else None. Arguments as of chances."""
        own, chances = self.speed_mm_s.value, self.chances(likelihood, across_mm)
        best = max(chances, key=lambda speed: chances[speed])
        sure = chances[best]
        if best == own or sure < ENOUGH:
            return None
        detail = f"{best:g} mm/s, {sure:.0%} likely, instead of {own:g} mm/s"
        found = Finding(FindingCode.SPEED_BY_BEATS, _severity(1.0 - sure), detail=detail)
        doubted = self._without_assumed(SPEED)
        findings = (*doubted.findings, found)
        return replace(doubted, speed_mm_s=Scale(best, Known.ASSUMED), findings=findings, other_speeds_mm_s=())

    def doubted_by_beats(self, likelihood: Mapping[float, float], across_mm: float | None = None) -> Calibration:
        """With an error where by the beats another speed is likely enough, whatever tells this one.

        Arguments as of chances.
        """
        other = 1.0 - self.chances(likelihood, across_mm)[self.speed_mm_s.value]
        if _severity(other) is not Severity.ERROR:
            return self
        doubt = f"by the beats another is {other:.0%} likely"
        if self.speed_mm_s.known is not Known.ASSUMED:
            found = Finding(
                FindingCode.SPEED_UNLIKE_BEATS,
                Severity.ERROR,
                detail=f"{self.speed_mm_s.value:g} mm/s by the {self.speed_mm_s.known}; {doubt}",
            )
            return replace(self, findings=(*self.findings, found))
        findings = tuple(
            replace(f, severity=Severity.ERROR, detail=f"{f.detail}; {doubt}")
            if f.code == FindingCode.SCALE_ASSUMED and f.detail.startswith(SPEED)
            else f
            for f in self.findings
        )
        return replace(self, findings=findings)

    def chances(self, likelihood: Mapping[float, float], across_mm: float | None = None) -> dict[float, float]:
        """Of each speed that is possible by all that is printed, how likely it is by the beats, 0..1, together 1.

        likelihood: of each speed. across_mm: what the leads of a row take together, None where no grid or resolution
        measures it: ten seconds are 125 mm at 12.5 mm/s, and at 25 hardly a page ends there.
        """
        own = self.speed_mm_s.value
        if self.speed_mm_s.known is Known.ASSUMED:
            usual = {speed: USUAL[speed] for speed in (own, *self.other_speeds_mm_s)}
            slowest = min(USUAL)
            if slowest in usual and across_mm is not None and abs(across_mm / slowest / TEN_S - 1) < NEAR:
                usual[slowest] *= HALF_WIDE
        else:
            usual = {own: 1.0, **dict.fromkeys(self.other_speeds_mm_s, AS_WIDE)}
        weighed = {speed: share * likelihood[speed] for speed, share in usual.items()}
        return {speed: share / sum(weighed.values()) for speed, share in weighed.items()}

    def is_unlike(self, likelihood: Mapping[float, float]) -> bool:
        """Whether the beats contradict the speed, however it is known."""
        return max(likelihood.values()) - likelihood[self.speed_mm_s.value] >= UNLIKE


def _severity(chance: float) -> Severity:
    """Of a speed that is another one with this chance: every lead is then wrong."""
    return fitted().severity(chance, len(TWELVE))
