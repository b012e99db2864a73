"""Pages by chance: how often everything that can differ does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.recording import Lead, Source
from pipeline.synth.degradations import handling, tight
from pipeline.synth.layouts import LAYOUTS
from pipeline.synth.spec import (
    FONTS,
    PHOTOGRAPHED,
    Colour,
    GridStyle,
    Join,
    PageSpec,
    Paper,
    Place,
    Print,
    Separator,
    Spelling,
)

# mm/mV, and how often a page is of each
GAIN_ODDS = {10.0: 0.83, 5.0: 0.08, 20.0: 0.06, 2.5: 0.03}
_LAYOUT_ODDS = {"3x4+1": 0.36, "3x4": 0.12, "3x4+2": 0.04, "3x4+3": 0.1, "6x2": 0.1, "6x2+1": 0.05, "12x1": 0.05}
_LAYOUT_ODDS |= {"4x3": 0.02, "4x3+1": 0.01, "3x4-cabrera": 0.02, "6x1-limb": 0.03, "6x1-chest": 0.02}
_LAYOUT_ODDS |= {"3x4+1-cabrera": 0.03, "6x2-cabrera": 0.03, "12x1-cabrera": 0.02}
_GRIDS: tuple[tuple[Colour, Colour, Colour], ...] = (  # paper, minor, major
    ((255, 255, 255), (255, 210, 210), (240, 130, 130)),
    ((255, 238, 240), (250, 200, 205), (235, 140, 150)),
    ((255, 228, 240), (245, 190, 220), (225, 130, 185)),
    ((255, 236, 226), (245, 205, 190), (225, 140, 115)),
    ((250, 246, 238), (232, 200, 185), (205, 140, 120)),
    ((255, 255, 255), (255, 120, 120), (220, 30, 30)),
    ((244, 244, 240), (205, 205, 205), (120, 120, 120)),
    ((250, 250, 250), (190, 190, 190), (60, 60, 60)),
    ((255, 255, 255), (190, 215, 245), (110, 155, 220)),
    ((248, 255, 248), (185, 225, 190), (105, 175, 120)),
    ((255, 250, 230), (240, 215, 165), (215, 165, 90)),
    ((238, 225, 230), (205, 165, 180), (160, 95, 125)),
)


def random_spec(
    rng: np.random.Generator,
    *,
    source: Source | None = None,
    layout: str | None = None,
    speed_mm_s: float | None = None,
    gain_mm_mv: float | None = None,
    px_per_mm: float | None = None,
    orientation: int | None = 0,
    severity: float = 1.0,
) -> PageSpec:
    """A page by chance. Given arguments are kept; orientation None draws one; severity scales every degradation."""
    if source is None:
        kinds = [s for s in Source if s is not Source.NOT_AN_ECG]
        source = kinds[rng.integers(len(kinds))]
    if layout is None:
        layout = str(rng.choice(list(_LAYOUT_ODDS), p=list(_LAYOUT_ODDS.values())))
    speed = speed_mm_s or float(rng.choice([25.0, 50.0, 12.5], p=[0.84, 0.09, 0.07]))
    gain = gain_mm_mv or float(rng.choice(list(GAIN_ODDS), p=list(GAIN_ODDS.values())))
    paper, printed = _paper_and_print(rng, layout, speed, gain)
    if source in (Source.BW_SCAN, Source.MOULDY_BW_SCAN) and rng.random() < 0.35:
        paper = replace(paper, laser=True)  # mostly a second print of something that was in colour
    if px_per_mm is None:
        px_per_mm = float(np.exp(rng.uniform(np.log(3.2), np.log(9.5))))
    if orientation is None:
        orientation = int(rng.integers(8)) if rng.random() < 0.5 else 0
    camera, wear = handling(rng, source, severity)
    if rng.random() < (0.45 if source in PHOTOGRAPHED else 0.3) * min(severity * 2, 1):
        camera = replace(camera, crop_mm=tight(rng, paper, printed))
    if wear.fold > 0 and camera.folds == 0:
        camera = replace(camera, folds=int(rng.integers(1, 4)))
    fax_dpi = None
    if source is Source.FAX_FINE:
        fax_dpi = [(204.0, 196.0), (200.0, 200.0), (300.0, 300.0)][rng.integers(3)]
    if source is Source.FAX_STANDARD:
        fax_dpi = [(204.0, 98.0), (200.0, 100.0)][rng.integers(2)]
    if fax_dpi is not None:
        px_per_mm = fax_dpi[0] / 25.4
    grey = source in (Source.BW_SCAN, Source.MOULDY_BW_SCAN) or fax_dpi is not None or bool(rng.random() < 0.05)
    if grey:
        wear = replace(wear, colour_cast=0.0)  # nobody could see it
    return PageSpec(
        paper,
        printed,
        camera,
        wear,
        source,
        px_per_mm,
        print_scale=_print_scale(rng, fax=fax_dpi is not None),
        tells_dpi=fax_dpi is not None or bool(rng.random() < 0.5),
        grey=grey,
        fax_dpi=fax_dpi,
        halftone=bool(rng.random() < 0.3),
        orientation=orientation,
    )


def _print_scale(rng: np.random.Generator, *, fax: bool) -> float:
    """Printers and faxes shrink pages to fit; then the file's dpi misleads by some per cent."""
    if rng.random() < 0.6:
        return 1.0
    return float(rng.uniform(0.92, 1.0)) if fax else float(rng.normal(1.0, 0.012))


