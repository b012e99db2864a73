"""A page in, a recording out: the order of the stages, and the only place that knows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from time import perf_counter

import numpy as np
from threadpoolctl import ThreadpoolController

from pipeline import (
    calibration,
    enhance,
    landmarks,
    layout,
    measure,
    quality,
    scale_check,
    source,
    unread,
    waveform,
)
from pipeline import (
    paper as paper_stage,
)
from pipeline.deadline import PAGE_SECONDS_MAX, Deadline
from pipeline.errors import Unreadable
from pipeline.findings import FindingCode, UnreadableCode
from pipeline.geometry import Keypoint, Landmarks, PaperMap, Segment
from pipeline.leads import RATE_HZ, Arranged, Leads
from pipeline.measure import pace
from pipeline.memory import give_back
from pipeline.networks import Opened, Weights, choose_device, open_networks
from pipeline.recording import (
    CHEST,
    Correction,
    Doubt,
    Finding,
    Known,
    MadeBy,
    Page,
    Placed,
    Recording,
    Severity,
    Source,
    Strip,
    UInt8,
)
from pipeline.sheet import lay_flat, lay_flat_coloured
from pipeline.waveform.network import NetworkReader

SIDE_MIN_PX = 240  # of the shorter side: three rows on it leave a trace about a pixel and a half of line width
MEASURED_BY = {Known.DPI: "by the file's resolution", Known.PULSE: "by the calibration pulses"}
GRID_POOR, GRID_GOOD = (
    0.15,
    0.5,
)  # share of squares seen: below the first they may be chance, above the second all is held
TRUST = {Known.PERSON: 1.0, Known.GRID: 1.0, Known.PULSE: 0.9, Known.TEXT: 0.8, Known.DPI: 0.7, Known.ASSUMED: 0.2}


NOT_WHOLE = (FindingCode.PAGE_DAMAGED, FindingCode.OVERLAY_NOT_DRAWN)
BARREN = (UnreadableCode.NO_TRACES, UnreadableCode.NO_LAYOUT, UnreadableCode.NO_GRID)
NAME_SURE = 0.75
TILTED_DEG = 0.1  # half a millimetre over a page
ALONG_SURE = 0.8  # of the network's vote that the page does not lie on its side: it is right on four pages of five
NAMES_MORE = 1.0  # summed scores by which another way must read more than the way the page was sent in
# summed scores that a mirror costs: it leaves I, II, III and every V as they are
MIRROR_COSTS = np.array([0.0, 0.0, 0.0, 0.0, 1.5, 1.5, 1.5, 1.5])
NAMES_ENOUGH = 3.0  # summed scores of sure names: more than letters reach on a page that lies wrong
NOTHING_GIVEN = Correction()


@dataclass(frozen=True, eq=False)
class Stopwatch:
    """Wall seconds per stage, in the order run, and until when the page must be done."""

    laps: list[tuple[str, float]]
    deadline: Deadline

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one stage. Raises Unreadable where the page's time is up before it begins."""
        self.deadline.check()
        began = perf_counter()
        try:
            yield
        finally:
            self.laps.append((name, round(perf_counter() - began, 4)))


@dataclass(frozen=True, eq=False)
class OrientedPage:
    """How a page lies: orientation 0..7 as of Placed, and of the page set upright its paper, lead names and points."""

    orientation: int
    paper: PaperMap
    names: tuple[Keypoint, ...] = ()
    marks: Landmarks | None = None


@dataclass(frozen=True, eq=False)
class Upright:
    """A page turned as its lines run, and what of it does not depend on the size of its millimetre.

    image: uint8 (H, W, 3) RGB, enhanced; original: as it came. fit: the paper as it is followed at first;
    by_ruling: what that tells of its size.
    """

    kind: source.SourceGuess
    image: UInt8
    original: UInt8
    dpi: tuple[float, float] | None
    turn: int
    fit: paper_stage.GridFit
    by_ruling: scale_check.Witnesses


