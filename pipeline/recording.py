"""What a page showed and how sure we are: the types that leave the pipeline, and the Page that enters it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from enum import IntEnum, StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]


class Lead(StrEnum):
    """The twelve leads, spelled as they are printed."""

    I = "I"  # noqa: E741  the lead's own name
    II = "II"
    III = "III"
    AVR = "aVR"
    AVL = "aVL"
    AVF = "aVF"
    V1 = "V1"
    V2 = "V2"
    V3 = "V3"
    V4 = "V4"
    V5 = "V5"
    V6 = "V6"


TWELVE: tuple[Lead, ...] = tuple(Lead)
CHEST: frozenset[Lead] = frozenset(TWELVE[6:])


class Source(StrEnum):
    """The twelve kinds of image, and the page that is no ECG."""

    DIGITAL_RENDER = "digital_render"
    COLOUR_SCAN = "colour_scan"
    BW_SCAN = "bw_scan"
    PHOTO_OF_PAPER = "photo_of_paper"
    PHOTO_OF_SCREEN = "photo_of_screen"
    STAINED = "stained"
    CREASED = "creased"
    MOULDY_COLOUR_SCAN = "mouldy_colour_scan"
    MOULDY_BW_SCAN = "mouldy_bw_scan"
    FAX_FINE = "fax_fine"
    FAX_STANDARD = "fax_standard"
    FADED = "faded"
    NOT_AN_ECG = "not_an_ecg"


class Degradation(StrEnum):
    """What can be wrong with a page, several at once, each with a severity 0..1."""

    SHADOW = "shadow"
    COLOUR_CAST = "colour_cast"
    LOW_CONTRAST = "low_contrast"
    NOISE = "noise"
    BLUR = "blur"
    MOIRE = "moire"
    STAIN = "stain"
    FOLD = "fold"
    LINE_DROP_OUT = "line_drop_out"


class Known(StrEnum):
    """Where a scale comes from, most trusted first."""

    PERSON = "person"
    GRID = "grid"
    PULSE = "pulse"
    TEXT = "text"
    DPI = "dpi"
    ASSUMED = "assumed"


class Severity(StrEnum):
    """INFO is told; WARNING marks the lead questionable; ERROR holds the page for a person."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Seen(IntEnum):
    """Per sample: what the page showed there."""

    NOTHING = 0
    READ = 1
    BRIDGED = 2


@dataclass(frozen=True, eq=False)
class Page:
    """One page as an image. image: uint8 (H, W, 3) RGB. dpi: (x, y) as the file says, None where it is silent.

    findings: what was found about the page while it was decoded; they become findings of its recording.
    """

    image: UInt8
    dpi: tuple[float, float] | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"a page is uint8 (H, W, 3), not {self.image.dtype} {self.image.shape}")


@dataclass(frozen=True)
class Correction:
    """What a person says of a page; what is None or empty, the pipeline finds out by itself.

    orientation: 0..7 as in Placed. layout: a name of layouts.toml. leads: of every segment in reading order (row by
    row, from the left), as many as the layout has. The scales are taken as they are.
    """

    orientation: int | None = None
    layout: str | None = None
    leads: tuple[Lead, ...] = ()
    speed_mm_s: float | None = None
    gain_mm_mv: float | None = None
    chest_gain_mm_mv: float | None = None


@dataclass(frozen=True)
class Scale:
    """A scale of the paper (mm/s or mm/mV) and how it is known."""

    value: float
    known: Known


@dataclass(frozen=True)
class Finding:
    """Something a reviewer and an EHR are told. code is a key of mappings/findings.toml; seconds are page time."""

    code: str
    severity: Severity
    lead: Lead | None = None
    start_s: float | None = None
    end_s: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class Doubt:
    """Something that may be wrong with a page, told or not. chance: that it harms, 0..1, made from the figures."""

    finding: Finding
    chance: float
    figures: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Strip:
    """One printed run of one lead.

    start_s: seconds of paper from the left end of the page's first printed trace.
    millivolts: float32 (n,), NaN where the page shows nothing; zero means that the page shows zero.
    sigma_mv: float32 (n,), one standard deviation, NaN where millivolts is.
    seen: uint8 (n,), values of Seen.
    """

    lead: Lead
    start_s: float
    millivolts: Float32
    sigma_mv: Float32
    seen: UInt8

    def __post_init__(self) -> None:
        n = len(self.millivolts)
        if not (len(self.sigma_mv) == len(self.seen) == n):
            raise ValueError(f"strip {self.lead}: {n} samples, {len(self.sigma_mv)} sigmas, {len(self.seen)} seen")

    @property
    def samples(self) -> int:
        return len(self.millivolts)


