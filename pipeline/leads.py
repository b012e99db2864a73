"""Reads the leads of a page at one speed: where they are printed, on which millimetres, and what is drawn there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline import calibration, layout, waveform
from pipeline.deadline import NO_DEADLINE, Deadline
from pipeline.errors import Unreadable
from pipeline.findings import UnreadableCode
from pipeline.geometry import Float64, Landmarks, PaperMap, Segment
from pipeline.recording import CHEST, Correction, Known, Lead, Scale, Source, Strip, UInt8
from pipeline.sheet import Sheet

RATE_HZ = 500  # what electrocardiographs record at; the standards' viewers and algorithms expect it
FAXES = (Source.FAX_FINE, Source.FAX_STANDARD)
SQUARE = 0.05  # by which pulses may be measured higher or lower than they are
HEIGHTS_TELL, HEIGHT_OFF = 3, 0.025  # pulses of one height, by which their median is off but now and then
LARGER_MOST = 1.01  # faxes print pages smaller than they are, and no page larger; a resolution is as exact


@dataclass(frozen=True, eq=False)
class Arranged:
    """Where the leads are printed if the paper ran at one speed, and on which millimetres."""

    layout: layout.Layout
    paper: PaperMap
    segments: tuple[Segment, ...]

    @property
    def across_mm(self) -> float | None:
        """What the leads of the longest row take together, more than 0.

        None where the paper's millimetre was not measured, and where no row has a length.
        """
        if self.paper.known not in (Known.GRID, Known.DPI):
            return None
        rows: dict[int, float] = {}
        for s in self.segments:
            rows[s.row] = rows.get(s.row, 0.0) + s.end_mm - s.start_mm
        longest = max(rows.values(), default=0.0)
        return longest if longest > 0 else None


@dataclass(frozen=True, eq=False)
class Leads:
    """All that is known of a page before its leads are read, once for each speed that it may be of.

    original: the page set upright, without enhancement. paper: its map, before columns measure it.
    """

    original: UInt8
    sheet: Sheet
    rows: Sequence[layout.Row]
    names: Sequence[layout.Name]
    marks: Landmarks | None
    paper: PaperMap
    source: Source
    given: Correction
    reader: waveform.RowReader | None
    deadline: Deadline = NO_DEADLINE

    def arranged(self, scale: calibration.Calibration) -> Arranged:
        """Layout and segments at a speed. Raises Unreadable."""
        speed_mm_s, paper = scale.speed_mm_s.value, self.paper
        pulses = [(p.x0_mm, p.x1_mm, p.baseline_mm) for p in scale.pulses]
        measured = paper.known is Known.GRID
        printed = layout.arrange(
            self.sheet,
            self.rows,
            self.names,
            pulses,
            speed_mm_s,
            self.given.layout,
            self.marks,
            measured,
            self.deadline,
        )
        # a scanner knows how large its pixels are; a fax machine may have shrunk the page
        shrunk = paper.known is not Known.DPI or self.source in FAXES
        if self.marks is not None and not measured and shrunk:
            printed, paper = _measured_by_columns(printed, paper, scale)
        return Arranged(printed, paper, _renamed(printed.segments, self.given.leads))

    def resized(self, paper: PaperMap) -> tuple[float, float]:
        """By what x and y of the names, rows and marks are multiplied on a paper that columns have measured since."""
        across, down = (
            np.ptp(new) / np.ptp(old) for new, old in ((paper.x_mm, self.paper.x_mm), (paper.y_mm, self.paper.y_mm))
        )
        return float(across), float(down)

    def curves(
        self, at: Arranged, traced: waveform.Traced, scale: calibration.Calibration
    ) -> Iterator[tuple[Segment, Float64, Float64]]:
        """Each segment where its strip was read, where on the paper and how surely: NaN where nothing was read.

        Float64 (n, 2), paper mm, and float64 (n,), the reader's sigma in mm.
        """
        gain_mm_mv = _gain_of(scale.gain_mm_mv, scale.chest_gain_mm_mv)
        for segment, moved, strip in zip(at.segments, traced.segments, traced.strips, strict=True):
            yield moved, *_curve(moved, strip, traced.speed_mm_s, gain_mm_mv(segment))

    def traced(self, at: Arranged, scale: calibration.Calibration) -> waveform.Traced:
        """What is drawn there, at the scale's speed and gains. Raises Unreadable."""
        # from the original pixels: the reader was trained on them and levels light and paper by itself
        return waveform.read_traces(
            self.original,
            at.paper,
            at.segments,
            scale.speed_mm_s.value,
            _gain_of(scale.gain_mm_mv, scale.chest_gain_mm_mv),
            RATE_HZ,
            self.reader,
            [(n.x_mm, n.y_mm) for n in at.layout.names],
            waveform.believed()[at.paper.known is Known.GRID],
        )


