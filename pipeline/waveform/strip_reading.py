"""What a reader says about one strip, column by column, before it becomes time and millivolts."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.recording import Float32


@dataclass(frozen=True, eq=False)
class Reading:
    """One value per column of a strip.

    rise_mm: float32 (columns,) height of the trace above the strip's baseline, finite everywhere.
    sigma_mm: float32 (columns,) one standard deviation of it.
    present: float32 (columns,) 0..1, how sure we are that this row has ink in the column.
    edge_mm: how close the trace comes, or may come, to the top or bottom of the strip where it is present.
    """

    rise_mm: Float32
    sigma_mm: Float32
    present: Float32
    edge_mm: float