def _paper_and_print(rng: np.random.Generator, layout: str, speed: float, gain: float) -> tuple[Paper, Print]:
    width, height = [(280.0, 215.0), (297.0, 210.0), (279.4, 215.9), (305.0, 210.0), (210.0, 297.0)][
        rng.choice(5, p=[0.35, 0.25, 0.2, 0.15, 0.05])
    ]
    arrangement = LAYOUTS[layout]
    rows = len(arrangement.rows) + arrangement.rhythms
    strip_paper = rng.random() < 0.3  # no header above, as chart-recorder paper and tight crops have none
    top = rng.uniform(12, 22) if strip_paper else rng.uniform(35, 75)
    row = float(np.clip((height - top - rng.uniform(8, 25)) / max(rows - 0.4, 1), 9, 45) * rng.uniform(0.85, 1.0))
    if strip_paper:
        height = float(min(height, top + row * (rows - 0.3) + rng.uniform(4, 25)))
    ground, minor, major = _GRIDS[rng.integers(len(_GRIDS))]
    if rng.random() < 0.5:  # most real rulings are paler than the samples they were named after
        pale = rng.uniform(0.1, 0.7)
        minor, major = _towards(minor, ground, pale), _towards(major, ground, pale * rng.uniform(0.3, 1.0))
    jitter = rng.integers(-12, 13, 3)
    origin = (float(rng.uniform(0, 5)), float(rng.uniform(0, 5)))
    box = None
    if rng.random() < 0.2:
        box = (5.0, float(5 * round((top - row * 0.7 - 2) / 5)), float(5 * int((width - 10) / 5)), height - 10.0)
        box = (box[0], max(box[1], 0.0), box[2], float(5 * int(box[3] / 5)))
    paper = Paper(
        width,
        height,
        origin,
        box,
        _shift(ground, jitter),
        GridStyle(rng.choice(list(GridStyle), p=[0.62, 0.06, 0.08, 0.14, 0.04, 0.06])),
        _shift(minor, jitter),
        _shift(major, jitter),
        float(rng.uniform(0.06, 0.2)),
        float(rng.uniform(0.15, 0.45)),
        heavy_mm=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.07 else 0.0,
        laser=bool(rng.random() < 0.08),
        border=bool(rng.random() < 0.2),
        texture=float(rng.uniform(0, 1)),
    )
    return paper, _random_print(rng, layout, speed, gain, top, row)