def _curve(segment: Segment, strip: Strip, speed_mm_s: float, gain_mm_mv: float) -> tuple[Float64, Float64]:
    x_mm = segment.start_mm + np.arange(strip.samples) / RATE_HZ * speed_mm_s
    y_mm = segment.baseline_mm - gain_mm_mv * strip.millivolts.astype(np.float64)
    return np.column_stack([x_mm, y_mm]), gain_mm_mv * strip.sigma_mv.astype(np.float64)


def _measured_by_columns(
    printed: layout.Layout, paper: PaperMap, scale: calibration.Calibration
) -> tuple[layout.Layout, PaperMap]:
    """Without a grid the millimetre is known to some per cent; the columns of a page know it to a thousandth.

    That is so if they are of ten seconds, which pulses of another size belie. Across and down a pixel is as large,
    where the file's resolution or the pulses do not say much else.
    """
    size = printed.size(scale.speed_mm_s.value)
    if size is None:
        return printed, paper
    if paper.known is Known.DPI:
        by_pulses = _by_heights(scale) if calibration.tells_heights(paper) else None
        if by_pulses is not None and abs(by_pulses - 1) < HEIGHT_OFF < abs(size / by_pulses - 1):
            return printed, paper  # of its own size
        if size > LARGER_MOST:  # gaps were not seen
            return printed.shortened(scale.speed_mm_s.value), paper
    across = down = 1 / size
    if paper.known is Known.PULSE:  # each direction was scaled by itself, and pixels are square
        at = paper.to_px(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) + [paper.x_mm.mean(), paper.y_mm.mean()])
        x_px, y_px = (float(np.hypot(*(at[k] - at[0]))) for k in (1, 2))
        square = y_px / (x_px * size)
        down = square if abs(square - 1) < SQUARE else 1.0
    paper = replace(paper, x_mm=paper.x_mm * across, y_mm=paper.y_mm * down)
    return printed.resized(across, down), paper


def _by_heights(scale: calibration.Calibration) -> float | None:
    """What pulses say a millimetre of the map is of a printed one; None where fewer than three agree."""
    gains = [s.value for s in (scale.gain_mm_mv, scale.chest_gain_mm_mv) if s is not None]
    sizes = np.array([min((p.height_mm / gain for gain in gains), key=lambda r: abs(r - 1)) for p in scale.pulses])
    if not len(sizes):
        return None
    size = float(np.median(sizes))
    return size if int((np.abs(sizes / size - 1) < HEIGHT_OFF).sum()) >= HEIGHTS_TELL else None


def _renamed(segments: tuple[Segment, ...], leads: Sequence[Lead]) -> tuple[Segment, ...]:
    """The segments under the names a person gave them. Raises Unreadable where their number is another."""
    if not leads:
        return segments
    if len(leads) != len(segments):
        detail = f"{len(leads)} lead names for the {len(segments)} segments of this layout"
        raise Unreadable(UnreadableCode.NO_LAYOUT, detail)
    return tuple(replace(segment, lead=lead) for segment, lead in zip(segments, leads, strict=True))


def _gain_of(gain: Scale, chest: Scale | None) -> Callable[[Segment], float]:
    def gain_mm_mv(segment: Segment) -> float:
        return chest.value if chest is not None and segment.lead in CHEST else gain.value

    return gain_mm_mv