@dataclass(eq=False)
class Found:
    """What is known of a page so far, for who must say why it was not read."""

    kind: source.SourceGuess | None = None
    lying: OrientedPage | None = None


class Digitizer:
    """The pipeline with its networks loaded. made_by: the software version and the hashes of its weights.

    device: "auto", "cpu" or "cuda", where the networks are computed. networks: those to look with, by name, where they
    are open already. page_seconds_max: how long a page may take. sure_from: confidence below which the traces of a page
    are read twice, as they are where a finding of severity error holds it; 0 reads others once, anything above 1 none.
    Raises DeviceError where the device is not there, and WeightsError where the weights are not those of the manifest.
    """

    def __init__(
        self,
        device: str = "auto",
        networks: Mapping[str, Opened] | None = None,
        page_seconds_max: float = PAGE_SECONDS_MAX,
        sure_from: float = 0.0,
    ) -> None:
        if networks is None:
            networks = open_networks(choose_device(device))
        rows, page, ruled, kinds = (networks.get(name) for name in ("waveform", "register", "grid", "source"))
        self.reader: waveform.RowReader | None = None if rows is None else NetworkReader.of(rows)
        self.page_reader = None if page is None else landmarks.PageReader(page.look)
        self.ruling = None if ruled is None else ruled.look
        self.source_reader = None if kinds is None else source.SourceReader.of(kinds)
        self.made_by = made_by(one.weights for one in networks.values())
        self.page_seconds_max = page_seconds_max
        self.sure_from = sure_from
        self._libraries = ThreadpoolController()

    def digitize(self, page: Page, given: Correction = NOTHING_GIVEN) -> Recording:
        """The recording that a page shows, the page's own findings first. given: what a person who looked at it says.

        What is given is believed. Raises Unreadable with a code of UnreadableCode when the page cannot be digitized
        honestly: as no ECG where nothing about it was found to be one, unless it did not come whole; as took_too_long
        where page_seconds_max were not enough.
        """
        try:
            # the matrices are small: a second BLAS thread gains nothing, and where another process has its core it
            # spins; a page then took up to ten times the processor time
            with self._libraries.limit(limits=1, user_api="blas"):
                recording = self._read_best(page, given, Deadline.after(self.page_seconds_max))
                return replace(recording, findings=(*page.findings, *recording.findings))
        except Unreadable as error:
            lacking = next((finding for finding in page.findings if finding.code in NOT_WHOLE), None)
            if lacking is not None:  # what is not there may be the ECG
                raise Unreadable(UnreadableCode.PAGE_NOT_WHOLE, f"{lacking.detail}; of the rest {error.why}") from error
            raise
        finally:
            give_back()

    def _read_best(self, page: Page, given: Correction, deadline: Deadline) -> Recording:
        """The recording at the resolution at which the page is read with most confidence. Raises Unreadable."""
        resolutions = source.resolutions(page.image, page.dpi)
        read: list[tuple[Recording, tuple[float, float] | None]] = []
        refusals: list[Unreadable] = []
        for dpi in resolutions:
            try:
                read.append((self._read(replace(page, dpi=dpi), given, deadline), dpi))
            except Unreadable as error:
                if error.code == UnreadableCode.TOOK_TOO_LONG:  # the one not read might have been the right one
                    raise
                refusals.append(error)
        if not read:
            raise _least_sure(refusals)
        recording, dpi = max(read, key=lambda each: each[0].confidence)
        return recording if dpi == page.dpi else _at_other_resolution(recording, page.dpi, dpi)

    def _read(self, page: Page, given: Correction, deadline: Deadline) -> Recording:
        """The recording at the page's own resolution. Raises Unreadable."""
        found = Found()
        try:
            return self._digitized(page, given, found, deadline)
        except Unreadable as error:
            sure = found.kind is not None and found.kind.surely_none
            if error.code in BARREN and found.lying is not None and not _speaks_of_an_ecg(found.lying):
                detail = f"no lead names, no beginnings of leads, and {error.why}"
                raise Unreadable(UnreadableCode.NOT_AN_ECG, detail, sure) from error
            if error.code == UnreadableCode.NOT_AN_ECG:
                raise Unreadable(error.code, error.why, sure) from error
            raise

    def _digitized(self, page: Page, given: Correction, found: Found, deadline: Deadline) -> Recording:
        """The recording; found gets what is known of the page as soon as it is known."""
        if min(page.image.shape[:2]) < SIDE_MIN_PX:
            height, width = page.image.shape[:2]
            raise Unreadable(UnreadableCode.IMAGE_TOO_SMALL, f"{width} x {height} pixels; a trace needs more")
        watch = Stopwatch([], deadline)
        upright = self._upright(page, given, found, watch)
        factor = scale_check.weigh(upright.by_ruling).choice or 1.0
        return self._at_size(upright, given, found, watch, factor)

    def _upright(self, page: Page, given: Correction, found: Found, watch: Stopwatch) -> Upright:
        """What the page shows at whatever size its millimetre has, and its paper as it is followed at first."""
        with watch.stage("source"):
            kind = found.kind = source.classify(page.image, page.dpi, self.source_reader)
        if kind.source is Source.NOT_AN_ECG:
            raise Unreadable(UnreadableCode.NOT_AN_ECG, "the image looks like no electrocardiogram")
        with watch.stage("enhance"):
            # for what follows ink by rules; the networks were trained on pages as they come, and see the original
            image = enhance.enhance(page.image, kind)
        with watch.stage("register"):
            turn = landmarks.register(image).orientation if given.orientation is None else given.orientation
            image, dpi = landmarks.set_upright(image, turn), _turned(page.dpi, turn)
            original = landmarks.set_upright(page.image, turn)
        with watch.stage("grid"):
            fit = paper_stage.find_grid(image, dpi, self.ruling, original)
            return Upright(kind, image, original, dpi, turn, fit, self._of_ruling(fit, image, dpi))

    def _at_size(
        self, upright: Upright, given: Correction, found: Found, watch: Stopwatch, factor: float, first: bool = True
    ) -> Recording:
        """The recording with the paper's size changed.

        factor: true millimetres of one as the paper was followed at first. first: it may be changed once more.
        """
        findings: list[Finding] = []
        kind, image, original = upright.kind, upright.image, upright.original
        dpi, turn, fit, by_ruling = upright.dpi, upright.turn, upright.fit, upright.by_ruling
        if factor != 1.0:
            with watch.stage("grid"):
                fit = paper_stage.follow_again(fit, factor, image, dpi, self.ruling, original)
                by_ruling = self._of_ruling(fit, image, dpi)
        with watch.stage("register"):
            lying = self._oriented(original, fit.paper, turn=given.orientation is None)
            found.lying = lying
            paper, marks = lying.paper, lying.marks
            image, dpi = landmarks.set_upright(image, lying.orientation), _turned(dpi, lying.orientation)
            original = landmarks.set_upright(original, lying.orientation)
            orientation = landmarks.combined(turn, lying.orientation)
            if self.page_reader is not None and marks is not None and fit.known is not Known.GRID:
                tilt = layout.tilt_deg(marks)  # no line of a grid says which way the rows run: they do so themselves
                if abs(tilt) > TILTED_DEG:
                    paper = paper.turned(tilt)
                    marks = self.page_reader.read(original, paper).marks
        if orientation:
            told = f"{orientation % 4} quarter turns" + (", mirrored" if orientation >= 4 else "")
            findings.append(Finding(FindingCode.ORIENTATION_CORRECTED, Severity.INFO, detail=told))
        with watch.stage("layout"):
            sheet = lay_flat(image, paper)
            rows = layout.complete_rows(marks, layout.find_rows(sheet))
            if not rows:
                raise Unreadable(UnreadableCode.NO_TRACES, "no row of traces was found on the page")
        with watch.stage("calibration"):
            baselines = [row.baseline_mm for row in rows]
            extent_mm = layout.extent_mm(rows)
            text = calibration.read_scales(sheet)
            scale = calibration.calibrate(image, paper, baselines, extent_mm, dpi, marks, text).as_told(given)
        with watch.stage("layout"):
            if scale.stretch != (1.0, 1.0):  # the pulse taught us the millimetre: everything so far was off by a factor
                paper = scale.paper
                sheet = lay_flat(image, paper)
                marks = None if self.page_reader is None else self.page_reader.read(original, paper).marks
                rows = layout.complete_rows(marks, layout.find_rows(sheet))
            names = layout.names_of(lying.names, paper)
        leads = Leads(original, sheet, rows, names, marks, paper, kind.source, given, self.reader, watch.deadline)
        at, traced = _read(leads, scale, watch)
        with watch.stage("calibration"):
            likelihood = pace.speeds_by_beats(traced.strips, RATE_HZ, scale.speed_mm_s.value)
            other = scale.of_beats(likelihood, at.across_mm)
            contradicted = scale.is_unlike(likelihood)
            surely = scale.speed_mm_s.known is not Known.PERSON  # who saw the page, and is believed
        if other is None:
            scale = scale.doubted_by_beats(likelihood, at.across_mm)
        else:
            scale = other
            at, traced = _read(leads, scale, watch)
        doubted = any(finding.code == FindingCode.SPEED_UNLIKE_BEATS for finding in scale.findings)
        if other is None and contradicted and not doubted:
            findings.append(Finding(FindingCode.SPEED_UNLIKE_BEATS, Severity.ERROR if surely else Severity.WARNING))
        with watch.stage("calibration"):
            weighed = scale_check.weigh(_witnesses(by_ruling, scale, text, at), taken=factor)
            measured = fit.known in (Known.GRID, Known.DPI)  # else pulses alone tell the millimetre, and agree with it
            if first and weighed.choice is not None and measured:
                with suppress(Unreadable):  # then the page is as it was read, and doubted
                    return self._at_size(upright, given, found, watch, factor * weighed.choice, first=False)
            stated = fit.known is Known.DPI and factor == 1.0
            findings += weighed.doubts(stated) if measured else ()
        printed, paper = at.layout, at.paper
        with watch.stage("quality"):
            overlooked, ink = _overlooked(leads, at, traced, scale)
            evidence = _evidence(fit, scale, printed, traced, given, contradicted)
            judged = quality.assess(traced.strips, RATE_HZ, replace(evidence, ink=ink))
        strips = judged.strips
        if self._is_doubtful(judged, (*findings, *scale.findings, *printed.findings, *overlooked)):
            with suppress(Unreadable):  # too late, or nothing that the first reading did not read better
                strips = _read_twice(traced, replace(evidence, ink=ink), judged, watch)
        return Recording(
            strips,
            RATE_HZ,
            printed.name,
            scale.speed_mm_s,
            scale.gain_mm_mv,
            kind.source,
            judged.confidence,
            self.made_by,
            (
                *findings,
                *_resized_finding(factor, fit.known),
                *_grid_findings(fit, paper.known),
                *scale.findings,
                *printed.findings,
                *judged.findings,
                *overlooked,
            ),
            scale.chest_gain_mm_mv,
            _placed(orientation, paper, traced.segments, strips),
            tuple(asdict(judged.features).items()),
            judged.weakest,
            judged.doubts,
            _summed(watch.laps),
        )

    def _is_doubtful(self, judged: quality.Assessment, findings: Iterable[Finding]) -> bool:
        errors = (f.severity is Severity.ERROR for f in (*judged.findings, *findings))
        return self.reader is not None and (judged.confidence < self.sure_from or any(errors))

    def _of_ruling(
        self, fit: paper_stage.GridFit, image: UInt8, dpi: tuple[float, float] | None
    ) -> scale_check.Witnesses:
        """What the lines and the file say of the size of a ruling; nothing where none was followed."""
        if fit.known is not Known.GRID:
            return scale_check.Witnesses()
        px_mm = paper_stage.credible_px_mm(dpi, image)
        ratios = [] if px_mm is None else [p / e for p, e in zip(fit.pitch_px, px_mm, strict=True)]
        resolution = float(np.sqrt(np.prod(ratios))) if ratios else None
        return scale_check.Witnesses(resolution, paper_stage.lines_seen(image, fit.paper, scale_check.LINES_PER_MM))

    def _oriented(self, image: UInt8, paper: PaperMap, turn: bool) -> OrientedPage:
        """Which way the page lies, its names and points; turn: it may lie on its side, upside down or mirrored."""
        if self.page_reader is None:
            found = landmarks.register(image, paper, turn)
            upright = landmarks.map_upright(paper, image.shape[:2], found.orientation)
            return OrientedPage(found.orientation, upright, found.keypoints, None)
        best, reading = OrientedPage(0, paper), self.page_reader.read(image, paper)
        names = reading.sure_names
        if turn and names < NAMES_ENOUGH:
            # names are what tells: the way in which most of them would be read, if a whole look bears that out
            told = self.page_reader.glance(image, paper, reading.places_mm, reading.likely_ways) - MIRROR_COSTS
            way = int(np.argmax(told))
            if way and told[way] > told[0] + NAMES_MORE:
                other = landmarks.map_upright(paper, image.shape[:2], way)
                seen = self.page_reader.read(landmarks.set_upright(image, way), other)
                if seen.sure_names - MIRROR_COSTS[way] > names + NAMES_MORE:
                    best, reading, names = OrientedPage(way, other), seen, seen.sure_names
        if names < NAMES_ENOUGH:
            straight = landmarks.set_upright(image, best.orientation)
            printed = landmarks.register(straight, best.paper, turn and not best.orientation)
            if printed.orientation:
                over = OrientedPage(
                    printed.orientation, landmarks.map_upright(paper, image.shape[:2], printed.orientation)
                )
                seen = self.page_reader.read(landmarks.set_upright(image, printed.orientation), over.paper)
                if not _bears_out(printed.orientation, reading, seen):
                    return replace(best, names=reading.names, marks=reading.marks)
                best, reading = over, seen
            return replace(best, names=(*reading.names, *printed.keypoints), marks=reading.marks)
        return replace(best, names=reading.names, marks=reading.marks)


