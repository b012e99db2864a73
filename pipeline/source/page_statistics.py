"""Plain statistics of a page: what kind it looks like, how it was damaged, and what on it speaks for an ECG.

The way without a network, and a second opinion beside it. Rules know a fax, a render, a scan and a photograph by their
grey levels and their light. They cannot tell a screen from paper, nor creases; those kinds they never name, and their
severities they leave at 0.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.paper import ruling
from pipeline.recording import Degradation, Source, UInt8

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

TEXT = Path(__file__).with_name("text.toml")
RULING_PX = 0.8e6  # of the page on which a grid is looked for: enough to see that there is one
STROKES_PX = 1100  # longer side of the page on which traces are looked for: a trace is 1 to 2 pixels wide
RULED = 3.0  # evidence of lines in the weaker direction; 1 in 100 letters, forms and tables reaches it
TRACES = 0.3  # summed widths of wave-like strokes, in page lengths: 1 in 5 letters, charts and pictures reaches it
ONE_BIT = 0.995  # share of pure black and white from which a page has one bit a pixel
BLANK = 0.9999  # share of one colour that leaves no ink for as much as a row of traces
FAX_DPI = (198.0, 210.0)  # across: 204 in the standard, 200 in many files
RATIO_OFF = 0.06  # of the resolutions down and across from the standard's, as files round them


@dataclass(frozen=True)
class PageStatistics:
    """What is measured of a page, each 0..1 or as said.

    two_tone: share of pure black and white. commonest: share of the commonest colour. chroma: of the paper.
    gradient: fall of the light over the page. blotches: uneven paper at a scale of centimetres.
    noise: of the paper, in grey levels. contrast: of ink to paper. softness: of edges, pixels.
    """

    two_tone: float
    commonest: float
    chroma: float
    gradient: float
    blotches: float
    noise: float
    contrast: float
    softness: float

    @property
    def one_bit(self) -> bool:
        return self.two_tone > ONE_BIT

    @property
    def blank(self) -> bool:
        return self.commonest > BLANK


@dataclass(frozen=True)
class Signs:
    """What on a page speaks for an ECG.

    ruled: evidence of evenly spaced lines in the direction that shows less of them. traces: summed widths, in page
    lengths, of strokes that are wide, thin and not straight. text: the same of lines of text, which speak against one.
    """

    ruled: float
    traces: float
    text: float = 0.0

    @property
    def not_an_ecg(self) -> float:
        """0..1: high where there is neither a grid nor anything like a trace: letters, forms, tables, pictures."""
        return 0.02 if self.ruled > RULED else float(1 / (1 + (max(self.traces, 1e-3) / TRACES) ** 3))

    def fewer_than(self, traces: float) -> bool:
        """Whether there is no ruling, and less like a trace than this."""
        return self.ruled <= RULED and self.traces < traces

    @property
    def full_of_text(self) -> bool:
        """Whether the page holds more lines of text than an ECG's header and printed report."""
        return self.text > fitted_text().much


def measure(image: UInt8) -> PageStatistics:
    """The features, on a page of at most 1,100 pixels and, for noise and edges, on its own pixels."""
    small = _shrunk(image, STROKES_PX)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    paper = np.asarray(cv2.resize(_paper(small), (64, 48), interpolation=cv2.INTER_AREA), np.float32)
    light = paper.max(axis=2)
    level = float(np.median(light))
    flat = _plane(light)
    ink = float(np.percentile(grey, 0.5))
    sample = _sample(image)
    codes = (sample[..., 0].astype(np.int32) << 16) + (sample[..., 1].astype(np.int32) << 8) + sample[..., 2]
    _, counts = np.unique(codes, return_counts=True)
    low, high = np.percentile(flat, [3, 97])
    noise, softness = _texture(image)
    return PageStatistics(
        two_tone=_two_tone(image),
        commonest=float(counts.max() / counts.sum()),
        chroma=float(np.median(np.ptp(paper, axis=2)) / max(level, 1.0)),
        gradient=float((high - low) / max(high, 1.0)),
        blotches=float(np.std(light - flat) / max(level, 1.0)),
        noise=noise,
        contrast=float(np.clip((level - ink) / max(level, 1.0), 0, 1)),
        softness=softness,
    )


def _sample(image: UInt8) -> UInt8:
    return np.ascontiguousarray(image[::3, ::3])


def _two_tone(image: UInt8) -> float:
    """Share of pure black and white."""
    sample = _sample(image)
    return float((np.all((sample < 12) | (sample > 243), axis=2) & (np.ptp(sample, axis=2) < 12)).mean())


