"""What is known of a page's scales, and what its beats add to that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.calibration.pulse import Pulse
from pipeline.findings import FindingCode
from pipeline.geometry import PaperMap
from pipeline.recording import Finding, Known, Scale, Severity

SPEED = "speed"  # how the detail of an assumed speed begins
USUAL = {12.5: 0.05, 25.0: 0.8, 50.0: 0.15}  # of pages that tell their speed by nothing that was read
AS_WIDE = 0.1  # of pulses, that they last 0.1 s and not 0.2 s, or look wider because their edges slant
ENOUGH = 0.8  # of the beats' word for another speed than the usual one: the page is held either way
UNLIKE = 0.99  # of their word against a speed that is printed


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

    def of_beats(self, likelihood: Mapping[float, float]) -> Calibration | None:
        """At another possible speed where the beats clearly look like it, else None. likelihood: of each speed."""
        own = self.speed_mm_s.value
        if self.speed_mm_s.known is Known.ASSUMED:
            usual = {speed: USUAL[speed] for speed in (own, *self.other_speeds_mm_s)}
        else:
            usual = {own: 1.0, **dict.fromkeys(self.other_speeds_mm_s, AS_WIDE)}
        weighed = {speed: share * likelihood[speed] for speed, share in usual.items()}
        best = max(weighed, key=lambda speed: weighed[speed])
        sure = weighed[best] / sum(weighed.values())
        if best == own or sure < ENOUGH:
            return None
        detail = f"{best:g} mm/s, {sure:.0%} likely, instead of {own:g} mm/s"
        others = [f for f in self.findings if not (f.code == FindingCode.SCALE_ASSUMED and f.detail.startswith(SPEED))]
        return replace(
            self,
            speed_mm_s=Scale(best, Known.ASSUMED),
            findings=(*others, Finding(FindingCode.SPEED_BY_BEATS, Severity.WARNING, detail=detail)),
            other_speeds_mm_s=(),
        )

    def is_unlike(self, likelihood: Mapping[float, float]) -> bool:
        """Whether the beats contradict a speed that pulses or text tell."""
        told = self.speed_mm_s.known in (Known.PULSE, Known.TEXT)
        return told and max(likelihood.values()) - likelihood[self.speed_mm_s.value] >= UNLIKE
