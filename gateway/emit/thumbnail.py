"""A page as a small picture, so that a reader of the report sees what it was read from."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from pipeline.recording import Page

SIDE_MAX_PX = 380  # on 44 mm of paper 220 to the inch


def thumbnail_png(page: Page) -> bytes:
    """The page as it came, at most 380 pixels wide and high, as PNG. The same page gives the same bytes."""
    picture = Image.fromarray(page.image)
    picture.thumbnail((SIDE_MAX_PX, SIDE_MAX_PX), Image.Resampling.BOX, reducing_gap=None)
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