def _bears_out(way: int, lying: landmarks.Reading, turned: landmarks.Reading) -> bool:
    """Whether what the network read agrees with turning a page as matched letters say.

    Strokes of small letters match an I or a II either way. The network must read as much of the page turned as of it
    lying, and not be sure that rows run along where the page would be laid on its side: a quarter turn it does tell.
    """
    along = float(lying.turns[::2].sum())
    return turned.sure_names >= lying.sure_names and not (way % 2 and along > ALONG_SURE)


def made_by(weights: Iterable[Weights]) -> MadeBy:
    """This version of the software, with these weights."""
    return MadeBy(version("cardioscan-gateway"), tuple(sorted((row.name, row.sha256) for row in weights)))


def digitize(page: Page, given: Correction = NOTHING_GIVEN) -> Recording:
    """The recording that a page shows, by a digitizer that is loaded once per process. Raises Unreadable."""
    return _digitizer().digitize(page, given)


@cache
def _digitizer() -> Digitizer:
    return Digitizer()


def _read(leads: Leads, scale: calibration.Calibration, watch: Stopwatch) -> tuple[Arranged, waveform.Traced]:
    with watch.stage("layout"):
        at = leads.arranged(scale)
    with watch.stage("waveform"):
        return at, leads.traced(at, scale)