def _shrunk(image: UInt8, longer_px: int) -> UInt8:
    scale = longer_px / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _paper(image: UInt8) -> UInt8:
    """The page without its printing: what is bright within 15 pixels, smoothed."""
    filled = cv2.morphologyEx(cv2.medianBlur(image, 5), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    return np.asarray(cv2.blur(filled, (15, 15)), np.uint8)


def _plane(light: Float32) -> Float32:
    """The light as a smooth surface of second degree."""
    y, x = np.mgrid[-1 : 1 : light.shape[0] * 1j, -1 : 1 : light.shape[1] * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    fit = np.linalg.lstsq(terms, light.ravel().astype(np.float64), rcond=None)[0]
    return np.asarray((terms @ fit).reshape(light.shape), np.float32)


def _texture(image: UInt8) -> tuple[float, float]:
    """Grain of the paper in grey levels, and how many pixels the steepest edges take, at the page's own resolution."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = cv2.Laplacian(grey, cv2.CV_32F)[1:-1:2, 1:-1:2]
    # a Laplacian adds up 20 times the variance; the quarter that is quietest in magnitude is bare paper
    noise = float(np.percentile(np.abs(fine), 25)) / 0.319 / np.sqrt(20.0)
    steps = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1)[::2, ::2])
    steep = float(np.percentile(steps, 99.7))
    tall = float(np.percentile(grey[::4, ::4], 70) - np.percentile(grey[::4, ::4], 0.3))
    return noise, float(np.clip(2 * tall / max(steep, 1.0), 1.0, 20.0))


def severities_of(look: PageStatistics) -> tuple[float, ...]:
    """In the order of Degradation; what is not measured is 0."""
    measured = {
        Degradation.SHADOW: look.gradient / 0.5,
        Degradation.COLOUR_CAST: (look.chroma - 0.08) / 0.25,
        Degradation.LOW_CONTRAST: (0.75 - look.contrast) / 0.5,
        Degradation.NOISE: (look.noise - 0.5) / 20.0,
        Degradation.BLUR: (look.softness - 2.5) / 6.0,
        Degradation.STAIN: (look.blotches - 0.015) / 0.08,
    }
    return tuple(float(np.clip(measured.get(d, 0.0), 0.0, 1.0)) for d in Degradation)


def kind_of(look: PageStatistics, dpi: tuple[float, float] | None) -> tuple[Source, float]:
    if look.one_bit:
        standard = dpi is not None and dpi[1] / dpi[0] < 0.7
        return (Source.FAX_STANDARD if standard else Source.FAX_FINE), 0.9
    grey = look.chroma < 0.012
    if grey and look.two_tone > 0.25 and look.noise < 3 and look.gradient < 0.01 and look.commonest < 0.25:
        return Source.BW_SCAN, 0.5
    if look.gradient < 0.01 and look.blotches < 0.006 and (look.commonest > 0.2 or look.softness < 2.25):
        return (Source.BW_SCAN, 0.4) if grey and look.two_tone > 0.3 else (Source.DIGITAL_RENDER, 0.7)
    if look.gradient > 0.13:
        return (Source.STAINED, 0.4) if look.gradient < 0.25 and look.blotches > 0.06 else (Source.PHOTO_OF_PAPER, 0.5)
    if look.contrast < 0.45:
        return Source.FADED, 0.5
    if look.blotches > 0.02:
        return (Source.MOULDY_BW_SCAN if grey else Source.MOULDY_COLOUR_SCAN), 0.4
    return (Source.BW_SCAN if grey else Source.COLOUR_SCAN), 0.6


def said_of(image: UInt8, dpi: tuple[float, float] | None) -> Source:
    """The kind that rules alone name, a fax by its file first."""
    return fax_of(image, dpi) or kind_of(measure(image), dpi)[0]


def fax_of(image: UInt8, dpi: tuple[float, float] | None) -> Source | None:
    """Which fax a page is by its file's resolution and its one bit a pixel; None where it is none or does not say."""
    if dpi is None or not FAX_DPI[0] <= dpi[0] <= FAX_DPI[1] or not is_one_bit(image):
        return None
    ratio = dpi[1] / dpi[0]
    if abs(ratio - 98 / 204) < RATIO_OFF:
        return Source.FAX_STANDARD
    return Source.FAX_FINE if min(abs(ratio - lines / 204) for lines in (196, 391)) < RATIO_OFF else None


def is_one_bit(image: UInt8) -> bool:
    """Whether a page is black and white and nothing between."""
    return _two_tone(image) > ONE_BIT


def signs(image: UInt8, dpi: tuple[float, float] | None) -> Signs:
    strokes = strokes_of(image, dpi)
    return Signs(ruled(image, dpi), strokes.traces, strokes.text(fitted_text().height))


@dataclass(frozen=True)
class FittedText:
    """height: of the tallest line of text, in page lengths. much: widths, above which a page is no ECG's header."""

    height: float
    much: float


@cache
def fitted_text() -> FittedText:
    """As pipeline.training.fit.text fitted it."""
    return FittedText(**tomllib.loads(TEXT.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Strokes:
    """traces: summed widths of thin strokes that go up and down. thick: (height, width) of each other wide mark.

    All in page lengths.
    """

    traces: float
    thick: tuple[tuple[float, float], ...]

    def text(self, height: float) -> float:
        """Summed widths of lines of text, none of which is as tall as this."""
        return sum(wide for tall, wide in self.thick if tall < height)


def ruled(image: UInt8, dpi: tuple[float, float] | None) -> float:
    """How clearly a ruling's lines are seen, 0 for not at all. dpi: of the image, None where it is not known."""
    shrink = min(1.0, float(np.sqrt(RULING_PX / (image.shape[0] * image.shape[1]))))
    page = _shrunk(image, round(max(image.shape[:2]) * shrink))
    found = ruling.windows(ruling.darkness(page))
    if not len(found.power):
        return 0.0
    lines = ruling.pair(found.power.mean(axis=0), None if dpi is None else dpi[0] / dpi[1])
    return 0.0 if lines is None else min(line.score for line in lines)


def strokes_of(image: UInt8, dpi: tuple[float, float] | None) -> Strokes:
    """The wide marks of a page: traces, and letters that are joined to lines of text."""
    page = _shrunk(_square(image, dpi), STROKES_PX)
    longer = max(page.shape[:2])
    brightest = page.max(axis=2).astype(np.float32)
    dark = ruling.smooth(brightest, 2.0) - brightest
    black = np.asarray(dark > max(0.35 * float(np.percentile(dark, 99.3)), 12.0), np.uint8)
    blots = cv2.morphologyEx(black, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    rest = np.where((_straight(black, longer) > 0) | (blots > 0), 0, black).astype(np.uint8)
    # a fax breaks a thin trace into dashes; what is joined wrongly, letters to lines of text, is told by its thickness
    joined = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones((3, 13), np.uint8))
    _, label, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    total, thick = 0, []
    for i, (x, y, wide, tall, _) in enumerate(boxes[1:], start=1):
        if wide > 0.06 * longer and tall < 0.35 * longer:
            here = (label[y : y + tall, x : x + wide] == i) & (rest[y : y + tall, x : x + wide] > 0)
            is_thin, is_bent = _shape(here)
            total += int(wide) if is_thin and is_bent else 0
            thick += [] if is_thin else [(float(tall / longer), float(wide / longer))]
    return Strokes(float(total / longer), tuple(thick))


def _shape(stroke: Bool) -> tuple[bool, bool]:
    """Whether a wide mark is thin in most columns, and whether it goes up and down instead of straight on."""
    columns = np.flatnonzero(stroke.any(axis=0))
    if len(columns) < 20:
        return True, False
    part = stroke[:, columns]
    top = np.argmax(part, axis=0)
    bottom = part.shape[0] - 1 - np.argmax(part[::-1], axis=0)
    middle = (top + bottom) / 2
    bent = middle - np.polyval(np.polyfit(columns, middle, 1), columns)
    low, high = np.percentile(bent, [5, 95])
    return bool(np.median(bottom - top) <= 3), bool(high - low > 2.5)


def _square(image: UInt8, dpi: tuple[float, float] | None) -> UInt8:
    """The page with pixels as high as wide, where the file says that they are not."""
    if dpi is None or abs(dpi[0] / dpi[1] - 1) < 0.1:
        return image
    size = (image.shape[1], max(1, round(image.shape[0] * dpi[0] / dpi[1])))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _straight(black: UInt8, longer: int) -> UInt8:
    """Rules of forms and tables: ink in straight runs of a twelfth of the page, along or across, up to 1.5 degrees."""
    reach = max(3, round(0.08 * longer))
    along = cv2.morphologyEx(
        cv2.dilate(black, np.ones((3, 1), np.uint8)), cv2.MORPH_OPEN, np.ones((1, reach), np.uint8)
    )
    down = cv2.morphologyEx(cv2.dilate(black, np.ones((1, 3), np.uint8)), cv2.MORPH_OPEN, np.ones((reach, 1), np.uint8))
    return np.maximum(along, down).astype(np.uint8)
