"""The fonts that stages look for on pages, that drawings are lettered with and that the report embeds.

DejaVu (Bitstream Vera and Arev licences) and STIX (STIX Font License), with their licences beside them. They are
shipped because letter matching and the report's look depend on these very files, whatever else is installed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont

FOLDER = Path(__file__).parent
REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"


def path(name: str) -> Path:
    """The file of a font, named without ``.ttf``. Raises FileNotFoundError where it is none of those shipped."""
    file = FOLDER / f"{name}.ttf"
    if not file.is_file():
        raise FileNotFoundError(f"no font {name!r} in pipeline/fonts")
    return file


@cache
def truetype(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A shipped font at a size in pixels. Raises FileNotFoundError."""
    return ImageFont.truetype(str(path(name)), size_px)
