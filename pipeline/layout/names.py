"""How well the lead names read on a page agree with a layout laid over its rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pipeline.geometry import Float64, Keypoint, PaperMap
from pipeline.layout.columns import Columns, Spacing
from pipeline.layout.templates import Template
from pipeline.recording import Lead

SIDEWAYS_MM = (-18.0, 22.0)  # where a name stands relative to the start of its lead
UPWARDS_MM = (-20.0, 16.0)  # and relative to its row's level, y down
SAME_X_MM, SAME_Y_MM = 3.5, 3.0  # names of one page stand alike; narrow ones are centred elsewhere than wide ones
PITCH_SURE = 0.4  # summed products of scores of name pairs that agree on the columns' distance
CAPITAL_MM = 3.0
WIDTHS = {"I": 0.3, "II": 0.65, "III": 1.0, "V": 1.55, "a": 2.4}  # of names, in heights of a capital
OTHER_SURE = 0.5  # a name read worse than that is a place where a name stands, whatever it says
IN_LINE_MM, MOST_I = 0.8, 3  # the lead, its rhythm strip, and one of a header
CONTRADICTION = 0.7  # a wrong name where another is expected weighs a little less than the right one


@dataclass(frozen=True)
class Name:
    """A lead name read at x_mm, y_mm of the paper (its centre), score 0..1."""

    lead: Lead
    x_mm: float
    y_mm: float
    score: float


@dataclass(frozen=True)
class Agreement:
    """score: summed over names, at most 12. offset_mm: where names stand relative to the start of their lead.

    read: the leads whose names were found in place. contradicted: leads in whose place another name stands.
    """

    score: float
    offset_mm: tuple[float, float]
    read: frozenset[Lead]
    contradicted: frozenset[Lead]


def names_of(keypoints: Sequence[Keypoint], paper: PaperMap) -> tuple[Name, ...]:
    """Keypoints in paper millimetres."""
    if not keypoints:
        return ()
    places = paper.to_mm(np.array([(k.x_px, k.y_px) for k in keypoints]))
    found = [Name(k.lead, float(x), float(y), k.score) for k, (x, y) in zip(keypoints, places, strict=True)]
    return tuple(name for name in found if not _is_dash(name, found))


def _is_dash(name: Name, names: Sequence[Name]) -> bool:
    """Whether it is a dash of a separator: upright strokes one above the other, more than a page has I in line."""
    in_line = [n for n in names if n.lead is Lead.I and abs(n.x_mm - name.x_mm) < IN_LINE_MM]
    return name.lead is Lead.I and len(in_line) > MOST_I


def agree(
    names: Sequence[Name], template: Template, baselines_mm: Sequence[float | None], columns: Columns
) -> Agreement:
    """The best common offset between the template's places and the names, and what it explains.

    baselines_mm: per row of the template, None where that row was not found.
    """
    cells = [
        (lead, columns.start_mm + c * columns.pitch_mm, baseline)
        for leads, baseline in zip(template.rows, baselines_mm, strict=False)
        if baseline is not None
        for c, lead in enumerate(leads)
    ]
    votes = [
        (name, lead, name.x_mm - x, name.y_mm - y)
        for name in names
        for lead, x, y in cells
        if name.lead == lead
        and SIDEWAYS_MM[0] <= name.x_mm - x <= SIDEWAYS_MM[1]
        and UPWARDS_MM[0] <= name.y_mm - y <= UPWARDS_MM[1]
    ]
    if not votes:
        return Agreement(0.0, (0.0, 0.0), frozenset(), frozenset())
    offsets = np.array([(dx, dy) for _, _, dx, dy in votes])
    scores = np.array([name.score for name, _, _, _ in votes])
    leads = [lead for _, lead, _, _ in votes]
    sums = [_support(offsets, scores, leads, centre) for centre in offsets]
    best = int(np.argmax(sums))
    near = _near(offsets, offsets[best])
    dx, dy = np.average(offsets[near], axis=0, weights=scores[near])
    read = frozenset(lead for lead, close in zip(leads, near, strict=True) if close)
    wrong = frozenset(lead for lead, x, y in cells if lead not in read and _other(names, lead, x + dx, y + dy))
    weight = sum(
        max(
            (n.score for n in names if abs(n.x_mm - x - dx) <= SAME_X_MM and abs(n.y_mm - y - dy) <= SAME_Y_MM),
            default=0.0,
        )
        for lead, x, y in cells
        if lead in wrong
    )
    return Agreement(float(sums[best]) - CONTRADICTION * weight, (float(dx), float(dy)), read, wrong)


def spacing(names: Sequence[Name], template: Template) -> Spacing | None:
    """How far columns are apart by the left edges of names in one row, None where no two were read."""
    cell = {lead: (r, c) for r, leads in enumerate(template.rows) for c, lead in enumerate(leads)}
    found: list[tuple[float, float]] = []
    for one, other in product(names, names):
        if one.lead not in cell or other.lead not in cell:
            continue
        (r, c), (r2, c2) = cell[one.lead], cell[other.lead]
        if r == r2 and c2 > c and abs(one.y_mm - other.y_mm) <= SAME_Y_MM and _left_mm(other) > _left_mm(one):
            found.append(((_left_mm(other) - _left_mm(one)) / (c2 - c), one.score * other.score))
    if not found:
        return None
    pitch, weight = np.array(found).T
    support = [float(weight[np.abs(pitch - p) <= 1.0].sum()) for p in pitch]
    if max(support) < PITCH_SURE:
        return None
    near = np.abs(pitch - pitch[int(np.argmax(support))]) <= 1.0
    mean = float(np.average(pitch[near], weights=weight[near]))
    firsts = np.array([_left_mm(n) - cell[n.lead][1] * mean for n in names if n.lead in cell])
    scores = np.array([n.score for n in names if n.lead in cell])
    support = [float(scores[np.abs(firsts - x) <= SAME_X_MM].sum()) for x in firsts]
    return Spacing(mean, float(firsts[int(np.argmax(support))]))


def _left_mm(name: Name) -> float:
    """The left edge of a name's letters, as if they were of the usual size: what devices align with a lead's start."""
    kind = name.lead[:1] if name.lead[0] in "aV" else name.lead.value
    return name.x_mm - CAPITAL_MM * WIDTHS[kind] / 2


def name_at(names: Sequence[Name], x_mm: float, y_mm: float) -> Name | None:
    """The surest name about here, None where there is none."""
    return max((n for n in names if stands(n, x_mm, y_mm)), key=lambda n: n.score, default=None)


def stands(name: Name, x_mm: float, y_mm: float) -> bool:
    """Whether a name's centre is about here."""
    return abs(name.x_mm - x_mm) <= SAME_X_MM + 1.0 and abs(name.y_mm - y_mm) <= SAME_Y_MM + 1.0


def _near(offsets: Float64, centre: Float64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    close = np.abs(offsets - centre) <= (SAME_X_MM, SAME_Y_MM)
    return np.asarray(close.all(axis=1), np.bool_)


def _support(offsets: Float64, scores: Float64, leads: Sequence[Lead], centre: Float64) -> float:
    """The summed best score of each lead near this offset."""
    best: dict[Lead, float] = {}
    for k in np.flatnonzero(_near(offsets, centre)).tolist():
        best[leads[k]] = max(best.get(leads[k], 0.0), float(scores[k]))
    return sum(best.values())


def _other(names: Sequence[Name], lead: Lead, x_mm: float, y_mm: float) -> bool:
    found = name_at(names, x_mm, y_mm)
    return found is not None and found.lead != lead and found.score >= OTHER_SURE
