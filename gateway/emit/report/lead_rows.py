"""Which strip is drawn in which row: as it was printed where that fits, else as 3x4 with a rhythm strip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.emit.channels import Channel, Doubt, channels, together
from pipeline.recording import TWELVE, Float32, Lead, Recording, UInt8

ROWS_MAX = 7  # more come closer than 18 mm to each other, and beats of one row lie upon those of the next
OVERLAP_S = 0.1  # strips that share less stand side by side
STANDARD_COLUMNS = 4
STANDARD_COLUMN_S = 2.5
RHYTHM = Lead.II


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of one lead as it is drawn.

    start_s: seconds of page time. millivolts, sigma_mv: float32 (n,), NaN as in Strip. seen: uint8 (n,).
    """

    lead: Lead
    label: str
    start_s: float
    millivolts: Float32
    sigma_mv: Float32
    seen: UInt8
    doubt: Doubt
    rate_hz: int

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.millivolts) / self.rate_hz


@dataclass(frozen=True, eq=False)
class Rows:
    """rows: from the top, each from the left. form: ``3x4+1``. as_printed: False where it was arranged anew."""

    rows: tuple[tuple[Piece, ...], ...]
    form: str
    as_printed: bool


def arranged(recording: Recording) -> Rows:
    """The rows of a recording."""
    all_channels = channels(recording)
    pieces = {id(channel): _piece(channel, recording) for channel in all_channels}
    printed: list[list[Piece]] = []
    for group in together(all_channels):
        row = len(printed) if group[0].rhythm else 0
        for channel in group:
            row = _put(printed, pieces[id(channel)], row) + 1
    if len(printed) <= ROWS_MAX:
        return Rows(tuple(map(tuple, printed)), recording.layout, True)
    return _standard(recording, all_channels, pieces)


def _put(rows: list[list[Piece]], piece: Piece, first: int) -> int:
    """Puts a piece into the first row from there on that has room at its time, and returns which."""
    for number in range(first, len(rows)):
        if all(piece.start_s >= p.end_s - OVERLAP_S or piece.end_s <= p.start_s + OVERLAP_S for p in rows[number]):
            rows[number].append(piece)
            return number
    rows.append([piece])
    return len(rows) - 1


def _standard(recording: Recording, all_channels: Sequence[Channel], pieces: dict[int, Piece]) -> Rows:
    column_s = min(STANDARD_COLUMN_S, recording.duration_s / STANDARD_COLUMNS)
    longest = {lead: _longest(lead, all_channels, pieces) for lead in TWELVE}
    rows = []
    for row in range(len(TWELVE) // STANDARD_COLUMNS):
        leads = TWELVE[row :: len(TWELVE) // STANDARD_COLUMNS]
        cut = (_cut(longest[lead], k * column_s, (k + 1) * column_s) for k, lead in enumerate(leads))
        rows.append(tuple(piece for piece in cut if piece is not None))
    rhythm = longest[RHYTHM] or max(pieces.values(), key=lambda p: len(p.millivolts))
    return Rows((*filter(None, rows), (replace(rhythm, label=f"{rhythm.lead} rhythm"),)), "3x4+1", False)


def _longest(lead: Lead, all_channels: Iterable[Channel], pieces: dict[int, Piece]) -> Piece | None:
    own = [pieces[id(channel)] for channel in all_channels if channel.lead == lead]
    return replace(max(own, key=lambda p: len(p.millivolts)), label=str(lead)) if own else None


def _cut(piece: Piece | None, start_s: float, end_s: float) -> Piece | None:
    if piece is None:
        return None
    first = max(round((start_s - piece.start_s) * piece.rate_hz), 0)
    last = max(round((end_s - piece.start_s) * piece.rate_hz), 0)
    span = slice(first, last)
    if not np.isfinite(piece.millivolts[span]).any():
        return None
    return replace(
        piece,
        start_s=piece.start_s + first / piece.rate_hz,
        millivolts=piece.millivolts[span],
        sigma_mv=piece.sigma_mv[span],
        seen=piece.seen[span],
    )


def _piece(channel: Channel, recording: Recording) -> Piece:
    strip = channel.strip
    return Piece(
        strip.lead,
        channel.label,
        channel.start / recording.rate_hz,
        strip.millivolts,
        strip.sigma_mv,
        strip.seen,
        channel.doubt,
        recording.rate_hz,
    )