def _read_twice(
    traced: waveform.Traced, evidence: quality.PageEvidence, judged: quality.Assessment, watch: Stopwatch
) -> tuple[Strip, ...]:
    """The strips of two readings; those of the first where the second names other leads. Raises Unreadable.

    What is thought of the page stays what the first reading said: its chances are fitted to pages that were read once.
    """
    with watch.stage("waveform"):
        twice = traced.twice()
    with watch.stage("quality"):
        strips = quality.assess(twice.strips, RATE_HZ, evidence).strips
    alike = [strip.lead for strip in strips] == [strip.lead for strip in judged.strips]
    return strips if alike else judged.strips


def _evidence(
    fit: paper_stage.GridFit,
    scale: calibration.Calibration,
    printed: layout.Layout,
    traced: waveform.Traced,
    given: Correction,
    contradicted: bool,
) -> quality.PageEvidence:
    """What the stages knew of the page. contradicted: the beats say that the speed is another."""
    strips = traced.strips
    beats = measure.beats_s(strips, RATE_HZ)
    return quality.PageEvidence(
        grid=_grid_trust(fit),
        scale_measured=min(
            TRUST[Known.ASSUMED if contradicted else scale.speed_mm_s.known],
            TRUST[scale.gain_mm_mv.known],
            TRUST[(scale.chest_gain_mm_mv or scale.gain_mm_mv).known],
        ),
        names_read=printed.names_read,
        border_evidence=printed.border_evidence,
        starts_met=printed.starts_met,
        margin=printed.margin,
        unnamed=printed.unnamed,
        beats_alike=measure.likeness(strips, beats, RATE_HZ),
        rate_found=measure.heart_rate(strips, RATE_HZ) is not None,
        told=bool(given.leads),
        limb_to_chest=scale.gain_mm_mv.value / (scale.chest_gain_mm_mv or scale.gain_mm_mv).value,
        cabrera=printed.name.endswith("-cabrera"),
        gain_told=scale.gain_mm_mv.known is not Known.ASSUMED,
        timed=traced.clock.timed,
        begun=traced.clock.begun,
    )


