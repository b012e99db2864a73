"""What an unpacked document looks like, whatever it was packed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.config import LimitsSection
from gateway.errors import Refused
from gateway.identity.order import Order
from gateway.unpack.media import MediaType
from pipeline.recording import Page


@dataclass(frozen=True, eq=False)
class Unpacked:
    """A received document: its pages, decoded when read, and whose ECG it is.

    read: page number, counted from 1, to the decoded page; raises Refused where that page is damaged.
    """

    media_type: MediaType
    order: Order
    page_count: int
    read: Callable[[int], Page]

    @property
    def pages(self) -> Iterator[tuple[int, Page]]:
        """(number, page) in the document's order, each decoded when the iterator gets there.

        Raises:
            Refused: a page is damaged or breaks a cap.
        """
        for number in range(1, self.page_count + 1):
            yield number, self.read(number)


def check_pixels(width_px: float, height_px: float, limits: LimitsSection) -> None:
    """Raises Refused where an image is empty or larger than the configuration allows, before it is decoded."""
    if width_px < 1 or height_px < 1:
        raise Refused("no_pixels", f"The page has {width_px:.0f} x {height_px:.0f} pixels.")
    megapixels = width_px * height_px / 1e6
    if megapixels > limits.pixels_max_megapixels:
        raise Refused(
            "page_too_large",
            f"The page has {megapixels:.0f} megapixels; limits.pixels_max_megapixels is "
            f"{limits.pixels_max_megapixels:g}.",
        )


def check_page_count(count: int, limits: LimitsSection) -> None:
    """Raises Refused where a document has no page or more pages than the configuration allows."""
    if count < 1:
        raise Refused("no_pages", "The document has no page.")
    if count > limits.pages_max:
        raise Refused("too_many_pages", f"The document has {count} pages; limits.pages_max is {limits.pages_max}.")
