"""Which lead a printed page shows where: the arrangements the renderer can draw."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.recording import TWELVE, Lead

_I, _II, _III, _AVR, _AVL, _AVF, *_CHEST = TWELVE
_STANDARD = (_I, _II, _III, _AVR, _AVL, _AVF, *_CHEST)
_CABRERA = (_AVL, _I, _AVR, _II, _AVF, _III, *_CHEST)


@dataclass(frozen=True)
class Layout:
    """rows: the leads of every row, left to right. rhythms: how many long strips stand at the foot."""

    name: str
    rows: tuple[tuple[Lead, ...], ...]
    rhythms: int = 0

    @property
    def columns(self) -> int:
        return len(self.rows[0])


def _down_columns(leads: tuple[Lead, ...], rows: int) -> tuple[tuple[Lead, ...], ...]:
    """Leads run down each column first, as every maker prints them."""
    return tuple(tuple(leads[r::rows]) for r in range(rows))


def _all() -> dict[str, Layout]:
    found = []
    for suffix, leads in (("", _STANDARD), ("-cabrera", _CABRERA)):
        for name, rows, rhythms in (
            ("3x4", 3, 0),
            ("3x4+1", 3, 1),
            ("3x4+2", 3, 2),
            ("3x4+3", 3, 3),
            ("6x2", 6, 0),
            ("6x2+1", 6, 1),
            ("12x1", 12, 0),
            ("4x3", 4, 0),
            ("4x3+1", 4, 1),
        ):
            found.append(Layout(name + suffix, _down_columns(leads, rows), rhythms))
    found.append(Layout("6x1-limb", _down_columns(_STANDARD[:6], 6)))
    found.append(Layout("6x1-chest", _down_columns(_STANDARD[6:], 6)))
    return {layout.name: layout for layout in found}


LAYOUTS: dict[str, Layout] = _all()
