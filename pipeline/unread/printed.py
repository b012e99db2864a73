"""What earlier stages found on the paper, as this one asks for it: places in millimetres, x right and y down."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pipeline.recording import Lead


class Place(NamedTuple):
    """A point of the paper."""

    x_mm: float
    y_mm: float


class PrintedName(Protocol):
    """A lead name that was read; its centre, and how sure it is, 0..1."""

    @property
    def lead(self) -> Lead: ...
    @property
    def x_mm(self) -> float: ...
    @property
    def y_mm(self) -> float: ...
    @property
    def score(self) -> float: ...


class PrintedPulse(Protocol):
    """A calibration pulse: its upright edges, its foot and its height."""

    @property
    def x0_mm(self) -> float: ...
    @property
    def x1_mm(self) -> float: ...
    @property
    def baseline_mm(self) -> float: ...
    @property
    def height_mm(self) -> float: ...


class PrintedRow(Protocol):
    """A row of traces: the y of its 0 mV, and from where to where there is ink."""

    @property
    def baseline_mm(self) -> float: ...
    @property
    def start_mm(self) -> float: ...
    @property
    def end_mm(self) -> float: ...
