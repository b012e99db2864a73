"""A page with one row, drawn by hand for these tests."""

import cv2
import numpy as np

from pipeline.geometry import PaperMap, Segment
from pipeline.recording import Known, Lead

PX_PER_MM = 8.0
SPEED_MM_S, GAIN_MM_MV, RATE_HZ = 25.0, 10.0, 500
PAPER = PaperMap.affine(np.array([[PX_PER_MM, 0.0, 0.0], [0.0, PX_PER_MM, 0.0]]), (0.0, 0.0, 175.0, 100.0), Known.GRID)
SEGMENTS = (Segment(Lead.I, 0, 10.0, 72.5, 50.0, 0.0), Segment(Lead.II, 0, 72.5, 135.0, 50.0, 2.5))


def beats(seconds: float = 5.0) -> np.ndarray:
    """float64 (n,) mV at 500 Hz: one beat a second, R of 1.2 mV, S, T and a slow drift."""
    t = np.arange(0, seconds, 1 / RATE_HZ)
    phase = t % 1
    waves = 1.2 * np.exp(-(((phase - 0.4) / 0.012) ** 2)) - 0.2 * np.exp(-(((phase - 0.43) / 0.010) ** 2))
    return waves + 0.2 * np.exp(-(((phase - 0.7) / 0.05) ** 2)) + 0.05 * np.sin(2 * np.pi * 0.3 * t)


def page(millivolts: np.ndarray, blank_mm: tuple[tuple[float, float], ...] = ()) -> np.ndarray:
    """uint8 (800, 1400, 3): pink 5 mm grid, the trace from 10 mm on at 50 mm, white patches over blank_mm in x."""
    image = np.full((800, 1400, 3), 255, np.uint8)
    image[:, ::40] = image[::40] = (255, 180, 180)
    t = np.arange(len(millivolts)) / RATE_HZ
    points = np.stack([10 + t * SPEED_MM_S, 50 - GAIN_MM_MV * millivolts], axis=1) * PX_PER_MM
    cv2.polylines(image, [np.round(points * 16).astype(np.int32)], False, (20, 20, 20), 2, cv2.LINE_AA, 4)
    for start, end in blank_mm:
        image[:, round(start * PX_PER_MM) : round(end * PX_PER_MM)] = 255
    return image
