"""The arrangements of leads that devices print, read from layouts.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.recording import Lead


@dataclass(frozen=True)
class Template:
    """rows: leads of every row from the left. rhythm: the usual leads of the long rows below. usual: relative odds."""

    name: str
    rows: tuple[tuple[Lead, ...], ...]
    rhythm: tuple[Lead, ...]
    usual: float

    @property
    def columns(self) -> int:
        return len(self.rows[0])

    @property
    def row_count(self) -> int:
        return len(self.rows) + len(self.rhythm)


@cache
def templates() -> tuple[Template, ...]:
    """Every layout of layouts.toml, in its order."""
    text = (Path(__file__).parent.parent / "layouts.toml").read_text(encoding="utf-8")
    return tuple(
        Template(
            entry["name"],
            tuple(tuple(Lead(lead) for lead in row) for row in entry["rows"]),
            tuple(Lead(lead) for lead in entry["rhythm"]),
            float(entry["usual"]),
        )
        for entry in tomllib.loads(text)["layout"]
    )
