"""Finds what else a file is besides the one document that it says it is: a web page, an archive, a program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

from gateway.errors import Refused
from gateway.unpack import MediaType

# APPNOTE.TXT 4.3.16: the end of a ZIP archive is found from the end of a file, over a comment of at most so many bytes.
# An archive on one disk: tools take it whatever follows, so it counts though its comment does not reach to the end.
ZIP_END = b"PK\x05\x06\0\0\0\0"
TAIL_BYTES = 22 + 65_535
BLANK = b" \t\r\n\0"
# What another program would take the same bytes for, if it stood before or beside what we take them for.
OTHER_STARTS = (b"MZ", b"PK\x03\x04", b"\x7fELF", b"<", b"#!", b"%PDF-", b"GIF8", b"\x89PNG", b"\xff\xd8\xff")
MARKUP = re.compile(rb"<\s*(?:!doctype|html|head|body|script|svg|iframe|object|embed|\?php)", re.IGNORECASE)
ARCHIVE = re.compile(rb"PK(?:\x03\x04|\x05\x06)|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c")

PARTS_MAX = 100_000  # of an image; more, and its end is not looked for
PNG_START = 8
PNG_PIXELS = (b"IDAT", b"fdAT")
JPEG_START = 2
JPEG_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # within a scan: no stuffed byte and no restart
JPEG_END, JPEG_SCAN = 0xD9, 0xDA
JPEG_BARE = (0x01, 0xD8)  # markers that no length follows


def check_not_also_something_else(path: Path, media: MediaType, head: bytes) -> None:
    """Refuses a file made to be two things at once: nobody has an honest reason to hand one in.

    head: its first bytes. Raises Refused.
    """
    before = head.partition(b"%PDF-")[0] if media is MediaType.PDF else b""
    if media is MediaType.DICOM and not head.startswith((b"II*\x00", b"MM\x00*")):  # lawful: a DICOM file and a TIFF
        before = head[:128]
    if before.lstrip().startswith(OTHER_STARTS) or MARKUP.search(before):
        raise Refused("polyglot", f"The file is {media} and something else at the same time.")
    if media not in (MediaType.PDF, MediaType.DICOM) and MARKUP.search(head):
        raise Refused("polyglot", f"The file is {media} and a web page at the same time.")
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        for start, end in _beside_the_pixels(data, media):
            if MARKUP.search(data, start, end):
                raise Refused("polyglot", f"The file is {media} with a web page inside or behind it.")
            if end == len(data) and ARCHIVE.search(data, start, end):
                raise Refused("polyglot", f"The file is {media} with an archive behind it.")
        if data.rfind(ZIP_END, max(0, _end_without_blanks(data) - TAIL_BYTES)) >= 0:
            raise Refused("polyglot", f"The file is {media} and a ZIP archive at the same time.")


def _beside_the_pixels(data: mmap, media: MediaType) -> Iterator[tuple[int, int]]:
    """Stretches of an image that hold no pixels, the one behind its end last."""
    match media:
        case MediaType.PNG:
            yield from _png(data)
        case MediaType.JPEG:
            yield from _jpeg(data)
        case MediaType.TIFF | MediaType.BMP | MediaType.WEBP | MediaType.HEIC:
            # parts in any order, or none that need be known: what was put behind them lies at the end
            yield max(0, _end_without_blanks(data) - TAIL_BYTES), len(data)


def _png(data: mmap) -> Iterator[tuple[int, int]]:
    """Every chunk but those of pixels (PNG 5.3), then what follows IEND, or what is no chunk."""
    at = PNG_START
    for _ in range(PARTS_MAX):
        kind, start = data[at + 4 : at + 8], at + 8
        end = start + int.from_bytes(data[at : at + 4], "big")
        if len(kind) < 4 or end > len(data):
            break
        at = end + 4
        if kind == b"IEND":
            break
        if kind not in PNG_PIXELS:
            yield start, end
    yield min(at, len(data)), len(data)


def _jpeg(data: mmap) -> Iterator[tuple[int, int]]:
    """Every segment (T.81 B.1.1.4), then what follows the end of the image; all of the last scan where none is told."""
    at = JPEG_START
    for _ in range(PARTS_MAX):
        found = JPEG_MARKER.search(data, at)
        if found is None:
            break
        code, start = found[1][0], found.end()
        if code == JPEG_END:
            at = start
            break
        end = start if code in JPEG_BARE else start + int.from_bytes(data[start : start + 2], "big")
        if end > len(data):
            break
        if code != JPEG_SCAN:
            yield start, end
        at = max(end, start)
    yield at, len(data)


def _end_without_blanks(data: mmap) -> int:
    """Where a file ends if the blanks behind it are left away."""
    end = len(data)
    while end:
        start = max(0, end - TAIL_BYTES)
        kept = data[start:end].rstrip(BLANK)
        if kept:
            return start + len(kept)
        end = start
    return 0
