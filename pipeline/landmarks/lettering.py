"""Which way up the page lies and where its lead names are printed, without a network.

Quarter turns come from the direction of the traces, upside-down pages from their lettering, and lead names from
matching rendered letters. A mirrored page is not recognised: its letters match nothing, and it leaves here unnamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce

import cv2
import numpy as np
from PIL import Image, ImageDraw

from pipeline.geometry import Keypoint, PaperMap
from pipeline.glyphs import correlation
from pipeline.glyphs import font as drawn_in
from pipeline.recording import TWELVE, Float32, Lead, UInt8
from pipeline.sheet import PX_PER_MM, Sheet, lay_flat

ORIENTATIONS = 8  # quarter turns, and the same of a mirrored page
COARSE_PX_PER_MM = 4  # a 2 mm capital is still 8 px tall
CAPITALS_MM = (1.7, 2.0, 2.4, 2.9, 3.5, 4.2, 5.0)  # 20 % apart: correlation falls by half at 25 %
BLANK_MM = 0.7  # around a name; it tells the word I from the stroke of an R wave
FOUND = 0.62  # correlation of a name in a strange font with ours; random strokes reach 0.5
SURE = 0.92  # correlation at which we stop doubting
TELLING = (Lead.AVR, Lead.AVL, Lead.AVF)  # the names whose shape nothing else on a page has
PLAIN = 2.0  # summed correlation of the telling names that only a page the right way up reaches
UPRIGHT_MARGIN = 0.15  # summed correlation by which lettering must fit better in another direction
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralBol")


@dataclass(frozen=True)
class Registration:
    """orientation: 0..7 as in the renderer's truth: how the upright page was turned to become this image.

    keypoints: lead names in pixels of the page set upright. score: 0..1, how well its lettering was read.
    """

    orientation: int
    keypoints: tuple[Keypoint, ...]
    score: float


def register(image: UInt8, paper: PaperMap | None = None, turn: bool = True) -> Registration:
    """The page's orientation and lead names.

    Without paper only the direction of the traces is looked at (0 or 1) and no name is read; with it, lettering that
    does not fit is tried in all four directions, unless turn is False: a person said which way up it lies.
    image: uint8 (H, W, 3) RGB.
    """
    if paper is None:
        return Registration(_quarter_turn(image), (), 0.0)
    views = {0: (image, paper)}
    sheets = {0: lay_flat(image, paper)}
    letters = {0: _letters(sheets[0].ink)}
    if turn and letters[0].total < PLAIN:
        for way in (2, 1, 3):
            views[way] = (set_upright(image, way), map_upright(paper, image.shape[:2], way))
            sheets[way] = lay_flat(*views[way])
            letters[way] = _letters(sheets[way].ink)
    best = max(letters, key=lambda way: letters[way].total + (UPRIGHT_MARGIN if way == 0 else 0.0))
    found = _keypoints(_names(sheets[best].ink, letters[best]), sheets[best], views[best][1])
    return Registration(best, found, _score(found))


def set_upright(image: UInt8, orientation: int) -> UInt8:
    """Undo an orientation: the page as it was before it was mirrored and turned."""
    turned = np.rot90(image, -(orientation % 4))
    return np.ascontiguousarray(turned[:, ::-1] if orientation >= 4 else turned)


def combined(first: int, then: int) -> int:
    """The orientation that is undone by undoing `first`, and then `then` on what that leaves."""
    turns = first - then if first >= 4 else first + then
    return turns % 4 + 4 * ((first >= 4) != (then >= 4))


def map_upright(paper: PaperMap, shape: tuple[int, int], orientation: int) -> PaperMap:
    """The paper of an image of this (H, W) after set_upright(image, orientation); its millimetres ascend there too."""
    size = shape
    for _ in range(orientation % 4):
        # a quarter turn clockwise: what was left is up, what was down is left
        x_px, y_px = paper.nodes_px[..., 0], paper.nodes_px[..., 1]
        turned = np.stack([size[0] - 1 - y_px, x_px], axis=-1)
        nodes = np.transpose(turned, (1, 0, 2))[:, ::-1]
        paper = PaperMap(paper.y_mm[-1] - paper.y_mm[::-1], paper.x_mm - paper.x_mm[0], nodes, paper.known)
        size = size[1], size[0]
    if orientation >= 4:
        nodes = paper.nodes_px[:, ::-1] * [-1.0, 1.0] + [size[1] - 1, 0.0]
        paper = PaperMap(paper.x_mm[-1] - paper.x_mm[::-1], paper.y_mm, nodes, paper.known)
    return paper


def _quarter_turn(image: UInt8) -> int:
    """0 if the traces lie, 1 if they stand: thin dark strokes are mostly as long as the page in their direction."""
    height, width = image.shape[:2]
    factor = min(1.0, 1200 / max(height, width))
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    grey = reduce(np.maximum, cv2.split(small))  # coloured grids vanish in their brightest channel
    dark = np.maximum(cv2.GaussianBlur(grey, (0, 0), 12).astype(np.float32) - grey, 0.0)
    mask = dark > max(float(np.quantile(dark, 0.975)), 8.0)
    return int(_lying(mask.T) > 1.1 * _lying(mask))


def _lying(mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> float:
    """How unevenly ink is spread over the lines of a page: rows of traces concentrate it, columns of it do not."""
    profile = cv2.GaussianBlur(mask.mean(axis=1).astype(np.float32)[:, None], (0, 0), 4)[:, 0]
    profile = profile[round(0.03 * len(profile)) : round(0.97 * len(profile)) or None]
    return float(profile.std() / max(float(profile.mean()), 1e-6))


@dataclass(frozen=True)
class Name:
    """A lead name on a sheet: pixel column and line of its centre."""

    lead: Lead
    column: float
    line: float
    score: float


@dataclass(frozen=True)
class Lettering:
    """The font and size that fit a page's telling names best, and their summed correlation."""

    font: str
    capital_mm: float
    total: float