def _random_print(rng: np.random.Generator, layout: str, speed: float, gain: float, top: float, row: float) -> Print:
    dark = [(15, 15, 15), (45, 45, 50), (30, 30, 90), (60, 30, 40), (90, 90, 95)]
    ink: Colour = dark[rng.choice(5, p=[0.55, 0.2, 0.1, 0.05, 0.1])]
    join = Join(rng.choice(list(Join), p=[0.3, 0.45, 0.25]))
    separator = Separator(rng.choice(list(Separator), p=[0.27, 0.3, 0.12, 0.11, 0.1, 0.1]))
    rhythm = [Lead.II, Lead.V1, Lead.V5] if rng.random() < 0.85 else list(rng.permutation(np.array(list(Lead))))
    if rng.random() < 0.25:
        rhythm = [rhythm[i] for i in rng.permutation(3)]
    label = _label_offset(rng)
    return Print(
        layout,
        speed,
        gain,
        chest_gain_mm_mv=gain / 2 if rng.random() < 0.06 else None,
        rhythms=tuple(Lead(x) for x in rhythm[:3]),
        simultaneous=bool(rng.random() < 0.15),
        top_mm=top,
        left_mm=float(rng.uniform(1, 16)),
        right_mm=float(rng.uniform(0, 12)),
        row_mm=row,
        jitter_mm=float(rng.exponential(0.5)),
        max_seconds=float(rng.choice([10.0, rng.uniform(6, 10)], p=[0.8, 0.2])),
        pulse=Place(rng.choice(list(Place), p=[0.55, 0.2, 0.1, 0.15])),
        pulse_gap_mm=float(rng.choice([0.0, rng.uniform(0, 4)])),
        pulse_feet_mm=float(rng.choice([0.0, rng.uniform(0.5, 3)])),
        pulse_s=float(rng.choice([0.2, 0.1])) if rng.random() < 0.4 else 0.2,
        pulse_slant_mm=float(rng.uniform(0, 0.5)) if rng.random() < 0.4 else 0.0,
        pulse_bold=float(rng.uniform(0.8, 2.5)) if rng.random() < 0.25 else 1.0,
        offset_mv=float(min(rng.exponential(0.12), 0.35)) if rng.random() < 0.4 else 0.0,
        settle_mv=float(rng.exponential(0.25)) if rng.random() < 0.25 else 0.0,
        negative_avr="cabrera" in layout and bool(rng.random() < 0.5),
        join=join,
        gap_mm=float(rng.uniform(0.4, 4)) if join is Join.GAP else 0.0,
        separator=separator,
        separator_mm=float(rng.uniform(3, 12)),
        separator_bold=float(rng.uniform(0.8, 3.0)),
        separators_at_ends=bool(rng.random() < 0.3),
        trace_mm=float(np.exp(rng.uniform(np.log(0.13), np.log(0.6)))),
        trace_rate_hz=int(rng.choice([500, 250, 125, 100], p=[0.6, 0.2, 0.08, 0.12])),
        trace=ink,
        steep_fade=float(rng.uniform(0, 0.7)) if rng.random() < 0.35 else 0.0,
        dots_per_mm=float(rng.uniform(5, 9)) if rng.random() < 0.12 else 0.0,
        mottle=float(rng.uniform(0.1, 0.8)) if rng.random() < 0.25 else 0.0,
        time_ticks=bool(rng.random() < 0.06),
        gain_by_pulse=bool(rng.random() < 0.05),
        text=ink if rng.random() < 0.7 else dark[rng.integers(5)],
        font=FONTS[rng.integers(len(FONTS))],
        label_mm=float(rng.uniform(1.8, 4.5)),
        label_offset_mm=label,
        label_spelling=Spelling(rng.choice(list(Spelling), p=[0.85, 0.12, 0.03])),
        label_spacing=int(rng.random() < 0.1),
        label_tick=bool(rng.random() < 0.06),
        labels_missing=float(rng.uniform(0, 1)) if rng.random() < 0.06 else 0.0,
        header_lines=int(rng.integers(0, 7)),
        header_mm=float(rng.uniform(2.0, 4.0)),
        measurements=bool(rng.random() < 0.5),
        footer=bool(rng.random() < 0.7),
    )


def _label_offset(rng: np.random.Generator) -> tuple[float, float]:
    """Mostly touching or just under the lead's start, where the V of V1..V6 looks like an S wave."""
    kind = rng.choice(4, p=[0.4, 0.15, 0.3, 0.15])
    if kind == 0:
        return float(rng.uniform(-0.5, 2.5)), float(rng.uniform(0.2, 7))
    if kind == 1:
        return float(rng.uniform(0.5, 6)), float(rng.uniform(-4, 2))
    if kind == 2:
        return float(rng.uniform(-1, 6)), float(rng.uniform(-12, -4))
    return float(rng.uniform(0, 6)), float(rng.uniform(4, 12))


def _towards(colour: Colour, ground: Colour, share: float) -> Colour:
    r, g, b = (round(c + (to - c) * share) for c, to in zip(colour, ground, strict=True))
    return r, g, b


def _shift(colour: Colour, by: np.ndarray) -> Colour:
    r, g, b = (int(np.clip(c + d, 0, 255)) for c, d in zip(colour, by, strict=True))
    return r, g, b
