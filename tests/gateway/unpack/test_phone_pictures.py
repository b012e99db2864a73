"""Pictures as telephones and screenshots write them: one page each, right, upright, without a finding."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateway.config import IdentitySection, LimitsSection
from gateway.job import Arrival, Door
from gateway.unpack import unpack
from pipeline.recording import Page, UInt8

ROWS, COLUMNS = 96, 160
ORIENTATION = 0x0112


def paper() -> UInt8:
    """uint8 (96, 160, 3) RGB: a light page, its upper left quarter dark red, so that a turn or a lost channel shows."""
    page = np.full((ROWS, COLUMNS, 3), (250, 240, 220), np.uint8)
    page[: ROWS // 2, : COLUMNS // 2] = (120, 20, 30)
    return page


def picture() -> Image.Image:
    return Image.fromarray(paper())


def written(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    quality: dict[str, object] = {"quality": 95, "subsampling": 0} if kind in ("JPEG", "MPO") else {}
    image.save(stream, kind, **(quality | options))
    return stream.getvalue()


def two_in_one() -> bytes:
    """MPO: a JPEG that holds a second view, as telephones keep their depth maps."""
    return written(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (COLUMNS, ROWS), "green")])


def motion_photo() -> bytes:
    """A JPEG with a film behind it."""
    film = struct.pack(">I4s4sI", 24, b"ftyp", b"mp42", 0) + b"isommp42" + struct.pack(">I4s", 4096, b"mdat")
    return written(picture()) + film + bytes(range(256)) * 16


def with_trailer() -> bytes:
    """A JPEG with the block that Samsung writes behind it."""
    entry = struct.pack("<HHIII", 0, 0x0A01, 40, 40, 0)
    return written(picture()) + b"\x00\x00\x01\x0a" + bytes(32) + b"SEFH" + entry + b"SEFT"


def lying(orientation: int, method: Image.Transpose) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return written(picture().transpose(method), exif=exif)


def with_escaped_markup() -> bytes:
    packet = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><a b="&lt;script&gt;alert(1)&lt;/script&gt;"/></x:xmpmeta>'
    return written(picture(), xmp=packet.encode())


def trace_in_alpha() -> bytes:
    """A PNG whose colours are black everywhere: only its transparency says where the ink is."""
    image = np.zeros((ROWS, COLUMNS, 4), np.uint8)
    image[: ROWS // 2, : COLUMNS // 2, 3] = 255
    return written(Image.fromarray(image), "PNG")


def sixteen_bits() -> bytes:
    grey = np.asarray(picture().convert("L")).astype(np.uint16) * 257
    return written(Image.fromarray(grey), "PNG")


COLOURED: dict[str, Callable[[], bytes]] = {
    "two pictures in one": two_in_one,
    "motion photo": motion_photo,
    "trailer": with_trailer,
    "lying on its side": lambda: lying(6, Image.Transpose.ROTATE_90),
    "lying on the other side": lambda: lying(8, Image.Transpose.ROTATE_270),
    "upside down": lambda: lying(3, Image.Transpose.ROTATE_180),
    "printer's colours": lambda: written(picture().convert("CMYK")),
    "progressive": lambda: written(picture(), progressive=True),
    "palette": lambda: written(picture().quantize(8), "PNG"),
    "markup in its description": with_escaped_markup,
    "opaque alpha": lambda: written(picture().convert("RGBA"), "PNG"),
    "WebP": lambda: written(picture(), "WEBP", lossless=True),
    "BMP": lambda: written(picture(), "BMP"),
}
GREY: dict[str, Callable[[], bytes]] = {
    "grey": lambda: written(picture().convert("L")),
    "sixteen bits": sixteen_bits,
    "grey with alpha": lambda: written(picture().convert("LA"), "PNG"),
}


def only_page(folder: Path, data: bytes) -> Page:
    path = folder / "received"
    path.write_bytes(data)
    document = unpack(path, Arrival(Door.WEB, "phone"), LimitsSection(), IdentitySection())
    assert document.page_count == 1
    return document.read(1)


def furthest(page: Page, wanted: UInt8) -> int:
    """The largest difference of the two, away from the edge between the colours that JPEG blurs."""
    away = np.ones((ROWS, COLUMNS), bool)
    away[ROWS // 2 - 8 : ROWS // 2 + 8] = False
    away[:, COLUMNS // 2 - 8 : COLUMNS // 2 + 8] = False
    return int(np.abs(page.image.astype(int) - wanted.astype(int))[away].max())


@pytest.mark.parametrize("kind", COLOURED)
def test_a_picture_is_read_upright_and_in_its_colours(kind: str, tmp_path: Path) -> None:
    page = only_page(tmp_path, COLOURED[kind]())
    assert (page.image.shape, page.findings) == ((ROWS, COLUMNS, 3), ())
    assert furthest(page, paper()) <= 12


@pytest.mark.parametrize("kind", GREY)
def test_a_grey_picture_keeps_its_greys(kind: str, tmp_path: Path) -> None:
    grey = np.asarray(picture().convert("L"))
    page = only_page(tmp_path, GREY[kind]())
    assert (page.image.shape, page.findings) == ((ROWS, COLUMNS, 3), ())
    assert furthest(page, np.repeat(grey[..., None], 3, axis=2)) <= 4


def test_ink_that_is_only_in_the_transparency_lies_on_white_paper(tmp_path: Path) -> None:
    wanted = np.full((ROWS, COLUMNS, 3), 255, np.uint8)
    wanted[: ROWS // 2, : COLUMNS // 2] = 0
    assert furthest(only_page(tmp_path, trace_in_alpha()), wanted) == 0
