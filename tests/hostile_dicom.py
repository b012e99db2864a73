"""DICOM datasets that are lawful to send and expensive to parse, as encoded bytes in Explicit VR Little Endian."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from pydicom.datadict import DicomDictionary

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
SEQUENCE = (0x0008, 0x1140)  # Referenced Image Sequence
SPACE = (0x0028, 0x0030)  # Pixel Spacing, a DS of many values here
BLOCK_BYTES = 1 << 20


def short(tag: tuple[int, int], vr: bytes, value: bytes = b"") -> bytes:
    return struct.pack("<HH2sH", *tag, vr, len(value)) + value


def long(tag: tuple[int, int], vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sHI", *tag, vr, 0, length)


def bare(tag: tuple[int, int], length: int = 0) -> bytes:
    return struct.pack("<HHI", *tag, length)


def names(sop_class: str, sop_instance: str) -> bytes:
    """SOP Class UID and SOP Instance UID."""
    pairs = ((0x0016, sop_class), (0x0018, sop_instance))
    return b"".join(short((8, number), b"UI", uid.encode() + bytes(len(uid) % 2)) for number, uid in pairs)


def repeated(piece: bytes, size_bytes: int) -> Iterator[bytes]:
    """A piece over and over, about so many bytes of it."""
    block = piece * max(BLOCK_BYTES // len(piece), 1)
    for _ in range(max(size_bytes // len(block), 1)):
        yield block


def empty_items(size_bytes: int) -> Iterator[bytes]:
    yield long(SEQUENCE, b"SQ", UNDEFINED)
    yield from repeated(bare(ITEM), size_bytes)
    yield bare(SEQUENCE_END)


def open_items(size_bytes: int) -> Iterator[bytes]:
    yield long(SEQUENCE, b"SQ", UNDEFINED)
    yield from repeated(bare(ITEM, UNDEFINED) + bare(ITEM_END), size_bytes)
    yield bare(SEQUENCE_END)


def counted_items(size_bytes: int) -> Iterator[bytes]:
    blocks = list(repeated(bare(ITEM), size_bytes))
    yield long(SEQUENCE, b"SQ", sum(map(len, blocks)))
    yield from blocks


def nested(size_bytes: int) -> Iterator[bytes]:
    yield from repeated(long(SEQUENCE, b"SQ", UNDEFINED) + bare(ITEM, UNDEFINED), size_bytes)


def one_private_value(size_bytes: int) -> Iterator[bytes]:
    blocks = list(repeated(b"\xfe\xff\x00\xe0", size_bytes))
    yield long((0x0009, 0x1001), b"OB", sum(map(len, blocks)))
    yield from blocks


def private_fragments(size_bytes: int) -> Iterator[bytes]:
    yield long((0x0009, 0x1001), b"OB", UNDEFINED)
    yield from repeated(bare(ITEM, 2) + b"ab", size_bytes)
    yield bare(SEQUENCE_END)


def private_value_without_end(size_bytes: int) -> Iterator[bytes]:
    yield long((0x0009, 0x1001), b"OB", UNDEFINED)
    yield from repeated(b"ab", size_bytes)


def small_private_elements(size_bytes: int) -> Iterator[bytes]:
    yield from repeated(short((0x0009, 0x1001), b"LO"), size_bytes)


def texts(size_bytes: int) -> Iterator[bytes]:
    """Every lawful as to its length, of a tag that repeats."""
    yield from repeated(short((0x0020, 0x4000), b"LT", b"x" * 4000), size_bytes)


def numbers(size_bytes: int) -> Iterator[bytes]:
    yield from repeated(short(SPACE, b"DS", b"1\\" * 30_000), size_bytes)


def many_vectors(size_bytes: int) -> Iterator[bytes]:
    """As many values as are just taken, each of which pydicom makes an object of; size_bytes does not matter."""
    tags = [tag for tag, entry in DicomDictionary.items() if entry[0] == "DS" and 0x00080018 < tag < 0x7FE00000]
    for tag in sorted(tags)[:31]:
        yield short((tag >> 16, tag & 0xFFFF), b"DS", b"1\\" * 2047)


def pixels_first(size_bytes: int) -> Iterator[bytes]:
    blocks = list(repeated(bytes(16), size_bytes))
    yield long((0x7FE0, 0x0010), b"OB", sum(map(len, blocks)))
    yield from blocks


SHAPES: dict[str, Callable[[int], Iterator[bytes]]] = {
    shape.__name__: shape
    for shape in (
        empty_items,
        open_items,
        counted_items,
        nested,
        one_private_value,
        private_fragments,
        private_value_without_end,
        small_private_elements,
        texts,
        numbers,
        many_vectors,
        pixels_first,
    )
}
