"""What befalls a page of each kind, by chance: how it is held, lit, worn and cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.recording import Source
from pipeline.synth.layouts import LAYOUTS
from pipeline.synth.spec import Camera, Paper, Place, Print, Wear


def handling(rng: np.random.Generator, source: Source, severity: float) -> tuple[Camera, Wear]:
    """The degradations that go with a kind of image, and some that merely may."""

    def some(most: float, odds: float = 1.0) -> float:
        return float(rng.uniform(0, most) * severity) if rng.random() < odds else 0.0

    def crop(most: float) -> tuple[float, float, float, float]:
        a, b, c, d = rng.uniform(0, most, 4) * (rng.random(4) < 0.5) * severity
        return float(a), float(b), float(c), float(d)

    camera, wear = Camera(), Wear()
    quality = int(rng.integers(45, 97)) if rng.random() < 0.5 * min(severity * 2, 1) else 0
    scanned = replace(camera, roll_deg=float(rng.normal(0, 0.7) * severity), crop_mm=crop(4.0))
    scanned = replace(scanned, stretch=(1 + float(rng.normal(0, 0.004)) * severity, 1.0))
    if source is Source.DIGITAL_RENDER:
        return replace(camera, crop_mm=crop(4.0)), replace(wear, jpeg_quality=quality)
    if source in (Source.COLOUR_SCAN, Source.BW_SCAN, Source.MOULDY_COLOUR_SCAN, Source.MOULDY_BW_SCAN):
        wear = Wear(
            colour_cast=some(0.3),
            low_contrast=some(0.5, 0.4),
            noise=some(0.4),
            blur=some(0.4, 0.6),
            fold=some(0.6, 0.15),
            line_drop_out=some(0.5, 0.05),
            dirt=some(0.8),
            handwriting=some(1, 0.2),
            stamp=some(1, 0.15),
            staple=some(1, 0.1),
            redaction=some(1, 0.1),
            stain=some(0.3, 0.1),
            jpeg_quality=quality,
        )
        if source in (Source.MOULDY_COLOUR_SCAN, Source.MOULDY_BW_SCAN):
            wear = replace(wear, mould=max(0.25, float(rng.uniform(0, 1))) * severity, stain=some(0.8, 0.6))
        return scanned, wear
    if source in (Source.FAX_FINE, Source.FAX_STANDARD):
        return scanned, Wear(
            noise=some(0.7),
            line_drop_out=some(1, 0.5),
            dirt=some(0.8),
            blur=some(0.3, 0.3),
            handwriting=some(1, 0.1),
            stamp=some(1, 0.1),
            copies=int(rng.random() < 0.15 * severity),
        )
    if source is Source.FADED:
        fade = max(0.3, float(rng.uniform(0, 1))) * severity
        if rng.random() < 0.5:  # a photocopy of a photocopy
            copies = int(rng.integers(1, 4) * (severity > 0))
            copied = Wear(copies=copies, low_contrast=fade * 0.3, noise=some(0.4), blur=some(0.4), dirt=some(1))
            return scanned, replace(copied, jpeg_quality=quality, handwriting=some(1, 0.15), fade=some(0.4, 0.5))
        return scanned, Wear(
            fade=fade, low_contrast=fade * 0.8, noise=some(0.6), blur=some(0.5), dirt=some(1), jpeg_quality=quality
        )
    wild = source in (Source.STAINED, Source.CREASED)
    shot = Camera(
        flatbed=False,
        roll_deg=float(rng.normal(0, 2.5) * severity),
        tilt_deg=(float(rng.normal(0, 7) * severity), float(rng.normal(0, 7) * severity)),
        distance=float(rng.uniform(1.2, 3.0)),
        lens=float(rng.normal(0, 0.03) * severity),
        curl_mm=some(7, 0.7),
        curl_wave_mm=float(rng.uniform(160, 500)),
        curl_deg=float(rng.uniform(0, 180)),
        folds=int(rng.integers(1, 5)) if source is Source.CREASED else int(rng.random() < 0.2),
        fold_mm=some(4),
        crop_mm=crop(8.0)
        if rng.random() < 0.6
        else (-8.0 * severity, -8.0 * severity, -8.0 * severity, -8.0 * severity),
    )
    wear = Wear(
        shadow=some(1, 0.8),
        colour_cast=some(1, 0.8),
        low_contrast=some(0.7, 0.4),
        noise=some(0.8),
        blur=some(0.7, 0.7),
        stain=some(0.3, 0.1),
        fold=some(0.3, 0.3),
        dirt=some(0.5, 0.4),
        handwriting=some(1, 0.2),
        stamp=some(1, 0.1),
        staple=some(1, 0.1),
        redaction=some(1, 0.1),
        glare=some(1, 0.2),
        sharpen=some(1.5, 0.25),
        crumple=some(0.3, 0.2),
        jpeg_quality=quality,
    )
    if source is Source.PHOTO_OF_SCREEN:
        return replace(shot, curl_mm=0.0, folds=0), replace(
            wear, moire=max(0.2 * severity, some(1)), stain=0.0, fold=0.0
        )
    if source is Source.STAINED:
        wear = replace(wear, stain=max(0.35, float(rng.uniform(0, 1))) * severity)
    if source is Source.CREASED:
        fold = max(0.35, float(rng.uniform(0, 1))) * severity
        wear = replace(wear, fold=fold, tear=some(1, 0.5), crumple=some(1, 0.7))
    if not wild:
        return shot, wear
    flatbed = rng.random() < 0.3
    return (replace(scanned, folds=shot.folds) if flatbed else shot), wear


def tight(rng: np.random.Generator, paper: Paper, printed: Print) -> tuple[float, float, float, float]:
    """Cut close around the traces, as pages in papers and on phones are: no header, at times no full pulse."""
    layout = LAYOUTS[printed.layout]
    rows = len(layout.rows) + layout.rhythms - (layout.rhythms and rng.random() < 0.15)
    foot = printed.top_mm + (rows - 1) * printed.row_mm + rng.uniform(0.35, 1.0) * printed.row_mm
    left = printed.left_mm + rng.uniform(-6, 6 if printed.pulse is Place.LEFT else 0)
    top = printed.top_mm - rng.uniform(0.35, 1.0) * printed.row_mm
    right = rng.uniform(0, printed.right_mm + 5)
    return max(left, 0.0), max(top, 0.0), float(right), float(max(paper.height_mm - foot, 0.0))
