"""The file a fax server leaves: a TIFF of one-bit pages, CCITT Group 4, with the resolution the machine worked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.recording import Page

# ITU-T T.4 fine, in pixels per inch; what a page that tells no resolution is taken to have.
_FINE_DPI = (204.0, 196.0)


def encode_fax_tiff(pages: Sequence[Page], path: Path) -> None:
    """Write the pages, one bit each, as a multi-page G4 TIFF. Raises ValueError when there are none."""
    if not pages:
        raise ValueError("a fax has at least one page")
    sheets = [Image.fromarray((page.image.mean(axis=2) > 127).astype(np.uint8) * 255).convert("1") for page in pages]
    # every page carries its own resolution: Pillow takes it from each image's encoder settings
    for sheet, page in zip(sheets, pages, strict=True):
        sheet.encoderinfo = {"dpi": page.dpi or _FINE_DPI, "compression": "group4"}
    first = pages[0].dpi or _FINE_DPI
    sheets[0].save(path, save_all=True, append_images=sheets[1:], compression="group4", dpi=first)