@dataclass(frozen=True, eq=False)
class Placed:
    """Where on the image the strips were read.

    orientation: 0..7; orientation % 4 quarter turns counter-clockwise (np.rot90) were applied to the upright page to
        become the image, after a left-right mirror if orientation >= 4.
    x_mm: float64 (C,) ascending, y_mm: float64 (R,) ascending: the lattice of the paper, millimetres.
    nodes_px: float64 (R, C, 2): pixel (x, y) of every node in the image set upright; pixel centres at integers.
    runs_mm: float64 (strips, 3): from start to end along x, and the y of 0 mV, in the order of Recording.strips.
    """

    orientation: int
    x_mm: Float64
    y_mm: Float64
    nodes_px: Float64
    runs_mm: Float64


@dataclass(frozen=True)
class MadeBy:
    """Which software and which weights made a recording. weights: (network name, SHA-256 in hex), sorted by name."""

    version: str
    weights: tuple[tuple[str, str], ...] = ()


class Twelve(NamedTuple):
    """Each (12, n) in the order I II III aVR aVL aVF V1..V6: float32 mV, float32 mV, uint8 of Seen."""

    millivolts: Float32
    sigma_mv: Float32
    seen: UInt8


@dataclass(frozen=True, eq=False)
class Recording:
    """A digitized page. confidence: 0..1, the page's own estimate that it was read right.

    layout: a name of layouts.toml, such as ``3x4+1``. seconds: (stage, wall seconds) in the order run.
    chest_gain_mm_mv: only where the chest leads are printed at another gain than the limb leads.
    placed: where on the image the strips lie; None for a recording that came from elsewhere. signs: what the
    confidence was made from, each 0..1, 1 the best. weakest: what takes most of the confidence, with the lead or time
    to look at; it becomes one of the findings where the confidence is too low for who reads it. doubts: what was
    weighed, with its figures, whether or not it is among the findings.
    """

    strips: tuple[Strip, ...]
    rate_hz: int
    layout: str
    speed_mm_s: Scale
    gain_mm_mv: Scale
    source: Source
    confidence: float
    made_by: MadeBy
    findings: tuple[Finding, ...] = ()
    chest_gain_mm_mv: Scale | None = None
    placed: Placed | None = None
    signs: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    weakest: Finding | None = field(default=None, compare=False)
    doubts: tuple[Doubt, ...] = field(default=(), compare=False)
    seconds: tuple[tuple[str, float], ...] = field(default=(), compare=False)

    def twelve(self) -> Twelve:
        """Every lead on one page-time axis from 0 s; a lead printed twice gives its longest strip; NaN elsewhere."""
        n = max((round(s.start_s * self.rate_hz) + s.samples for s in self.strips), default=0)
        millivolts = np.full((len(TWELVE), n), np.nan, np.float32)
        sigma_mv = np.full((len(TWELVE), n), np.nan, np.float32)
        seen = np.zeros((len(TWELVE), n), np.uint8)
        for row, lead in enumerate(TWELVE):
            strip = self.longest(lead)
            if strip is None:
                continue
            at = round(strip.start_s * self.rate_hz)
            span = slice(at, at + strip.samples)
            millivolts[row, span] = strip.millivolts
            sigma_mv[row, span] = strip.sigma_mv
            seen[row, span] = strip.seen
        return Twelve(millivolts, sigma_mv, seen)

    def longest(self, lead: Lead) -> Strip | None:
        """The longest printed strip of a lead, the first of equals, None where it was not printed."""
        return max((s for s in self.strips if s.lead == lead), key=lambda s: s.samples, default=None)

    @property
    def confidence_text(self) -> str:
        """Whole per cent, rounded down: told beside a threshold it misses, it must not look like the threshold."""
        return f"{int((Decimal(str(float(self.confidence))) * 100).to_integral_value(ROUND_FLOOR))} %"

    @property
    def duration_s(self) -> float:
        return max((s.start_s + s.samples / self.rate_hz for s in self.strips), default=0.0)
