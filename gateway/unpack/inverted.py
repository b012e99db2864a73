"""Pages of two values that came white on black, as faxes and scans do whose photometric tag is wrong or missing."""

from __future__ import annotations

from dataclasses import replace

from pipeline.findings import FindingCode
from pipeline.recording import Finding, Page, Severity, UInt8

BLACK, WHITE = 0, 255
BAND_ROWS = 512
# of a page: print and ruling cover less, whatever is printed. A page of more is paper that came as ink.
MOST_INK = 0.5


def black_on_white(page: Page, *, one_bit: bool = False) -> Page:
    """The page, turned over where it has black and white alone and is mostly black.

    one_bit: it had them alone, before its drawing smoothed them. Of a page that ends early the rest may be painted in
    either, so it stays.
    """
    if any(finding.code == FindingCode.PAGE_DAMAGED for finding in page.findings):
        return page
    ink = 1 - float(page.image.mean()) / WHITE if one_bit else _ink(page.image)
    if ink is None or ink <= MOST_INK:
        return page
    inverted = Finding(FindingCode.PAGE_INVERTED, Severity.INFO, detail=f"{ink:.0%} of it was black")
    return replace(page, image=WHITE - page.image, findings=(*page.findings, inverted))


def _ink(image: UInt8) -> float | None:
    """The share of black, None where the page has other colours, too."""
    black = 0
    for top in range(0, len(image), BAND_ROWS):
        band = image[top : top + BAND_ROWS]
        dark = int((band == BLACK).sum())
        if dark + int((band == WHITE).sum()) != band.size:
            return None
        black += dark
    return black / max(image.size, 1)