def _least_sure(refusals: Sequence[Unreadable]) -> Unreadable:
    """Of one page's refusals at several resolutions: it is no ECG only where each says so, and sure where each is."""
    return min(refusals, key=lambda error: (error.code == UnreadableCode.NOT_AN_ECG, error.sure))


def _at_other_resolution(
    recording: Recording, stated: tuple[float, float] | None, dpi: tuple[float, float] | None
) -> Recording:
    """The recording with the finding that the file's resolution was not the one it was read at."""
    told = "states none" if stated is None else f"states {stated[0]:.0f} x {stated[1]:.0f}"
    taken = "none" if dpi is None else f"{dpi[0]:.0f} x {dpi[1]:.0f}"
    severity = Severity.WARNING if _measured_on_paper(recording) else Severity.ERROR
    finding = Finding(FindingCode.RESOLUTION_BY_READING, severity, detail=f"{taken} an inch; the file {told}")
    return replace(recording, findings=(finding, *recording.findings))


def _measured_on_paper(recording: Recording) -> bool:
    """Whether a ruling, or pulses of both speed and gain, bear out the millimetre: pulses are a wrong one's, too."""
    ruled = all(finding.code != FindingCode.GRID_NOT_FOUND for finding in recording.findings)
    scales = (recording.speed_mm_s, recording.gain_mm_mv, recording.chest_gain_mm_mv or recording.gain_mm_mv)
    return ruled or all(scale.known is Known.PULSE for scale in scales)


