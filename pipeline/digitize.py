"""A page in, a recording out: the order of the stages, and the only place that knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from time import perf_counter

import numpy as np

from pipeline import calibration, enhance, grid, layout, measure, quality, register, source, waveform
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.geometry import Marks, PaperMap, Segment
from pipeline.networks import load
from pipeline.recording import (
    TWELVE,
    Finding,
    Given,
    Known,
    Lead,
    MadeBy,
    Page,
    Placed,
    Recording,
    Scale,
    Severity,
    Source,
    Strip,
    UInt8,
)
from pipeline.sheet import lay_flat
from pipeline.waveform.network import NetworkReader

RATE_HZ = 500  # what electrocardiographs record at; the standards' viewers and algorithms expect it
SIDE_MIN_PX = 240  # of the shorter side: three rows on it leave a trace about a pixel and a half of line width
CHEST = frozenset(TWELVE[6:])
GRID_POOR, GRID_GOOD = (
    0.15,
    0.5,
)  # share of squares seen: below the first they may be chance, above the second all is held
TRUST = {Known.PERSON: 1.0, Known.GRID: 1.0, Known.PULSE: 0.9, Known.TEXT: 0.8, Known.DPI: 0.7, Known.ASSUMED: 0.2}


NETWORKS = ("waveform", "register")
NAME_SURE = 0.6
NAMES_ENOUGH = 3.0  # summed scores of sure names: more than stray letters reach on a page that lies wrong
NOTHING_GIVEN = Given()


@dataclass(frozen=True, eq=False)
class Stopwatch:
    """Wall seconds per stage, in the order run."""

    laps: list[tuple[str, float]]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self.laps.append((name, round(perf_counter() - began, 4)))


class Digitizer:
    """The pipeline with its networks loaded. made_by: the software version and the hashes of its weights."""

    def __init__(self) -> None:
        loaded = {name: found for name in NETWORKS if (found := load(name)) is not None}
        rows, page = loaded.get("waveform"), loaded.get("register")
        self.reader = None if rows is None else NetworkReader(rows.network, rows.weights.sigma_scale)
        self.page_reader = None if page is None else register.PageReader(page.network)
        weights = tuple((name, found.weights.sha256) for name, found in sorted(loaded.items()))
        self.made_by = MadeBy(version("cardioscan-gateway"), weights)

    def digitize(self, page: Page, given: Given = NOTHING_GIVEN) -> Recording:
        """The recording that a page shows. given: what a person who looked at it says; it is believed.

        Raises Unreadable with a code of UnreadableCode when the page cannot be digitized honestly.
        """
        if min(page.image.shape[:2]) < SIDE_MIN_PX:
            height, width = page.image.shape[:2]
            raise Unreadable(UnreadableCode.IMAGE_TOO_SMALL, f"{width} x {height} pixels; a trace needs more")
        watch = Stopwatch([])
        findings: list[Finding] = []
        with watch.stage("source"):
            kind = source.classify(page.image, page.dpi)
        if kind.source is Source.NOT_AN_ECG:
            raise Unreadable(UnreadableCode.NOT_AN_ECG, "the image looks like no electrocardiogram")
        with watch.stage("enhance"):
            image = enhance.enhance(page.image, kind)
        with watch.stage("register"):
            turn = register.register(image).orientation if given.orientation is None else given.orientation
            image, dpi = register.set_upright(image, turn), _turned(page.dpi, turn)
            original = register.set_upright(page.image, turn)
        with watch.stage("grid"):
            fit = grid.find_grid(image, dpi)
        with watch.stage("register"):
            found, marks = self._register(image, fit.paper, turn=given.orientation is None)
            paper = register.map_upright(fit.paper, image.shape[:2], found.orientation)
            image, dpi = register.set_upright(image, found.orientation), _turned(dpi, found.orientation)
            original = register.set_upright(original, found.orientation)
        if turn or found.orientation:
            findings.append(
                Finding(
                    FindingCode.ORIENTATION_CORRECTED,
                    Severity.INFO,
                    detail=f"{(turn + found.orientation) % 4} quarter turns" + (", mirrored" if turn >= 4 else ""),
                )
            )
        with watch.stage("layout"):
            sheet = lay_flat(image, paper)
            rows = layout.complete_rows(marks, layout.find_rows(sheet))
            if not rows:
                raise Unreadable(UnreadableCode.NO_TRACES, "no row of traces was found on the page")
        with watch.stage("calibration"):
            baselines = [row.baseline_mm for row in rows]
            extent_mm = layout.extent_mm(rows)
            scale = _as_given(calibration.calibrate(image, paper, baselines, extent_mm, dpi, marks), given)
        with watch.stage("layout"):
            if scale.stretch != (1.0, 1.0):  # the pulse taught us the millimetre: everything so far was off by a factor
                paper = scale.paper
                sheet = lay_flat(image, paper)
                marks = None if self.page_reader is None else self.page_reader.read(image, paper).marks
                rows = layout.complete_rows(marks, layout.find_rows(sheet))
            names = layout.names_of(found.keypoints, paper)
            pulses = [(p.x0_mm, p.x1_mm, p.baseline_mm) for p in scale.pulses]
            printed = layout.arrange(sheet, rows, names, pulses, scale.speed_mm_s.value, given.layout, marks)
            segments = _renamed(printed.segments, given.leads)
        with watch.stage("waveform"):
            # from the original pixels: the reader was trained on them and levels light and paper by itself
            strips = waveform.read_traces(
                original,
                paper,
                segments,
                scale.speed_mm_s.value,
                _gain_of(scale.gain_mm_mv, scale.chest_gain_mm_mv),
                RATE_HZ,
                self.reader,
                [(n.x_mm, n.y_mm) for n in printed.names],
            )
        with watch.stage("quality"):
            beats = measure.beats_s(strips, RATE_HZ)
            evidence = quality.PageEvidence(
                grid=_grid_trust(fit),
                scale_measured=min(TRUST[scale.speed_mm_s.known], TRUST[scale.gain_mm_mv.known]),
                names_read=printed.names_read,
                border_evidence=printed.border_evidence,
                starts_met=printed.starts_met,
                margin=printed.margin,
                unnamed=printed.unnamed,
                beats_alike=measure.likeness(strips, beats, RATE_HZ),
                rate_found=measure.heart_rate(strips, RATE_HZ) is not None,
            )
            judged = quality.assess(strips, RATE_HZ, evidence)
        return Recording(
            judged.strips,
            RATE_HZ,
            printed.name,
            scale.speed_mm_s,
            scale.gain_mm_mv,
            kind.source,
            judged.confidence,
            self.made_by,
            (*findings, *_grid_findings(fit), *scale.findings, *printed.findings, *judged.findings),
            scale.chest_gain_mm_mv,
            _placed(turn, found.orientation, paper, segments, judged.strips),
            tuple(asdict(judged.features).items()),
            _summed(watch.laps),
        )

    def _register(self, image: UInt8, paper: PaperMap, turn: bool) -> tuple[register.Registration, Marks | None]:
        """Names and points of a page; turn: it may still lie on its side or upside down, and is then turned."""
        if self.page_reader is None:
            return register.register(image, paper, turn), None
        seen = self.page_reader.read(image, paper)
        found = register.Registration(0, seen.names, 1.0)
        if turn and sum(k.score for k in seen.names if k.score > NAME_SURE) < NAMES_ENOUGH:
            # a page that lies wrong has no names the network knows: templates are tried in all four directions
            found = register.register(image, paper)
            if found.orientation:
                image, paper = (
                    register.set_upright(image, found.orientation),
                    register.map_upright(paper, image.shape[:2], found.orientation),
                )
                seen = self.page_reader.read(image, paper)
            found = replace(found, keypoints=(*seen.names, *found.keypoints))
        return found, seen.marks


def digitize(page: Page, given: Given = NOTHING_GIVEN) -> Recording:
    """The recording that a page shows, by a digitizer that is loaded once per process. Raises Unreadable."""
    return _digitizer().digitize(page, given)


@cache
def _digitizer() -> Digitizer:
    return Digitizer()


def _turned(dpi: tuple[float, float] | None, orientation: int) -> tuple[float, float] | None:
    return dpi if dpi is None or orientation % 2 == 0 else (dpi[1], dpi[0])


def _as_given(found: calibration.Calibration, given: Given) -> calibration.Calibration:
    """The scales with those a person gave in place of those found."""

    speed, gain = found.speed_mm_s, found.gain_mm_mv
    chest = found.chest_gain_mm_mv
    if given.speed_mm_s is not None:
        speed = Scale(given.speed_mm_s, Known.PERSON)
    if given.gain_mm_mv is not None:
        gain, chest = Scale(given.gain_mm_mv, Known.PERSON), None  # one gain said is said of the whole page
    if given.chest_gain_mm_mv is not None:
        chest = Scale(given.chest_gain_mm_mv, Known.PERSON)
    return replace(found, speed_mm_s=speed, gain_mm_mv=gain, chest_gain_mm_mv=chest)


def _renamed(segments: tuple[Segment, ...], leads: Sequence[Lead]) -> tuple[Segment, ...]:
    """The segments under the names a person gave them. Raises Unreadable where their number is another."""
    if not leads:
        return segments
    if len(leads) != len(segments):
        detail = f"{len(leads)} lead names for the {len(segments)} segments of this layout"
        raise Unreadable(UnreadableCode.NO_LAYOUT, detail)
    return tuple(replace(segment, lead=lead) for segment, lead in zip(segments, leads, strict=True))


def _placed(first: int, then: int, paper: PaperMap, segments: Sequence[Segment], strips: Sequence[Strip]) -> Placed:
    """first, then: the two orientations undone, one after the other; the second is never mirrored."""
    turned = (first + then) % 4 if first < 4 else 4 + (first - then) % 4
    runs = np.array([(s.start_mm, s.end_mm, s.baseline_mm) for s in segments], np.float64).reshape(-1, 3)
    assert len(runs) == len(strips)
    return Placed(turned, paper.x_mm, paper.y_mm, paper.nodes_px, runs)


def _gain_of(gain: Scale, chest: Scale | None) -> Callable[[Segment], float]:
    def gain_mm_mv(segment: Segment) -> float:
        return chest.value if chest is not None and segment.lead in CHEST else gain.value

    return gain_mm_mv


def _grid_trust(fit: grid.GridFit) -> float:
    """How well the millimetre is known over the page, 0..1: a fax's resolution is better than a grid seen in places."""
    if fit.known is Known.GRID:
        return min(max((fit.strength - GRID_POOR) / (GRID_GOOD - GRID_POOR), 0.0), 1.0)
    return 0.8 if fit.known is Known.DPI else 0.3


def _grid_findings(fit: grid.GridFit) -> Iterator[Finding]:
    if fit.known is not Known.GRID:
        yield Finding(FindingCode.GRID_NOT_FOUND, Severity.WARNING, detail=f"scale from {fit.known}")
    elif fit.strength < 0.4:  # fewer than half of the squares were seen: the rest is interpolated
        yield Finding(FindingCode.GRID_WEAK, Severity.INFO, detail=f"{fit.strength:.0%} of the squares seen")


def _summed(laps: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Stages that ran twice as one, in the order first run."""
    total: dict[str, float] = {}
    for name, seconds in laps:
        total[name] = total.get(name, 0.0) + seconds
    return tuple((name, round(seconds, 4)) for name, seconds in total.items())
