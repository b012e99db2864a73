"""What the renderer knows exactly about a page it drew."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.geometry import Keypoint, PaperMap, Segment
from pipeline.recording import Degradation, Page, Recording, Source

__all__ = ["Degradation", "PageTruth", "Rendered"]


@dataclass(frozen=True, eq=False)
class PageTruth:
    """The answer to a rendered page.

    recording: the signals as printed, one Strip per segment in the same order, sigma zero, seen all read.
        A printed sample at page time t of a segment lies at x_mm = start_mm + (t - start_s) * speed,
        y_mm = baseline_mm - gain * mV.
    paper: the exact map from paper millimetres to pixels of the final image, camera and all.
    segments: where each strip is printed. keypoints: the centres of the printed lead names (final pixels).
    pulses_mm: (x0, x1, baseline_y, height_mm) of every calibration pulse.
    orientation: 0..7; orientation % 4 quarter turns counter-clockwise (np.rot90) were applied to the upright page,
        after a left-right mirror if orientation >= 4.
    degradations: severity of each Degradation, 0..1, in the order of the enum.
    scales_mm: where the words that tell speed and gain begin and end, on the paper; () where none are printed.
    ruled: a grid was printed. ruled_mm: the part of the paper it covers, (x0, y0, x1, y1); None is the whole sheet.
    """

    recording: Recording
    paper: PaperMap
    segments: tuple[Segment, ...]
    keypoints: tuple[Keypoint, ...]
    pulses_mm: tuple[tuple[float, float, float, float], ...]
    orientation: int
    source: Source
    degradations: tuple[float, ...]
    ruled: bool = True
    ruled_mm: tuple[float, float, float, float] | None = None
    scales_mm: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Rendered:
    """A page and its truth."""

    page: Page
    truth: PageTruth