def _overlooked(
    leads: Leads, at: Arranged, traced: waveform.Traced, scale: calibration.Calibration
) -> tuple[tuple[Finding, ...], tuple[Doubt, ...]]:
    """What the page shows and no strip holds, and what is written over the strips.

    What was found before columns measured the paper is told at its size since.
    """
    across, down = leads.resized(at.paper)
    names = [replace(name, x_mm=name.x_mm * across, y_mm=name.y_mm * down) for name in leads.names]
    rows = [
        replace(row, baseline_mm=row.baseline_mm * down, start_mm=row.start_mm * across, end_mm=row.end_mm * across)
        for row in leads.rows
    ]
    starts = np.empty((0, 3)) if leads.marks is None else leads.marks.starts * [across, down, 1.0]
    found = unread.unread(names, rows, starts, at.segments, traced.spikes)
    # not the enhanced page, on which faint stains and rulings are as dark as ink
    sheet, colour = lay_flat_coloured(leads.original, at.paper)
    curves = [unread.Curve(*curve) for curve in leads.curves(at, traced, scale)]
    pulses = [pulse.resized(across, down) for pulse in scale.pulses]
    measured = at.paper.known is Known.GRID
    written = unread.written_over(sheet, colour, curves, names, pulses, scale.speed_mm_s.value, measured)
    named = leads.sheet if at.paper is leads.paper else sheet
    return (*found, *unread.further_leads(named, names)), tuple(written)