def _letters(ink: Float32) -> Lettering:
    """Which font and size the page is lettered in."""
    coarse = _coarse(ink)
    # one plain font finds the size, the others are tried at the two sizes that fit it best
    sizes = sorted((_lettering(coarse, "", capital_mm) for capital_mm in CAPITALS_MM), key=lambda x: -x.total)
    near = [_lettering(coarse, font, size.capital_mm) for font in FONTS for size in sizes[:2]]
    return max(*sizes[:1], *near, key=lambda x: x.total)


def _lettering(coarse: Float32, font: str, capital_mm: float) -> Lettering:
    fits = (correlation(coarse, _glyphs(lead, font, capital_mm, COARSE_PX_PER_MM)).max() for lead in TELLING)
    return Lettering(font, capital_mm, float(sum(fits)))


def _coarse(ink: Float32) -> Float32:
    factor = COARSE_PX_PER_MM / PX_PER_MM
    return np.asarray(cv2.resize(ink, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.float32)


def _names(ink: Float32, lettering: Lettering) -> tuple[Name, ...]:
    """Every lead name found in this lettering, at most one per place."""
    coarse = _coarse(ink)
    ratio = PX_PER_MM / COARSE_PX_PER_MM
    places: list[Name] = []
    for lead in TWELVE:
        glyphs = _glyphs(lead, lettering.font, lettering.capital_mm, COARSE_PX_PER_MM)
        for column, line, score in _peaks(correlation(coarse, glyphs), FOUND - 0.1):
            centre = (column + (glyphs.shape[1] - 1) / 2, line + (glyphs.shape[0] - 1) / 2)
            places.append(Name(lead, centre[0] * ratio, centre[1] * ratio, score))
    fine = [_refined(ink, place, lettering) for place in places]
    kept: list[Name] = []
    for name in sorted(fine, key=lambda n: -n.score):
        if name.score >= FOUND and all(_apart(name, other) for other in kept):
            kept.append(name)
    return tuple(kept)


def _refined(ink: Float32, place: Name, lettering: Lettering) -> Name:
    """The same place at full resolution, with the size free by some per cent."""
    best = Name(place.lead, place.column, place.line, 0.0)
    for stretch in (0.92, 1.0, 1.09):
        glyphs = _glyphs(place.lead, lettering.font, lettering.capital_mm * stretch, PX_PER_MM)
        height, width = glyphs.shape
        top, left = round(place.line - height / 2) - 5, round(place.column - width / 2) - 5
        if top < 0 or left < 0:
            continue
        window = ink[top : top + height + 10, left : left + width + 10]
        if window.shape[0] < height or window.shape[1] < width:
            continue
        found = correlation(window, glyphs)
        line, column = np.unravel_index(int(found.argmax()), found.shape)
        score = float(found[line, column])
        if score > best.score:
            best = Name(place.lead, left + column + (width - 1) / 2, top + line + (height - 1) / 2, score)
    return best


def _apart(one: Name, other: Name) -> bool:
    return abs(one.column - other.column) > 5 * PX_PER_MM or abs(one.line - other.line) > 2.5 * PX_PER_MM


def _peaks(found: Float32, floor: float) -> list[tuple[int, int, float]]:
    """Local maxima over 5 mm, strongest 12: a name is printed at most a few times."""
    size = 5 * COARSE_PX_PER_MM | 1
    top = (found >= floor) & (found == cv2.dilate(found, np.ones((size, size), np.uint8)))
    lines, columns = np.nonzero(top)
    order = np.argsort(-found[lines, columns])[:12]
    return [(int(columns[k]), int(lines[k]), float(found[lines[k], columns[k]])) for k in order]


@cache
def _glyphs(lead: Lead, font: str, capital_mm: float, px_per_mm: int) -> Float32:
    """float32 (h, w), 0 paper .. 1 ink: the name in this font, its capitals so tall, with blank paper around."""
    large = drawn_in(font)
    box = large.getbbox("V")
    left, top, right, bottom = large.getbbox(lead.value)
    canvas = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(canvas).text((-left, -top), lead.value, fill=255, font=large)
    scale = capital_mm * px_per_mm / (box[3] - box[1])
    size = (max(2, round(canvas.width * scale)), max(3, round(canvas.height * scale)))
    letters = cv2.resize(np.asarray(canvas, np.float32) / 255.0, size, interpolation=cv2.INTER_AREA)
    blank = max(1, round(BLANK_MM * px_per_mm))
    return np.asarray(np.pad(letters, blank), np.float32)


def _keypoints(names: tuple[Name, ...], sheet: Sheet, paper: PaperMap) -> tuple[Keypoint, ...]:
    if not names:
        return ()
    places = paper.to_px(np.array([(sheet.x_mm(n.column), sheet.y_mm(n.line)) for n in names]))
    return tuple(
        Keypoint(name.lead, float(x), float(y), float(np.clip((name.score - 0.4) / (SURE - 0.4), 0.0, 1.0)))
        for name, (x, y) in zip(names, places, strict=True)
    )


def _score(found: tuple[Keypoint, ...]) -> float:
    """The share of the twelve names that were read, each by its score."""
    best = {lead: max((k.score for k in found if k.lead == lead), default=0.0) for lead in TWELVE}
    return float(sum(best.values()) / len(TWELVE))
