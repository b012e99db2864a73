"""Everything that can differ from one rendered page to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from pipeline.recording import Lead, Source
from pipeline.synth.truth import Degradation

Colour = tuple[int, int, int]


class GridStyle(StrEnum):
    """How the paper is ruled."""

    LINES = "lines"
    MAJOR_ONLY = "major_only"
    DOTTED_MINOR = "dotted_minor"
    DOTTED_BOXES = "dotted_boxes"
    DOTS = "dots"
    NONE = "none"


class Place(StrEnum):
    """Where something stands: calibration pulses beside the rows, lead names beside their trace."""

    LEFT = "left"
    RIGHT = "right"
    FIRST_ROW = "first_row"
    NONE = "none"


class Separator(StrEnum):
    """What marks the boundary between two leads of a row."""

    NONE = "none"
    TICK = "tick"
    DASHES = "dashes"
    LINE = "line"
    DOTTED = "dotted"
    DASHED = "dashed"


class Spelling(StrEnum):
    """How the machine writes the names of leads."""

    USUAL = "usual"  # aVR, V1
    CAPITALS = "capitals"  # AVR, V1
    C_FOR_CHEST = "c_for_chest"  # aVR, C1


class Join(StrEnum):
    """How one lead goes over into the next."""

    CONNECTED = "connected"
    ABUTTING = "abutting"
    GAP = "gap"


@dataclass(frozen=True)
class Paper:
    """The sheet and its ruling.

    origin_mm: from the top left corner to the first crossing of 5 mm lines, where paper millimetres are 0, 0.
    box_mm: the ruled part (x0, y0, x1, y1) in paper millimetres; None rules all of it.
    minor_mm, major_mm: line widths. texture: 0..1, how coarse the fibres show.
    """

    width_mm: float = 280.0
    height_mm: float = 215.0
    origin_mm: tuple[float, float] = (0.0, 0.0)
    box_mm: tuple[float, float, float, float] | None = None
    colour: Colour = (255, 255, 255)
    style: GridStyle = GridStyle.LINES
    minor: Colour = (255, 205, 205)
    major: Colour = (245, 140, 140)
    minor_mm: float = 0.12
    major_mm: float = 0.25
    heavy_mm: float = 0.0  # a third ruling at every 25 mm
    laser: bool = False  # ruling printed by an office laser printer: broken into dots
    border: bool = False
    texture: float = 0.0


@dataclass(frozen=True)
class Print:
    """What the machine printed.

    top_mm, left_mm, right_mm: from the sheet's edges to the first baseline, and to pulse or trace; row_mm between
    baselines, jitter_mm their standard deviation. gap_mm: between two leads of a row; 0 unless join is GAP.
    label_offset_mm: from a lead's start on its baseline to the left foot of its name when above the baseline, to its
    left top when below. simultaneous: every column shows the same seconds. trace_rate_hz: a slower machine prints
    the polyline through fewer samples. *_bold: times the trace's width. steep_fade, mottle, labels_missing: 0..1.
    """

    layout: str = "3x4+1"
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    chest_gain_mm_mv: float | None = None
    rhythms: tuple[Lead, ...] = (Lead.II,)
    simultaneous: bool = False
    top_mm: float = 55.0
    left_mm: float = 8.0
    right_mm: float = 6.0
    row_mm: float = 35.0
    jitter_mm: float = 0.0
    max_seconds: float = 10.0
    pulse: Place = Place.LEFT
    pulse_gap_mm: float = 2.0
    pulse_feet_mm: float = 1.5
    pulse_s: float = 0.2
    pulse_slant_mm: float = 0.0
    pulse_bold: float = 1.0
    offset_mv: float = 0.0  # standard deviation of each lead's distance from its baseline
    settle_mv: float = 0.0  # how far off a lead starts, before the amplifier settles
    negative_avr: bool = False  # aVR is printed upside down as -aVR; its strip holds the printed curve
    join: Join = Join.ABUTTING
    gap_mm: float = 0.0
    separator: Separator = Separator.TICK
    separator_mm: float = 6.0
    separator_bold: float = 1.2
    separators_at_ends: bool = False
    trace_mm: float = 0.3
    trace_rate_hz: int = 500
    trace: Colour = (20, 20, 20)
    steep_fade: float = 0.0
    dots_per_mm: float = 0.0  # a thermal head of so many dots draws in steps; 0 draws smoothly
    mottle: float = 0.0
    time_ticks: bool = False
    gain_by_pulse: bool = False
    text: Colour = (20, 20, 20)
    font: str = "DejaVuSans"
    label_mm: float = 3.0
    label_offset_mm: tuple[float, float] = (1.5, -8.0)
    label_spelling: Spelling = Spelling.USUAL
    label_spacing: int = 0
    label_tick: bool = False
    labels_missing: float = 0.0
    header_lines: int = 4
    header_mm: float = 2.8
    measurements: bool = True
    footer: bool = True


@dataclass(frozen=True)
class Camera:
    """How the sheet lies before the lens; all zero is a perfect copy.

    distance: of the lens, in lengths of the longer side. lens: radial distortion at half that length. curl_mm: how
    high the waves of the sheet rise, curl_wave_mm apart, in direction curl_deg. fold_mm: how far each of the folds
    lifts an edge. crop_mm: left, top, right, bottom; negative shows what lies beside. flatbed: a lid, not a desk.
    """

    roll_deg: float = 0.0
    tilt_deg: tuple[float, float] = (0.0, 0.0)
    distance: float = 2.0
    lens: float = 0.0
    curl_mm: float = 0.0
    curl_wave_mm: float = 300.0
    curl_deg: float = 0.0
    folds: int = 0
    fold_mm: float = 0.0
    stretch: tuple[float, float] = (1.0, 1.0)
    flatbed: bool = True
    crop_mm: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    @property
    def still(self) -> bool:
        """Nothing moves or bends: pixels need no resampling."""
        bends = (self.roll_deg, *self.tilt_deg, self.lens, self.curl_mm, self.fold_mm * self.folds)
        return not any(bends) and self.stretch == (1.0, 1.0) and min(self.crop_mm) >= 0


@dataclass(frozen=True)
class Wear:
    """What time, hands and machines did to the page, each 0..1 unless said otherwise. jpeg_quality: 0 for none."""

    shadow: float = 0.0
    colour_cast: float = 0.0
    low_contrast: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    moire: float = 0.0
    stain: float = 0.0
    fold: float = 0.0
    line_drop_out: float = 0.0
    mould: float = 0.0
    tear: float = 0.0
    dirt: float = 0.0
    handwriting: float = 0.0
    stamp: float = 0.0
    staple: float = 0.0
    redaction: float = 0.0
    fade: float = 0.0
    copies: int = 0  # times through a photocopier
    crumple: float = 0.0
    glare: float = 0.0
    sharpen: float = 0.0
    jpeg_quality: int = 0

    def severities(self) -> tuple[float, ...]:
        """In the order of Degradation: faded ink is low contrast, crushed paper is folded."""
        whole = replace(self, low_contrast=max(self.low_contrast, self.fade), fold=max(self.fold, self.crumple))
        return tuple(float(getattr(whole, d.value)) for d in Degradation)


@dataclass(frozen=True)
class PageSpec:
    """One page.

    px_per_mm: of the image, before print_scale. print_scale: how much larger the page is than the file's dpi says.
    fax_dpi: (x, y) of a one-bit fax, None for all else; halftone: its greys become dots. orientation: as in PageTruth.
    """

    paper: Paper = field(default_factory=Paper)
    print: Print = field(default_factory=Print)
    camera: Camera = field(default_factory=Camera)
    wear: Wear = field(default_factory=Wear)
    source: Source = Source.DIGITAL_RENDER
    px_per_mm: float = 200 / 25.4
    print_scale: float = 1.0
    tells_dpi: bool = True
    grey: bool = False
    fax_dpi: tuple[float, float] | None = None
    halftone: bool = False
    orientation: int = 0


PHOTOGRAPHED = frozenset({Source.PHOTO_OF_PAPER, Source.PHOTO_OF_SCREEN, Source.STAINED, Source.CREASED})
FONTS: tuple[str, ...] = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
)
FONTS += ("STIXGeneral", "STIXGeneralBol", "cmr10", "cmss10", "cmtt10", "cmb10", "hershey-0", "hershey-2", "hershey-3")