def _turned(dpi: tuple[float, float] | None, orientation: int) -> tuple[float, float] | None:
    return dpi if dpi is None or orientation % 2 == 0 else (dpi[1], dpi[0])


def _speaks_of_an_ecg(page: OrientedPage) -> bool:
    """Whether lead names or the beginnings of leads were found; without a network that is not asked."""
    if page.marks is None:
        return True
    named = sum(k.score for k in page.names if k.score >= NAME_SURE and k.lead in CHEST)
    return named >= 2 or float(page.marks.starts[page.marks.starts[:, 2] >= 0.4, 2].sum()) >= 2


def _witnesses(
    by_ruling: scale_check.Witnesses,
    scale: calibration.Calibration,
    text: calibration.PrintedScales,
    at: Arranged,
) -> scale_check.Witnesses:
    """All that tells the size of the page's millimetre."""
    speed, gain = scale_check.said(scale, text)
    return replace(
        by_ruling,
        pulse_mm=scale_check.pulse_of(scale.seen),
        speed_said=speed,
        gain_said=gain,
        length_mm=at.across_mm,
    )


def _resized_finding(factor: float, known: Known) -> Iterator[Finding]:
    if factor != 1.0:
        what = "the file's resolution made the page" if known is Known.DPI else "the ruling was followed at"
        detail = f"{what} {1 / factor:g} times its size first"
        yield Finding(FindingCode.SCALE_DISAGREEMENT, Severity.INFO, detail=detail)


def _placed(orientation: int, paper: PaperMap, segments: Sequence[Segment], strips: Sequence[Strip]) -> Placed:
    assert len(segments) == len(strips)
    runs = [(s.start_mm, s.end_mm, s.baseline_mm) for s in segments]
    return Placed(orientation, paper.x_mm, paper.y_mm, paper.nodes_px, np.array(runs, np.float64).reshape(-1, 3))


def _grid_trust(fit: paper_stage.GridFit) -> float:
    """How well the millimetre is known over the page, 0..1: as the ruling is seen, 0 where none was followed."""
    if fit.known is not Known.GRID:
        return 0.0
    return min(max((fit.strength - GRID_POOR) / (GRID_GOOD - GRID_POOR), 0.0), 1.0)


def _grid_findings(fit: paper_stage.GridFit, known: Known) -> Iterator[Finding]:
    """known: where the millimetre came from in the end."""
    if fit.known is not Known.GRID:
        yield Finding(FindingCode.GRID_NOT_FOUND, Severity.WARNING, detail=MEASURED_BY.get(known, str(known)))
    elif fit.strength < 0.4:  # fewer than half of the squares were seen: the rest is interpolated
        yield Finding(FindingCode.GRID_WEAK, Severity.INFO, detail=f"{fit.strength:.0%} of the squares seen")


def _summed(laps: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Stages that ran twice as one, in the order first run."""
    total: dict[str, float] = {}
    for name, seconds in laps:
        total[name] = total.get(name, 0.0) + seconds
    return tuple((name, round(seconds, 4)) for name, seconds in total.items())
